"""Whether a read costs a million people what it costs a thousand: inside Postgres, by EXPLAIN, and over HTTP.

    python -m tests.bench.size [--tenants 1000] [--users 1000] [--days 30] [--data FOLDER]

Both sizes are loaded by `daymark demo` into an embedded Postgres as it comes, each in a folder of its own, and asked as
the service asks: its role, its settings, its prepared statements, a sealed context. Then both are served, under the
load of `make bench`. The two take turns, so that a slow moment of the machine hits both. It takes a quarter of an hour
and 10 GB, so `make bench` leaves it out. The folder is removed at the end, unless --data names one: then it stays, and
the next run loads only what is missing.
"""

import argparse
import asyncio
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from service import embedded
from service.caller import Caller
from service.database import SERVER_SETTINGS, Connection
from service.queries import LIST_FRESH_RECOMMENDATIONS, LIST_PATTERNS, Query
from service.seal import Seal
from service.settings import kept_secret
from tests.bench.cores import part, running_on, usable
from tests.bench.figures import Figure
from tests.bench.served import serve_in_turns, table_of
from tests.bench.servers import ground_on

DAYMARK = Path(sys.executable).with_name("daymark")
RESULTS = Path("bench-size.json")

SEED = 20_261_122
CACHED = "recommendations"
SAMPLE = 200  # people that are asked for, of all tenants
ROUNDS = 5  # of which every person is asked for once
SMALL = (1, 1_000)  # tenants, and people in each
FULL = 1_000_000  # people
# Their 30 days and five recommendations each in a quarter of an hour.
LEAST_RATE = FULL * (30 + 5) / 900
MOST_BUFFERS = 8
MOST_PLANNING = 0.1  # ms
MOST_RATIO = 1.3
# What a person was ever given counts as fresh here, so that a folder that was kept is as good as a new one.
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
KNOWN_NOTHING: dict[str, tuple[str, object]] = {"known": ("text[]", "{}")}  # so that all rows come


class Read(Struct, frozen=True):
    """One of the service's queries, and how many rows must come."""

    query: Query
    given: dict[str, tuple[str, object]]
    """The type and the value of each parameter."""
    rows: int

    @property
    def kinds(self) -> list[str]:
        """The types in the order of the parameters."""
        return [self.given[name][0] for name in self.query.entered_parameters]

    @property
    def values(self) -> list[object]:
        """The values likewise."""
        return [self.given[name][1] for name in self.query.entered_parameters]


def reads(days: int, now: datetime) -> dict[str, Read]:
    """Give what is measured, by name, where every person has so many days."""

    def patterns(window: int) -> Read:
        given = {"until": ("text", ""), "now": ("timestamptz", now), "days": ("integer", window)}
        return Read(LIST_PATTERNS, given | KNOWN_NOTHING, min(window, days))

    return {
        CACHED: Read(LIST_FRESH_RECOMMENDATIONS, {"stale_before": ("timestamptz", LONG_AGO)} | KNOWN_NOTHING, 5),
        "patterns, 7 days": patterns(7),
        "patterns, 90 days": patterns(90),
    }


class Asked(Struct, frozen=True):
    """What one statement took."""

    execution: float
    """Milliseconds, as is `planning`."""
    planning: float
    buffers: int


class Place:
    """A loaded database, a connection as the service's, and the people who are asked for."""

    def __init__(self, connection: Connection, seal: Seal, people: Sequence[Caller]) -> None:
        self.connection = connection
        self.seal = seal
        self.people = people

    async def prepare(self, name: str, read: Read) -> None:
        """Prepare a query as a pooled connection has it: planned for good after the first few times."""
        kinds = ", ".join(("uuid", "uuid", "text", *read.kinds))
        await self.connection.execute(f'prepare "{name}" ({kinds}) as {read.query.entered}')

    async def ask(self, name: str, read: Read, person: Caller) -> Asked:
        """Ask for one person, and say what that took."""
        seal = self.seal.sign(person, self.connection.get_server_pid(), datetime.now(UTC) + timedelta(seconds=45))
        values = ", ".join(f"'{value}'" for value in (person.tenant_id, person.user_id, seal, *read.values))
        # Without a clock at every node: what that costs would be most of what is measured.
        text = await self.connection.fetchval(
            f'explain (analyze, buffers, timing off, format json) execute "{name}" ({values})'
        )
        [explained] = json.loads(text)
        plan: dict[str, Any] = explained["Plan"]
        if plan["Actual Rows"] != read.rows:
            raise SystemExit(f"{name}: {plan['Actual Rows']:g} rows came, not {read.rows}")
        buffers = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        return Asked(explained["Execution Time"], explained["Planning Time"], buffers)


