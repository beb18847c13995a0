"""What a request costs, against a route that does nothing and against other ways to do it, in one run on one machine.

One worker, Postgres and the load share the machine, so only the ratios mean anything elsewhere. The worker has the
first core, Postgres and the load have the rest; --together leaves that to the scheduler. Each figure is the median of
several rounds, which take turns so that a slow moment of the machine hits all of them alike; a ratio is of two figures
of the same round.
"""

import argparse
import asyncio
import os
import platform
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec
from rich.console import Console
from rich.progress import Progress

from tests.bench import day, load
from tests.bench.cores import Cores, part, running_on, usable
from tests.bench.figures import Run, changes_of, read, tables_of, targets_of
from tests.bench.rounds import CONNECTIONS, LAPS, SECONDS, TARGETS, Bench
from tests.bench.servers import TENANTS, USERS, Ground, ground, serving
from tests.bench.twins import make_schemas

RESULTS = Path("bench.json")
ROUNDS = 5
IMPORTS = 2


async def measure(on: Ground, progress: Progress) -> Run:
    """Measure all that is measured on a served database."""
    connection = await asyncpg.connect(on.admin_url)
    try:
        writers: UUID = await connection.fetchval(
            "insert into app.tenants (slug, name) values ('writers', 'Writers') returning tenant_id"
        )
        bar = progress.add_task("memory", total=ROUNDS + IMPORTS + 1)
        with ExitStack() as held:
            bench = Bench(on, held.enter_context(load.running()), connection, writers)
            with serving(on) as ours:
                bench.age(ours)
            await make_schemas(connection)
            progress.update(bar, description="rounds", advance=1)
            for _ in range(ROUNDS):
                await bench.round()
                progress.advance(bar)
            for _ in range(IMPORTS):
                await bench.import_days()
                progress.advance(bar)
        machine: dict[str, str | int] = {
            "cores": os.cpu_count() or 0,
            "cores of the worker": len(on.cores.service or ()) or "any",
            "people": TENANTS * USERS,
            "python": platform.python_version(),
            "postgres": str(await connection.fetchval("show server_version")),
        }
        return Run(machine, bench.figures())
    finally:
        await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compare", type=Path, metavar="FILE", help="an earlier bench.json, to show the change since")
    parser.add_argument("--together", action="store_true", help="let all of them run on all cores")
    given = parser.parse_args()
    before = read(given.compare) if given.compare else None
    cores = Cores() if given.together else part(usable())
    with (
        running_on(cores.others),
        Progress(console=Console(stderr=True), transient=True) as progress,
        ground(cores) as on,
    ):
        run = asyncio.run(measure(on, progress))
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    console = Console()
    console.print(
        f"{CONNECTIONS} connections, {ROUNDS} rounds of {LAPS} times {SECONDS:g} s, "
        + ("cores as the scheduler has it" if cores.service is None else "the worker on a core of its own")
    )
    for table in tables_of(run.figures):
        console.print(table)
    day.main()
    if before is not None:
        console.print(changes_of(before, run))
    console.print(targets_of(run, TARGETS))
    console.print("whether b takes no longer at a million people: python -m tests.bench.size (a quarter of an hour)")


if __name__ == "__main__":
    main()
