"""Made-up days for a caller who has none to show: the same for everybody, never stored, never mixed with real ones."""

import datetime as dt

from service.patterns.analysis import Day

# Energy, focus and fulfillment, newest first. Chosen so that the last seven days show every part of an answer:
# a peak, dips, high fulfillment, one score that rises, one that falls, and so five recommendations from the rules.
WEEK = (
    (82, 71, 89),
    (78, 75, 88),
    (74, 79, 85),
    (69, 82, 86),
    (64, 78, 82),
    (86, 84, 91),
    (72, 70, 84),
)

# Earlier weeks are lower by these steps times the week's number, modulo nine. None shares a factor with nine and no
# two are alike, so that nine weeks pass before one repeats and the three scores do not move as one.
STEPS = (2, 4, 5)
CYCLE = 9


def sample_days(days: int, until: dt.date) -> list[Day]:
    """The sample days that end at `until`, oldest first.

    `days` is 1 to 90. The scores depend only on how far a day lies before `until`: whatever the date, the newest
    week tells the same story, and a short window is the end of a long one. Where the calendar begins
    (`dt.date.min`) fewer than `days` exist, and those are given.
    """
    available = min(days, until.toordinal())
    return [sample_day(age, until) for age in reversed(range(available))]


def sample_day(age: int, until: dt.date) -> Day:
    """The sample day that lies `age` days before `until`."""
    week, weekday = divmod(age, len(WEEK))
    energy, focus, fulfillment = (score - week * step % CYCLE for score, step in zip(WEEK[weekday], STEPS, strict=True))
    return Day(until - dt.timedelta(days=age), energy, focus, fulfillment)
