"""What happens to a person's days: found, stored, deleted."""

import datetime as dt
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from service.caller import Caller
from service.database import Database
from service.errors import InvalidRequest, NoData, Wrong
from service.patterns.analysis import Day, Pattern, analyse
from service.queries import DELETE_PATTERN, LIST_PATTERNS, SAVE_CALLER, SAVE_PATTERNS


class Stored(Struct):
    """How many days were stored: so many that were new, so many that replaced another."""

    stored: int
    created: int
    replaced: int


class Found(Struct, frozen=True):
    """Recorded days of a window, oldest first, and what names them as they are just now."""

    revision: str
    days: list[Day]


async def find_pattern(
    database: Database, caller: Caller, now: dt.datetime, days: int, until: dt.date | None = None
) -> Pattern:
    """Find what the caller's recorded days say, `days` of them up to `until`, or up to their today.

    Raises NoData where nothing is recorded in that window, and Unavailable.
    """
    return analyse((await find_days(database, caller, now, days, until)).days)


async def find_days(  # noqa: PLR0913, PLR0917 - a window is told by four
    database: Database, caller: Caller, now: dt.datetime, days: int, until: dt.date | None, known: Sequence[str] = ()
) -> Found:
    """Find the caller's recorded days, as find_pattern does; none of them where their revision is one of `known`."""
    rows = await database.read(
        caller, LIST_PATTERNS, days=days, until="" if until is None else until.isoformat(), now=now, known=known
    )
    if not rows:
        raise NoData
    revision = rows[0]["revision"]
    return Found(revision, [] if revision in known else msgspec.convert(rows, list[Day]))


async def store_days(
    database: Database, caller: Caller, now: dt.datetime, days: Sequence[Day], pointer: str = "/{}/date"
) -> Stored:
    """Store the caller's days, all or none; one that is there already is replaced.

    A caller whom the database has not met is made a user of their tenant first. `pointer` says where in the request a
    day's date stands, by its position.

    Raises InvalidRequest for days in the caller's future and for the same day twice, UnknownTenant and Unavailable.
    """
    async with database.transaction(caller) as transaction:
        [person] = await transaction.fetch(SAVE_CALLER, now=now)
        wrongs = _find_wrongs(days, person["today"])
        if wrongs:
            raise InvalidRequest(errors=[Wrong(said, pointer=pointer.format(position)) for position, said in wrongs])
        rows = await transaction.fetch(
            SAVE_PATTERNS,
            dates=[day.date for day in days],
            energies=[day.energy for day in days],
            focuses=[day.focus for day in days],
            fulfillments=[day.fulfillment for day in days],
            now=now,
        )
    created = sum(row["created"] for row in rows)
    return Stored(stored=len(rows), created=created, replaced=len(rows) - created)


def _find_wrongs(days: Sequence[Day], today: dt.date) -> list[tuple[int, str]]:
    first: dict[dt.date, int] = {}
    wrongs: list[tuple[int, str]] = []
    for position, day in enumerate(days):
        if day.date > today:
            wrongs.append((position, f"{day.date} is in the future: it is {today} where this person lives"))
        if first.setdefault(day.date, position) != position:
            wrongs.append((position, f"{day.date} is in this list already, at {first[day.date]}"))
    return wrongs


async def delete_day(database: Database, caller: Caller, day: dt.date) -> bool:
    """Delete one of the caller's days; False where there was none. Raises Unavailable."""
    async with database.transaction(caller) as transaction:
        [row] = await transaction.fetch(DELETE_PATTERN, date=day)
        return bool(row["deleted"])