def load(folder: Path, tenants: int, users: int, days: int) -> float | None:
    """Load made-up data into `folder`, with the command's own progress; give the rows a second, None if any were there.

    The time is the command's as a whole, the start of Postgres and the migrations included.
    """
    counts = ("--tenants", str(tenants), "--users", str(users), "--days", str(days))
    began = time.monotonic()
    done = subprocess.run([DAYMARK, "demo", *counts, "--data", folder], check=True, stdout=subprocess.PIPE, text=True)
    took = time.monotonic() - began
    people = tenants * users
    whole = done.stdout.startswith(f"{people * days} days and {people * 5} recommendations ")
    return people * (days + 5) / took if whole else None


@asynccontextmanager
async def place(server: embedded.Server, tenants: int, users: int) -> AsyncIterator[Place]:
    """Open a loaded database, in the state that autovacuum leaves it in."""
    admin = await asyncpg.connect(server.url("postgres", "daymark"))
    try:
        await admin.execute("vacuum analyze")
        people = [await find_person(admin, *each) for each in sample(tenants, users)]
    finally:
        await admin.close()
    seal = Seal(kept_secret(server.directory, "seal-key"))
    connection = await asyncpg.connect(
        server.url("daymark_service", "daymark"), server_settings=SERVER_SETTINGS, statement_cache_size=0
    )
    try:
        yield Place(connection, seal, people)
    finally:
        await connection.close()


def sample(tenants: int, users: int) -> list[tuple[str, str]]:
    """Choose people by lot, always the same: their tenants' slugs and their addresses."""
    chance = random.Random(SEED)  # noqa: S311 - made-up people
    chosen = chance.sample(range(tenants * users), min(SAMPLE, tenants * users))
    slugs = [(f"demo-{number // users + 1}", number % users + 1) for number in chosen]
    return [(slug, f"person-{number}@{slug}.test") for slug, number in slugs]


async def find_person(admin: Connection, slug: str, email: str) -> Caller:
    row = await admin.fetchrow(
        "select tenant_id, user_id from app.users"
        " where tenant_id = (select tenant_id from app.tenants where lower(slug) = $1) and lower(email) = $2",
        slug,
        email,
    )
    if row is None:
        raise SystemExit(f"{email} was not loaded")
    return Caller(UUID(str(row["tenant_id"])), UUID(str(row["user_id"])))


async def measure(places: Sequence[Place], days: int) -> dict[str, list[list[Asked]]]:
    """Ask everything at every place, in turns; the first round only warms what it finds."""
    found: dict[str, list[list[Asked]]] = {}
    for name, read in reads(days, datetime.now(UTC)).items():
        found[name] = [[] for _ in places]
        for each in places:
            await each.prepare(name, read)
        for number in range(1 + ROUNDS):
            for position, each in enumerate(places):
                taken = [await each.ask(name, read, person) for person in each.people]
                if number:
                    found[name][position] += taken
    return found


