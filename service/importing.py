"""Take many people's days into a tenant: what `daymark import` does, as the administrator.

Every line is looked at before any is stored. The good ones wait in a temporary table, so that neither their number nor
that of the people takes memory here, and Postgres finds the days that are given twice.

What is stored already as the file has it is left alone. So an import that was killed can be run again from the start:
it ends as if it had never been killed, and goes quickly over what is there.
"""

import datetime as dt
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Literal
from uuid import UUID

from msgspec import Struct

from service.administrator import Administrator
from service.dayfile import DayFileError, Faults, GivenDay, Lines, shown
from service.queries import LIST_PEOPLE, Query

BATCH = 10_000  # lines looked at together
SLICE = 50_000  # days stored together: Postgres keeps a note of each until the statement's end
MOST_PEOPLE = 50_000  # kept in memory; whoever is forgotten is asked for again
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SURROGATE = re.compile("[\ud800-\udfff]")
LONGEST_NAME = 254

Stage = Literal["reading", "storing"]
Tell = Callable[[Stage, int], None]


def _own(text: str, *parameters: str) -> Query:
    """Make a query that is no file of `sql/`, and need not run in psql: its table lasts as long as an import."""
    return Query("importing", text, parameters, "", ())


MAKE_CHECKED = (
    "create temporary table checked"
    " (line bigint, user_id uuid, date date, energy smallint, focus smallint, fulfillment smallint)"
)
SAVE_CHECKED = _own(
    """
    insert into pg_temp.checked (line, user_id, date, energy, focus, fulfillment)
    select line, user_id, date, energy, focus, fulfillment
    from unnest($1::bigint[], $2::uuid[], $3::date[], $4::smallint[], $5::smallint[], $6::smallint[])
        as given (line, user_id, date, energy, focus, fulfillment)
    """,
    *("lines", "user_ids", "dates", "energies", "focuses", "fulfillments"),
)
# In the order of the key: so are they stored fastest, and two imports wait for each other rather than deadlock.
MAKE_SORTED = """
    create temporary table sorted as
    select
        row_number() over (order by user_id, date, line) as position,
        first_value(line) over (partition by user_id, date order by line) as first_line,
        line,
        user_id,
        date,
        energy,
        focus,
        fulfillment
    from pg_temp.checked;
    create unique index on pg_temp.sorted (position);
    drop table pg_temp.checked
"""
LIST_REPEATED = _own(
    """
    select line, first_line, date, count(*) over () as repeated
    from pg_temp.sorted
    where line <> first_line
    order by line
    limit $1
    """,
    "most",
)
COUNT_SORTED = _own("select count(*) as sorted from pg_temp.sorted")
SAVE_SORTED = _own(
    """
    with good as (
        select user_id, date, energy, focus, fulfillment, position
        from pg_temp.sorted
        where position > $3::bigint
          and position <= $4::bigint
          and line = first_line
    ),

    saved as (
        insert into app.pattern_data as recorded (tenant_id, user_id, date, energy, focus, fulfillment, recorded_at)
        select $1::uuid, user_id, date, energy, focus, fulfillment, $2::timestamptz
        from good
        order by position
        on conflict (tenant_id, user_id, date) do update
        set energy = excluded.energy,
            focus = excluded.focus,
            fulfillment = excluded.fulfillment,
            recorded_at = excluded.recorded_at,
            revision = recorded.revision + 1
        where (recorded.energy, recorded.focus, recorded.fulfillment)
            is distinct from (excluded.energy, excluded.focus, excluded.fulfillment)
        returning recorded.revision = 1 as created
    )
    select
        (select count(*) from good) as given,
        count(*) filter (where created) as created,
        count(*) filter (where not created) as replaced
    from saved
    """,
    *("tenant_id", "now", "after", "last"),
)


class Outcome(Struct):
    """What became of a file's lines, so far."""

    good: int = 0
    """Days that may be stored."""
    stored: int = 0
    """Of these, how many are in: new ones, ones that replaced another, and ones that were there, just the same."""
    created: int = 0
    replaced: int = 0

    @property
    def unchanged(self) -> int:
        """How many of the stored ones were there, just the same."""
        return self.stored - self.created - self.replaced


