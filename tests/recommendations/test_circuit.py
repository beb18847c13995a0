import asyncio
import logging

import pytest

from service.patterns.analysis import analyse
from service.recommendations.advice import EngineFailed, History, Usage
from service.recommendations.circuit import Circuit
from tests.recommendations.scripted import DAY, USAGE, Scripted, failing, until_asked

PATTERN = analyse([DAY])


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def ask(circuit: Circuit, times: int = 1) -> list[str]:
    """Give what became of each question in turn: "made", or why not."""
    became = []
    for _ in range(times):
        try:
            await circuit.advise(PATTERN, History())
            became.append("made")
        except EngineFailed as error:
            became.append(error.outcome)
    return became


async def opened(clock: Clock) -> tuple[Circuit, Scripted]:
    engine = Scripted(error=failing())
    circuit = Circuit(engine, clock=clock)
    await ask(circuit, 5)
    assert circuit.is_open
    return circuit, engine


async def test_a_circuit_passes_on_advice_and_says_what_its_engine_is(clock: Clock) -> None:
    engine = Scripted()
    circuit = Circuit(engine, clock=clock)
    assert (circuit.name, circuit.model, circuit.prompt_version, circuit.most_tokens) == (
        "scripted", "scripted-1", "7", 4_000,
    )  # fmt: skip
    history = History(refused=frozenset({"Rest"}))
    advised = await circuit.advise(PATTERN, history)
    assert (len(advised.advice), advised.usage) == (5, USAGE)
    assert (engine.asked, engine.histories) == ([PATTERN], [history])
    assert (circuit.is_open, circuit.seconds_left) == (False, 0.0)


async def test_five_failures_in_a_row_open_it_for_thirty_seconds(clock: Clock) -> None:
    engine = Scripted(error=failing())
    circuit = Circuit(engine, clock=clock)
    assert await ask(circuit, 4) == ["timed_out"] * 4
    assert not circuit.is_open
    assert await ask(circuit, 3) == ["timed_out", "circuit_open", "circuit_open"]
    assert len(engine.asked) == 5
    assert (circuit.is_open, circuit.seconds_left) == (True, 30.0)
    clock.now += 29.9
    assert await ask(circuit) == ["circuit_open"]
    assert len(engine.asked) == 5


async def test_what_is_turned_away_has_cost_nothing(clock: Clock) -> None:
    circuit, _ = await opened(clock)
    with pytest.raises(EngineFailed) as caught:
        await circuit.advise(PATTERN, History())
    assert (caught.value.outcome, caught.value.usage) == ("circuit_open", Usage(0, 0, 0))


@pytest.mark.parametrize("outcome", ["timed_out", "unreachable", "rejected", "rate_limited", "server_error", "failed"])
async def test_every_sign_of_an_ill_engine_counts(clock: Clock, outcome: str) -> None:
    engine = Scripted(error=failing(outcome))
    circuit = Circuit(engine, clock=clock)
    assert await ask(circuit, 6) == [outcome] * 5 + ["circuit_open"]


async def test_a_defect_of_the_engine_counts_and_is_passed_on_as_it_is(clock: Clock) -> None:
    circuit = Circuit(Scripted(error=ZeroDivisionError("whole")), clock=clock, failures=2)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="whole"):
            await circuit.advise(PATTERN, History())
    assert circuit.is_open


@pytest.mark.parametrize("outcome", ["refused", "invalid"])
async def test_an_answer_that_cannot_be_used_is_an_answer(clock: Clock, outcome: str) -> None:
    engine = Scripted(error=failing())
    circuit = Circuit(engine, clock=clock)
    await ask(circuit, 4)
    engine.error = failing(outcome)
    assert await ask(circuit, 7) == [outcome] * 7
    engine.error = failing()
    await ask(circuit, 4)
    assert not circuit.is_open


async def test_what_no_model_has_answered_counts(clock: Clock) -> None:
    circuit = Circuit(Scripted(error=failing("invalid", Usage(calls=1))), clock=clock)
    assert await ask(circuit, 6) == ["invalid"] * 5 + ["circuit_open"]


async def test_a_probe_that_brings_an_answer_that_cannot_be_used_closes_it(clock: Clock) -> None:
    circuit, engine = await opened(clock)
    engine.error = failing("invalid")
    clock.now += 30
    assert await ask(circuit, 2) == ["invalid", "invalid"]
    assert not circuit.is_open


