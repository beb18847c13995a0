"""The service runs on a core of its own, all else on the others, and nothing of that is left behind."""

import os
import subprocess
import sys

import pytest

from tests.bench.cores import Cores, part, running_on, usable


def cores_of_a_child() -> set[int]:
    command = [sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {int(core) for core in done.stdout.split()}


@pytest.mark.parametrize(
    ("cores", "parted"),
    [
        (set(), Cores()),
        ({3}, Cores()),
        ({0, 1}, Cores(frozenset({0}), frozenset({1}))),
        ({7, 2, 5}, Cores(frozenset({2}), frozenset({5, 7}))),
    ],
)
def test_the_first_core_is_the_services_and_a_single_one_is_shared(cores: set[int], parted: Cores) -> None:
    assert part(cores) == parted


def test_what_is_started_stays_where_it_was_started_and_nothing_else() -> None:
    before = usable()
    last = frozenset({max(before)})
    try:
        with running_on(last):
            assert cores_of_a_child() == set(last)
            with running_on(None):
                assert cores_of_a_child() == set(last)
        assert cores_of_a_child() == before
    finally:
        os.sched_setaffinity(0, before)  # no other test shall be kept to a core
