"""The service runs on a core of its own, all else on the others, and nothing of that is left behind."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.bench.cores import Cores, part, running_on

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two cores, and a system on which a process can be kept to some",
)


@pytest.fixture(autouse=True)
def usable() -> Iterator[set[int]]:
    """Give the cores that this process may use, and see that it may use them afterwards."""
    before = os.sched_getaffinity(0)
    yield before
    os.sched_setaffinity(0, before)


def cores_of_a_child() -> frozenset[int]:
    command = [sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return frozenset(int(core) for core in done.stdout.split())


def test_all_cores_are_given_out_and_none_twice(usable: set[int]) -> None:
    cores = part()
    assert cores.service is not None
    assert cores.others is not None
    assert len(cores.service) == 1
    assert cores.service | cores.others == usable
    assert not cores.service & cores.others


def test_a_single_core_is_shared(usable: set[int]) -> None:
    os.sched_setaffinity(0, {min(usable)})
    assert part() == Cores()


def test_what_is_started_keeps_to_its_side(usable: set[int]) -> None:
    cores = part()
    with running_on(cores.others):
        assert cores_of_a_child() == cores.others
        with running_on(cores.service):
            assert cores_of_a_child() == cores.service
        assert cores_of_a_child() == cores.others
    assert cores_of_a_child() == usable


def test_where_nothing_is_parted_all_may_run_anywhere(usable: set[int]) -> None:
    with running_on(Cores().service):
        assert cores_of_a_child() == usable
