"""What a recommendation is, and what makes one: the place where engines plug in."""

from typing import Literal, Protocol

import msgspec

from service.patterns.analysis import Metric, Pattern

Statistic = Literal["average", "consecutiveDays", "lowDays", "peakDays"]


class DataPoint(msgspec.Struct, frozen=True, rename="camel"):
    """The person's own figure that led to a recommendation.

    - average: the metric's rounded average, 0 to 100
    - consecutiveDays: the steps of the metric's significant run of rises or falls
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


class Engine(Protocol):
    """What makes recommendations; `name` goes out with the answer and is stored beside it."""

    name: str

    async def advise(self, pattern: Pattern) -> list[Advice]:
        """Make up to five recommendations, the most important first.

        It may take its time and raise anything: the caller holds no connection meanwhile, and has general advice.
        """
