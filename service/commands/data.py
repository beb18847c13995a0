"""`daymark import`: many people's days from a file."""

import asyncio
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

import rich_click as click
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from service.administrator import Administrator
from service.commands.options import in_folder
from service.dayfile import FORMATS, SUFFIXES, DayFileError, Faults, Format, read_days
from service.importing import DayImport, Outcome, Stage, Tell
from service.installation import installation
from service.runtime import utc_now

INTERRUPTED = 128 + signal.SIGINT  # the status that shells know


class Order(Struct, frozen=True):
    """What the operator asked for."""

    tenant: str
    name: str
    """What the file is called in messages."""
    format: Format
    skip_bad: bool
    dry_run: bool


@click.command("import")
@click.argument("tenant_name", metavar="TENANT")
@click.argument("file_name", metavar="FILE")
@click.option("--format", "file_format", type=click.Choice(FORMATS), help="Where FILE's name does not say it.")
@click.option("--skip-bad", is_flag=True, help="Store the good lines even if others are bad.")
@click.option("--dry-run", is_flag=True, help="Check every line, and store none.")
@in_folder
def import_days(  # noqa: PLR0913, PLR0917 - click hands in each argument and option
    tenant_name: str, file_name: str, file_format: Format | None, skip_bad: bool, dry_run: bool, data: Path
) -> None:
    """Store days of the users of TENANT (its slug or id) from FILE; - is standard input.

    CSV with a header, a JSON list or NDJSON, in UTF-8, of user (e-mail address or id), date, energy, focus and
    fulfillment. A day that is there already is replaced.

    Bad lines are reported with their numbers, and then nothing is stored and the exit status is 1; with --skip-bad,
    the good ones are stored and it is 0. When stopped in the middle, run it again: what is stored is passed over.
    """
    file_format = file_format or SUFFIXES.get(Path(file_name).suffix.lower())
    if file_format is None:
        raise click.UsageError(f"The name {file_name!r} does not say its format: give --format {'|'.join(FORMATS)}.")
    order = Order(tenant_name, "stdin" if file_name == "-" else file_name, file_format, skip_bad, dry_run)
    outcome, faults = Outcome(), Faults()
    try:
        with _interruptible(), _open(file_name) as file, installation(data, "daymark import") as found:
            try:
                seconds = asyncio.run(_import(found.admin_url, order, file, outcome, faults))
            finally:
                _report(order.name, faults)
    except KeyboardInterrupt:
        click.echo(f"daymark: interrupted: {_left_behind(order, outcome)}", err=True)
        sys.exit(INTERRUPTED)
    except DayFileError as error:
        raise DayFileError(f"{order.name}{'' if error.line is None else f':{error.line}'}: {error}") from error
    if faults.count and not skip_bad:
        click.echo(f"daymark: {_counted(faults.count, 'bad line')}: nothing was stored", err=True)
        sys.exit(1)
    rate = (outcome.good + faults.count) / seconds
    click.echo(f"{_summary(order, outcome, faults)} ({rate:,.0f} lines a second)")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have Ctrl-C end a read that waits for its pipe, which asyncio's own way of being interrupted does not."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # as in the background of a script, where it is ignored
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _open(file_name: str) -> BinaryIO:
    if file_name == "-":
        if sys.stdin is None:
            raise DayFileError("is closed")
        return sys.stdin.buffer
    try:
        return Path(file_name).open("rb")
    except OSError as error:
        raise DayFileError(f"cannot be read: {error.strerror}") from error


async def _import(url: str, order: Order, file: BinaryIO, outcome: Outcome, faults: Faults) -> float:
    """Give the seconds that it took."""
    began = time.monotonic()
    # To sort and to store may take longer than a request may.
    async with Administrator.connect(url, command_timeout=None) as administrator:
        tenant = await administrator.find_tenant(order.tenant)
        with _bars(file, outcome) as tell:
            days = DayImport(administrator, tenant.tenant_id, utc_now(), outcome, tell)
            await days.check(read_days(file, order.format, faults), faults)
            if not order.dry_run and (order.skip_bad or not faults.count):
                await days.store(whole=not order.skip_bad)
    return time.monotonic() - began


@contextmanager
def _bars(file: BinaryIO, outcome: Outcome) -> Iterator[Tell]:
    """Show on a terminal how far the import is; nothing where stderr is none."""
    details = os.fstat(file.fileno())
    size = details.st_size if stat.S_ISREG(details.st_mode) else None
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[lines]:,} lines"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        reading = progress.add_task("reading", total=size, lines=0)
        storing = progress.add_task("storing", total=None, lines=0, visible=False)

        def tell(stage: Stage, lines: int) -> None:
            if stage == "reading":
                # The bytes: how many lines there are to come, nobody knows.
                progress.update(reading, completed=lines if size is None else file.tell(), lines=lines)
            else:
                progress.update(storing, completed=lines, total=outcome.good, lines=lines, visible=True)

        yield tell


def _left_behind(order: Order, outcome: Outcome) -> str:
    if order.skip_bad:
        return f"{_counted(outcome.stored, 'day')} stored; run it again for the others"
    if outcome.good and outcome.stored == outcome.good:
        return "Postgres may have stored all of it or nothing; run it again to see"
    return "nothing was stored"


def _report(name: str, faults: Faults) -> None:
    for fault in faults.first:
        click.echo(f"{name}:{fault.line}: {fault.sentence}", err=True)
    if faults.count > len(faults.first):
        click.echo(f"{name}: and {faults.count - len(faults.first)} more bad lines", err=True)


def _summary(order: Order, outcome: Outcome, faults: Faults) -> str:
    bad = f", {_counted(faults.count, 'bad line')} left out" if faults.count else ""
    if order.dry_run:
        return f"{_counted(outcome.good, 'good day')}{bad}; nothing was stored"
    return (
        f"{_counted(outcome.stored, 'day')} stored: {outcome.created} new, {outcome.replaced} replaced,"
        f" {outcome.unchanged} unchanged{bad}"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
