"""Rate limits: how many requests a person, an address or an account's log-ins may make within a window of time.

A window begins with its first use and ends a fixed time later. What is used of it is counted in Postgres, so that
however many processes there are, no more than the limit passes (sql/limits/save_use.sql). A process does not ask for
each request: of a large limit it takes many uses at once and spends them by itself, fewer the fewer are left, and one
at a time at the end, so that none are stranded while they matter. Of a very large one the first few of a window are
spent without asking at all: what is set aside for that, nobody is granted.

While the database is away, each process holds to the same numbers by itself. Whatever goes wrong with counting, no
request fails of it.
"""

import asyncio
import hashlib
import logging
import math
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress

from msgspec import Struct, field

from service.address import counted_as
from service.caller import NOBODY_YET, Caller
from service.database import Database
from service.errors import SessionEnded, TooManyRequests
from service.queries import DELETE_OLD_LIMITS, SAVE_RETURN, SAVE_USE
from service.setting_values import Rate, Secret
from service.settings import Settings

log = logging.getLogger(__name__)

# Of a limit of at least so many, a process spends so many of a window unasked: a person who asks a few times a minute,
# as nearly all do, costs no statement. Set aside for as many processes, in two windows each (one may end in another).
VERY_LARGE = 100_000
UNASKED = 16
PROCESSES = 32
SET_ASIDE = 2 * UNASKED * PROCESSES
# What a process takes at once: at most this part of the limit, which is what it strands where no more requests come to
# it, and this part of what is left.
PART_OF_LIMIT = 1_000
PART_OF_REST = 8

# Windows of one limit in a process: 8 MB. Beyond, those that are over are forgotten, or else whose subject has not come
# for longest.
MOST_KEPT = 20_000
LOOK_EVERY = 1.0  # seconds between two looks for what is over: one takes milliseconds
COUNTING_LIMIT = 1.0  # seconds that a request waits for its use to be counted
AWAY_FOR = 5.0  # seconds after a failure within which the database is not asked again
# Seconds for which a process believes that an account may not log in: another may have let somebody in since, whose
# try was given back.
REFUSAL_BELIEVED = 5.0
REFRESHES_A_LOGIN = 10  # of one address
TIDY_EVERY = 60.0  # seconds, give or take half


class Standing(Struct, frozen=True):
    """How somebody stands with a limit, after a use of it."""

    policy: str
    rate: Rate
    left: int
    """As far as this process knows."""
    ends_in: int
    """Seconds, rounded up, until the window ends."""


def headers_of(standings: Sequence[Standing]) -> list[tuple[bytes, bytes]]:
    """Spell RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10); none where nothing limits."""
    if not standings:
        return []
    policies = ", ".join(f'"{each.policy}";q={each.rate.count};w={each.rate.seconds}' for each in standings)
    left = ", ".join(f'"{each.policy}";r={each.left};t={each.ends_in}' for each in standings)
    return [(b"ratelimit-policy", policies.encode()), (b"ratelimit", left.encode())]


class LimitReached(TooManyRequests):
    """There were too many requests; `Retry-After` says when there may be more."""

    def __init__(self, standing: Standing) -> None:
        rate = standing.rate
        super().__init__(f"There may be {rate.count} of these within {rate.seconds} seconds", standing.ends_in)
        self.standing = standing


