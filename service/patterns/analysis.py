"""What a window of recorded days says: averages, trends and insights. Pure: no clock, no I/O.

This is Python and not SQL because every sentence, threshold and run of days can then be tested without a
database, and because sample data, which never touches one, goes through the same code.

Scores are whole numbers from 0 to 100. The thresholds are the product's own choice, not a finding from a study.
"""

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import Annotated, Literal, get_args

import msgspec

Score = Annotated[int, msgspec.Meta(ge=0, le=100)]
Metric = Literal["energy", "focus", "fulfillment"]
Direction = Literal["rising", "falling", "flat"]
Strength = Literal["weak", "moderate", "strong"]
Kind = Literal["peak", "dip", "fulfillment", "tracking"]
DayName = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

METRICS: tuple[Metric, ...] = get_args(Metric)

# strftime("%a") would follow the server's locale; the wire must not.
DAY_NAMES: tuple[DayName, ...] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

ONE_DAY = dt.timedelta(days=1)

LOW_ENERGY = 70
PEAK = 75
HIGH_FULFILLMENT = 80

SIGNIFICANT_STEPS = 3
STRONG_STEPS = 5


class Day(msgspec.Struct, frozen=True, rename="camel"):
    """One recorded day of one person; `date` is in the person's own time zone."""

    date: dt.date
    energy: Score
    focus: Score
    fulfillment: Score


class PatternDay(msgspec.Struct, frozen=True, rename="camel"):
    """A recorded day with the name of its weekday."""

    date: dt.date
    day: DayName
    energy: Score
    focus: Score
    fulfillment: Score


class Averages(msgspec.Struct, frozen=True, rename="camel"):
    """The mean of each score over the recorded days, rounded half up."""

    energy: Score
    focus: Score
    fulfillment: Score


class Trend(msgspec.Struct, frozen=True, rename="camel"):
    """The run of strict rises or falls that ends at the newest recorded day.

    `consecutive_days` counts the steps of the run: four days, each higher than the one before, are three.
    `change` is the newest score minus the oldest of the whole window, so it may point the other way than the run.
    """

    direction: Direction
    change: Annotated[int, msgspec.Meta(ge=-100, le=100)]
    consecutive_days: Annotated[int, msgspec.Meta(ge=0)]
    strength: Strength
    is_significant: bool


class Trends(msgspec.Struct, frozen=True, rename="camel"):
    """The trend of each score."""

    energy: Trend
    focus: Trend
    fulfillment: Trend


class SignificantTrend(msgspec.Struct, frozen=True, rename="camel"):
    """A trend that is long enough to tell the person about."""

    metric: Metric
    direction: Direction
    consecutive_days: Annotated[int, msgspec.Meta(ge=SIGNIFICANT_STEPS)]
    strength: Strength


class Insight(msgspec.Struct, frozen=True, rename="camel"):
    """Something worth noticing, in words for the person; `icon` is the name of a Lucide icon."""

    kind: Kind
    title: str
    description: str
    icon: str


class Pattern(msgspec.Struct, frozen=True, rename="camel"):
    """All that a window of recorded days says; `patterns` holds those days, oldest first."""

    patterns: list[PatternDay]
    averages: Averages
    trends: Trends
    significant_trends: list[SignificantTrend]
    insights: list[Insight]


def analyse(days: Sequence[Day]) -> Pattern:
    """Work out what recorded days say.

    `days` holds one entry a date, oldest first, scores 0 to 100. Neither is checked here: the table's key and checks
    and the query's order guarantee both.

    Raises ValueError when `days` is empty: no average exists then, and the caller has an answer of its own.
    """
    if not days:
        raise ValueError("no recorded day to analyse")
    patterns = [
        PatternDay(day.date, DAY_NAMES[day.date.weekday()], day.energy, day.focus, day.fulfillment) for day in days
    ]
    averages = Averages(
        energy=average(patterns, "energy"),
        focus=average(patterns, "focus"),
        fulfillment=average(patterns, "fulfillment"),
    )
    trends = Trends(
        energy=trend(patterns, "energy"),
        focus=trend(patterns, "focus"),
        fulfillment=trend(patterns, "fulfillment"),
    )
    return Pattern(
        patterns=patterns,
        averages=averages,
        trends=trends,
        significant_trends=significant_trends(trends),
        insights=insights(patterns, averages),
    )


def average(days: Sequence[PatternDay], metric: Metric) -> int:
    """The mean of a score over one or more days, rounded half up (in integers: `round` would turn 70.5 into 70).

    Everything that is said about an average compares this rounded figure, the one that the person is shown:
    a mean of 69.6 reads 70, and must not be called under 70 beside it.
    """
    scores = [score(day, metric) for day in days]
    return (2 * sum(scores) + len(scores)) // (2 * len(scores))