async def test_a_success_begins_the_count_again(clock: Clock) -> None:
    engine = Scripted(error=failing())
    circuit = Circuit(engine, clock=clock)
    await ask(circuit, 4)
    engine.error = None
    assert await ask(circuit) == ["made"]
    engine.error = failing()
    await ask(circuit, 4)
    assert circuit.seconds_left == 0.0
    await ask(circuit)
    assert circuit.seconds_left == 30.0


async def test_a_probe_that_succeeds_closes_it(clock: Clock) -> None:
    circuit, engine = await opened(clock)
    engine.error = None
    clock.now += 31
    assert (circuit.is_open, circuit.seconds_left) == (True, 0.0)  # until somebody has tried
    assert await ask(circuit, 3) == ["made"] * 3
    assert (circuit.is_open, circuit.seconds_left) == (False, 0.0)
    engine.error = failing()
    await ask(circuit, 4)
    assert circuit.seconds_left == 0.0
    await ask(circuit)
    assert circuit.seconds_left == 30.0


async def test_each_probe_that_fails_doubles_the_time_up_to_five_minutes(clock: Clock) -> None:
    circuit, engine = await opened(clock)
    pauses = []
    for _ in range(6):
        clock.now += circuit.seconds_left
        assert await ask(circuit, 2) == ["timed_out", "circuit_open"]
        pauses.append(circuit.seconds_left)
    assert pauses == [60.0, 120.0, 240.0, 300.0, 300.0, 300.0]
    assert len(engine.asked) == 11


async def test_when_it_opens_anew_the_time_begins_anew(clock: Clock) -> None:
    circuit, engine = await opened(clock)
    clock.now += 30
    await ask(circuit)
    assert circuit.seconds_left == 60.0
    clock.now += 60
    engine.error = None
    assert await ask(circuit) == ["made"]
    engine.error = failing()
    await ask(circuit, 5)
    assert circuit.seconds_left == 30.0


async def test_of_many_at_once_one_probes_and_the_others_are_turned_away(clock: Clock) -> None:
    circuit, engine = await opened(clock)
    engine.error = None
    engine.released.clear()
    clock.now += 30
    probe = asyncio.create_task(ask(circuit))
    await until_asked(engine, 6)
    async with asyncio.timeout(10):
        assert await asyncio.gather(*(ask(circuit) for _ in range(20))) == [["circuit_open"]] * 20
    engine.released.set()
    assert await probe == ["made"]
    assert len(engine.asked) == 6
    assert await ask(circuit) == ["made"]


async def test_a_probe_that_is_cancelled_leaves_its_place_to_the_next(clock: Clock) -> None:
    circuit, engine = await opened(clock)
    engine.released.clear()
    clock.now += 30
    probe = asyncio.create_task(ask(circuit))
    await until_asked(engine, 6)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert (circuit.is_open, circuit.seconds_left) == (True, 0.0)
    engine.error = None
    engine.released.set()
    assert await ask(circuit) == ["made"]
    assert not circuit.is_open


async def test_who_is_cancelled_counts_as_no_failure(clock: Clock) -> None:
    engine = Scripted(error=failing())
    circuit = Circuit(engine, clock=clock)
    await ask(circuit, 4)
    engine.released.clear()
    asking = asyncio.create_task(ask(circuit))
    await until_asked(engine, 5)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not circuit.is_open


@pytest.mark.parametrize("outcome", ["made", "timed_out"])
async def test_who_asked_before_it_opened_changes_nothing_when_they_are_done(clock: Clock, outcome: str) -> None:
    engine = Scripted()
    circuit = Circuit(engine, clock=clock)
    held = engine.released
    held.clear()
    early = asyncio.create_task(ask(circuit))
    await until_asked(engine)
    engine.released = asyncio.Event()
    engine.released.set()
    engine.error = failing()
    await ask(circuit, 5)
    clock.now += 10
    if outcome == "made":
        engine.error = None
    held.set()
    assert await early == [outcome]
    assert (circuit.is_open, circuit.seconds_left) == (True, 20.0)


async def test_opening_and_closing_are_logged_once_each(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service.recommendations.circuit")
    circuit, engine = await opened(clock)
    await ask(circuit, 10)
    clock.now += 30
    await ask(circuit, 10)
    engine.error = None
    clock.now += 60
    await ask(circuit, 10)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "scripted failed 5 times in a row, at last: timed_out; it is left alone for 30 s"),
        ("INFO", "scripted answers again"),
    ]
