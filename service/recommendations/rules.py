"""Recommendations without AI: a few rules over the person's own figures. Pure: no clock, no I/O.

The thresholds are the product's own choice, not a finding from a study. Averages are the rounded ones that the person
is shown (see `average` in the patterns' analysis); a trend counts only when it is significant.
"""

from service.patterns.analysis import LOW_ENERGY, Metric, Pattern, Trend, low_days, names, peak_days, share
from service.recommendations.advice import Advice, DataPoint

ENOUGH = 3

LOW_FOCUS = 70
STRONG_FOCUS = 80
LOW_FULFILLMENT = 75
HIGH_FULFILLMENT = 85

# Stricter than the peak that patterns point out: these days are to be planned around, not only noticed.
PEAK = 80


class Rules:
    """The engine that is always there."""

    name: str = "rules"

    async def advise(self, pattern: Pattern) -> list[Advice]:
        """Two to five recommendations; never fails."""
        return recommend(pattern)


def recommend(pattern: Pattern) -> list[Advice]:
    """What the rules recommend: two to five pieces of advice, in the order of the rules.

    Each rule gives one piece at most, so there are never more than five. Fewer than three are followed by two
    good habits.
    """
    rules = (on_energy, on_focus, on_fulfillment, on_low_days, on_peak_days)
    found = [advice for rule in rules if (advice := rule(pattern)) is not None]
    return found if len(found) >= ENOUGH else [*found, *habits(pattern)]


def on_energy(pattern: Pattern) -> Advice | None:
    """Low energy, else falling, else rising."""
    average, trend = pattern.averages.energy, pattern.trends.energy
    if average < LOW_ENERGY:
        return Advice(
            "Take two short breaks away from your desk each day this week, one before lunch and one after.",
            f"Your energy averages {average}, which is under {LOW_ENERGY}. When energy is short, everything else costs "
            "more effort, and regular pauses are an easy first thing to change.",
            DataPoint("energy", "average", average),
        )
    if falling(trend):
        return Advice(
            "Clear one commitment from tomorrow, and use the time to rest or go for a walk.",
            f"Your energy has fallen {trend.consecutive_days} days in a row. A slide is easiest to stop early, "
            "before being tired starts to feel normal.",
            run("energy", trend),
        )
    if rising(trend):
        return Advice(
            "Write down what you did differently in the last few days, and keep the one thing that helped most.",
            f"Your energy has risen {trend.consecutive_days} days in a row. Once you know what lifts it, you can do "
            "it on purpose and need not wait for luck.",
            run("energy", trend),
        )
    return None


def on_focus(pattern: Pattern) -> Advice | None:
    """Low focus, else falling, else strong."""
    average, trend = pattern.averages.focus, pattern.trends.focus
    if average < LOW_FOCUS:
        return Advice(
            "Keep one stretch of 45 minutes each morning for your most important task, with notifications off.",
            f"Your focus averages {average}, which is under {LOW_FOCUS}. Interruptions cost more attention than they "
            "seem to, and one protected stretch is often enough to finish something that matters.",
            DataPoint("focus", "average", average),
        )
    if falling(trend):
        return Advice(
            "Tomorrow, choose your three most important tasks before you open any messages, and do them one at a time.",
            f"Your focus has fallen {trend.consecutive_days} days in a row. Jumping between tasks wears attention "
            "down, and a short list made early gives it one thing to hold on to.",
            run("focus", trend),
        )
    if average > STRONG_FOCUS:
        return Advice(
            "Give your clearest hours this week to a hard problem that you have been putting off.",
            f"Your focus averages {average}, which is over {STRONG_FOCUS}. A stretch like this suits work that needs "
            "deep thought, so keep small tasks out of its way.",
            DataPoint("focus", "average", average),
        )
    return None


