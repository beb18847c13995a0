import datetime as dt
import json
import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.caller import Caller
from service.database import Database
from service.patterns.analysis import Day, Pattern, analyse
from service.patterns.sample import sample_days
from service.patterns.story import store_days
from service.recommendations import sayings
from service.recommendations.advice import TOPICS, Advice, Advised, DataPoint, Engine, History, Standing, Topic, figures
from service.recommendations.batch import Batch, Recommendation
from service.recommendations.feedback import Feedback, judge
from service.recommendations.gist import gist
from service.recommendations.habits import HABITS, NEXT_STEPS
from service.recommendations.rules import GENERAL_ADVICE, Rules, recommend
from service.recommendations.sayings import Saying
from service.recommendations.soundness import check_text
from service.recommendations.story import Recommender
from tests.conftest import NOW
from tests.recommendations.scripted import HOUR

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

ON_FINDINGS = (
    sayings.LOW_ENERGY,
    sayings.FALLING_ENERGY,
    sayings.RISING_ENERGY,
    sayings.LOW_FOCUS,
    sayings.FALLING_FOCUS,
    sayings.STRONG_FOCUS,
    sayings.LOW_FULFILLMENT,
    sayings.FALLING_FULFILLMENT,
    sayings.HIGH_FULFILLMENT,
    sayings.LOW_DAYS,
    sayings.PEAK_DAYS,
)
ALL_SAYINGS = [
    *(saying for on_finding in ON_FINDINGS for saying in on_finding),
    *(habit.saying for habit in HABITS),
    *NEXT_STEPS.values(),
]
NEVER_NAMING_DAYS = [saying.recommendation for saying in ALL_SAYINGS if "{days}" not in saying.recommendation]

COUNTS = st.integers(0, 30)
STANDINGS = st.builds(Standing, st.sampled_from(TOPICS), COUNTS, COUNTS, COUNTS, COUNTS, st.booleans(), st.booleans())
HISTORIES = st.builds(
    History,
    st.lists(STANDINGS, unique_by=lambda standing: standing.topic).map(tuple),
    st.frozensets(st.sampled_from(NEVER_NAMING_DAYS)),
)


def pattern(energy: Sequence[int] = (), focus: Sequence[int] = (), fulfillment: Sequence[int] = ()) -> Pattern:
    """Days from Monday on; a score that is not given stays where no rule applies to it."""
    length = max(len(energy), len(focus), len(fulfillment), 1)
    columns = zip(energy or [75] * length, focus or [75] * length, fulfillment or [80] * length, strict=True)
    return analyse([Day(MONDAY + dt.timedelta(days=number), *scores) for number, scores in enumerate(columns)])


def standing(topic: Topic, given: int = 1, viewed: int = 0, *, avoid: bool = False, helped: bool = False) -> Standing:
    return Standing(topic, given, viewed, int(helped), int(avoid), avoid, helped)


def recommended(found: Pattern) -> list[str]:
    return [advice.recommendation for advice in recommend(found)]


def topics(found: Pattern, *standings: Standing, refused: Sequence[str] = ()) -> list[Topic]:
    return [advice.topic for advice in recommend(found, History(standings, frozenset(refused)))]


def points(found: Pattern) -> list[DataPoint | None]:
    return [advice.data_point for advice in recommend(found)]


async def test_the_rules_are_an_engine() -> None:
    engine: Engine = Rules()
    assert engine.name == "rules"
    assert (engine.model, engine.prompt_version, engine.most_tokens) == (None, None, 0)
    found, history = pattern(energy=[60]), History((standing("rest", avoid=True),))
    assert await engine.advise(found, history) == Advised(recommend(found, history))
    assert recommend(found, history) != recommend(found)


def test_advice_has_the_shape_of_the_contract() -> None:
    assert json.loads(msgspec.json.encode(recommend(pattern(energy=[64]))[0])) == {
        "recommendation": "Take two short breaks away from your desk each day this week, "
        "one before lunch and one after.",
        "reasoning": "Your energy averages 64, which is under 70. When energy is short, everything else costs "
        "more effort, and regular pauses are an easy first thing to change.",
        "dataPoint": {"metric": "energy", "statistic": "average", "value": 64},
        "topic": "rest",
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
        "workload",
    )


