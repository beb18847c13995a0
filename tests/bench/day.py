"""What the hour's cache and the one run at a time save: a made-up day of 1,000 people, and a stampede at its worst.

Everything is real but the engine, which only counts and takes its time, and the clock, which the arrivals set. They are
made up, and fixed by a seed: people open the page a few times a day, and while it is open it asks again every so often.
How much is saved depends on that cadence alone, so the table says it for several.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from service import embedded, migrating
from service.caller import Caller
from service.database import Database
from service.patterns.analysis import Day, Pattern
from service.patterns.story import store_days
from service.recommendations.advice import Advice, Advised, DataPoint, History, Usage
from service.recommendations.batch import Keeping
from service.recommendations.story import Recommender
from service.seal import Seal
from service.setting_values import Secret

PEOPLE = 1_000
FOR_REAL = 100  # of them live through the day; for the others it is worked out
SEED = 20_261_122
DAY = datetime(2026, 11, 22, tzinfo=UTC)
SEAL = Seal(Secret("a key of the benchmark's seal, of no use elsewhere"))
CONNECTIONS = 8
TASKS = 32

# How a person comes by: so many visits between 06:00 and 22:00, each of so many minutes on average (exponential).
VISITS = (2, 5)
OPEN = 40.0
# How often an open page asks, in minutes; the first is the one that is run for real. None: once a visit.
CADENCES: tuple[float | None, ...] = (1.0, 2.0, 5.0, 15.0, None)
TARGET = 0.95

STAMPEDE_OF_ONE = 200  # ask for the same person's
CROWD = 100  # people whose batches expire in the same second
STAMPEDE_OF_ALL = 5  # ask for each of them
TAKES = 0.5  # seconds, of an engine in a stampede
ROUNDS = 3


class Counting:
    """An engine that takes its time and counts."""

    name = "counting"
    model = "counting-1"
    prompt_version = "1"
    most_calls = 1
    most_tokens = 2_000

    def __init__(self, takes: float = 0.0) -> None:
        self.takes = takes
        self.calls = 0

    async def advise(self, pattern: Pattern, _: History, __: int | None = None) -> Advised:
        self.calls += 1
        await asyncio.sleep(self.takes)
        point = DataPoint("energy", "average", pattern.averages.energy)
        advice = [Advice(f"Rest {number}", "It helps. It does.", point, "rest") for number in range(5)]
        return Advised(advice, Usage(1, 700, 300))


def arrivals(cadence: float | None) -> list[list[datetime]]:
    """Make up when each person's front end asks, in order; the visits are the same for every cadence."""
    chance = random.Random(SEED)  # noqa: S311 - made-up people
    people = []
    for _ in range(PEOPLE):
        asked: set[datetime] = set()
        for _ in range(chance.randint(*VISITS)):
            opened = DAY + timedelta(hours=chance.uniform(6, 22))
            minutes = chance.expovariate(1 / OPEN)
            times = 1 if cadence is None else 1 + int(minutes / cadence)
            asked.update(opened + timedelta(minutes=number * (cadence or 0)) for number in range(times))
        people.append(sorted(asked))
    return people


def calls_by_arithmetic(asked: Sequence[datetime]) -> int:
    """Count how many runs a person's day needs, if each result lives exactly an hour."""
    calls, until = 0, DAY
    for now in asked:
        if now >= until:
            calls, until = calls + 1, now + timedelta(hours=1)
    return calls


async def live_through(recommender: Recommender, people: dict[UUID, list[datetime]], tenant: UUID) -> int:
    """Have everybody ask at their times; how often somebody asked. Each keeps to their own order."""
    queue = list(people.items())
    total = sum(map(len, people.values()))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(f"a day of {FOR_REAL} people", total=total)

        async def one_after_another() -> None:
            while queue:
                user_id, asked = queue.pop()
                for now in asked:
                    batch = await recommender.recommend(Caller(tenant, user_id), now)
                    if len(batch.recommendations) != 5 or batch.engine != "counting":
                        raise SystemExit(f"a wrong answer at {now}: {batch}")
                progress.advance(bar, len(asked))

        await asyncio.gather(*(one_after_another() for _ in range(TASKS)))
    return total


async def stampede(
    recommenders: Sequence[Recommender], people: Sequence[Caller], times: int, now: datetime
) -> list[float]:
    """Have everybody ask so many times, all at once; how long each waited, in seconds."""

    async def ask(recommender: Recommender, caller: Caller) -> float:
        began = time.perf_counter()
        batch = await recommender.recommend(caller, now)
        if len(batch.recommendations) != 5 or batch.engine != "counting":
            raise SystemExit(f"a wrong answer in a stampede: {batch}")
        return time.perf_counter() - began

    asks = [ask(recommenders[number % len(recommenders)], caller) for number in range(times) for caller in people]
    return await asyncio.gather(*asks)


