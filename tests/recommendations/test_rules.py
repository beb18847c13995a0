import datetime as dt
import json
import re
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.patterns.analysis import Day, Pattern, analyse
from service.patterns.sample import sample_days
from service.recommendations.advice import Advice, DataPoint, Engine
from service.recommendations.rules import GENERAL_ADVICE, Rules, recommend

MONDAY = dt.date(2026, 11, 16)

LOW_ENERGY = "Take two short breaks away from your desk each day this week, one before lunch and one after."
FALLING_ENERGY = "Clear one commitment from tomorrow, and use the time to rest or go for a walk."
RISING_ENERGY = "Write down what you did differently in the last few days, and keep the one thing that helped most."
LOW_FOCUS = "Keep one stretch of 45 minutes each morning for your most important task, with notifications off."
FALLING_FOCUS = (
    "Tomorrow, choose your three most important tasks before you open any messages, and do them one at a time."
)
STRONG_FOCUS = "Give your clearest hours this week to a hard problem that you have been putting off."
LOW_FULFILLMENT = "Plan one thing you care about each day, even for fifteen minutes, and treat it as an appointment."
FALLING_FULFILLMENT = "Pick the activity that has meant most to you lately, and make time for it within two days."
HIGH_FULFILLMENT = "Note which people and activities made these days good, and set aside time for them next week."
SLEEP = "Go to bed and get up at the same times all week, weekend included."
REFLECTION = "Set aside fifteen minutes each Sunday to write down what went well and what to change."
LOW_DAYS_ON_MONDAY = "Look back at Mon, find what drained you, and plan one change for next week."
# What comes first where no rule applies: advice on sleep, for the energy that `pattern` fills in.
NO_RULE = (SLEEP, DataPoint("energy", "average", 75))

SCORES = st.integers(0, 100)
DAYS = st.lists(
    st.builds(Day, st.dates(MONDAY, MONDAY + dt.timedelta(days=89)), SCORES, SCORES, SCORES),
    min_size=1,
    max_size=90,
    unique_by=lambda day: day.date,
).map(lambda days: sorted(days, key=lambda day: day.date))

# Scores drawn from all of 0 to 100 average about 50 and hardly ever run for three days: these do better.
SLOPES = st.tuples(st.integers(60, 100), st.integers(-4, 4))
LIVELY_DAYS = st.builds(
    lambda length, *slopes: [
        Day(
            MONDAY + dt.timedelta(days=number),
            *(max(0, min(100, newest + slope * (number - length))) for newest, slope in slopes),
        )
        for number in range(length)
    ],
    st.integers(1, 14),
    SLOPES,
    SLOPES,
    SLOPES,
)
PATTERNS = st.one_of(DAYS, LIVELY_DAYS).map(analyse)


def pattern(energy: Sequence[int] = (), focus: Sequence[int] = (), fulfillment: Sequence[int] = ()) -> Pattern:
    """Days from Monday on; a score that is not given stays where no rule applies to it."""
    length = max(len(energy), len(focus), len(fulfillment), 1)
    columns = zip(energy or [75] * length, focus or [75] * length, fulfillment or [80] * length, strict=True)
    return analyse([Day(MONDAY + dt.timedelta(days=number), *scores) for number, scores in enumerate(columns)])


def recommended(found: Pattern) -> list[str]:
    return [advice.recommendation for advice in recommend(found)]


def points(found: Pattern) -> list[DataPoint | None]:
    return [advice.data_point for advice in recommend(found)]


async def test_the_rules_are_an_engine() -> None:
    engine: Engine = Rules()
    assert engine.name == "rules"
    found = pattern(energy=[60])
    assert await engine.advise(found) == recommend(found)


def test_advice_has_the_shape_of_the_contract() -> None:
    assert json.loads(msgspec.json.encode(recommend(pattern(energy=[64]))[0])) == {
        "recommendation": "Take two short breaks away from your desk each day this week, "
        "one before lunch and one after.",
        "reasoning": "Your energy averages 64, which is under 70. When energy is short, everything else costs "
        "more effort, and regular pauses are an easy first thing to change.",
        "dataPoint": {"metric": "energy", "statistic": "average", "value": 64},
    }


def test_where_no_rule_applies_the_two_habits_remain() -> None:
    found = pattern()
    assert recommended(found) == [SLEEP, REFLECTION]
    assert points(found) == [DataPoint("energy", "average", 75), DataPoint("fulfillment", "average", 80)]


@pytest.mark.parametrize(
    ("energy", "first", "point"),
    [
        ([68, 70], LOW_ENERGY, DataPoint("energy", "average", 69)),
        ([70], SLEEP, DataPoint("energy", "average", 70)),
        ([69, 71], LOW_DAYS_ON_MONDAY, DataPoint("energy", "lowDays", 1)),
        ([69, 70], LOW_DAYS_ON_MONDAY, DataPoint("energy", "lowDays", 1)),
        ([79, 78, 77], SLEEP, DataPoint("energy", "average", 78)),
        ([79, 78, 77, 76], FALLING_ENERGY, DataPoint("energy", "consecutiveDays", 3)),
        ([76, 77, 78], SLEEP, DataPoint("energy", "average", 77)),
        ([76, 77, 78, 79], RISING_ENERGY, DataPoint("energy", "consecutiveDays", 3)),
        ([63, 62, 61, 60], LOW_ENERGY, DataPoint("energy", "average", 62)),
        ([60, 61, 62, 63], LOW_ENERGY, DataPoint("energy", "average", 62)),
    ],
)
def test_energy_is_under_70_else_falling_else_rising(energy: list[int], first: str, point: DataPoint) -> None:
    advice = recommend(pattern(energy=energy))[0]
    assert (advice.recommendation, advice.data_point) == (first, point)


