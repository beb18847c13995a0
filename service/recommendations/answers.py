"""Answers out of what is kept, without their rows where those are known already: one round trip all the same.

Postgres is asked each time, behind the wall, and says of which revision a person's recommendations are. It gives the
rows only where that is neither what this process gave the person last nor what they say they have.
"""

import datetime as dt
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from service.caller import Caller
from service.conditional import form_of, is_named, revisions_named, tag_of
from service.database import Database
from service.queries import LIST_FRESH_RECOMMENDATIONS
from service.recommendations.answer import answer_of
from service.recommendations.batch import Batch, Keeping, batch_of

MOST_REMEMBERED = 4_096  # answers: 10 MB


class Answer(Struct, frozen=True):
    """What a person is answered with: its tag, for how long it is good, and its JSON; None where they have it."""

    tag: str
    expires_at: dt.datetime
    body: bytes | None


class _Given(Struct, frozen=True):
    """What a person was given last."""

    revision: str
    body: bytes


class Answers:
    """Answers out of what `database` keeps. It remembers those that it gave last, as JSON, and never gives one unasked.

    One object for each process. A remembered answer is found by its caller, and given only where Postgres has just
    named its revision to that very caller: it can be neither outdated nor another's.
    """

    def __init__(self, database: Database, keeping: Keeping) -> None:
        self._database = database
        self._keeping = keeping
        self._form = form_of(keeping)
        self._given: dict[Caller, _Given] = {}

    async def find(self, caller: Caller, now: dt.datetime, if_none_match: Sequence[str]) -> Answer | None:
        """Find the caller's answer; None where there are no fresh recommendations. Raises Unavailable."""
        given = self._given.get(caller)
        known = revisions_named(if_none_match, self._form)
        if given is not None:
            known.append(given.revision)
        rows = await self._database.read(
            caller, LIST_FRESH_RECOMMENDATIONS, stale_before=self._keeping.stale_before(now), known=known
        )
        if not rows:
            return None
        newest = rows[0]
        expires_at = self._keeping.expiry_of(newest["newest_at"], fallback=newest["newest_fallback"])
        if expires_at <= now:
            return None
        revision = newest["revision"]
        if newest["id"] is not None and (batch := batch_of(rows, now, self._keeping)):
            given = self._remember(caller, batch)
        tag = tag_of(revision, self._form)
        if given is None or given.revision != revision or is_named(tag, if_none_match):
            return Answer(tag, expires_at, None)
        return Answer(tag, expires_at, given.body)

    def tag_of(self, batch: Batch) -> str | None:
        """Give the tag of a batch's answer where it is the one that `find` gives; None for any other."""
        return tag_of(batch.revision, self._form) if batch.revision and not batch.stale else None

    def _remember(self, caller: Caller, batch: Batch) -> _Given:
        given = _Given(batch.revision, msgspec.json.encode(answer_of(batch, None)))
        self._given.pop(caller, None)
        while len(self._given) >= MOST_REMEMBERED:
            del self._given[next(iter(self._given))]  # the one that has not changed for longest
        self._given[caller] = given
        return given
