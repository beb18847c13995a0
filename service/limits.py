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
import random
import time
from collections.abc import Callable, Hashable
from contextlib import suppress

from service.address import counted_as
from service.caller import NOBODY_YET, Caller
from service.database import Database
from service.errors import SessionEnded
from service.queries import DELETE_OLD_LIMITS, SAVE_RETURN, SAVE_USE
from service.setting_values import Rate, Secret
from service.settings import Settings
from service.windows import UNASKED, VERY_LARGE, Limit, Standing, Window

log = logging.getLogger(__name__)

COUNTING_LIMIT = 1.0  # seconds that a request waits for its use to be counted
AWAY_FOR = 5.0  # seconds after a failure within which the database is not asked again
# Seconds for which a process believes that an account may not log in: another may have let somebody in since, whose
# try was given back.
REFUSAL_BELIEVED = 5.0
REFRESHES_A_LOGIN = 10  # of one address
TIDY_EVERY = 60.0  # seconds, give or take half


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
        unasked = UNASKED if person.count >= VERY_LARGE else 0
        self._person = Limit("person", person, clock, unasked=unasked)
        # Of its own: who has used up their requests can still log out.
        self._leaving = Limit("leaving", person, clock, unasked=unasked)
        # Never asked for: whatever is thrown at what nobody needs a token for, it shall cost no statement.
        self._anonymous = Limit("anonymous", anonymous, clock, unasked=anonymous.count)
        self._login = Limit("login", settings.limit_login, clock, believed=REFUSAL_BELIEVED)
        address = settings.limit_login_address
        self._login_address = Limit("login-address", address, clock)
        # Each open page refreshes, four times an hour, where its person logged in once.
        self._refresh = Limit("refresh-address", Rate(REFRESHES_A_LOGIN * address.count, address.seconds), clock)

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

    async def take_leaving(self, caller: Caller) -> list[Standing]:
        """Count a request of a person that only takes away what is their own; raises as take_person does."""
        subject = caller.tenant_id.int, caller.user_id.int
        return await self._take(self._leaving, subject, caller, caller.user_id.bytes)

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

    async def _take_by_address(self, limit: Limit, address: str) -> list[Standing]:
        counted = counted_as(address)
        return await self._take(limit, counted, NOBODY_YET, counted.encode())

    async def _take(self, limit: Limit, subject: Hashable, caller: Caller, name: bytes) -> list[Standing]:
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

    async def _ask(self, limit: Limit, window: Window, caller: Caller, name: bytes) -> None:
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

    def _digest(self, limit: Limit, name: bytes) -> bytes:
        return hashlib.blake2b(name, key=self._key, person=limit.policy.encode(), digest_size=32).digest()

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_EVERY * random.uniform(0.5, 1.5))  # noqa: S311 - so that processes take turns
            try:
                await self._database.read(NOBODY_YET, DELETE_OLD_LIMITS)
            except Exception as error:  # noqa: BLE001 - tried again in a minute, and nobody waits for it
                log.warning("limits that are over could not be removed: %r", error)