async def measure(admin_url: str, url: str) -> list[Table]:
    tenant = uuid4()
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("insert into app.seal_keys values (%s, %s, %s)", (SEAL.key_id, *SEAL.pads))
        connection.execute("insert into app.tenants (tenant_id, slug, name) values (%s, 'bench', 'Bench')", [tenant])
    databases = [await Database.open(url, CONNECTIONS, SEAL) for _ in range(2)]
    try:
        people = [Caller(tenant, uuid4()) for _ in range(FOR_REAL)]
        week = [Day(date(2026, 11, 16) + timedelta(days=number), 60 + number, 70, 80 - number) for number in range(7)]
        for person in people:
            await store_days(databases[0], person, DAY, week)
        return [await of_a_day(databases[0], people), await of_stampedes(databases, people)]
    finally:
        for database in databases:
            await database.close()


async def of_a_day(database: Database, people: Sequence[Caller]) -> Table:
    table = Table(title=f"a day of {PEOPLE:,} people (seed {SEED}): calls to the engine")
    for heading in ("the open page asks", "requests", "calls", "cut by"):
        table.add_column(heading, justify="left" if heading.startswith("the") else "right")
    for cadence in CADENCES:
        made_up = arrivals(cadence)
        calls = sum(map(calls_by_arithmetic, made_up))
        if cadence == CADENCES[0]:
            engine = Counting()
            recommender = Recommender(database, engine, Keeping())
            days = {person.user_id: asked for person, asked in zip(people, made_up[:FOR_REAL], strict=True)}
            requests = await live_through(recommender, days, people[0].tenant_id)
            needed = sum(map(calls_by_arithmetic, days.values()))
            if engine.calls != needed:
                raise SystemExit(f"{engine.calls} calls were made, where an hour's cache should need {needed}")
            if 1 - engine.calls / requests < TARGET:
                raise SystemExit(f"calls were cut by less than {TARGET:.0%}")
        requests = sum(map(len, made_up))
        every = "once a visit" if cadence is None else f"every {cadence:g} min"
        ran = f" ({FOR_REAL} for real)" if cadence == CADENCES[0] else ""
        table.add_row(every + ran, f"{requests:,}", f"{calls:,}", f"{1 - calls / requests:.1%}")
    return table


async def of_stampedes(databases: Sequence[Database], people: Sequence[Caller]) -> Table:
    table = Table(
        title=f"everybody at the second of expiry, two recommenders, an engine of {TAKES:g} s (median of {ROUNDS})"
    )
    for heading in ("", "asked", "calls", "p50 s", "p99 s", "longest s"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    now = DAY + timedelta(days=1)
    stale = Keeping(stale=timedelta(hours=23))
    for name, crowd, times, keeping in (
        ("one person", people[:1], STAMPEDE_OF_ONE, Keeping()),
        ("one person, DAYMARK_STALE", people[:1], STAMPEDE_OF_ONE, stale),
        (f"{CROWD} people", people[:CROWD], STAMPEDE_OF_ALL, Keeping()),
        (f"{CROWD} people, DAYMARK_STALE", people[:CROWD], STAMPEDE_OF_ALL, stale),
    ):
        rounds = []
        for _ in range(ROUNDS):
            engine = Counting()
            recommenders = [Recommender(database, engine, keeping) for database in databases]
            await stampede(recommenders, crowd, 1, now)
            await until_renewed(recommenders[0], crowd, now)  # all have theirs, of this instant
            now += timedelta(hours=1)
            engine.calls, engine.takes = 0, TAKES
            waited = await stampede(recommenders, crowd, times, now)
            await until_renewed(recommenders[0], crowd, now)
            for recommender in recommenders:
                await recommender.close()
            now += timedelta(hours=1)
            half, most, longest = statistics.median(waited), statistics.quantiles(waited, n=100)[98], max(waited)
            rounds.append((engine.calls, half, most, longest))
        calls, *seconds = map(statistics.median, zip(*rounds, strict=True))
        table.add_row(name, f"{times * len(crowd):,}", f"{calls:,.0f}", *(f"{each:.3f}" for each in seconds))
    return table


async def until_renewed(recommender: Recommender, people: Sequence[Caller], now: datetime) -> None:
    """Wait until what was stale is not so any more."""
    async with asyncio.timeout(60):
        for person in people:
            while (await recommender.recommend(person, now)).stale:  # noqa: ASYNC110 - bounded, as above
                await asyncio.sleep(0.01)


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded.running(Path(folder), purpose="bench", durable=False) as server,
    ):
        migrating.up(server.url("postgres", "postgres"))
        for table in asyncio.run(
            measure(server.url("postgres", "postgres"), server.url("daymark_service", "postgres"))
        ):
            Console().print(table)


if __name__ == "__main__":
    main()
