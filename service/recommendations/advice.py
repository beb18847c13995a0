"""What a recommendation is, and what makes one: the place where engines plug in."""

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import msgspec

from service.patterns.analysis import METRICS, Metric, Pattern, low_days, peak_days, trend_of

Statistic = Literal["average", "consecutiveDays", "lowDays", "peakDays"]

# What advice can be about. Whether it helped is remembered by topic: two sentences that say the same thing in other
# words can be told apart by nobody, but both are about sleep.
Topic = Literal[
    "rest",  # pauses and recovery in the course of the day
    "sleep",
    "movement",  # walks, exercise, daylight
    "food",  # meals, water, caffeine
    "attention",  # stretches of undisturbed work
    "priorities",  # what to do first
    "workload",  # doing less: what to drop, move or decline
    "timing",  # which work on which day or at which hour
    "meaning",  # what one cares about and chose oneself
    "people",  # time with others, asking for help
    "reflection",  # looking back, writing down
    "growth",  # learning, hard problems, making use of a strong stretch
]
TOPICS: tuple[Topic, ...] = get_args(Topic)

# Of how many topics there must be a choice left, however much advice a person has called unhelpful.
LEAST_CHOICE = 3
# Given so often and never looked at: ignored.
IGNORED_FROM = 3

# What days are at their peak for recommendations; stricter than the peak that patterns point out, because these days
# are to be planned around, not only noticed.
PEAK = 80


class DataPoint(msgspec.Struct, frozen=True, rename="camel"):
    """The person's own figure that led to a recommendation.

    - average: the metric's rounded average, 0 to 100
    - consecutiveDays: the steps of the metric's run of rises or falls
    - lowDays: how many days had energy under 70 (metric: energy)
    - peakDays: how many days had focus and energy both over 80 (metric: focus)
    """

    metric: Metric
    statistic: Statistic
    value: int


class Advice(msgspec.Struct, frozen=True, rename="camel"):
    """One thing to do (under 25 words), and why (two or three sentences).

    `data_point` is None only for general advice, which is about nobody's figures.
    """

    recommendation: str
    reasoning: str
    data_point: DataPoint | None
    topic: Topic


class Standing(msgspec.Struct, frozen=True):
    """What became of the advice on one topic that a person was given in the last 30 days, or judged in the last 14."""

    topic: Topic
    given: int
    viewed: int
    helpful: int
    unhelpful: int
    avoid: bool
    """The person's last word on it was "unhelpful", and that is less than 14 days ago."""
    helped: bool
    """The person's last word on it was "helpful"."""


class History(msgspec.Struct, frozen=True):
    """What a person made of earlier advice: shapes the next in every engine."""

    standings: tuple[Standing, ...] = ()
    """One for each topic on which there was advice; the topic that was judged last comes first."""
    refused: frozenset[str] = frozenset()
    """The recommendations, word for word, that were called unhelpful in the last 14 days: they do not come back."""

    @property
    def avoided(self) -> tuple[Topic, ...]:
        """The topics to keep away from; at most so many that a choice is left, the last judged first."""
        return tuple(each.topic for each in self.standings if each.avoid)[: len(TOPICS) - LEAST_CHOICE]

    @property
    def helped(self) -> tuple[Topic, ...]:
        """The topics to build upon."""
        return tuple(each.topic for each in self.standings if each.helped)

    @property
    def ignored(self) -> tuple[Topic, ...]:
        """The topics on which advice was given again and again, and neither looked at nor judged."""
        return tuple(
            each.topic
            for each in self.standings
            if each.given >= IGNORED_FROM and not (each.viewed or each.helpful or each.unhelpful)
        )


# How a run of an engine can end. What follows "made" is why an AI engine's advice was not to be had.
Outcome = Literal[
    "made",
    "timed_out",  # the time limit was reached
    "unreachable",  # no connection, or one that broke off
    "rejected",  # the API answered 4xx: a wrong key, model or request
    "rate_limited",  # 429
    "server_error",  # 5xx
    "refused",  # the model would not answer, or a filter stopped it
    "invalid",  # an answer that is not as asked: its shape, its length, its figures
    "failed",  # anything else: a defect of ours, whole in the log
    "circuit_open",  # not asked, because it kept failing
    "over_budget",  # not asked: the tenant's budget of the day is used up, or the person's allowance before the time
    "abandoned",  # given up when the service was stopped, or the session had ended that it was for
    "lost",  # the process that asked is gone
]


class Usage(msgspec.Struct, frozen=True):
    """What a run cost: requests sent (retries too), and tokens as the API counts them."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


class Advised(msgspec.Struct, frozen=True):
    """What an engine advises, the most important first, and what that cost."""

    advice: Sequence[Advice]
    usage: Usage = Usage()


class EngineFailed(Exception):
    """An engine could not make recommendations; says why, in one of the ledger's words, and what it cost all the same.

    `detail` goes to the log: it holds no figure of the person's and no text that the API sent.
    """

    def __init__(self, outcome: Outcome, detail: str, usage: Usage = Usage()) -> None:  # noqa: B008 - Usage is frozen
        super().__init__(f"{outcome}: {detail}")
        self.outcome = outcome
        self.detail = detail
        self.usage = usage


class Engine(Protocol):
    """What makes recommendations."""

    @property
    def name(self) -> str:
        """Goes out with the answer, and is stored beside it."""

    @property
    def model(self) -> str | None:
        """Which model is asked; None where none is."""

    @property
    def prompt_version(self) -> str | None:
        """Which version of the prompt is sent; None where there is none."""

    @property
    def most_calls(self) -> int:
        """The most requests that one run may send to an API; 0 for an engine that sends none."""

    @property
    def most_tokens(self) -> int:
        """The most tokens, in and out, that one run may take; 0 for an engine that costs nothing."""

    async def advise(self, pattern: Pattern, history: History, most_calls: int | None = None) -> Advised:
        """Make up to five recommendations, with so many requests to an API at most (None: as many as it ever sends).

        It may take its time: the caller holds no connection meanwhile. Raises EngineFailed.
        """


def figures(pattern: Pattern) -> frozenset[DataPoint]:
    """All that a data point can truly say of a pattern: what an engine may base advice on."""
    averages = {
        DataPoint("energy", "average", pattern.averages.energy),
        DataPoint("focus", "average", pattern.averages.focus),
        DataPoint("fulfillment", "average", pattern.averages.fulfillment),
    }
    runs = {
        DataPoint(metric, "consecutiveDays", steps)
        for metric in METRICS
        if (steps := trend_of(pattern.trends, metric).consecutive_days)
    }
    counts = {
        DataPoint("energy", "lowDays", len(low_days(pattern.patterns))),
        DataPoint("focus", "peakDays", len(peak_days(pattern.patterns, over=PEAK))),
    }
    return frozenset(averages | runs | {each for each in counts if each.value})
