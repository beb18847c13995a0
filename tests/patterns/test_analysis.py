import datetime as dt
import json
import math
from collections.abc import Sequence
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.patterns.analysis import (
    Averages,
    Day,
    Direction,
    Insight,
    Pattern,
    SignificantTrend,
    Trend,
    Trends,
    analyse,
)

MONDAY = dt.date(2026, 11, 16)

SCORES = st.integers(0, 100)
RECORDED = st.lists(
    st.builds(Day, st.dates(MONDAY, MONDAY + dt.timedelta(days=89)), SCORES, SCORES, SCORES),
    min_size=1,
    max_size=90,
    unique_by=lambda day: day.date,
).map(lambda days: sorted(days, key=lambda day: day.date))


def recorded(
    energy: Sequence[int | None], focus: Sequence[int] | None = None, fulfillment: Sequence[int] | None = None
) -> list[Day]:
    """Days from Monday, 16 November 2026 on; None is a day without a record, and what is not given is 70 throughout."""
    focus = focus or [70] * len(energy)
    fulfillment = fulfillment or [70] * len(energy)
    return [
        Day(MONDAY + dt.timedelta(days=number), score, focus[number], fulfillment[number])
        for number, score in enumerate(energy)
        if score is not None
    ]


def energy_trend(*scores: int | None) -> Trend:
    return analyse(recorded(scores)).trends.energy


def kinds(pattern: Pattern) -> list[str]:
    return [insight.kind for insight in pattern.insights]


def test_the_answer_has_the_shape_of_the_contract() -> None:
    pattern = analyse(
        recorded(
            energy=[72, 86, 87, 73, 74, 75, 76],
            focus=[68, 80, 79, 75, 71, 73, 72],
            fulfillment=[75, 83, 84, 79, 81, 82, 83],
        )
    )
    answer = json.loads(msgspec.json.encode(pattern))
    assert list(answer) == ["patterns", "averages", "trends", "significantTrends", "insights"]
    assert answer["patterns"][0] == {"date": "2026-11-16", "day": "Mon", "energy": 72, "focus": 68, "fulfillment": 75}
    assert answer["averages"] == {"energy": 78, "focus": 74, "fulfillment": 81}
    assert list(answer["trends"]) == ["energy", "focus", "fulfillment"]
    assert answer["trends"]["energy"] == {
        "direction": "rising",
        "change": 4,
        "consecutiveDays": 3,
        "strength": "moderate",
        "isSignificant": True,
    }
    assert answer["significantTrends"][0] == {
        "metric": "energy",
        "direction": "rising",
        "consecutiveDays": 3,
        "strength": "moderate",
    }
    assert answer["insights"][0] == {
        "kind": "peak",
        "title": "Peak Performance Window",
        "description": "Your focus and energy were both over 75 on Tue and Wed (2 of 7 days). "
        "Save your most demanding work for days like these.",
        "icon": "trending-up",
    }


def test_no_days_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="no recorded day to analyse"):
        analyse([])


def test_days_are_named_from_monday_to_sunday() -> None:
    assert " ".join(day.day for day in analyse(recorded([70] * 7)).patterns) == "Mon Tue Wed Thu Fri Sat Sun"


def test_only_recorded_days_are_given() -> None:
    assert [day.day for day in analyse(recorded([70, None, None, 70])).patterns] == ["Mon", "Thu"]


@pytest.mark.parametrize(
    ("scores", "average"),
    [
        ([70, 71], 71),
        ([69, 70], 70),
        ([0, 1], 1),
        ([70, 70, 71], 70),
        ([70, 71, 71], 71),
        ([100, 100, 100], 100),
        ([0], 0),
        ([99, 100], 100),
        ([50] * 51 + [51] * 49, 50),
        ([50] * 45 + [51] * 45, 51),
    ],
)
def test_averages_are_rounded_half_up(scores: list[int], average: int) -> None:
    assert analyse(recorded(scores)).averages.energy == average


def test_each_score_has_its_own_average() -> None:
    assert analyse(recorded([10, 20], [30, 40], [50, 60])).averages == Averages(energy=15, focus=35, fulfillment=55)