def report(
    found: dict[str, list[list[Asked]]],
    served: Mapping[str, Sequence[Figure]],
    people: Sequence[int],
    rate: float | None,
) -> bool:
    """Print what was measured and write it as JSON; whether every target is met."""
    table = Table(title=f"inside Postgres, warm: {SAMPLE} people, {ROUNDS} rounds (buffers: median, 95 %, most)")
    for heading in ("", "people", "ms", "ratio", "95 %", "planned", "buffers"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    results: dict[str, Any] = {"rows a second": rate, "served": msgspec.to_builtins(served)}
    met: dict[str, bool] = {}
    if rate is not None and people[-1] >= FULL:  # less is over before the start of Postgres has paid off
        met[f"at least {LEAST_RATE:,.0f} rows a second loaded"] = rate >= LEAST_RATE
    for name, (smaller, larger) in found.items():
        small, large = figures_of(smaller), figures_of(larger)
        ratio = large["ms"] / small["ms"]
        results[name] = {
            "ratio": ratio,
            **{str(count): each for count, each in zip(people, (small, large), strict=True)},
        }
        for count, each, of_smaller in zip(people, (small, large), ("", f"{ratio:.2f}"), strict=True):
            buffers = ", ".join(f"{each[key]:g}" for key in ("buffers", "buffers, 95 %", "buffers, most"))
            times = (f"{each['ms']:.3f}", of_smaller, f"{each['ms, 95 %']:.3f}", f"{each['planned, ms']:.3f}")
            table.add_row(name, f"{count:,}", *times, buffers)
        met[f"{name}: at most {MOST_RATIO:g} times the smaller"] = ratio <= MOST_RATIO
        met[f"{name}: planned in under {MOST_PLANNING:g} ms"] = large["planned, ms"] < MOST_PLANNING
        if name == CACHED:
            # Not for all: where the gaps in the pages are narrow, five rows may lie on five of them.
            met[f"{name}: at most {MOST_BUFFERS} buffers for 95 %"] = large["buffers, 95 %"] <= MOST_BUFFERS
    console = Console()
    console.print(table)
    console.print(table_of(served, people))
    console.print("loaded before this run" if rate is None else f"loaded at {rate:,.0f} rows a second")
    for target, reached in met.items():
        console.print(f"{'met   ' if reached else 'MISSED'} {target}")
    RESULTS.write_text(json.dumps({**results, "targets": met}, indent=2) + "\n")
    return all(met.values())


def figures_of(asked: Sequence[Asked]) -> dict[str, float]:
    times, buffers = [each.execution for each in asked], [each.buffers for each in asked]
    twentieths = statistics.quantiles(times, n=20)
    return {
        "ms": statistics.median(times),
        "ms, 5 %": twentieths[0],
        "ms, 95 %": twentieths[-1],
        "planned, ms": statistics.median(each.planning for each in asked),
        "buffers": statistics.median(buffers),
        "buffers, 95 %": statistics.quantiles(buffers, n=20)[-1],
        "buffers, most": max(buffers),
    }


async def run(folder: Path, tenants: int, users: int, days: int) -> bool:
    small, large = folder / "small", folder / "large"
    load(small, *SMALL, days)
    rate = load(large, tenants, users, days)
    cores = part(usable())
    with running_on(cores.others), ExitStack() as servers:
        running = [servers.enter_context(embedded.running(each, purpose="bench")) for each in (small, large)]
        async with AsyncExitStack() as opened:
            counts = (SMALL, (tenants, users))
            places = [
                await opened.enter_async_context(place(server, *count))
                for server, count in zip(running, counts, strict=True)
            ]
            found = await measure(places, days)
            grounds = [
                ground_on(server, list(each.people), cores) for server, each in zip(running, places, strict=True)
            ]
        served = serve_in_turns(grounds)
    return report(found, served, [some * people for some, people in counts], rate)


def main() -> None:
    parser = argparse.ArgumentParser(description="Whether reads cost a million people what they cost a thousand.")
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--users", type=int, default=1_000, help="in each tenant")
    parser.add_argument("--days", type=int, default=30, help="of each user")
    parser.add_argument("--data", type=Path, help="folder to keep the two databases in")
    given = parser.parse_args()
    folder = given.data or Path(tempfile.mkdtemp())
    try:
        met = asyncio.run(run(folder, given.tenants, given.users, given.days))
    finally:
        if given.data is None:
            shutil.rmtree(folder)
    sys.exit(not met)


if __name__ == "__main__":
    main()
