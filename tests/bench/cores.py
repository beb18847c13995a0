"""Who gets which core: the service the first, Postgres and the load the others.

Where all of them take whatever core is free, the same worker answers half as much again at one moment as at the next:
where Postgres and the worker take turns on a core, each finds the caches full of what the other needs. How often that
happens is the scheduler's luck. It is for an operator to part them, too: see "In production" in the README.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from msgspec import Struct


class Cores(Struct, frozen=True):
    """Which cores each side runs on; None: on any, as the scheduler has it."""

    service: frozenset[int] | None = None
    others: frozenset[int] | None = None


def usable() -> set[int]:
    """Give the cores that this process may use; none where the system keeps no process to some of them."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def part(cores: Collection[int]) -> Cores:
    """Part cores between the two sides; not where there is but one."""
    if len(cores) < 2:
        return Cores()
    first, *others = sorted(cores)
    return Cores(frozenset({first}), frozenset(others))


@contextmanager
def running_on(cores: frozenset[int] | None) -> Iterator[None]:
    """Have this thread run on these cores for as long as it lasts; what it starts meanwhile stays there."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