def score(day: PatternDay, metric: Metric) -> int:
    """One of a day's three scores, by name."""
    match metric:
        case "energy":
            return day.energy
        case "focus":
            return day.focus
        case "fulfillment":
            return day.fulfillment


def trend(days: Sequence[PatternDay], metric: Metric) -> Trend:
    """The trend of a score at the newest of one or more days, oldest first."""
    steps = [step(earlier, later, metric) for earlier, later in pairwise(days)]
    direction = steps[-1] if steps else "flat"
    run = [] if direction == "flat" else list(takewhile(lambda taken: taken == direction, reversed(steps)))
    return Trend(
        direction=direction,
        change=score(days[-1], metric) - score(days[0], metric),
        consecutive_days=len(run),
        strength=strength(len(run)),
        is_significant=len(run) >= SIGNIFICANT_STEPS,
    )


def step(earlier: PatternDay, later: PatternDay, metric: Metric) -> Direction:
    """Where a score went between two neighbouring recorded days: flat across a gap, as nobody knows what lay in it."""
    before, after = score(earlier, metric), score(later, metric)
    if later.date - earlier.date != ONE_DAY or after == before:
        return "flat"
    return "rising" if after > before else "falling"


def strength(steps: int) -> Strength:
    """How strong a run of so many steps is."""
    if steps >= STRONG_STEPS:
        return "strong"
    return "moderate" if steps >= SIGNIFICANT_STEPS else "weak"


def trend_of(trends: Trends, metric: Metric) -> Trend:
    """The trend of a score, by name."""
    match metric:
        case "energy":
            return trends.energy
        case "focus":
            return trends.focus
        case "fulfillment":
            return trends.fulfillment


def significant_trends(trends: Trends) -> list[SignificantTrend]:
    """The trends long enough to matter: energy, focus, fulfillment in this order."""
    return [
        SignificantTrend(metric, found.direction, found.consecutive_days, found.strength)
        for metric in METRICS
        if (found := trend_of(trends, metric)).is_significant
    ]


def insights(days: Sequence[PatternDay], averages: Averages) -> list[Insight]:
    """What is worth noticing in one or more days, never an empty list: peaks, then dips, then high fulfillment."""
    found: list[Insight] = []
    if peaks := peak_days(days, over=PEAK):
        found.append(
            Insight(
                kind="peak",
                title="Peak Performance Window",
                description=f"Your focus and energy were both over {PEAK} on {names(peaks)} ({share(peaks, days)}). "
                "Save your most demanding work for days like these.",
                icon="trending-up",
            )
        )
    if dips := low_days(days):
        found.append(
            Insight(
                kind="dip",
                title="Energy Dip",
                description=f"Your energy was under {LOW_ENERGY} on {names(dips)} ({share(dips, days)}). "
                "Lighter plans and a proper break help on days like these.",
                icon="battery-low",
            )
        )
    if averages.fulfillment > HIGH_FULFILLMENT:
        found.append(
            Insight(
                kind="fulfillment",
                title="High Fulfillment",
                description=f"Your fulfillment averages {averages.fulfillment}, which is over {HIGH_FULFILLMENT}. "
                "Notice what fills these days, and make room for more of it.",
                icon="heart",
            )
        )
    return found or [
        Insight(
            kind="tracking",
            title="Keep Tracking",
            description="Nothing stands out in these days yet. Keep recording your scores, and patterns may show.",
            icon="calendar-check",
        )
    ]


def peak_days(days: Sequence[PatternDay], *, over: int) -> list[PatternDay]:
    """The days with focus and energy both over a score."""
    return [day for day in days if day.focus > over and day.energy > over]


def low_days(days: Sequence[PatternDay]) -> list[PatternDay]:
    """The days with energy under 70."""
    return [day for day in days if day.energy < LOW_ENERGY]


def names(days: Sequence[PatternDay]) -> str:
    """The weekdays of one or more days in words: "Mon", "Mon and Fri", "Mon, Wed and Fri".

    Each is named once, Monday first, wherever the window begins: in 90 days every weekday comes up a dozen times,
    and a list in order of date would have no beginning that a reader could see.
    """
    found = {day.day for day in days}
    *rest, last = [name for name in DAY_NAMES if name in found]
    return f"{', '.join(rest)} and {last}" if rest else last


def share(some: Sequence[PatternDay], days: Sequence[PatternDay]) -> str:
    """How many of the recorded days are meant: "2 of 7 days". A weekday's name alone could be one Monday of twelve."""
    return f"{len(some)} of {len(days)} days" if len(days) > 1 else "the only day recorded"
