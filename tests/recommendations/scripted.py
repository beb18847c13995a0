"""An engine that does as it is told, and people to ask it."""

import asyncio
from datetime import date

from service.caller import Caller
from service.database import Connection
from service.patterns.analysis import Day, Pattern
from service.recommendations.advice import Advice, Advised, DataPoint, EngineFailed, History, Usage
from service.recommendations.batch import Batch, Keeping

DAY = Day(date(2026, 11, 22), 60, 70, 81)
HOUR = Keeping()
USAGE = Usage(calls=1, tokens_in=700, tokens_out=300)


class Scripted:
    """Answers with batches of the sizes given (then of five), or fails; counts how often it was asked."""

    name = "scripted"
    model = "scripted-1"
    prompt_version = "7"
    most_calls = 1
    most_tokens = 4_000

    def __init__(self, *sizes: int, error: Exception | None = None, text: str = "Rest", usage: Usage = USAGE) -> None:
        self.sizes = list(sizes)
        self.error = error
        self.text = text
        self.usage = usage
        self.asked: list[Pattern] = []
        self.histories: list[History] = []
        self.allowed: list[int | None] = []
        self.released = asyncio.Event()
        self.released.set()

    async def advise(self, pattern: Pattern, history: History, most_calls: int | None = None) -> Advised:
        self.asked.append(pattern)
        self.histories.append(history)
        self.allowed.append(most_calls)
        size = self.sizes.pop(0) if self.sizes else 5
        await self.released.wait()
        if self.error is not None:
            raise self.error
        point = DataPoint("energy", "average", pattern.averages.energy)
        return Advised(
            [
                Advice(f"{self.text} {size}.{number}", "It helps. It does.", point, "rest")
                for number in range(1, size + 1)
            ],
            self.usage,
        )


def failing(outcome: str = "timed_out", usage: Usage = USAGE) -> EngineFailed:
    return EngineFailed(outcome, "as told", usage)  # type: ignore[arg-type]  # the words of the ledger


async def until_asked(engine: Scripted, times: int = 1) -> None:
    async with asyncio.timeout(10):
        while len(engine.asked) < times:  # noqa: ASYNC110 - bounded by the time-out above
            await asyncio.sleep(0.001)


def texts(batch: Batch) -> list[str]:
    return [each.recommendation for each in batch.recommendations]


async def runs_of(admin: Connection, caller: Caller) -> list[tuple[str, str, str | None]]:
    """Give reason, outcome and whose advice was given, of each run in turn."""
    rows = await admin.fetch(
        "select reason, outcome, given from app.recommendation_runs where user_id = $1"
        " order by started_at, finished_at",
        caller.user_id,
    )
    return [tuple(row) for row in rows]


async def count_kept(admin: Connection, caller: Caller) -> int:
    kept = await admin.fetchval("select count(*) from app.user_recommendations where user_id = $1", caller.user_id)
    return int(kept)
