import json
from datetime import date, timedelta
from hashlib import sha256

import msgspec
import pytest

from service.patterns.analysis import Day, Pattern, analyse
from service.recommendations.advice import TOPICS, DataPoint, History, Standing, Topic, figures
from service.recommendations.findings import weakest
from service.recommendations.openai import OpenAI
from service.recommendations.prompt import LARGEST_MESSAGE, PROMPT, SCHEMA, Answer, message
from service.setting_values import Secret

# Whoever changes what the model is told gives it a new version, and adds it here with the digest that the test names.
DIGESTS = {"1": "d4069e359002aefeec04a717f673da784bc1dc5035836ef105c4e8ab4bf134cb"}


def week(*scores: tuple[int, int, int]) -> Pattern:
    return analyse([Day(date(2026, 11, 16) + timedelta(turn), *each) for turn, each in enumerate(scores)])


def standing(topic: Topic, *, avoid: bool = False, helped: bool = False, viewed: int = 0) -> Standing:
    return Standing(topic, 3, viewed, int(helped), int(avoid), avoid, helped)


PATTERN = week((60, 85, 81), (64, 85, 80), (71, 70, 79))
HISTORY = History(
    (standing("sleep", avoid=True), standing("rest", helped=True), standing("food")),
    frozenset({"Go to bed at ten, Bob."}),
)


def test_the_text_is_bound_to_its_version() -> None:
    told = PROMPT.system + json.dumps(SCHEMA) + message(PATTERN, HISTORY)
    assert sha256(told.encode()).hexdigest() == DIGESTS[PROMPT.version]


def test_each_instruction_has_a_reason_that_is_not_sent() -> None:
    assert len(PROMPT.instruction) > 5
    for each in PROMPT.instruction:
        assert len(each.text) > 20
        assert len(each.reason) > 20
        assert each.text in PROMPT.system
        assert each.reason not in PROMPT.system


def test_the_message_is_scores_weekdays_aggregates_and_topics_and_nothing_else() -> None:
    assert json.loads(message(PATTERN, HISTORY)) == {
        "days": [
            {"day": "Mon", "energy": 60, "focus": 85, "fulfillment": 81},
            {"day": "Tue", "energy": 64, "focus": 85, "fulfillment": 80},
            {"day": "Wed", "energy": 71, "focus": 70, "fulfillment": 79},
        ],
        "averages": {"energy": 65, "focus": 80, "fulfillment": 80},
        "trends": {
            "energy": {
                "direction": "rising", "change": 11, "consecutiveDays": 2, "strength": "weak", "isSignificant": False,
            },
            "focus": {
                "direction": "falling", "change": -15, "consecutiveDays": 1, "strength": "weak", "isSignificant": False,
            },
            "fulfillment": {
                "direction": "falling", "change": -2, "consecutiveDays": 2, "strength": "weak", "isSignificant": False,
            },
        },
        "weakest": "energy",
        "figures": [
            {"metric": "energy", "statistic": "average", "value": 65},
            {"metric": "focus", "statistic": "average", "value": 80},
            {"metric": "fulfillment", "statistic": "average", "value": 80},
            {"metric": "energy", "statistic": "consecutiveDays", "value": 2},
            {"metric": "focus", "statistic": "consecutiveDays", "value": 1},
            {"metric": "fulfillment", "statistic": "consecutiveDays", "value": 2},
            {"metric": "energy", "statistic": "lowDays", "value": 2},
        ],
        "topics": {"avoid": ["sleep"], "buildUpon": ["rest"], "lastResort": ["food"]},
    }  # fmt: skip


def test_neither_dates_nor_old_advice_are_in_the_message() -> None:
    said = message(PATTERN, HISTORY)
    assert "2026" not in said
    assert "Bob" not in said


def test_the_figures_to_choose_from_are_all_that_are_accepted() -> None:
    pattern = week((90, 90, 90), (60, 50, 40), (81, 81, 30))
    told = msgspec.convert(json.loads(message(pattern, History()))["figures"], list[DataPoint])
    assert frozenset(told) == figures(pattern)
    assert DataPoint("focus", "peakDays", 2) in told


