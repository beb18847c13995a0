"""The `daymark` command."""

import asyncio
import logging
import os
import re
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service import migrating, psql, serving
from service.administrator import Administrator, AdministratorError, Person
from service.embedded import EmbeddedError
from service.identity.tokens import Tokens
from service.installation import Installation, embedded_installation, installation, production
from service.migrating import MigrationError
from service.runtime import utc_now
from service.serving import ServingError
from service.settings import SettingsError

log = logging.getLogger(__name__)

FAILURES = (AdministratorError, EmbeddedError, MigrationError, ServingError, SettingsError, psql.PsqlError)

DEMO_DAYS = 30
DEMO_TENANTS = {
    "acme": [Person("ada@acme.test", "admin"), Person("bob@acme.test")],
    "globex": [Person("eve@globex.test")],
}
DEMO_TOKEN_LIFE = timedelta(hours=24)

DURATION = re.compile(r"([0-9]{1,9})([smhd]?)")
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Folder(click.Path):
    """A folder, which an empty text is not: most often an unset variable, to Python the working folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check it."""
        if str(value) == "":
            self.fail("expected a folder", param, ctx)
        return super().convert(value, param, ctx)


in_folder = click.option(
    "--data",
    type=Folder(file_okay=False, path_type=Path),
    default=Path(".daymark"),
    show_default=True,
    help="Folder of the embedded Postgres, used where DAYMARK_DATABASE_URL is not set.",
)
port_option = click.option(
    "--port", type=click.IntRange(1, 65_535), default=8000, show_default=True, help="Port to listen on."
)


def main() -> None:
    """Run the command; what a user can cause ends in one clear line, not in a traceback."""
    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _leave)
    try:
        cli(prog_name="daymark")
    except FAILURES as error:
        for line in str(error).splitlines():
            click.echo(f"daymark: {line}", err=True)
        sys.exit(1)


def _leave(number: int, _: FrameType | None) -> None:
    """End as by Ctrl-C, and so stop what the command has started; the status is the one that shells know."""
    sys.exit(128 + number)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="daymark")
def cli() -> None:
    """Daily scores in, patterns and recommendations out; tenants kept apart by Postgres itself."""


@cli.command()
@port_option
@in_folder
def dev(port: int, data: Path) -> None:
    """Start Postgres and the service with demo data, for trying it out; Ctrl-C stops both."""
    serving.find_address("127.0.0.1", port)
    with embedded_installation(data, "daymark dev", exclusive=True) as found:
        migrating.up(found.admin_url)
        asyncio.run(_load_demo(found))
        token = asyncio.run(_sign(found, "acme", "ada@acme.test", DEMO_TOKEN_LIFE))
        folder = "" if data == Path(".daymark") else f" --data {shlex.quote(str(data))}"
        serving.serve(found, "127.0.0.1", port, 1, lambda: click.echo(_welcome(port, token, folder)))


async def _load_demo(found: Installation) -> None:
    async with Administrator.connect(found.admin_url) as administrator:
        for slug, people in DEMO_TENANTS.items():
            await administrator.fill_tenant(slug, people, DEMO_DAYS, utc_now())


async def _sign(found: Installation, tenant: str, email: str, life: timedelta) -> str:
    settings = found.settings
    tokens = Tokens(found.jwt_secret, settings.jwt_issuer, settings.jwt_audience)
    async with Administrator.connect(found.admin_url) as administrator:
        caller = await administrator.find_caller(tenant, email)
    try:
        return tokens.sign(caller, utc_now(), life)
    except ValueError as error:
        raise AdministratorError(str(error)) from error


def _welcome(port: int, token: str, folder: str) -> str:
    command, here = Path(sys.argv[0]), Path.cwd()
    daymark = shlex.quote(str(command.relative_to(here) if command.is_relative_to(here) else command))
    url = f"http://127.0.0.1:{port}"
    return f"""
Daymark is ready on {url} (API reference: {url}/docs). Ctrl-C stops it; your data stays.

A token of ada@acme.test, good for a day, and what to do with it in another terminal:

TOKEN={token}
curl -H "Authorization: Bearer $TOKEN" {url}/api/insights/patterns
curl -H "Authorization: Bearer $TOKEN" {url}/api/insights/recommendations
{daymark} psql acme{folder} -- -c 'select date, energy, focus, fulfillment from app.pattern_data limit 5'
"""  # noqa: S608 - a line for a terminal, not a query of ours


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@port_option
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
def serve(host: str, port: int, workers: int) -> None:
    """Serve in production: needs DAYMARK_DATABASE_URL and DAYMARK_JWT_SECRET.

    Refuses to start as a role that could pass the wall between tenants.
    """
    found = production()
    address = serving.find_address(host, port)
    asyncio.run(serving.check_role(found.service_url))
    serving.serve(found, address, port, workers, lambda: log.info("serving on %s:%d", host, port))


@cli.group()
def migrate() -> None:
    """Change the database's schema, and say how it stands."""


@migrate.command("up")
@in_folder
def migrate_up(data: Path) -> None:
    """Apply every pending migration, and make the months of scores ahead."""
    with installation(data, "daymark migrate up") as found:
        applied = migrating.up(found.admin_url)
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("nothing to apply")


@migrate.command("down")
@click.argument("steps", default="1", metavar="[N|all]")
@in_folder
def migrate_down(steps: str, data: Path) -> None:
    """Roll back the newest migration, or the newest N, or all; data in what they made is lost."""
    if steps != "all" and not (steps.isascii() and steps.isdigit()):
        raise click.UsageError(f"expected a number or 'all', not {steps!r}")
    with installation(data, "daymark migrate down") as found:
        rolled_back = migrating.down(found.admin_url, None if steps == "all" else int(steps))
    for name in rolled_back:
        click.echo(f"rolled back {name}")
    if not rolled_back:
        click.echo("nothing to roll back")