@pytest.mark.parametrize(
    ("focus", "first", "point"),
    [
        ([68, 70], LOW_FOCUS, DataPoint("focus", "average", 69)),
        ([69, 70], *NO_RULE),
        ([70], *NO_RULE),
        ([79, 78, 77], *NO_RULE),
        ([79, 78, 77, 76], FALLING_FOCUS, DataPoint("focus", "consecutiveDays", 3)),
        ([76, 77, 78, 79], *NO_RULE),
        ([80], *NO_RULE),
        ([80, 81], STRONG_FOCUS, DataPoint("focus", "average", 81)),
        ([80, 82], STRONG_FOCUS, DataPoint("focus", "average", 81)),
        ([63, 62, 61, 60], LOW_FOCUS, DataPoint("focus", "average", 62)),
        ([90, 89, 88, 87], FALLING_FOCUS, DataPoint("focus", "consecutiveDays", 3)),
        ([87, 88, 89, 90], STRONG_FOCUS, DataPoint("focus", "average", 89)),
    ],
)
def test_focus_is_under_70_else_falling_else_over_80(focus: list[int], first: str, point: DataPoint) -> None:
    advice = recommend(pattern(focus=focus))[0]
    assert (advice.recommendation, advice.data_point) == (first, point)


@pytest.mark.parametrize(
    ("fulfillment", "first", "point"),
    [
        ([73, 75], LOW_FULFILLMENT, DataPoint("fulfillment", "average", 74)),
        ([74, 75], *NO_RULE),
        ([75], *NO_RULE),
        ([84, 83, 82], *NO_RULE),
        ([84, 83, 82, 81], FALLING_FULFILLMENT, DataPoint("fulfillment", "consecutiveDays", 3)),
        ([81, 82, 83, 84], *NO_RULE),
        ([85], *NO_RULE),
        ([85, 86], HIGH_FULFILLMENT, DataPoint("fulfillment", "average", 86)),
        ([85, 87], HIGH_FULFILLMENT, DataPoint("fulfillment", "average", 86)),
        ([63, 62, 61, 60], LOW_FULFILLMENT, DataPoint("fulfillment", "average", 62)),
        ([95, 94, 93, 92], FALLING_FULFILLMENT, DataPoint("fulfillment", "consecutiveDays", 3)),
    ],
)
def test_fulfillment_is_under_75_else_falling_else_over_85(
    fulfillment: list[int], first: str, point: DataPoint
) -> None:
    advice = recommend(pattern(fulfillment=fulfillment))[0]
    assert (advice.recommendation, advice.data_point) == (first, point)


def test_a_trend_is_told_in_days() -> None:
    falling = recommend(pattern([79, 78, 77, 76], [79, 78, 77, 76], [84, 83, 82, 81]))
    assert falling[0].reasoning.startswith("Your energy has fallen 3 days in a row. ")
    assert falling[1].reasoning.startswith("Your focus has fallen 3 days in a row. ")
    assert falling[2].reasoning.startswith("Your fulfillment has fallen 3 days in a row. ")
    rising = recommend(pattern([75, 76, 77, 78, 79]))
    assert rising[0].reasoning.startswith("Your energy has risen 4 days in a row. ")


def test_days_of_low_energy_are_named_and_counted() -> None:
    assert recommend(pattern(energy=[69, 80, 68, 80]))[0] == Advice(
        "Look back at Mon and Wed, find what drained you, and plan one change for next week.",
        "Your energy was under 70 on 2 of 4 days. Low days often have a plain cause, such as a late night or a "
        "packed calendar, and one small change can be enough.",
        DataPoint("energy", "lowDays", 2),
    )


def test_a_day_with_energy_of_70_is_not_low() -> None:
    assert recommended(pattern(energy=[70, 75])) == [SLEEP, REFLECTION]


def test_peak_days_are_named_and_counted() -> None:
    assert recommend(pattern(energy=[81, 81, 70, 70], focus=[81, 70, 81, 70]))[0] == Advice(
        "Save your most demanding work for Mon, and leave small tasks for other times.",
        "Your focus and energy were both over 80 on 1 of 4 days. When the two come together, hard work feels lighter, "
        "so it pays to plan it there.",
        DataPoint("focus", "peakDays", 1),
    )


@pytest.mark.parametrize(("energy", "focus"), [(80, 81), (81, 80), (80, 80)])
def test_a_day_with_a_score_of_80_is_no_peak(energy: int, focus: int) -> None:
    assert DataPoint("focus", "peakDays", 1) not in points(pattern(energy=[energy, 75], focus=[focus, 75]))


