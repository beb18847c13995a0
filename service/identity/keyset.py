"""The keys of one identity provider: fetched by one for all, renewed before they are old, kept while it is away."""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from msgspec import Struct

from service.errors import ProviderUnavailable
from service.identity.fetching import Fetched, FetchError
from service.identity.keys import Key, read_keys

log = logging.getLogger(__name__)

TRIES = 2


class Pace(Struct, frozen=True):
    """When keys are fetched. All in seconds."""

    usual: float = 300
    """How long a set is fresh, if its provider does not say."""
    shortest: float = 60
    longest: float = 3_600
    """How long it is fresh, whatever its provider says (Cache-Control: max-age)."""
    cool_down: float = 30
    """Within this time, keys that are not known have a set fetched twice (TRIES) at most, however many ask for them.

    Twice, since the first fetch may have begun just before the provider published the key.
    """
    first_pause: float = 1
    longest_pause: float = 60
    """How long a provider that failed is left alone: doubled at each failure in a row."""
    kept: float = 86_400
    """How long a set is used that could not be renewed."""


class KeySet:
    """The keys of `issuer`, which `fetch` fetches; `gone` is told of each that is no longer one of them.

    `clock` tells seconds that only grow. Nothing of it is for several threads.
    """

    def __init__(
        self,
        issuer: str,
        fetch: Callable[[], Awaitable[Fetched]],
        gone: Callable[[Key], None],
        *,
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer = issuer
        self._fetch = fetch
        self._gone = gone
        self._pace = pace
        self._clock = clock
        self._keys: list[Key] = []
        self._fetched_at: float | None = None
        self._due = -math.inf
        self._moved = asyncio.Event()
        """It is due at another time now: a failure that a caller met is made good before the set would be old."""
        self._failures = 0
        self._asked: deque[float] = deque(maxlen=TRIES)
        self._flight: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None

    def find(self, algorithm: str, key_id: str | None) -> Key | None:
        """Find the one key that may check such a token; None where there is none, or no telling which of several."""
        self._drop_if_too_old()
        fitting = [key for key in self._keys if key.fits(algorithm, key_id)]
        return fitting[0] if len(fitting) == 1 else None

    async def learn(self, algorithm: str, key_id: str | None) -> None:
        """Have the set fetched, for a token whose key it does not have, unless that was done just now.

        Raises ProviderUnavailable where it cannot be: whether that key is one of the provider's is not known.
        """
        if self._flight is not None:
            await asyncio.shield(self._flight)
            if self.find(algorithm, key_id) is not None:
                return
        if self._flight is None:
            self._raise_if_failing()
            if not self._may_ask():
                return
        await asyncio.shield(self._fly())
        self._raise_if_failing()

    def start(self) -> None:
        """Fetch the set, and renew it from here on before it is old; nobody waits for that."""
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Stop renewing it."""
        for task in (self._keeper, self._flight):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        self._keeper = self._flight = None

    async def _keep(self) -> None:
        while True:
            wait = self._due - self._clock()
            if wait <= 0:
                await asyncio.shield(self._fly())
                continue
            self._moved.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._moved.wait()

    def _fly(self) -> "asyncio.Task[None]":
        if self._flight is None:
            self._flight = asyncio.create_task(self._renew())
        return self._flight

    async def _renew(self) -> None:
        try:
            fetched = await self._fetch()
            keys, unused = read_keys(fetched.content)
        except (FetchError, ValueError) as error:
            self._note_failure(f"its provider {error}")
        except Exception:
            # A defect of ours: were it to end the renewals, every token would be refused a day later.
            log.exception("unexpected error")
            self._note_failure("of an unexpected error")
        else:
            self._note_success(fetched, keys, unused)
        finally:
            self._flight = None
            self._moved.set()

    def _note_success(self, fetched: Fetched, keys: list[Key], unused: list[str]) -> None:
        pace, gone, new = self._pace, set(self._keys) - set(keys), set(keys) - set(self._keys)
        if gone or new or self._failures or self._fetched_at is None:
            log.info("keys of %s: %d (%d new, %d gone)", self.issuer, len(keys), len(new), len(gone))
            for why in unused:
                log.warning("keys of %s: not used: %s", self.issuer, why)
        life = pace.usual if fetched.max_age is None else fetched.max_age
        self._keys, self._failures, self._fetched_at = keys, 0, self._clock()
        self._due = self._fetched_at + min(max(life, pace.shortest), pace.longest)
        self._tell(gone)

    def _note_failure(self, why: str) -> None:
        pause = min(self._pace.first_pause * 2**self._failures, self._pace.longest_pause)
        self._failures = min(self._failures + 1, 30)  # lest the power grow without end
        self._due = self._clock() + pause
        self._drop_if_too_old()
        held = "those known are still used" if self._keys else "its tokens cannot be checked"
        log.warning("keys of %s cannot be fetched, as %s; %s; again in %.0f s", self.issuer, why, held, pause)

    def _drop_if_too_old(self) -> None:
        if self._fetched_at is not None and self._clock() - self._fetched_at > self._pace.kept:
            gone, self._keys, self._fetched_at = set(self._keys), [], None
            self._tell(gone)

    def _tell(self, gone: set[Key]) -> None:
        for key in gone:
            self._gone(key)

    def _raise_if_failing(self) -> None:
        left = self._due - self._clock()
        if self._failures and left > 0:
            raise ProviderUnavailable(after=math.ceil(left))

    def _may_ask(self) -> bool:
        """Say whether the set may be fetched now for a key that is not in it, and count that."""
        if self._fetched_at is None or self._failures:  # it is not known whether it is in it
            return True
        now = self._clock()
        if len(self._asked) == TRIES and now - self._asked[0] < self._pace.cool_down:
            return False
        self._asked.append(now)
        return True
