"""`daymark demo`: made-up data, for trials and benchmarks."""

import asyncio
import time
from pathlib import Path

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from service import migrating
from service.commands.options import in_folder
from service.demo import Saved, Size, load
from service.installation import installation, keep_seal_key
from service.runtime import utc_now


@click.command()
@click.option("--tenants", type=click.IntRange(1, 100_000), default=10, show_default=True)
@click.option("--users", type=click.IntRange(1, 100_000), default=10, show_default=True, help="In each tenant.")
@click.option("--days", type=click.IntRange(1, 3_650), default=30, show_default=True, help="Of each user.")
@in_folder
def demo(tenants: int, users: int, days: int, data: Path) -> None:
    """Load made-up tenants (demo-1, demo-2 …), for trials and benchmarks; run again, it adds what is missing.

    Each user gets so many days, and five recommendations by the rules where they have none yet. Stopped by Ctrl-C,
    what was loaded stays, and another run goes on from there.
    """
    size = Size(tenants, users, days)
    with installation(data, "daymark demo") as found:
        if found.embedded:
            migrating.up(found.admin_url)
            asyncio.run(keep_seal_key(found))
        saved = load_and_show(found.admin_url, size)
    made = f"{saved.days} days and {saved.recommendations} recommendations"
    click.echo(f"{made} of {tenants * users} users in {tenants} tenants saved")


def load_and_show(url: str, size: Size) -> Saved:
    """Load, and show on stderr how far it is and how fast; when stopped, say what is in."""
    total = size.tenants * size.people
    columns = (
        TextColumn("users"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    saved = Saved()
    began = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=total, rate="")

        def tell(more: Saved) -> None:
            nonlocal saved
            saved += more
            rate = (saved.days + saved.recommendations) / (time.monotonic() - began)
            progress.update(bar, completed=saved.people, rate=f"{rate:,.0f} rows/s")

        try:
            asyncio.run(load(url, size, utc_now, tell))
        except KeyboardInterrupt:
            progress.console.print(f"stopped after {saved.people} of {total} users: run it again for the others")
            raise
    return saved
