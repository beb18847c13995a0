"""The windows of one limit, as one process knows them: what may be spent without asking, and how much to ask for."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

from msgspec import Struct, field

from service.errors import TooManyRequests
from service.setting_values import Rate

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


class Window(Struct):
    """What this process knows of a subject's window; times are of the clock that only grows."""

    uses: int = 0
    """What it may spend without asking."""
    rest: int = 0
    """What there was besides, when it last asked."""
    ends: float = 0.0
    believed_until: float = 0.0
    waiting: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Limit:
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
        self._windows: OrderedDict[Hashable, Window] = OrderedDict()
        self._look_at = 0.0

    def find(self, subject: Hashable) -> Window:
        """Give the window of a subject, a fresh one where none is known."""
        window = self._windows.get(subject)
        if window is None:
            if len(self._windows) >= MOST_KEPT:
                self._make_room()
            window = self._windows[subject] = Window()
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

    def spend(self, window: Window) -> Standing | None:
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

    def begin(self, window: Window, uses: int, rest: int, ends: float) -> None:
        """Have a window begin, or go on, with what may be spent of it and what there is besides."""
        window.uses, window.rest, window.ends = uses, rest, ends
        window.believed_until = min(ends, self.clock() + self.believed)

    def wanted(self, window: Window) -> int:
        """Say how many uses to ask for: all that are waited for, and some to come."""
        rest = window.rest if window.believed_until > self.clock() else self.most
        return max(1, window.waiting, min(rest // PART_OF_REST, self.rate.count // PART_OF_LIMIT))

    def stand_in(self, window: Window) -> None:
        """Give out by this process alone what is left of a window, as far as it knows, or a whole one."""
        now = self.clock()
        if window.ends > now:
            self.begin(window, window.uses + window.rest, 0, window.ends)
        else:
            self.begin(window, self.rate.count, 0, now + self.rate.seconds)

    def _standing(self, window: Window, now: float) -> Standing:
        return Standing(self.policy, self.rate, window.uses + window.rest, max(1, math.ceil(window.ends - now)))
