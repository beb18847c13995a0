"""`daymark tenant`, `user`, `analyst` and `token`: who there is."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import rich_click as click

from service.administrator import Administrator, AdministratorError
from service.analysts import add_analyst, drop_analyst, list_analysts
from service.commands.options import Duration, administer, in_folder
from service.identity.issuers import own_issuer
from service.identity.tokens import Tokens
from service.installation import Installation, installation
from service.runtime import utc_now


@click.group()
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

    click.echo(administer(data, "daymark tenant add", add))


class Limit(click.ParamType[str]):
    """A whole number, or the word "default"."""

    name = "N|default"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Give the text as the administrator takes it."""
        text = str(value)
        if text not in {"", "default"} and not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
            self.fail(f"expected a whole number of up to 15 digits or 'default', not {text!r}", param, ctx)
        return text


@tenant.command("budget")
@click.argument("tenant_name", metavar="TENANT")
@click.option("--calls", type=Limit(), metavar="N|default", default="", help="Calls a day.")
@click.option(
    "--tokens",
    type=Limit(),
    metavar="N|default",
    default="",
    help="Tokens a day, in and out; one run sets some 16,000 aside.",
)
@in_folder
def tenant_budget(tenant_name: str, calls: str, tokens: str, data: Path) -> None:
    """Set what TENANT (its slug or id) may use of AI in a day (UTC), and print what holds.

    Beyond it, recommendations come from rules. "default" is as many as the service's settings say
    (DAYMARK_DAILY_CALLS, DAYMARK_DAILY_TOKENS); what is not given stays as it is.
    """

    async def save(administrator: Administrator) -> object:
        budget = await administrator.set_budget(tenant_name, calls, tokens)
        held = ["default" if limit is None else str(limit) for limit in (budget.calls, budget.tokens)]
        return f"{budget.tenant}: calls {held[0]}, tokens {held[1]} a day"

    click.echo(administer(data, "daymark tenant budget", save))


@click.group()
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

    click.echo(administer(data, "daymark user add", add))


@click.group()
def analyst() -> None:
    """Manage logins of psql that are pinned to one tenant."""


@analyst.command("add")
@click.argument("login", metavar="ROLE")
@click.argument("tenant_name", metavar="TENANT")
@in_folder
def analyst_add(login: str, tenant_name: str, data: Path) -> None:
    """Make the login ROLE, which reads TENANT and nothing else, and print its password, which is kept nowhere."""

    async def add(administrator: Administrator) -> object:
        return await add_analyst(administrator, login, tenant_name)

    click.echo(administer(data, "daymark analyst add", add))


@analyst.command("drop")
@click.argument("login", metavar="ROLE")
@in_folder
def analyst_drop(login: str, data: Path) -> None:
    """Drop the login ROLE and end its sessions."""

    async def drop(administrator: Administrator) -> object:
        await drop_analyst(administrator, login)
        return f"dropped {login}"

    click.echo(administer(data, "daymark analyst drop", drop))


@analyst.command("list")
@in_folder
def analyst_list(data: Path) -> None:
    """List the logins and the tenant that each is pinned to."""

    async def listed(administrator: Administrator) -> list[str]:
        return [f"{each.login}  {each.slug}" for each in await list_analysts(administrator)]

    for line in administer(data, "daymark analyst list", listed):
        click.echo(line)


@click.command()
@click.argument("tenant_name", metavar="TENANT")
@click.argument("email")
@click.option("--ttl", type=Duration(), default="1h", show_default=True, help="How long it is good for, 24h at most.")
@in_folder
def token(tenant_name: str, email: str, ttl: timedelta, data: Path) -> None:
    """Print a token of a user, signed with the configured secret, and nothing else."""
    with installation(data, "daymark token") as found:
        click.echo(asyncio.run(sign(found, tenant_name, email, ttl)))


async def sign(found: Installation, tenant: str, email: str, life: timedelta) -> str:
    """Sign a token of a user, found by tenant and e-mail address."""
    settings = found.settings
    tokens = Tokens(found.jwt_secret, own_issuer(settings), settings.jwt_audience)
    async with Administrator.connect(found.admin_url) as administrator:
        caller = await administrator.find_caller(tenant, email)
    try:
        return tokens.sign(caller, utc_now(), life)
    except ValueError as error:
        raise AdministratorError(str(error)) from error
