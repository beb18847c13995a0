"""The rules are as good as they are said to be; and for each way of being bad there is a criterion that shows it."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from typing import get_args

import pytest
from msgspec.structs import replace

from service.patterns.analysis import METRICS, Pattern
from service.recommendations.advice import Advice, Advised, History
from service.recommendations.findings import average_of
from service.recommendations.rules import Rules, recommend
from tests.evaluation.people import PEOPLE, Person, Verdict
from tests.evaluation.scores import SAME_FROM, aim, judge, means, overlap
from tests.recommendations.scripted import USAGE, Scripted, failing
from tests.recommendations.test_rules import ALL_SAYINGS

# Of one who thrives in everything the rules speak of what goes best, and not of what goes a little less well.
RULES = {"truth": 1.0, "aim": 14 / 15, "form": 1.0, "novelty": 1.0, "heed": 1.0}


async def test_the_rules_reach_what_is_promised_of_them() -> None:
    assert means([await judge(Rules(), person) for person in PEOPLE]) == pytest.approx(RULES)


class Bad(Rules):
    """Spoils what the rules advise."""

    def __init__(self, spoil: Callable[[Person, Advice], Advice]) -> None:
        self.spoil = spoil

    async def advise(self, pattern: Pattern, history: History, _: int | None = None) -> Advised:
        [person] = [each for each in PEOPLE if each.pattern == pattern]
        return Advised([self.spoil(person, piece) for piece in recommend(pattern, history)])


def lie(_: Person, piece: Advice) -> Advice:
    assert piece.data_point is not None
    return replace(piece, data_point=replace(piece.data_point, value=101))


def miss_the_point(person: Person, piece: Advice) -> Advice:
    averages = [average_of(person.pattern, metric) for metric in METRICS]
    return replace(piece, data_point=max(averages, key=lambda point: point.value))


def ramble(_: Person, piece: Advice) -> Advice:
    return replace(piece, reasoning=f"{piece.reasoning} It helps. It does. You will see.")


def repeat(person: Person, piece: Advice) -> Advice:
    texts = [given.recommendation.replace(".", " again.") for given in person.last_week]
    return replace(piece, recommendation=texts[0]) if texts else piece


def turn_a_deaf_ear(person: Person, piece: Advice) -> Advice:
    unwanted = next(topic for topic in (*person.history.avoided, "food") if topic not in person.history.helped)
    return replace(piece, topic=unwanted)


@pytest.mark.parametrize(
    ("spoil", "criterion"),
    [
        (lie, "truth"),
        (miss_the_point, "aim"),
        (ramble, "form"),
        (repeat, "novelty"),
        (turn_a_deaf_ear, "heed"),
    ],
)
async def test_an_engine_that_is_bad_in_one_way_scores_badly_on_that_alone(
    spoil: Callable[[Person, Advice], Advice], criterion: str
) -> None:
    scores = means([await judge(Bad(spoil), person) for person in PEOPLE])
    spoilt = scores.pop(criterion)
    assert spoilt < 0.1
    assert scores == pytest.approx({name: score for name, score in RULES.items() if name in scores})


async def test_an_engine_that_fails_scores_nothing_with_that_person() -> None:
    result = await judge(Scripted(error=failing("rate_limited")), PEOPLE[0])
    assert (result.outcome, result.usage, result.advice) == ("rate_limited", USAGE, ())
    assert result.scores == {"truth": 0.0, "aim": 0.0, "form": 0.0, "novelty": 0.0, "heed": 0.0}


async def test_too_few_or_too_many_pieces_are_bad_form() -> None:
    scores = [(await judge(Scripted(size, text="Lie down for"), PEOPLE[0])).scores["form"] for size in (1, 2, 5, 6)]
    assert scores == [0.0, 1.0, 1.0, 0.0]


def test_what_is_about_the_weakest_metric_only_in_the_fourth_place_misses_its_aim() -> None:
    weakest, other = (
        Advice("Rest", "It helps.", average_of(PEOPLE[0].pattern, metric), "rest") for metric in ("energy", "focus")
    )
    assert aim(PEOPLE[0], [other, other, weakest, other]) == 1.0
    assert aim(PEOPLE[0], [other, other, other, weakest]) == 0.0


def test_sentences_are_compared_by_their_words() -> None:
    assert overlap("Take a walk, today.", "take a WALK tomorrow") == pytest.approx(3 / 5)
    assert overlap("Rest.", "Walk.") == 0.0


def test_of_all_that_the_rules_can_say_nothing_counts_as_the_same() -> None:
    texts = [said.recommendation for said in ALL_SAYINGS]
    assert max(overlap(one, other) for one, other in combinations(texts, 2)) < SAME_FROM


def test_the_people_differ_and_together_give_occasion_for_every_kind_of_feedback() -> None:
    assert len({person.name for person in PEOPLE}) == 15
    assert len({person.days for person in PEOPLE}) == 15
    assert {given.verdict for person in PEOPLE for given in person.last_week} == set(get_args(Verdict))
    for person in PEOPLE:
        assert len({given.topic for given in person.last_week}) == len(person.last_week)


def test_what_a_person_said_is_what_an_engine_is_told() -> None:
    exhausted, never_looks = PEOPLE[0].history, PEOPLE[13].history
    assert (exhausted.avoided, exhausted.helped, exhausted.ignored) == (("attention",), ("sleep",), ())
    assert exhausted.refused == {"Keep one stretch of 45 minutes each morning free of notifications."}
    assert never_looks.ignored == ("meaning", "sleep", "reflection")
    assert (never_looks.avoided, never_looks.helped, never_looks.refused) == ((), (), frozenset())


def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "DAYMARK_"))}
    return subprocess.run(
        [sys.executable, "-m", "tests.evaluation", *arguments],
        env=kept | {"COLUMNS": "200"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_prints_a_table_and_succeeds_where_the_least_is_reached() -> None:
    done = run("--least", "0.93")
    assert (done.returncode, done.stderr) == (0, "")
    assert "rules, model none, prompt version none" in done.stdout
    assert "0 calls, 0 tokens" in done.stdout
    for person in PEOPLE:
        assert person.name in done.stdout


def test_the_command_fails_where_the_least_is_not_reached() -> None:
    assert run("--least", "0.94").returncode == 1


def test_the_command_asks_each_model_and_survives_an_api_that_is_not_there() -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}/v1"
        models = ["--model", "one", "--model", "two"]
        variables = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": url, "DAYMARK_OPENAI_TIMEOUT": "0.1"}
        done = run("--engine", "openai", *models, "--texts", **variables)
    assert done.returncode == 1
    assert "openai, model one, prompt version" in done.stdout
    assert "openai, model two, prompt version" in done.stdout
    assert done.stdout.count("unreachable") + done.stdout.count("timed_out") == 30


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["--engine", "openai"], {}, "--engine openai: expected a key in OPENAI_API_KEY"),
        (["--model", "one"], {}, "--model: the rules have none"),
        (["--least", "2"], {}, "2.0 is not in the range 0<=x<=1"),
        ([], {"DAYMARK_OPENAI_TIMEOUT": "long"}, "DAYMARK_OPENAI_TIMEOUT: expected seconds from 0.1 to 120"),
    ],
)
def test_wrong_usage_is_said_in_a_line(arguments: list[str], variables: dict[str, str], said: str) -> None:
    done = run(*arguments, **variables)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
