"""A circuit around an engine: one that keeps failing is left alone for a while, and nobody waits for nothing."""

import logging
import time
from collections.abc import Callable

from service.patterns.analysis import Pattern
from service.recommendations.advice import Advised, Engine, EngineFailed, History, Outcome, Usage

log = logging.getLogger(__name__)


class Circuit:
    """An engine that asks `engine`, and after `failures` failures in a row asks it no more for `first` seconds.

    After that one caller is let through to probe it, while all others are still turned away. If that fails too, the
    time is doubled, up to `longest` seconds; if not, the circuit is closed again. `clock` tells seconds that only grow.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], float] = time.monotonic,
        failures: int = 5,
        first: float = 30.0,
        longest: float = 300.0,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._most_failures = failures
        self._first = first
        self._longest = longest
        self._failures = 0
        self._pause = first
        self._open_until: float | None = None
        self._probing = False

    @property
    def name(self) -> str:
        """The engine's."""
        return self._engine.name

    @property
    def model(self) -> str | None:
        """The engine's."""
        return self._engine.model

    @property
    def prompt_version(self) -> str | None:
        """The engine's."""
        return self._engine.prompt_version

    @property
    def most_calls(self) -> int:
        """The engine's."""
        return self._engine.most_calls

    @property
    def most_tokens(self) -> int:
        """The engine's."""
        return self._engine.most_tokens

    @property
    def is_open(self) -> bool:
        """Whether the engine counts as failing: until a probe has succeeded."""
        return self._open_until is not None

    @property
    def seconds_left(self) -> float:
        """In how many seconds the engine may be probed; 0 where it may be asked now."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._clock())

    async def advise(self, pattern: Pattern, history: History, most_calls: int | None = None) -> Advised:
        """Have the engine advise.

        Raises what the engine raises, and EngineFailed ("circuit_open") at once where it is not to be asked.
        """
        probe = self._enter()
        try:
            advised = await self._engine.advise(pattern, history, most_calls)
        except EngineFailed as error:
            if answered(error):
                self._succeeded(probe=probe)
            else:
                self._failed(error.outcome, probe=probe)
            raise
        except Exception:
            self._failed("failed", probe=probe)
            raise
        else:
            self._succeeded(probe=probe)
            return advised
        finally:
            # A probe that was cancelled has shown nothing: the next who comes is the probe.
            if probe:
                self._probing = False

    def _enter(self) -> bool:
        """Let a caller through; True for the one that probes an open circuit."""
        if self._open_until is None:
            return False
        if self._probing or self._clock() < self._open_until:
            raise EngineFailed("circuit_open", f"{self.name} kept failing", Usage())
        self._probing = True
        return True

    def _failed(self, outcome: Outcome, *, probe: bool) -> None:
        if probe:
            self._pause = min(2 * self._pause, self._longest)
            self._open_until = self._clock() + self._pause
        elif self._open_until is None:
            self._failures += 1
            if self._failures >= self._most_failures:
                self._pause = self._first
                self._open_until = self._clock() + self._pause
                log.warning(
                    "%s failed %d times in a row, at last: %s; it is left alone for %g s",
                    self.name,
                    self._failures,
                    outcome,
                    self._pause,
                )
        # Else it was asked before the circuit opened: what that showed is known.

    def _succeeded(self, *, probe: bool) -> None:
        self._failures = 0
        # Who asked before the circuit opened tells nothing of now.
        if probe:
            self._open_until = None
            log.info("%s answers again", self.name)


def answered(failure: EngineFailed) -> bool:
    """Say whether a model has answered, though not as it should: then its API is well.

    Else one person, whose figures or history a model cannot deal with, could have AI taken from all others. What comes
    without a bill may be a proxy's page, or an API that is broken for everybody.
    """
    return failure.outcome == "refused" or (failure.outcome == "invalid" and failure.usage.tokens_out > 0)
