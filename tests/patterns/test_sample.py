import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.patterns.analysis import Day, SignificantTrend, analyse
from service.patterns.sample import sample_days

SUNDAY = dt.date(2026, 11, 22)
DATES = st.dates(dt.date.min + dt.timedelta(days=89))


def test_the_newest_week_is_written_down() -> None:
    assert sample_days(7, SUNDAY) == [
        Day(dt.date(2026, 11, 16), 72, 70, 84),
        Day(dt.date(2026, 11, 17), 86, 84, 91),
        Day(dt.date(2026, 11, 18), 64, 78, 82),
        Day(dt.date(2026, 11, 19), 69, 82, 86),
        Day(dt.date(2026, 11, 20), 74, 79, 85),
        Day(dt.date(2026, 11, 21), 78, 75, 88),
        Day(dt.date(2026, 11, 22), 82, 71, 89),
    ]


def test_the_week_before_is_lower_by_2_4_and_5() -> None:
    assert sample_days(8, SUNDAY)[0] == Day(dt.date(2026, 11, 15), 80, 67, 84)


def test_the_newest_week_shows_every_kind_of_insight() -> None:
    assert [insight.kind for insight in analyse(sample_days(7, SUNDAY)).insights] == ["peak", "dip", "fulfillment"]


def test_the_newest_week_has_a_rise_and_a_fall() -> None:
    assert analyse(sample_days(7, SUNDAY)).significant_trends == [
        SignificantTrend("energy", "rising", 4, "moderate"),
        SignificantTrend("focus", "falling", 3, "moderate"),
    ]


def test_no_week_of_the_nine_newest_repeats_another() -> None:
    days = [(day.energy, day.focus, day.fulfillment) for day in sample_days(63, SUNDAY)]
    weeks = {tuple(days[first : first + 7]) for first in range(0, 63, 7)}
    assert len(weeks) == 9


@pytest.mark.parametrize(
    ("until", "existing"),
    [
        (dt.date(1, 1, 1), 1),
        (dt.date(1, 1, 2), 2),
        (dt.date(1, 3, 30), 89),
        (dt.date(1, 3, 31), 90),
        (dt.date(1, 4, 1), 90),
    ],
)
def test_where_the_calendar_begins_only_the_days_that_exist_are_given(until: dt.date, existing: int) -> None:
    days = sample_days(90, until)
    assert len(days) == existing
    assert days[-1].date == until


def test_the_last_day_of_the_calendar_has_its_sample() -> None:
    assert sample_days(1, dt.date.max) == [Day(dt.date(9999, 12, 31), 82, 71, 89)]


@given(st.integers(1, 90), DATES)
def test_days_follow_one_another_up_to_the_date_asked_for(count: int, until: dt.date) -> None:
    dates = [day.date for day in sample_days(count, until)]
    assert dates == [until - dt.timedelta(days=count - 1 - number) for number in range(count)]


@given(st.integers(1, 90), DATES)
def test_a_short_window_is_the_end_of_a_long_one(count: int, until: dt.date) -> None:
    assert sample_days(count, until) == sample_days(90, until)[-count:]


def test_every_score_is_plausible() -> None:
    for day in sample_days(90, SUNDAY):
        assert min(day.energy, day.focus, day.fulfillment) >= 50
        assert max(day.energy, day.focus, day.fulfillment) <= 95