@pytest.mark.parametrize(
    ("steps", "strength", "significant"),
    [
        (1, "weak", False),
        (2, "weak", False),
        (3, "moderate", True),
        (4, "moderate", True),
        (5, "strong", True),
        (6, "strong", True),
        (89, "strong", True),
    ],
)
def test_a_run_grows_stronger_with_its_steps(steps: int, strength: str, significant: bool) -> None:
    rising = energy_trend(*range(steps + 1))
    assert (rising.direction, rising.consecutive_days) == ("rising", steps)
    assert (rising.strength, rising.is_significant) == (strength, significant)
    falling = energy_trend(*range(steps, -1, -1))
    assert (falling.direction, falling.consecutive_days) == ("falling", steps)
    assert (falling.strength, falling.is_significant) == (strength, significant)


@pytest.mark.parametrize(
    ("scores", "trend"),
    [
        pytest.param([70], Trend("flat", 0, 0, "weak", False), id="a single day"),
        pytest.param([60, 70, 80, 90, 90], Trend("flat", 30, 0, "weak", False), id="equal at the end"),
        pytest.param([50, 60, 60, 70, 80], Trend("rising", 30, 2, "weak", False), id="equal before"),
        pytest.param([50, 60, 70, None, 80, 90], Trend("rising", 40, 1, "weak", False), id="a gap before"),
        pytest.param([50, 60, 70, 80, None, 90], Trend("flat", 40, 0, "weak", False), id="a gap at the end"),
        pytest.param([90, 60, 65, 66, 67], Trend("rising", -23, 3, "moderate", True), id="a turn before"),
        pytest.param([10, 20, 30, 40, 50, 45], Trend("falling", 35, 1, "weak", False), id="a turn at the end"),
    ],
)
def test_a_trend_is_the_run_that_ends_at_the_newest_day(scores: list[int | None], trend: Trend) -> None:
    assert energy_trend(*scores) == trend


def test_a_run_goes_on_across_the_end_of_a_year() -> None:
    days = [Day(dt.date(2026, 12, 30) + dt.timedelta(days=number), 60 + number, 70, 70) for number in range(4)]
    assert days[-1].date == dt.date(2027, 1, 2)
    assert analyse(days).trends.energy == Trend("rising", 3, 3, "moderate", is_significant=True)


def test_each_score_has_its_own_trend() -> None:
    trends = analyse(recorded([1, 2, 3, 4], [4, 3, 2, 1], [5, 5, 5, 5])).trends
    assert trends.energy == Trend("rising", 3, 3, "moderate", is_significant=True)
    assert trends.focus == Trend("falling", -3, 3, "moderate", is_significant=True)
    assert trends.fulfillment == Trend("flat", 0, 0, "weak", is_significant=False)


def test_significant_trends_are_listed_with_their_metric() -> None:
    pattern = analyse(recorded([1, 2, 3, 4, 5, 6], [9, 6, 5, 4, 3, 3], [9, 8, 9, 8, 7, 6]))
    assert pattern.significant_trends == [
        SignificantTrend("energy", "rising", 5, "strong"),
        SignificantTrend("fulfillment", "falling", 3, "moderate"),
    ]
    assert analyse(recorded([1, 2, 3], [3, 2, 1])).significant_trends == []


@pytest.mark.parametrize(
    ("energy", "focus", "found"),
    [(76, 76, ["peak"]), (75, 76, ["tracking"]), (76, 75, ["tracking"]), (100, 100, ["peak"])],
)
def test_a_peak_takes_focus_and_energy_both_over_75(energy: int, focus: int, found: list[str]) -> None:
    assert kinds(analyse(recorded([energy], [focus]))) == found


@pytest.mark.parametrize(("energy", "found"), [(69, ["dip"]), (70, ["tracking"]), (0, ["dip"])])
def test_a_dip_is_energy_under_70(energy: int, found: list[str]) -> None:
    assert kinds(analyse(recorded([energy]))) == found


