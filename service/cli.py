"""The `daymark` command."""

import asyncio
import logging
import shlex
import signal
import sys
from datetime import timedelta
from pathlib import Path
from types import FrameType

import rich_click as click

from service import migrating, psql, serving
from service.administrator import Administrator, AdministratorError, Person
from service.commands.accounts import session
from service.commands.data import import_days
from service.commands.demo import demo
from service.commands.keys import KeysError, keys
from service.commands.options import in_folder
from service.commands.people import analyst, sign, tenant, token, user
from service.commands.schema import doctor, migrate, seal
from service.embedded import EmbeddedError
from service.installation import Installation, embedded_installation, installation, keep_seal_key, production
from service.migrating import MigrationError
from service.runtime import utc_now
from service.serving import ServingError
from service.settings import SettingsError

log = logging.getLogger(__name__)

FAILURES = (AdministratorError, EmbeddedError, KeysError, MigrationError, ServingError, SettingsError, psql.PsqlError)

DEMO_DAYS = 30
DEMO_TENANTS = {
    "acme": [Person("ada@acme.test", "admin"), Person("bob@acme.test")],
    "globex": [Person("eve@globex.test")],
}
DEMO_TOKEN_LIFE = timedelta(hours=24)


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
        asyncio.run(keep_seal_key(found))
        asyncio.run(_load_demo(found))
        token = asyncio.run(sign(found, "acme", "ada@acme.test", DEMO_TOKEN_LIFE))
        folder = "" if data == Path(".daymark") else f" --data {shlex.quote(str(data))}"
        serving.serve(found, "127.0.0.1", port, 1, lambda: click.echo(_welcome(port, token, folder)))


async def _load_demo(found: Installation) -> None:
    async with Administrator.connect(found.admin_url) as administrator:
        for slug, people in DEMO_TENANTS.items():
            await administrator.fill_tenant(slug, people, DEMO_DAYS, utc_now())


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
    """Serve in production: needs DAYMARK_DATABASE_URL, DAYMARK_SEAL_KEY, and DAYMARK_JWT_SECRET or a provider.

    Refuses to start as a role that could pass the wall between tenants.
    """
    found = production()
    address = serving.find_address(host, port)
    asyncio.run(serving.check_wall(found.service_url, found.seal))
    serving.serve(found, address, port, workers, lambda: log.info("serving on %s:%d", host, port))


@cli.command("psql")
@click.argument("tenant_name", metavar="TENANT")
@click.option("--as", "email", help="See what this user sees; without it, what an admin of the tenant sees.")
@click.argument("psql_args", nargs=-1, type=click.UNPROCESSED)
@in_folder
def psql_command(tenant_name: str, email: str | None, psql_args: tuple[str, ...], data: Path) -> None:
    """Open psql inside TENANT, read-only; what stands after -- is passed on to psql."""
    with installation(data, "daymark psql") as found:
        context = asyncio.run(psql.find_context(found.admin_url, found.seal, tenant_name, email))
        status = psql.run(found.service_url, context, psql_args)
    sys.exit(status)


@cli.command()
@click.option("--admin", is_flag=True, help="The administrator's URL, not the service's.")
@in_folder
def url(admin: bool, data: Path) -> None:
    """Print the database's URL, for psql and other tools. It may hold a password."""
    with installation(data, "daymark url") as found:
        click.echo(found.admin_url if admin else found.service_url)


for part in (analyst, demo, doctor, import_days, keys, migrate, seal, session, tenant, token, user):
    cli.add_command(part)