def test_rules_are_looked_at_in_order_and_five_pieces_are_the_most() -> None:
    assert points(pattern([90, 60, 60, 60], [90, 60, 60, 60], [60, 60, 60, 60])) == [
        DataPoint("energy", "average", 68),
        DataPoint("focus", "average", 68),
        DataPoint("fulfillment", "average", 60),
        DataPoint("energy", "lowDays", 3),
        DataPoint("focus", "peakDays", 1),
    ]


def test_both_habits_follow_one_piece_or_two_but_not_three() -> None:
    rising, low = [76, 77, 78, 79], [60, 60, 60, 60]
    assert recommended(pattern(focus=low)) == [LOW_FOCUS, SLEEP, REFLECTION]
    assert recommended(pattern(focus=low, fulfillment=low)) == [LOW_FOCUS, LOW_FULFILLMENT, SLEEP, REFLECTION]
    assert recommended(pattern(rising, low, low)) == [RISING_ENERGY, LOW_FOCUS, LOW_FULFILLMENT]


def test_a_single_day_is_spoken_of_as_the_only_one() -> None:
    assert recommend(pattern(energy=[60]))[1].reasoning.startswith("Your energy was under 70 on the only day recorded.")


def test_the_sample_days_lead_to_five_recommendations() -> None:
    assert points(analyse(sample_days(7, dt.date(2026, 11, 22)))) == [
        DataPoint("energy", "consecutiveDays", 4),
        DataPoint("focus", "consecutiveDays", 3),
        DataPoint("fulfillment", "average", 86),
        DataPoint("energy", "lowDays", 2),
        DataPoint("focus", "peakDays", 1),
    ]


def test_general_advice_is_five_sound_pieces_about_nobodys_figures() -> None:
    assert len({advice.recommendation for advice in GENERAL_ADVICE}) == 5
    for advice in GENERAL_ADVICE:
        assert_well_written(advice)
        assert advice.data_point is None
        assert "your energy" not in advice.reasoning.lower()
        assert "average" not in advice.reasoning


def test_every_weekday_named_still_leaves_texts_short() -> None:
    low_then_peak = pattern(energy=[60] * 7 + [90] * 7, focus=[90] * 14)
    for advice in recommend(low_then_peak)[-2:]:
        assert "Mon, Tue, Wed, Thu, Fri, Sat and Sun" in advice.recommendation
        assert_well_written(advice)


def assert_well_written(advice: Advice) -> None:
    assert len(advice.recommendation.split()) < 25
    assert advice.recommendation.endswith(".")
    sentences = re.split(r"(?<=[.!?])\s+", advice.reasoning)
    assert 2 <= len(sentences) <= 3
    for sentence in sentences:
        assert re.fullmatch(r"[A-Z][^.]*\.", sentence)
    assert re.fullmatch(r"[A-Za-z0-9 ,.-]+", advice.recommendation + advice.reasoning)


@given(PATTERNS)
def test_whatever_the_days_the_advice_is_well_written(found: Pattern) -> None:
    for advice in recommend(found):
        assert_well_written(advice)


@given(PATTERNS)
def test_there_are_two_to_five_different_pieces_and_habits_only_after_fewer_than_three(found: Pattern) -> None:
    *pieces, last = recommended(found)
    if last == REFLECTION:
        assert pieces.pop() == SLEEP
        assert len(pieces) <= 2
    else:
        assert 2 <= len(pieces) <= 4
    assert not {SLEEP, REFLECTION, last} & set(pieces)
    assert len(set(pieces)) == len(pieces)


@given(PATTERNS)
def test_every_data_point_is_a_figure_of_the_person_and_said_in_the_reasoning(found: Pattern) -> None:
    figures = {
        ("energy", "average", found.averages.energy),
        ("focus", "average", found.averages.focus),
        ("fulfillment", "average", found.averages.fulfillment),
        *((trend.metric, "consecutiveDays", trend.consecutive_days) for trend in found.significant_trends),
        ("energy", "lowDays", sum(day.energy < 70 for day in found.patterns)),
        ("focus", "peakDays", sum(day.energy > 80 and day.focus > 80 for day in found.patterns)),
    }
    for advice in recommend(found):
        assert advice.data_point is not None
        metric, statistic, value = msgspec.structs.astuple(advice.data_point)
        assert (metric, statistic, value) in figures
        assert metric in advice.reasoning
        assert str(value) in advice.reasoning or "the only day recorded" in advice.reasoning


@given(PATTERNS)
def test_a_fall_or_rise_is_only_spoken_of_where_the_trend_says_so(found: Pattern) -> None:
    significant = {(trend.metric, trend.direction) for trend in found.significant_trends}
    pieces = recommended(found)
    assert FALLING_ENERGY not in pieces or ("energy", "falling") in significant
    assert RISING_ENERGY not in pieces or ("energy", "rising") in significant
    assert FALLING_FOCUS not in pieces or ("focus", "falling") in significant
    assert FALLING_FULFILLMENT not in pieces or ("fulfillment", "falling") in significant