@migrate.command("status")
@in_folder
def migrate_status(data: Path) -> None:
    """List every migration and whether it has been applied."""
    with installation(data, "daymark migrate status") as found:
        for entry in migrating.status(found.admin_url):
            click.echo(f"{'applied' if entry.applied else 'pending'}  {entry.name}")


@migrate.command("new")
@click.argument("name")
def migrate_new(name: str) -> None:
    """Write the two files of a new migration, called NAME, with the next number."""
    for path in migrating.new(name):
        click.echo(os.path.relpath(path))


@cli.group()
def tenant() -> None:
    """Manage tenants."""


@tenant.command("add")
@click.argument("slug")
@click.option("--name", help="What people call it; the slug, if not given.")
@in_folder
def tenant_add(slug: str, name: str | None, data: Path) -> None:
    """Add a tenant and print its id."""

    async def add(administrator: Administrator) -> object:
        return await administrator.add_tenant(slug, name or slug)

    click.echo(_administer(data, "daymark tenant add", add))


@cli.group()
def user() -> None:
    """Manage the users of a tenant."""


@user.command("add")
@click.argument("tenant_name", metavar="TENANT")
@click.argument("email")
@click.option("--role", type=click.Choice(["member", "admin"]), default="member", show_default=True)
@click.option("--timezone", default="UTC", show_default=True, help="IANA name: whose midnight a day of theirs ends at.")
@in_folder
def user_add(tenant_name: str, email: str, role: str, timezone: str, data: Path) -> None:
    """Add a user to TENANT (its slug or id) and print their id."""

    async def add(administrator: Administrator) -> object:
        return await administrator.add_user(tenant_name, email, role, timezone)

    click.echo(_administer(data, "daymark user add", add))


def _administer(data: Path, purpose: str, work: Callable[[Administrator], Awaitable[object]]) -> object:
    async def connected(url: str) -> object:
        async with Administrator.connect(url) as administrator:
            return await work(administrator)

    with installation(data, purpose) as found:
        return asyncio.run(connected(found.admin_url))


class Duration(click.ParamType[timedelta]):
    """A length of time such as 90s, 15m, 1h or 1d; a bare number is seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse it."""
        match = DURATION.fullmatch(str(value))
        if not match:
            self.fail(f"expected a duration such as 90s, 15m, 1h or 1d, not {value!r}", param, ctx)
        return timedelta(seconds=int(match[1]) * SECONDS[match[2]])


@cli.command()
@click.argument("tenant_name", metavar="TENANT")
@click.argument("email")
@click.option("--ttl", type=Duration(), default="1h", show_default=True, help="How long it is good for, 24h at most.")
@in_folder
def token(tenant_name: str, email: str, ttl: timedelta, data: Path) -> None:
    """Print a token of a user, signed with the configured secret, and nothing else."""
    with installation(data, "daymark token") as found:
        click.echo(asyncio.run(_sign(found, tenant_name, email, ttl)))


@cli.command("psql")
@click.argument("tenant_name", metavar="TENANT")
@click.option("--as", "email", help="See what this user sees; without it, what an admin of the tenant sees.")
@click.argument("psql_args", nargs=-1, type=click.UNPROCESSED)
@in_folder
def psql_command(tenant_name: str, email: str | None, psql_args: tuple[str, ...], data: Path) -> None:
    """Open psql inside TENANT, read-only; what stands after -- is passed on to psql."""
    with installation(data, "daymark psql") as found:
        context = asyncio.run(psql.find_context(found.admin_url, tenant_name, email))
        status = psql.run(found.service_url, context, psql_args)
    sys.exit(status)


@cli.command()
@click.option("--admin", is_flag=True, help="The administrator's URL, not the service's.")
@in_folder
def url(admin: bool, data: Path) -> None:
    """Print the database's URL, for psql and other tools. It may hold a password."""
    with installation(data, "daymark url") as found:
        click.echo(found.admin_url if admin else found.service_url)


@cli.command()
@click.option("--tenants", type=click.IntRange(1, 100_000), default=10, show_default=True)
@click.option("--users", type=click.IntRange(1, 100_000), default=10, show_default=True, help="In each tenant.")
@click.option("--days", type=click.IntRange(1, 3_650), default=30, show_default=True, help="Of each user.")
@in_folder
def demo(tenants: int, users: int, days: int, data: Path) -> None:
    """Load made-up tenants (demo-1, demo-2 …), for trials and benchmarks; run again, it adds what is missing."""
    with installation(data, "daymark demo") as found:
        if found.embedded:
            migrating.up(found.admin_url)
        saved = asyncio.run(_fill(found, tenants, users, days))
    click.echo(f"{saved} days of {tenants * users} users in {tenants} tenants saved")


async def _fill(found: Installation, tenants: int, users: int, days: int) -> int:
    columns = (TextColumn("tenants"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # A tenant of any size is one statement, which may take longer than a request may.
    async with Administrator.connect(found.admin_url, command_timeout=None) as administrator:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            saved = 0
            for number in progress.track(range(1, tenants + 1)):
                slug = f"demo-{number}"
                people = [Person(f"person-{each}@{slug}.test") for each in range(1, users + 1)]
                saved += await administrator.fill_tenant(slug, people, days, utc_now())
    return saved