class _Window(Struct):
    """What this process knows of a subject's window; times are of the clock that only grows."""

    uses: int = 0
    """What it may spend without asking."""
    rest: int = 0
    """What there was besides, when it last asked."""
    ends: float = 0.0
    believed_until: float = 0.0
    waiting: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class _Limit:
    """A limit, and the windows of its subjects."""

    def __init__(
        self,
        policy: str,
        rate: Rate,
        clock: Callable[[], float],
        *,
        unasked: int = 0,
        believed: float = math.inf,
    ) -> None:
        self.policy, self.rate, self.clock, self.unasked, self.believed = policy, rate, clock, unasked, believed
        self.most = rate.count - SET_ASIDE if 0 < unasked < rate.count else rate.count
        # Who came last stands last.
        self._windows: OrderedDict[Hashable, _Window] = OrderedDict()
        self._look_at = 0.0

    def find(self, subject: Hashable) -> _Window:
        """Give the window of a subject, a fresh one where none is known."""
        window = self._windows.get(subject)
        if window is None:
            if len(self._windows) >= MOST_KEPT:
                self._make_room()
            window = self._windows[subject] = _Window()
        else:
            self._windows.move_to_end(subject)
        return window

    def _make_room(self) -> None:
        """Forget the windows that are over, or else that of whoever has not come for longest."""
        now = self.clock()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._drop_over(now)
        while len(self._windows) >= MOST_KEPT:
            self._windows.popitem(last=False)

    def _drop_over(self, now: float) -> None:
        for subject in [each for each, window in self._windows.items() if window.ends <= now and not window.waiting]:
            del self._windows[subject]

    def give_back(self, subject: Hashable) -> None:
        """Know that there is one use more to be had of a subject's window."""
        window = self._windows.get(subject)
        if window is not None:
            window.rest += 1

    def spend(self, window: _Window) -> Standing | None:
        """Spend a use that this process has; None where the database must be asked. Raises LimitReached."""
        now = self.clock()
        if window.believed_until <= now:
            if not self.unasked:
                return None
            self.begin(window, self.unasked, self.rate.count - self.unasked, now + self.rate.seconds)
        if window.uses:
            window.uses -= 1
            return self._standing(window, now)
        if window.rest:
            return None
        raise LimitReached(self._standing(window, now))

    def begin(self, window: _Window, uses: int, rest: int, ends: float) -> None:
        """Have a window begin, or go on, with what may be spent of it and what there is besides."""
        window.uses, window.rest, window.ends = uses, rest, ends
        window.believed_until = min(ends, self.clock() + self.believed)

    def wanted(self, window: _Window) -> int:
        """Say how many uses to ask for: all that are waited for, and some to come."""
        rest = window.rest if window.believed_until > self.clock() else self.most
        return max(1, window.waiting, min(rest // PART_OF_REST, self.rate.count // PART_OF_LIMIT))

    def stand_in(self, window: _Window) -> None:
        """Give out by this process alone what is left of a window, as far as it knows, or a whole one."""
        now = self.clock()
        if window.ends > now:
            self.begin(window, window.uses + window.rest, 0, window.ends)
        else:
            self.begin(window, self.rate.count, 0, now + self.rate.seconds)

    def _standing(self, window: _Window, now: float) -> Standing:
        return Standing(self.policy, self.rate, window.uses + window.rest, max(1, math.ceil(window.ends - now)))


class Limits:
    """The limits of one process, which share their counts with all others.

    What is counted is kept under digests, keyed with `secret`, which all processes have.
    """

    def __init__(
        self, database: Database, settings: Settings, secret: Secret, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._key = hashlib.sha256(secret.encode()).digest()
        self._clock = clock
        self._away_until = 0.0
        self._tidying: asyncio.Task[None] | None = None
        person, anonymous = settings.limit_person, settings.limit_anonymous
        self._person = _Limit("person", person, clock, unasked=UNASKED if person.count >= VERY_LARGE else 0)
        # Never asked for: whatever is thrown at what nobody needs a token for, it shall cost no statement.
        self._anonymous = _Limit("anonymous", anonymous, clock, unasked=anonymous.count)
        self._login = _Limit("login", settings.limit_login, clock, believed=REFUSAL_BELIEVED)
        address = settings.limit_login_address
        self._login_address = _Limit("login-address", address, clock)
        # Each open page refreshes, four times an hour, where its person logged in once.
        self._refresh = _Limit("refresh-address", Rate(REFRESHES_A_LOGIN * address.count, address.seconds), clock)

    def start(self) -> None:
        """Begin to remove, now and then, what is over."""
        self._tidying = asyncio.create_task(self._tidy())

    async def close(self) -> None:
        """End that."""
        if self._tidying is not None:
            self._tidying.cancel()
            with suppress(asyncio.CancelledError):
                await self._tidying

    async def take_person(self, caller: Caller) -> list[Standing]:
        """Count a request of a person; nothing where the limit is off. Raises LimitReached."""
        subject = caller.tenant_id.int, caller.user_id.int
        return await self._take(self._person, subject, caller, caller.user_id.bytes)

    def take_anonymous(self, address: str) -> list[Standing]:
        """Count a request of who is nobody, in this process alone; raises as take_person does."""
        limit = self._anonymous
        if not limit.rate.count:
            return []
        standing = limit.spend(limit.find(counted_as(address)))
        assert standing is not None  # noqa: S101 - all uses of this limit are unasked
        return [standing]

    async def take_login(self, account: str, address: str) -> list[Standing]:
        """Count a try to log in to an account, before its password is looked at; raises as take_person does.

        `account` is whatever names it, in one spelling, whether there is one or not. Whose address is refused spends
        nothing of the account's. Whoever tries an account as often as its limit has locked it, for its owner too, until
        the window ends.

        Gives how the address stands. How the account does, only a refusal tells: it would say when its owner logs in.
        """
        standings = await self._take_by_address(self._login_address, address)
        await self._take(self._login, account, NOBODY_YET, account.encode())
        return standings

    async def give_back_login(self, account: str) -> None:
        """Give an account back the try that was counted last: it was a login, or was not looked at."""
        if not self._login.rate.count:
            return
        try:
            async with asyncio.timeout(COUNTING_LIMIT), self._database.transaction(NOBODY_YET) as transaction:
                subject = self._digest(self._login, account.encode())
                await transaction.fetch(SAVE_RETURN, subject=subject, most=self._login.most)
        except Exception as error:  # noqa: BLE001 - who has logged in shall not fail of it; the window ends by itself
            log.warning("a try to log in could not be given back: %r", error)
        # After the database, which would else be asked before it knows.
        self._login.give_back(account)

    async def take_refresh(self, address: str) -> list[Standing]:
        """Count the use of a refresh token, before it is looked for; raises as take_person does."""
        return await self._take_by_address(self._refresh, address)

    async def _take_by_address(self, limit: _Limit, address: str) -> list[Standing]:
        counted = counted_as(address)
        return await self._take(limit, counted, NOBODY_YET, counted.encode())

    async def _take(self, limit: _Limit, subject: Hashable, caller: Caller, name: bytes) -> list[Standing]:
        if not limit.rate.count:
            return []
        window = limit.find(subject)
        standing = limit.spend(window)
        if standing is None:
            window.waiting += 1
            try:
                async with window.lock:
                    while (standing := limit.spend(window)) is None:
                        await self._ask(limit, window, caller, name)
            finally:
                window.waiting -= 1
        return [standing]

    async def _ask(self, limit: _Limit, window: _Window, caller: Caller, name: bytes) -> None:
        """Take uses for all who wait, or stand in for the database."""
        began, rate = self._clock(), limit.rate
        if began < self._away_until:
            limit.stand_in(window)
            return
        try:
            async with asyncio.timeout(COUNTING_LIMIT), self._database.transaction(caller) as transaction:
                [row] = await transaction.fetch(
                    SAVE_USE,
                    subject=self._digest(limit, name),
                    wanted=limit.wanted(window),
                    most=limit.most,
                    seconds=rate.seconds,
                )
        except SessionEnded:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with counting, no request fails of it
            log.warning("limits are counted in this process alone for %.0f s: %r", AWAY_FOR, error)
            self._away_until = self._clock() + AWAY_FOR
            limit.stand_in(window)
        else:
            # From when it was asked on, so that nothing is spent that was granted in a window which is over.
            limit.begin(window, row["granted"], row["remaining"], began + row["ends_in"])

    def _digest(self, limit: _Limit, name: bytes) -> bytes:
        return hashlib.blake2b(name, key=self._key, person=limit.policy.encode(), digest_size=32).digest()

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_EVERY * random.uniform(0.5, 1.5))  # noqa: S311 - so that processes take turns
            try:
                await self._database.read(NOBODY_YET, DELETE_OLD_LIMITS)
            except Exception as error:  # noqa: BLE001 - tried again in a minute, and nobody waits for it
                log.warning("limits that are over could not be removed: %r", error)