def test_a_day_with_energy_of_70_is_not_low() -> None:
    assert recommended(pattern(energy=[70, 75])) == [SLEEP, REFLECTION]


def test_peak_days_are_named_and_counted() -> None:
    assert recommend(pattern(energy=[81, 81, 70, 70], focus=[81, 70, 81, 70]))[0] == Advice(
        "Save your most demanding work for Mon, and leave small tasks for other times.",
        "Your focus and energy were both over 80 on 1 of 4 days. When the two come together, hard work feels lighter, "
        "so it pays to plan it there.",
        DataPoint("focus", "peakDays", 1),
        "timing",
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
        check_text(advice.recommendation, advice.reasoning)
        assert advice.data_point is None
        assert "your energy" not in advice.reasoning.lower()
        assert "average" not in advice.reasoning


def test_every_weekday_named_still_leaves_texts_short() -> None:
    low_then_peak = pattern(energy=[60] * 7 + [90] * 7, focus=[90] * 14)
    every_day = "Mon, Tue, Wed, Thu, Fri, Sat and Sun"
    assert all(every_day in each for each in recommended(low_then_peak)[-2:])
    for saying in (*sayings.LOW_DAYS, *sayings.PEAK_DAYS):
        assert "{days}" in saying.recommendation
        assert len(saying.recommendation.format(days=every_day).split()) < 25


def test_nothing_is_said_twice_and_each_finding_has_at_least_three_topics() -> None:
    assert len({gist(saying.recommendation) for saying in ALL_SAYINGS}) == len(ALL_SAYINGS) == 68
    assert not {saying.recommendation for saying in ALL_SAYINGS} & {advice.recommendation for advice in GENERAL_ADVICE}
    for on_finding in ON_FINDINGS:
        assert len({saying.topic for saying in on_finding}) == len(on_finding) >= 3


def test_there_are_a_habit_and_a_next_step_on_every_topic() -> None:
    assert sorted(habit.saying.topic for habit in HABITS) == sorted(TOPICS)
    assert [(topic, saying.topic) for topic, saying in NEXT_STEPS.items()] == [(topic, topic) for topic in NEXT_STEPS]
    assert set(NEXT_STEPS) == set(TOPICS)


@pytest.mark.parametrize("said", ALL_SAYINGS, ids=lambda said: said.recommendation)
def test_whatever_can_be_said_is_well_written(said: Saying) -> None:
    fact = "Your energy averages 75" + (", " if said.reason[0].islower() else ". ")
    point = DataPoint("energy", "average", 75)
    advice = Advice(said.recommendation.format(days="Mon"), fact + said.reason, point, said.topic)
    assert_well_written(advice)
    check_text(advice.recommendation, advice.reasoning)


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


@given(PATTERNS, HISTORIES)
def test_whatever_the_history_there_are_two_to_five_welcome_pieces_as_long_as_there_can_be(
    found: Pattern, history: History
) -> None:
    batch = recommend(found, history)
    assert batch == recommend(found, history)
    given_topics = [advice.topic for advice in batch]
    assert 2 <= len(batch) <= 5
    assert len({advice.recommendation for advice in batch}) == len(batch)
    assert not {advice.recommendation for advice in batch} & history.refused
    for advice in batch:
        assert_well_written(advice)
        assert advice.data_point in figures(found)
        check_text(advice.recommendation, advice.reasoning)
    # On each topic there is a habit: as long as two habits are welcome, nothing else need be given.
    welcome = {
        habit.saying.topic
        for habit in HABITS
        if habit.saying.topic not in history.avoided and habit.saying.recommendation not in history.refused
    }
    if len(welcome) >= 2:
        assert not set(given_topics) & set(history.avoided)
        assert len(set(given_topics)) == len(given_topics)


@given(PATTERNS)
def test_every_data_point_is_a_figure_of_the_person_and_said_in_the_reasoning(found: Pattern) -> None:
    true = {
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
        assert (metric, statistic, value) in true
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


LOW_ALL = pattern([60] * 4, [60] * 4, [60] * 4)
HIGH_ALL = pattern([75] * 4, [82] * 4, [86] * 4)


def test_a_topic_to_avoid_gives_way_to_the_next_alternative() -> None:
    assert topics(LOW_ALL) == ["rest", "attention", "meaning", "workload"]
    avoided = [standing("rest", avoid=True), standing("meaning", avoid=True)]
    assert topics(LOW_ALL, *avoided) == ["sleep", "attention", "people", "workload"]


def test_a_text_that_was_refused_gives_way_even_where_its_topic_is_not_to_be_avoided() -> None:
    assert topics(LOW_ALL, refused=[LOW_ENERGY, LOW_FOCUS]) == ["sleep", "priorities", "meaning", "workload"]
    assert topics(pattern(), refused=[SLEEP]) == ["reflection", "attention"]


@pytest.mark.parametrize(
    "refused",
    [
        "Go to bed and get up at the same times all week - weekend included!",
        "GO TO BED, AND GET UP, AT THE SAME TIMES ALL WEEK; WEEKEND INCLUDED",
        " go to  bed and get up at the same times all\u00a0week weekend included",
    ],
)
def test_case_spaces_and_punctuation_make_no_other_text_of_what_was_refused(refused: str) -> None:
    assert topics(pattern(), refused=[refused]) == ["reflection", "attention"]


@pytest.mark.parametrize(
    "days", ["Fri", "Mon and Fri", "Mon, Tue, Wed, Thu, Fri, Sat and Sun", "Tuesday and Thursdays"]
)
def test_what_was_refused_for_some_weekdays_is_refused_for_all(days: str) -> None:
    low_on_monday = pattern([69, 71])
    assert recommended(low_on_monday)[0] == LOW_DAYS_ON_MONDAY
    assert topics(low_on_monday, refused=[LOW_DAYS_ON_MONDAY.replace("Mon", days)])[0] == "sleep"


def test_one_of_two_that_are_left_to_say_is_not_said_for_other_weekdays_either() -> None:
    low_on_monday = pattern([69, 71])
    days_named = [saying.recommendation.format(days="Sun") for saying in sayings.LOW_DAYS]
    said = [habit.saying.recommendation for habit in HABITS]
    assert topics(low_on_monday, refused=[*days_named, *said[2:]]) == ["sleep", "reflection"]
    assert topics(low_on_monday, refused=[*days_named, *said[1:]]) == []


def test_a_finding_of_which_no_more_can_be_said_makes_room_for_a_habit_on_the_weakest_metric() -> None:
    low = pattern([75] * 4, [60] * 4, [80] * 4)
    assert topics(low) == ["attention", "sleep", "reflection"]
    tired_of_all = [standing(topic, avoid=True) for topic in ("attention", "priorities", "timing")]
    assert topics(low, *tired_of_all) == ["workload", "sleep", "reflection"]

    refused = [saying.recommendation for saying in sayings.LOW_FOCUS]
    batch = recommend(low, History(refused=frozenset(refused)))
    assert batch[0].data_point == DataPoint("focus", "average", 60)
    assert [advice.topic for advice in batch] == ["attention", "sleep"]


def test_the_weakest_metric_gets_the_last_topic_that_is_left_for_two() -> None:
    # Of strong focus, which is looked at before, and of low fulfillment nothing but people can still be talked about.
    avoided = [standing(topic, avoid=True) for topic in ("attention", "growth", "timing", "meaning", "reflection")]
    batch = recommend(pattern([75] * 4, [85] * 4, [60] * 4), History(tuple(avoided)))
    assert batch[0].data_point == DataPoint("fulfillment", "average", 60)
    assert [advice.topic for advice in batch] == ["people", "sleep", "movement"]


def test_what_helped_comes_first_and_is_built_upon_by_turns() -> None:
    helped = [recommend(LOW_ALL, History((standing("meaning", number, helped=True),))) for number in (1, 2, 3)]
    assert [advice.topic for advice in helped[0]] == ["meaning", "rest", "attention", "workload"]
    assert [batch[0].recommendation for batch in helped] == [
        "Give what matters to you a second place in the week, as firm as the first.",
        LOW_FULFILLMENT,
        "Give what matters to you a second place in the week, as firm as the first.",
    ]
    assert helped[0][0].reasoning == (
        "Your fulfillment averages 60, which is under 75. You said that advice on what you care about helped, so it "
        "has earned more room."
    )


def test_what_helped_is_chosen_among_the_alternatives() -> None:
    assert topics(LOW_ALL, standing("food", 9, helped=True)) == ["food", "attention", "meaning", "workload"]


def test_what_helped_is_a_habit_where_no_finding_leads_to_it() -> None:
    batch = recommend(LOW_ALL, History((standing("growth", 4, helped=True), standing("timing", 4, helped=True))))
    assert [advice.topic for advice in batch][:2] == ["timing", "growth"]
    assert topics(LOW_ALL, standing("people", helped=True)) == ["people", "rest", "attention", "workload"]
    assert topics(pattern([60] * 4), standing("growth", 2, helped=True)) == ["growth", "rest", "workload", "sleep"]
    rising = pattern([76, 77, 78, 79], [82] * 4, [86] * 4)
    assert topics(rising, standing("food", 2, helped=True)) == ["food", "growth", "attention", "people"]


def test_where_there_are_five_pieces_on_findings_no_habit_follows() -> None:
    five_findings = pattern([60, 85, 86, 87, 88], [85] * 5, [90] * 5)
    assert topics(five_findings) == ["growth", "attention", "people", "workload", "timing"]
    assert topics(five_findings, standing("rest", helped=True)) == topics(five_findings)


def test_what_was_ignored_is_not_chosen_and_comes_last_where_it_must_be() -> None:
    assert topics(LOW_ALL, standing("rest", 2), standing("sleep", 3)) == [
        "movement",
        "attention",
        "meaning",
        "workload",
    ]
    often_seen = [standing(topic, 9, viewed=9) for topic in ("sleep", "movement", "food")]
    assert topics(LOW_ALL, standing("rest", 3), *often_seen)[0] == "sleep"
    ignored = [standing(saying.topic, 3) for saying in sayings.HIGH_FULFILLMENT]
    seen = [standing(saying.topic, 3, viewed=1) for saying in sayings.HIGH_FULFILLMENT]
    assert topics(HIGH_ALL) == ["attention", "people", "sleep", "reflection"]
    assert topics(HIGH_ALL, *seen)[1] == "people"
    assert topics(HIGH_ALL, *ignored)[-1] == "people"


def test_what_was_ignored_stays_in_its_place_for_the_weakest_metric() -> None:
    low_focus = pattern(focus=[60] * 4)
    ignored = [standing(saying.topic, 3) for saying in sayings.LOW_FOCUS]
    assert topics(low_focus, *ignored) == ["attention", "sleep", "reflection"]


def test_what_was_given_least_is_next() -> None:
    given_once = [standing("rest", 1, 1), standing("sleep", 1, 1)]
    assert topics(LOW_ALL, *given_once)[0] == "movement"
    assert topics(LOW_ALL, *given_once, standing("movement", 2, 1), standing("food", 2, 1))[0] == "rest"


def test_with_nine_topics_avoided_the_other_three_are_what_is_talked_about() -> None:
    avoided = [standing(topic, avoid=True) for topic in TOPICS if topic not in {"food", "growth", "people"}]
    assert set(topics(LOW_ALL, *avoided)) == {"food", "growth", "people"}


def test_where_all_that_is_welcome_is_refused_too_a_topic_to_avoid_is_better_than_one_piece() -> None:
    avoided = [standing(topic, avoid=True) for topic in TOPICS[:9]]
    on_the_others = [saying.recommendation for saying in ALL_SAYINGS if saying.topic in TOPICS[9:]]
    assert topics(pattern(), *avoided, refused=on_the_others) == ["sleep", "attention"]
    assert topics(pattern(), *avoided, refused=on_the_others[:-4])[0] in TOPICS[9:]

    rest_least_often = [standing("rest", avoid=True), *(standing(topic, 5, avoid=True) for topic in TOPICS[1:9])]
    assert topics(pattern([60] * 4), *rest_least_often, refused=on_the_others) == ["rest", "sleep"]


def test_where_fewer_than_two_things_are_left_to_say_there_is_nothing() -> None:
    said = [habit.saying.recommendation for habit in HABITS]
    assert topics(pattern(), refused=said[2:]) == ["sleep", "reflection"]
    assert topics(pattern(), refused=said[1:]) == []
    assert topics(pattern(), refused=said) == []


async def given_on(database: Database, person: Caller, day: int, hour: int = 0, energy: int = 60) -> Batch:
    """Have the person record a tired, unfocused day, and ask."""
    now = NOW + timedelta(days=day, hours=hour)
    await store_days(database, person, now, [Day(now.date(), energy, 65, 81)])
    return await Recommender(database, Rules(), HOUR).recommend(person, now)


async def say(database: Database, person: Caller, piece: Recommendation, day: int, *, helpful: bool) -> None:
    await judge(database, person, NOW + timedelta(days=day, minutes=5), piece.id, Feedback(helpful))


async def test_who_calls_all_unhelpful_every_day_hears_nothing_twice_in_14_days(
    database: Database, caller: Caller
) -> None:
    said: dict[str, int] = {}
    engines = []
    for day in range(18):
        batch = await given_on(database, caller, day)
        engines.append(batch.engine)
        assert 2 <= len(batch.recommendations) <= 5
        # General advice is not kept: nothing can be said of it.
        for piece in batch.recommendations if batch.engine == "rules" else ():
            assert day - said.get(piece.recommendation, -14) >= 14
            said[piece.recommendation] = day
            await say(database, caller, piece, day, helpful=False)
    assert engines[:8] == ["rules"] * 8
    # By now the first are forgiven, at the minute on which they were judged.
    assert engines[15:] == ["rules"] * 3


async def test_one_topic_called_unhelpful_is_not_met_on_another_finding_either(
    database: Database, caller: Caller
) -> None:
    first = (await given_on(database, caller, 0)).recommendations
    assert [piece.topic for piece in first] == ["rest", "attention", "workload"]
    await say(database, caller, first[2], 0, helpful=False)

    # Less work could have been advised on low focus, too.
    met = {
        piece.topic: day for day in range(1, 16) for piece in (await given_on(database, caller, day)).recommendations
    }
    before = {topic for topic, day in met.items() if day < 14}
    assert "workload" in met
    assert "workload" not in before


async def test_what_was_refused_does_not_come_back_for_other_weekdays_within_14_days(
    database: Database, caller: Caller
) -> None:
    batches = [(await given_on(database, caller, day)).recommendations for day in range(5)]
    [lunch, diary] = [piece for batch in batches for piece in batch if piece.topic == "food"]
    assert diary.recommendation.startswith("Write down what you eat and drink on Mon, Tue, Wed, Thu and Sun")
    await say(database, caller, diary, 4, helpful=False)
    # The last word on food is a good one, so the topic is welcome.
    await say(database, caller, lunch, 5, helpful=True)

    back = [
        day
        for day in range(6, 24)
        for piece in (await given_on(database, caller, day, energy=60 if day % 3 == 0 else 95)).recommendations
        if piece.recommendation.startswith("Write down what you eat and drink")
    ]
    assert back[0] >= 4 + 14


async def test_what_helped_stays_first_until_it_does_not_help_any_more(database: Database, caller: Caller) -> None:
    first = (await given_on(database, caller, 0)).recommendations
    await say(database, caller, first[1], 0, helpful=True)
    second = (await given_on(database, caller, 1)).recommendations
    third = (await given_on(database, caller, 2)).recommendations
    await say(database, caller, third[0], 2, helpful=False)
    fourth = (await given_on(database, caller, 3)).recommendations

    assert second[0].recommendation == (
        "Keep your undisturbed stretch, and make it a quarter of an hour longer this week."
    )
    assert third[0].recommendation == LOW_FOCUS
    assert "attention" not in {piece.topic for piece in fourth}


async def test_who_says_nothing_hears_something_else_the_next_day_and_the_next_week(
    database: Database, caller: Caller
) -> None:
    weeks = [
        [{piece.recommendation for piece in (await given_on(database, caller, day)).recommendations} for day in week]
        for week in (range(7), range(7, 14))
    ]
    for today, tomorrow in pairwise([*weeks[0], *weeks[1]]):
        assert len(today & tomorrow) <= 1
    assert len(set.union(*weeks[0])) >= 10