class Person(Struct, frozen=True):
    """One of the tenant's users; `today` is by their own calendar."""

    user_id: UUID
    today: dt.date


class DayImport:
    """One import into one tenant, on a connection of its own.

    `now` is when its days are recorded; `outcome` is kept up to date.
    """

    def __init__(
        self, administrator: Administrator, tenant_id: UUID, now: dt.datetime, outcome: Outcome, tell: Tell
    ) -> None:
        self._outcome = outcome
        self._administrator = administrator
        self._tenant_id = tenant_id
        self._now = now
        self._tell = tell
        self._people: dict[str, Person | None] = {}

    async def check(self, lines: Lines, faults: Faults) -> None:
        """Look at every line, add what is wrong to `faults`, and have the good ones ready. Nothing is stored yet.

        Raises DayFileError, also where there is no line at all, and AdministratorError.
        """
        await self._administrator.execute(MAKE_CHECKED)
        read = 0
        while batch := list(islice(lines, BATCH)):
            await self._check_batch(batch, faults)
            read += len(batch)
            self._tell("reading", read)
        if not read and not faults.count:
            raise DayFileError("holds no day")
        await self._administrator.execute(MAKE_SORTED)
        await self._find_repeated(faults)

    async def _check_batch(self, batch: Sequence[tuple[int, GivenDay]], faults: Faults) -> None:
        await self._find_people({day.user for _, day in batch})
        rows: list[tuple[int, UUID, dt.date, int, int, int]] = []
        for line, day in batch:
            person = self._people[day.user]
            if person is None:
                faults.add(line, f"user: there is no {shown(day.user)} in this tenant")
            elif day.date > person.today:
                faults.add(line, f"date: {day.date} is in the future: it is {person.today} where this person lives")
            else:
                rows.append((line, person.user_id, day.date, day.energy, day.focus, day.fulfillment))
        if rows:
            columns = zip(*rows, strict=True)
            await self._administrator.run(
                SAVE_CHECKED, **dict(zip(SAVE_CHECKED.plain_parameters, columns, strict=True))
            )
            self._outcome.good += len(rows)

    async def _find_people(self, names: set[str]) -> None:
        """Know who these names are: those of one batch at least, and of those before it while there is room."""
        if len(self._people) > MOST_PEOPLE:
            self._people.clear()
        unknown = names - self._people.keys()
        if not unknown:
            return
        ids = {name: name.lower() for name in unknown if ID.fullmatch(name.lower())}
        emails = [name for name in unknown if name not in ids and _may_be_an_address(name)]
        rows = await self._administrator.run(
            LIST_PEOPLE, tenant_id=self._tenant_id, ids=list(ids.values()), emails=emails, now=self._now
        )
        found = {row["named"]: Person(row["user_id"], row["today"]) for row in rows}
        self._people |= {name: found.get(ids.get(name, name)) for name in unknown}

    async def _find_repeated(self, faults: Faults) -> None:
        rows = await self._administrator.run(LIST_REPEATED, most=faults.KEPT)
        for row in rows:
            said = f"date: {row['date']} stands at line {row['first_line']} already for this person"
            faults.keep(row["line"], said)
        repeated = rows[0]["repeated"] if rows else 0
        faults.count += repeated
        self._outcome.good -= repeated

    async def store(self, *, whole: bool) -> None:
        """Store the days that were found good: `whole`, all of them or none; else so many at a time.

        Raises AdministratorError.
        """
        async with self._administrator.transaction() if whole else nullcontext():
            [row] = await self._administrator.run(COUNT_SORTED)
            for after in range(0, row["sorted"], SLICE):
                [saved] = await self._administrator.run(
                    SAVE_SORTED, tenant_id=self._tenant_id, now=self._now, after=after, last=after + SLICE
                )
                self._outcome.stored += saved["given"]
                self._outcome.created += saved["created"]
                self._outcome.replaced += saved["replaced"]
                self._tell("storing", self._outcome.stored)


def _may_be_an_address(name: str) -> bool:
    """Whether Postgres may be asked for it: it takes no NUL, and half a surrogate pair is no character."""
    return "@" in name and len(name) <= LONGEST_NAME and "\0" not in name and not SURROGATE.search(name)
