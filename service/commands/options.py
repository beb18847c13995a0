"""What several commands take."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from service.administrator import Administrator
from service.installation import installation

T = TypeVar("T")

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


class Duration(click.ParamType[timedelta]):
    """A length of time such as 90s, 15m, 1h or 1d; a bare number is seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse it."""
        match = DURATION.fullmatch(str(value))
        if not match:
            self.fail(f"expected a duration such as 90s, 15m, 1h or 1d, not {value!r}", param, ctx)
        return timedelta(seconds=int(match[1]) * SECONDS[match[2]])


def administer(data: Path, purpose: str, work: Callable[[Administrator], Awaitable[T]]) -> T:
    """Do `work` as the administrator of the installation that the settings or `data` name."""

    async def connected(url: str) -> T:
        async with Administrator.connect(url) as administrator:
            return await work(administrator)

    with installation(data, purpose) as found:
        return asyncio.run(connected(found.admin_url))