@pytest.mark.parametrize(
    ("fulfillment", "found"),
    [([80, 80], ["tracking"]), ([81, 81], ["fulfillment"]), ([80, 81], ["fulfillment"]), ([80, 80, 81], ["tracking"])],
)
def test_high_fulfillment_is_a_rounded_average_over_80(fulfillment: list[int], found: list[str]) -> None:
    assert kinds(analyse(recorded([70] * len(fulfillment), None, fulfillment))) == found


def test_peak_dip_and_fulfillment_come_in_this_order() -> None:
    assert analyse(recorded([69, 80, 60], [70, 90, 90], [90, 80, 85])).insights == [
        Insight(
            "peak",
            "Peak Performance Window",
            "Your focus and energy were both over 75 on Tue (1 of 3 days). "
            "Save your most demanding work for days like these.",
            "trending-up",
        ),
        Insight(
            "dip",
            "Energy Dip",
            "Your energy was under 70 on Mon and Wed (2 of 3 days). "
            "Lighter plans and a proper break help on days like these.",
            "battery-low",
        ),
        Insight(
            "fulfillment",
            "High Fulfillment",
            "Your fulfillment averages 85, which is over 80. "
            "Notice what fills these days, and make room for more of it.",
            "heart",
        ),
    ]


def test_without_anything_to_notice_it_says_to_keep_tracking() -> None:
    assert analyse(recorded([70, 75])).insights == [
        Insight(
            "tracking",
            "Keep Tracking",
            "Nothing stands out in these days yet. Keep recording your scores, and patterns may show.",
            "calendar-check",
        )
    ]


def test_the_only_day_recorded_is_called_that() -> None:
    assert "under 70 on Mon (the only day recorded)." in analyse(recorded([60])).insights[0].description


def test_days_are_named_once_each_and_from_monday_on() -> None:
    friday_to_wednesday = [None, None, None, None, 60, 70, 60, 60, 70, 60, 70, 60]
    assert (
        "under 70 on Mon, Wed, Fri and Sun (5 of 8 days)."
        in analyse(recorded(friday_to_wednesday)).insights[0].description
    )


def test_all_of_90_days_are_named_by_their_seven_weekdays() -> None:
    pattern = analyse(recorded([60] * 90))
    assert len(pattern.patterns) == 90
    assert "under 70 on Mon, Tue, Wed, Thu, Fri, Sat and Sun (90 of 90 days)." in pattern.insights[0].description


@given(RECORDED)
def test_an_average_is_the_exact_mean_rounded_half_up(days: list[Day]) -> None:
    mean = Fraction(sum(day.energy for day in days), len(days))
    assert analyse(days).averages.energy == math.floor(mean + Fraction(1, 2))


@given(RECORDED)
def test_a_run_is_strict_unbroken_and_as_long_as_it_can_be(days: list[Day]) -> None:
    trend = analyse(days).trends.energy
    sign = {"rising": 1, "falling": -1, "flat": 0}[trend.direction]

    def continues(later: int) -> bool:
        next_day = days[later].date - days[later - 1].date == dt.timedelta(days=1)
        return next_day and sign * (days[later].energy - days[later - 1].energy) > 0

    first = len(days) - trend.consecutive_days
    assert all(continues(later) for later in range(first, len(days)))
    assert first == 1 or not continues(first - 1)
    assert (trend.consecutive_days == 0) == (trend.direction == "flat")


@given(RECORDED)
def test_scores_turned_upside_down_turn_every_trend_around(days: list[Day]) -> None:
    upside_down = [Day(day.date, 100 - day.energy, 100 - day.focus, 100 - day.fulfillment) for day in days]
    turned: dict[Direction, Direction] = {"rising": "falling", "falling": "rising", "flat": "flat"}

    def turn(trend: Trend) -> Trend:
        return msgspec.structs.replace(trend, direction=turned[trend.direction], change=-trend.change)

    trends = analyse(days).trends
    assert analyse(upside_down).trends == Trends(turn(trends.energy), turn(trends.focus), turn(trends.fulfillment))


@given(RECORDED)
def test_the_wire_form_reads_back_as_the_same_pattern(days: list[Day]) -> None:
    pattern = analyse(days)
    assert msgspec.json.decode(msgspec.json.encode(pattern), type=Pattern) == pattern
