"""`daymark user password`, `user role` and `daymark session`: how people get in, and are put out."""

import sys
from pathlib import Path
from uuid import UUID

import rich_click as click

from service.accounts import list_sessions, revoke_sessions, set_password, set_role
from service.administrator import Administrator
from service.commands.options import administer, in_folder
from service.commands.people import user
from service.runtime import utc_now


@user.command("password")
@click.argument("tenant_name", metavar="TENANT")
@click.argument("email")
@in_folder
def user_password(tenant_name: str, email: str, data: Path) -> None:
    """Set the password of a user of TENANT (its slug or id), and end all their sessions.

    Asks for it twice, or reads one line where standard input is no terminal.
    """
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")

    async def save(administrator: Administrator) -> object:
        return await set_password(administrator, tenant_name, email, password, utc_now())

    ended = administer(data, "daymark user password", save)
    click.echo(f"password set; sessions ended: {ended}")


@user.command("role")
@click.argument("tenant_name", metavar="TENANT")
@click.argument("email")
@click.argument("role", type=click.Choice(["member", "admin"]))
@in_folder
def user_role(tenant_name: str, email: str, role: str, data: Path) -> None:
    """Set the ROLE of a user of TENANT (its slug or id); where it is another than before, end all their sessions."""

    async def save(administrator: Administrator) -> object:
        return await set_role(administrator, tenant_name, email, role, utc_now())

    ended = administer(data, "daymark user role", save)
    click.echo(f"{role}; sessions ended: {ended}")


@click.group()
def session() -> None:
    """See who is logged in, and put them out."""


@session.command("list")
@click.argument("tenant_name", metavar="TENANT")
@click.argument("email", required=False)
@in_folder
def session_list(tenant_name: str, email: str | None, data: Path) -> None:
    """List the open sessions of TENANT (its slug or id), or of one of its users, newest first: a line each."""

    async def listed(administrator: Administrator) -> list[str]:
        return [
            f"{each.session_id}  {each.email or '-'}  since {each.created_at:%Y-%m-%d %H:%M}"
            f"  used {each.used_at:%Y-%m-%d %H:%M}  {each.address or '-'}  {_printable(each.agent)}"
            for each in await list_sessions(administrator, tenant_name, email, utc_now())
        ]

    for line in administer(data, "daymark session list", listed):
        click.echo(line)


@session.command("revoke")
@click.argument("tenant_name", metavar="TENANT")
@click.argument("which", metavar="EMAIL|SESSION", required=False)
@click.option("--all", "everybody", is_flag=True, help="End the sessions of everybody in TENANT.")
@in_folder
def session_revoke(tenant_name: str, which: str | None, everybody: bool, data: Path) -> None:
    """End a session of TENANT by its id, or all those of a user; their tokens stop working at once."""
    if everybody == (which is not None):
        raise click.UsageError("expected a user's e-mail address, a session's id, or --all")
    session_id = _as_id(which)
    email = which if session_id is None else None

    async def revoke(administrator: Administrator) -> int:
        return await revoke_sessions(administrator, tenant_name, email, session_id, utc_now())

    ended = administer(data, "daymark session revoke", revoke)
    click.echo(f"sessions ended: {ended}")
    if session_id is not None and not ended:
        sys.exit(1)


def _as_id(which: str | None) -> UUID | None:
    try:
        return UUID(which) if which else None
    except ValueError:
        return None


def _printable(agent: str | None) -> str:
    # Whoever logs in says what they are: nothing that moves a terminal's cursor.
    return "-" if agent is None else "".join(each if each.isprintable() else "?" for each in agent)