def on_fulfillment(pattern: Pattern) -> Advice | None:
    """Low fulfillment, else falling, else high."""
    average, trend = pattern.averages.fulfillment, pattern.trends.fulfillment
    if average < LOW_FULFILLMENT:
        return Advice(
            "Plan one thing you care about each day, even for fifteen minutes, and treat it as an appointment.",
            f"Your fulfillment averages {average}, which is under {LOW_FULFILLMENT}. A day can be full and still feel "
            "empty, and something that you chose yourself makes it your own.",
            DataPoint("fulfillment", "average", average),
        )
    if falling(trend):
        return Advice(
            "Pick the activity that has meant most to you lately, and make time for it within two days.",
            f"Your fulfillment has fallen {trend.consecutive_days} days in a row. What matters to us is often the "
            "first thing that a busy week pushes out, and it helps to bring it back soon.",
            run("fulfillment", trend),
        )
    if average > HIGH_FULFILLMENT:
        return Advice(
            "Note which people and activities made these days good, and set aside time for them next week.",
            f"Your fulfillment averages {average}, which is over {HIGH_FULFILLMENT}. A good stretch is easier to keep "
            "going when you know what is behind it.",
            DataPoint("fulfillment", "average", average),
        )
    return None


def falling(trend: Trend) -> bool:
    """Whether a score has been falling long enough to say so."""
    return trend.is_significant and trend.direction == "falling"


def rising(trend: Trend) -> bool:
    """Whether a score has been rising long enough to say so."""
    return trend.is_significant and trend.direction == "rising"


def run(metric: Metric, trend: Trend) -> DataPoint:
    """The data point of a significant trend."""
    return DataPoint(metric, "consecutiveDays", trend.consecutive_days)


def on_low_days(pattern: Pattern) -> Advice | None:
    """Days with low energy.

    The advice looks back and forbids nothing: in a window longer than a week the same weekday may have been low once
    and at its peak another time, and this must not contradict the advice on peak days.
    """
    low = low_days(pattern.patterns)
    if not low:
        return None
    return Advice(
        f"Look back at {names(low)}, find what drained you, and plan one change for next week.",
        f"Your energy was under {LOW_ENERGY} on {share(low, pattern.patterns)}. Low days often have a plain cause, "
        "such as a late night or a packed calendar, and one small change can be enough.",
        DataPoint("energy", "lowDays", len(low)),
    )


def on_peak_days(pattern: Pattern) -> Advice | None:
    """Days with focus and energy both at their peak."""
    peaks = peak_days(pattern.patterns, over=PEAK)
    if not peaks:
        return None
    return Advice(
        f"Save your most demanding work for {names(peaks)}, and leave small tasks for other times.",
        f"Your focus and energy were both over {PEAK} on {share(peaks, pattern.patterns)}. When the two come "
        "together, hard work feels lighter, so it pays to plan it there.",
        DataPoint("focus", "peakDays", len(peaks)),
    )


def habits(pattern: Pattern) -> list[Advice]:
    """Two habits that suit anybody, tied to the figures that they serve."""
    energy, fulfillment = pattern.averages.energy, pattern.averages.fulfillment
    return [
        Advice(
            "Go to bed and get up at the same times all week, weekend included.",
            f"Your energy averages {energy}, and many people find theirs steadier when their sleep is. A fixed rhythm "
            "also makes it easier to see what else moves your scores.",
            DataPoint("energy", "average", energy),
        ),
        Advice(
            "Set aside fifteen minutes each Sunday to write down what went well and what to change.",
            f"Your fulfillment averages {fulfillment}, and a short look back shows what it is made of. Small things "
            "that you notice once a week are easy to repeat or to drop.",
            DataPoint("fulfillment", "average", fulfillment),
        ),
    ]


# What is answered when no engine could make anything: it claims nothing about the person.
GENERAL_ADVICE = (
    Advice(
        "Go to bed and get up at about the same times every day this week.",
        "A steady rhythm is what the rest of the day stands on. Many people find their days more even when their "
        "sleep is regular.",
        None,
    ),
    Advice(
        "Begin the day with your most important task, for 45 minutes, with notifications off.",
        "What is done first cannot be pushed out by the day. Even one protected stretch can move something forward "
        "that matters.",
        None,
    ),
    Advice(
        "Take a short break away from your screen after every hour or two of work.",
        "Attention wears down slowly, and it is easy not to notice. A few minutes of rest make the next hour easier.",
        None,
    ),
    Advice(
        "Go for a ten-minute walk outside once a day, in daylight if you can.",
        "A walk changes the scene and gives the mind room to settle. It is short enough to fit into almost any day.",
        None,
    ),
    Advice(
        "Each evening, write down one thing that went well and one that you would change.",
        "A day is easier to learn from while it is fresh. After a week the notes often show what is worth repeating.",
        None,
    ),
)
