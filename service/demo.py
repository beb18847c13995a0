"""Made-up data at any size, for trials and benchmarks: tenants, their people, their last days and recommendations.

What a run saves is whole for each parcel of people, and a run adds only what is missing: one that was stopped is
finished by running it again.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

from asyncpg import Record
from msgspec import Struct, json

from service.administrator import Administrator, AdministratorError, Person
from service.patterns.analysis import Day, Pattern, analyse
from service.queries import LIST_DEMO_WEEKS, SAVE_DEMO_RECOMMENDATIONS
from service.recommendations.advice import Advice, History
from service.recommendations.batch import based_on
from service.recommendations.rules import MOST, Rules, Taste, habits_of, pieces_on, recommend
from service.recommendations.story import WINDOW_DAYS

# As many as keep two cores busy: while one waits for Postgres, the other has its recommendations made here.
CONNECTIONS = 2
# What is saved together. Postgres keeps a note for each row until the statement's end, to look its person up then.
MOST_PEOPLE = 1_000
MOST_ROWS = 100_000


class Size(Struct, frozen=True):
    """How much there is to be: so many tenants, people in each of them, and days of each person."""

    tenants: int
    people: int
    days: int


class Saved(Struct, frozen=True):
    """What was missing for so many people, and is there now."""

    people: int = 0
    days: int = 0
    recommendations: int = 0

    def __add__(self, other: "Saved") -> "Saved":
        return Saved(self.people + other.people, self.days + other.days, self.recommendations + other.recommendations)


async def load(url: str, size: Size, clock: Callable[[], dt.datetime], tell: Callable[[Saved], None]) -> None:
    """Load the tenants demo-1, demo-2 and so on at `url` (the administrator's); tell of each parcel that is saved.

    Raises AdministratorError. Cancelled, it leaves whole parcels.
    """
    tenants = iter(range(1, size.tenants + 1))
    async with AsyncExitStack() as connections:
        # A parcel may take longer than a request may.
        administrators = [
            await connections.enter_async_context(Administrator.connect(url, command_timeout=None))
            for _ in range(min(CONNECTIONS, size.tenants))
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for administrator in administrators:
                    group.create_task(_load_some(administrator, tenants, size, clock, tell))
        except* AdministratorError as errors:
            raise errors.exceptions[0] from errors


async def _load_some(
    administrator: Administrator,
    tenants: Iterator[int],
    size: Size,
    clock: Callable[[], dt.datetime],
    tell: Callable[[Saved], None],
) -> None:
    """Load one tenant after the other, for as long as there are any that no other connection has taken."""
    await administrator.execute("set synchronous_commit = off")
    for number in tenants:
        for people in parcels(number, size):
            tell(await save_parcel(administrator, f"demo-{number}", people, size.days, clock()))


def parcels(tenant: int, size: Size) -> Iterator[list[Person]]:
    """Divide a tenant's people into what is saved together."""
    at_once = min(MOST_PEOPLE, max(1, MOST_ROWS // size.days))
    for first in range(1, size.people + 1, at_once):
        last = min(first + at_once - 1, size.people)
        yield [Person(f"person-{number}@demo-{tenant}.test") for number in range(first, last + 1)]


async def save_parcel(
    administrator: Administrator, slug: str, people: list[Person], days: int, now: dt.datetime
) -> Saved:
    """See that some people of a tenant, their days, and five recommendations of each are there: all of it, or none."""
    async with administrator.transaction():
        saved_days = await administrator.fill_tenant(slug, people, days, now)
        found = await administrator.find_tenant(slug)
        weeks = await administrator.run(
            LIST_DEMO_WEEKS,
            tenant_id=found.tenant_id,
            emails=[person.email for person in people],
            days=WINDOW_DAYS,
            now=now,
        )
        batches = [(week["user_id"], _pattern(week)) for week in weeks]
        rows = [
            (user_id, position, pattern, piece)
            for user_id, pattern in batches
            for position, piece in enumerate(five_pieces(pattern), 1)
        ]
        [row] = await administrator.run(
            SAVE_DEMO_RECOMMENDATIONS,
            tenant_id=found.tenant_id,
            user_ids=[user_id for user_id, _, _, _ in rows],
            positions=[position for _, position, _, _ in rows],
            generated_at=now,
            engine=Rules.name,
            based_ons=[_jsonb(based_on(pattern)) for _, _, pattern, _ in rows],
            recommendations=[piece.recommendation for _, _, _, piece in rows],
            reasonings=[piece.reasoning for _, _, _, piece in rows],
            data_points=[_jsonb(piece.data_point) for _, _, _, piece in rows],
            topics=[piece.topic for _, _, _, piece in rows],
        )
    return Saved(len(people), saved_days, row["saved"])


def _pattern(week: Record) -> Pattern:
    columns = (week["dates"], week["energies"], week["focuses"], week["fulfillments"])
    return analyse([Day(*scores) for scores in zip(*columns, strict=True)])


def five_pieces(pattern: Pattern) -> list[Advice]:
    """What the rules recommend, and where that is less than five pieces, more of their habits: rows of an even size."""
    taste = Taste(History())
    pieces = recommend(pattern)
    habits = [piece for habit in habits_of(pattern) for piece in pieces_on(habit, taste)]
    while len(pieces) < MOST and (habit := taste.best(habits, pieces)):
        pieces.append(habit)
    return pieces


def _jsonb(value: object) -> str:
    return json.encode(value).decode()