def test_the_longest_message_is_within_what_is_set_aside() -> None:
    up_and_down = [(100, 100, 100 - turn) if turn % 2 else (69, 100, 100 - turn) for turn in range(60)]
    topics = tuple(standing(topic, avoid=turn < 9, helped=turn == 9) for turn, topic in enumerate(TOPICS))
    said = message(week(*up_and_down, *((69 + turn, 69 + turn, 100 - turn) for turn in range(30))), History(topics))
    assert len(json.loads(said)["days"]) == 14
    assert json.loads(said)["days"][-1]["fulfillment"] == 71
    assert len(said.encode()) < LARGEST_MESSAGE


def test_most_tokens_are_three_tries_of_what_is_sent_and_the_longest_answer() -> None:
    sent = len(PROMPT.system) + len(json.dumps(SCHEMA, separators=(",", ":"))) + 3_000
    engine = OpenAI(api_key=Secret("k"), base_url=None, model="m", timeout=8.0)
    assert engine.most_tokens == 3 * (sent // 2 + 2_000)
    assert 10_000 < engine.most_tokens < 20_000


@pytest.mark.parametrize(
    ("scores", "metric"),
    [
        ((60, 70, 80), "energy"),
        ((70, 60, 80), "focus"),
        ((80, 70, 60), "fulfillment"),
        ((60, 60, 60), "energy"),
        ((70, 60, 60), "focus"),
    ],
)
def test_the_weakest_is_the_lowest_average_and_of_equal_ones_the_first(
    scores: tuple[int, int, int], metric: str
) -> None:
    assert weakest(week(scores)) == metric


def test_the_schema_is_strict_and_says_nothing_in_prose() -> None:
    strict = {
        "type": "object",
        "properties": {
            "recommendations": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "minItems": 5, "maxItems": 5}
        },
        "required": ["recommendations"],
        "additionalProperties": False,
        "$defs": {
            "Item": {
                "type": "object",
                "properties": {
                    "dataPoint": {"$ref": "#/$defs/DataPoint"},
                    "topic": {"type": "string", "enum": sorted(TOPICS)},
                    "reasoning": {"type": "string"},
                    "recommendation": {"type": "string"},
                },
                "required": ["dataPoint", "topic", "reasoning", "recommendation"],
                "additionalProperties": False,
            },
            "DataPoint": {
                "type": "object",
                "properties": {
                    "metric": {"type": "string", "enum": ["energy", "focus", "fulfillment"]},
                    "statistic": {"type": "string", "enum": ["average", "consecutiveDays", "lowDays", "peakDays"]},
                    "value": {"type": "integer"},
                },
                "required": ["metric", "statistic", "value"],
                "additionalProperties": False,
            },
        },
    }
    assert strict == SCHEMA


ITEM = {
    "dataPoint": {"metric": "energy", "statistic": "average", "value": 65},
    "topic": "rest",
    "reasoning": "It helps. It does.",
    "recommendation": "Rest.",
}


def test_an_answer_of_five_is_read() -> None:
    answer = msgspec.json.decode(json.dumps({"recommendations": [ITEM] * 5}), type=Answer)
    assert answer.recommendations[4].data_point == DataPoint("energy", "average", 65)


@pytest.mark.parametrize(
    "answer",
    [
        {"recommendations": [ITEM] * 4},
        {"recommendations": [ITEM] * 6},
        {"recommendations": [ITEM] * 5, "more": 1},
        {"recommendations": [ITEM] * 4 + [ITEM | {"more": 1}]},
        {"recommendations": [ITEM] * 4 + [ITEM | {"topic": "astrology"}]},
        {"recommendations": [ITEM] * 4 + [ITEM | {"dataPoint": None}]},
        {"recommendations": [ITEM] * 4 + [ITEM | {"dataPoint": ITEM["dataPoint"] | {"value": "65"}}]},  # type: ignore[operator]
        {"recommendations": [ITEM] * 4 + [{"recommendation": "Rest."}]},
    ],
    ids=["four", "six", "more", "more in one", "unknown topic", "no figure", "figure as text", "parts missing"],
)
def test_an_answer_of_another_form_is_not_read(answer: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(answer), type=Answer)
