"""What stands out in a pattern: the conditions of the rules. Pure: no clock, no I/O.

The thresholds are the product's own choice, not a finding from a study. Averages are the rounded ones that the person
is shown (see `average` in the patterns' analysis); a trend counts only when it is significant.
"""

from msgspec import Struct

from service.patterns.analysis import LOW_ENERGY, METRICS, Metric, Pattern, Trend, low_days, names, peak_days, share
from service.recommendations import sayings
from service.recommendations.advice import PEAK, DataPoint
from service.recommendations.sayings import Saying

LOW_FOCUS = 70
STRONG_FOCUS = 80
LOW_FULFILLMENT = 75
HIGH_FULFILLMENT = 85


class Finding(Struct, frozen=True):
    """Something that stands out: what the person is told of it, their figure behind it, and what can be advised."""

    fact: str
    """A sentence without its end: a saying's reason may go on with it."""
    data_point: DataPoint
    sayings: tuple[Saying, ...]
    days: str = ""
    """The weekdays that a saying may name."""


def findings(pattern: Pattern) -> list[Finding]:
    """All that stands out: up to five findings, in the order in which they are told."""
    rules = (on_energy, on_focus, on_fulfillment, on_low_days, on_peak_days)
    return [finding for rule in rules if (finding := rule(pattern)) is not None]


def on_energy(pattern: Pattern) -> Finding | None:
    """Low energy, else falling, else rising."""
    average, trend = pattern.averages.energy, pattern.trends.energy
    if average < LOW_ENERGY:
        return on_average("energy", average, f"under {LOW_ENERGY}", sayings.LOW_ENERGY)
    if falling(trend):
        return on_trend("energy", trend, "fallen", sayings.FALLING_ENERGY)
    if rising(trend):
        return on_trend("energy", trend, "risen", sayings.RISING_ENERGY)
    return None


def on_focus(pattern: Pattern) -> Finding | None:
    """Low focus, else falling, else strong."""
    average, trend = pattern.averages.focus, pattern.trends.focus
    if average < LOW_FOCUS:
        return on_average("focus", average, f"under {LOW_FOCUS}", sayings.LOW_FOCUS)
    if falling(trend):
        return on_trend("focus", trend, "fallen", sayings.FALLING_FOCUS)
    if average > STRONG_FOCUS:
        return on_average("focus", average, f"over {STRONG_FOCUS}", sayings.STRONG_FOCUS)
    return None


def on_fulfillment(pattern: Pattern) -> Finding | None:
    """Low fulfillment, else falling, else high."""
    average, trend = pattern.averages.fulfillment, pattern.trends.fulfillment
    if average < LOW_FULFILLMENT:
        return on_average("fulfillment", average, f"under {LOW_FULFILLMENT}", sayings.LOW_FULFILLMENT)
    if falling(trend):
        return on_trend("fulfillment", trend, "fallen", sayings.FALLING_FULFILLMENT)
    if average > HIGH_FULFILLMENT:
        return on_average("fulfillment", average, f"over {HIGH_FULFILLMENT}", sayings.HIGH_FULFILLMENT)
    return None


def falling(trend: Trend) -> bool:
    """Whether a score has been falling long enough to say so."""
    return trend.is_significant and trend.direction == "falling"


def rising(trend: Trend) -> bool:
    """Whether a score has been rising long enough to say so."""
    return trend.is_significant and trend.direction == "rising"


def on_average(metric: Metric, average: int, where: str, said: tuple[Saying, ...]) -> Finding:
    """The finding that an average is beyond a threshold."""
    fact = f"Your {metric} averages {average}, which is {where}"
    return Finding(fact, DataPoint(metric, "average", average), said)


def on_trend(metric: Metric, trend: Trend, has: str, said: tuple[Saying, ...]) -> Finding:
    """The finding of a significant trend."""
    fact = f"Your {metric} has {has} {trend.consecutive_days} days in a row"
    return Finding(fact, DataPoint(metric, "consecutiveDays", trend.consecutive_days), said)


def on_low_days(pattern: Pattern) -> Finding | None:
    """Days with low energy."""
    low = low_days(pattern.patterns)
    if not low:
        return None
    fact = f"Your energy was under {LOW_ENERGY} on {share(low, pattern.patterns)}"
    return Finding(fact, DataPoint("energy", "lowDays", len(low)), sayings.LOW_DAYS, names(low))


def on_peak_days(pattern: Pattern) -> Finding | None:
    """Days with focus and energy both at their peak."""
    peaks = peak_days(pattern.patterns, over=PEAK)
    if not peaks:
        return None
    fact = f"Your focus and energy were both over {PEAK} on {share(peaks, pattern.patterns)}"
    return Finding(fact, DataPoint("focus", "peakDays", len(peaks)), sayings.PEAK_DAYS, names(peaks))


def average_of(pattern: Pattern, metric: Metric) -> DataPoint:
    """A metric's average as a data point."""
    averages = pattern.averages
    match metric:
        case "energy":
            return DataPoint(metric, "average", averages.energy)
        case "focus":
            return DataPoint(metric, "average", averages.focus)
        case "fulfillment":
            return DataPoint(metric, "average", averages.fulfillment)


def weakest(pattern: Pattern) -> Metric:
    """The metric with the lowest average; of several, the first in their usual order."""
    return min(METRICS, key=lambda metric: average_of(pattern, metric).value)
