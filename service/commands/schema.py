"""`daymark migrate`, `daymark seal` and `daymark doctor`: the schema, and whether it stands as it should."""

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import rich_click as click

from service import migrating, snapshot
from service.administrator import Administrator
from service.commands.options import administer, in_folder
from service.doctor import Finding, examine, failed, render
from service.installation import installation, keep_seal_key, with_seal_key
from service.runtime import utc_now
from service.settings import keep_secret, new_secret


@click.group()
def migrate() -> None:
    """Change the database's schema, and say how it stands."""


@migrate.command("up")
@in_folder
def migrate_up(data: Path) -> None:
    """Apply every pending migration, and make the months of scores ahead."""
    with installation(data, "daymark migrate up") as found:
        applied = migrating.up(found.admin_url)
        asyncio.run(keep_seal_key(found))
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


@migrate.command("check")
@in_folder
def migrate_check(data: Path) -> None:
    """Say what a deployment has to know, for CI; exit 1 where there is anything.

    That is: a migration that is pending, altered since it was applied, or applied and missing here; a lock that a
    killed run of yoyo left behind; a live schema that is not the one that this release's migrations make.
    """
    with installation(data, "daymark migrate check") as found:
        faults = migrating.check(found.admin_url)
        # While something is pending, the schema cannot be the snapshot: its lines would say the same at length.
        if not any(fault.startswith("pending") for fault in faults):
            faults += snapshot.differences(found.admin_url)
    for line in faults:
        click.echo(line)
    if faults:
        sys.exit(1)
    click.echo("the migrations and the live schema are as this release has them")


@migrate.command("snapshot")
@in_folder
def migrate_snapshot(data: Path) -> None:
    """Make the live schema the snapshot that `check` compares with: after a new migration, in a checkout."""
    with installation(data, "daymark migrate snapshot") as found:
        snapshot.write(found.admin_url)
    click.echo(os.path.relpath(snapshot.SNAPSHOT))


@click.group()
def seal() -> None:
    """Manage the key that contexts are sealed with."""


@seal.command("rotate")
@in_folder
def seal_rotate(data: Path) -> None:
    """Make a new key, let the database hold it beside the present one, and print the setting to deploy.

    Services that still seal with the present key go on; the key before that one is deleted.
    """
    with installation(data, "daymark seal rotate") as found:
        secret = new_secret()
        # The database first: a service that began with the new key before it knew it would be refused.
        asyncio.run(keep_seal_key(with_seal_key(found, secret)))
        if found.embedded:
            keep_secret(data, "seal-key", secret)
    click.echo(f"DAYMARK_SEAL_KEY={secret!s}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines: a list of objects.")
@in_folder
def doctor(as_json: bool, data: Path) -> None:
    """Check the wall between tenants on the live database, a line for each check; exit 1 where one fails."""

    async def examined(administrator: Administrator) -> list[Finding]:
        return await examine(administrator.connection, utc_now())

    findings = administer(data, "daymark doctor", examined)
    click.echo(msgspec.json.encode(findings) if as_json else render(findings))
    if failed(findings):
        sys.exit(1)
