"""How good an engine's advice to the people of the evaluation set is: five criteria, each scored from 0 to 1.

They are what can be measured without taste: whether advice is true, to the point, within the limits, new, and mindful
of what the person said. Whether it is wise, somebody has to read.
"""

import re
from collections.abc import Callable, Sequence
from statistics import fmean

from msgspec import Struct

from service.patterns.analysis import METRICS
from service.recommendations.advice import Advice, Engine, EngineFailed, Outcome, Usage, figures
from service.recommendations.findings import average_of
from service.recommendations.rules import LEAST, MOST
from service.recommendations.soundness import Unsound, check_text
from tests.evaluation.people import Person

# Advice on the weakest metric has to be among so many first pieces.
FIRST = 3
# The share of words that two sentences have in common, of all words in either, from which on they say the same. No two
# different sayings of the rules reach 0.5 (a test holds that); a sentence that was only touched up stays above it.
SAME_FROM = 0.5

WORD = re.compile(r"[\w'-]+")


class Result(Struct, frozen=True):
    """What an engine achieved with one person: a score for each criterion by its name, all 0 where it failed.

    A score is None where the person gives no occasion for one.
    """

    person: Person
    outcome: Outcome
    usage: Usage
    advice: Sequence[Advice]
    scores: dict[str, float | None]


async def judge(engine: Engine, person: Person) -> Result:
    """Have an engine advise one person, and score what it says."""
    try:
        advised = await engine.advise(person.pattern, person.history)
    except EngineFailed as error:
        return Result(person, error.outcome, error.usage, (), {each.__name__: 0.0 for each in CRITERIA})
    scores = {each.__name__: each(person, advised.advice) if advised.advice else 0.0 for each in CRITERIA}
    return Result(person, "made", advised.usage, advised.advice, scores)


def truth(person: Person, advice: Sequence[Advice]) -> float:
    """The share of pieces whose data point is one of the person's own figures."""
    true = figures(person.pattern)
    return fmean(piece.data_point in true for piece in advice)


def aim(person: Person, advice: Sequence[Advice]) -> float:
    """Whether one of the first pieces is about the metric with the lowest average."""
    averages = {metric: average_of(person.pattern, metric).value for metric in METRICS}
    weakest = {metric for metric in METRICS if averages[metric] == min(averages.values())}
    return float(any(piece.data_point and piece.data_point.metric in weakest for piece in advice[:FIRST]))


def form(person: Person, advice: Sequence[Advice]) -> float:  # noqa: ARG001 - a criterion like the others
    """The share of pieces whose texts are within the limits; none, where there are too few or too many."""
    return fmean(map(sound, advice)) if LEAST <= len(advice) <= MOST else 0.0


def sound(piece: Advice) -> bool:
    """Whether the texts of a piece are within the limits."""
    try:
        check_text(piece.recommendation, piece.reasoning)
    except Unsound:
        return False
    return True


def novelty(person: Person, advice: Sequence[Advice]) -> float | None:
    """The share of pieces that do not say once more what was said last week; None where nothing was."""
    if not person.last_week:
        return None
    return fmean(
        all(overlap(piece.recommendation, given.recommendation) < SAME_FROM for given in person.last_week)
        for piece in advice
    )


def overlap(one: str, other: str) -> float:
    """The words that two sentences share, as a part of all words in either (Jaccard's index)."""
    words, others = ({*WORD.findall(text.casefold())} for text in (one, other))
    return len(words & others) / len(words | others)


def heed(person: Person, advice: Sequence[Advice]) -> float | None:
    """Whether there is nothing on what did not help, and something on what did; None where neither was said."""
    history, topics = person.history, {piece.topic for piece in advice}
    heeded = []
    if history.avoided:
        texts = {piece.recommendation for piece in advice}
        heeded.append(topics.isdisjoint(history.avoided) and texts.isdisjoint(history.refused))
    if history.helped:
        heeded.append(not topics.isdisjoint(history.helped))
    return fmean(heeded) if heeded else None


CRITERIA: tuple[Callable[[Person, Sequence[Advice]], float | None], ...] = (truth, aim, form, novelty, heed)


def means(results: Sequence[Result]) -> dict[str, float]:
    """The mean of each criterion over all the people that it can be asked of."""
    names = [each.__name__ for each in CRITERIA]
    return {name: fmean(found for each in results if (found := each.scores[name]) is not None) for name in names}
