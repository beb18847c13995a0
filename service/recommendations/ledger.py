"""The ledger of an engine's runs, and the lease that a run is while it lasts: statements of a transaction.

Of all tasks, processes and machines, one makes a person's recommendations at a time: the one whose run gets in.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from service.database import Transaction
from service.errors import TooManyRequests
from service.queries import (
    COUNT_GOOD_RUNS,
    COUNT_REFRESHES,
    SAVE_BUDGET_CORRECTION,
    SAVE_BUDGET_USE,
    SAVE_LOST_RUNS,
    SAVE_OUTCOME,
    SAVE_RUN,
)
from service.recommendations.advice import Advice, Engine, Outcome, Usage
from service.recommendations.batch import BasedOn, Keeping

Reason = Literal["missed", "renewed", "refreshed"]

MOST_REFRESHES = 3
# Those counted in that came to nothing: they cost somebody a call as well, or at least a row.
MOST_ATTEMPTS = 10
REFRESHES_WITHIN = dt.timedelta(days=1)

# Milliseconds. A tenant's budget of the day is one row: whoever keeps it locked keeps a connection from all tenants.
LONGEST_WAIT = 600

# What an API turned away or failed at, it does not bill.
NOT_BILLED = {"rejected", "rate_limited", "server_error", "circuit_open", "over_budget"}

MILLION = 1_000_000


class Budget(Struct, frozen=True):
    """What a tenant may use of AI in a day (UTC) unless it has numbers of its own, and what that costs."""

    daily_calls: int = 10_000
    daily_tokens: int = 20_000_000
    input_price: Decimal | None = None
    """US dollars for a million tokens; None where it is not known."""
    output_price: Decimal | None = None

    def cost(self, usage: Usage) -> Decimal | None:
        """What a run cost, in US dollars; None where a price is not known."""
        if self.input_price is None or self.output_price is None:
            return None
        return (usage.tokens_in * self.input_price + usage.tokens_out * self.output_price) / MILLION


class Run(Struct, frozen=True):
    """A run that has begun: its holder, and nobody else, makes the person's recommendations."""

    run_id: UUID
    reason: Reason
    started_at: dt.datetime
    set_aside: int | None = None
    """The tokens that the budget holds ready for it; None where the budget does not allow it."""
    calls_set_aside: int = 0
    beyond_allowance: bool = False
    """The person has had as many before the time as they may: the engine is not asked."""


class Result(Struct, frozen=True):
    """What an engine made in a run, and what that took."""

    outcome: Outcome
    advice: Sequence[Advice]
    usage: Usage
    took: float
    """Seconds."""

    @property
    def is_unsure(self) -> bool:
        """Whether it may be billed though no bill has come: by an API that was cut short, or says nothing of tokens."""
        unbilled = self.usage.calls > 0 and not self.usage.tokens_in and not self.usage.tokens_out
        return unbilled and self.outcome not in NOT_BILLED

    def given_up(self) -> "Result":
        """Give what the ledger says where nobody is given what was made; what it took, it took."""
        return replace(self, outcome="abandoned", advice=()) if self.outcome == "made" else self


async def count_in(transaction: Transaction, run: Run, keeping: Keeping) -> Run:
    """Count a missed run as a refresh where the person was made recommendations that are not over: gives it as it is.

    Logging out clears what is kept. Who then asks anew has others made before the time, as by a refresh, and draws on
    the same allowance, or logging out would be a way to any number of calls. It is counted by the ledger's reason
    because the index of that finds a person's few refreshes at once, while the missed runs of a whole day would be
    looked for among all of the tenant's. A run beyond the allowance stays a missed one: it is no attempt to refresh.
    """
    [row] = await transaction.fetch(
        COUNT_GOOD_RUNS,
        after=run.started_at - keeping.life_of(fallback=False),
        failed_after=run.started_at - keeping.life_of(fallback=True),
    )
    if not row["runs"]:
        return run
    if await _first_of_too_many(transaction, run) is not None:
        return replace(run, beyond_allowance=True)
    return replace(run, reason="refreshed")


async def begin_run(transaction: Transaction, engine: Engine, run: Run, based_on: BasedOn, lease: float) -> bool:
    """Begin a run of `engine`, for `lease` seconds; False where another is making these recommendations."""
    await transaction.fetch(SAVE_LOST_RUNS, now=run.started_at)
    begun = await transaction.fetch(
        SAVE_RUN,
        run_id=run.run_id,
        reason=run.reason,
        now=run.started_at,
        lease=round(lease * 1000),
        engine=engine.name,
        model=engine.model or "",
        prompt_version=engine.prompt_version or "",
        based_on=based_on,
    )
    return bool(begun)


async def require_refresh_left(transaction: Transaction, run: Run) -> None:
    """Raise TooManyRequests where the person has got three refreshes within a day, or tried ten times."""
    first_at = await _first_of_too_many(transaction, run)
    if first_at is not None:
        left = first_at + REFRESHES_WITHIN - run.started_at
        raise TooManyRequests(
            f"New recommendations can be asked for {MOST_REFRESHES} times a day", -(-left // dt.timedelta(seconds=1))
        )


async def _first_of_too_many(transaction: Transaction, run: Run) -> dt.datetime | None:
    """Give when the first was of as many refreshes as may be within a day; None where there is one left."""
    [row] = await transaction.fetch(COUNT_REFRESHES, after=run.started_at - REFRESHES_WITHIN, run_id=run.run_id)
    first_at: dt.datetime | None = None
    if row["made"] >= MOST_REFRESHES:
        first_at = row["first_made_at"]
    elif row["attempts"] >= MOST_ATTEMPTS:
        first_at = row["first_attempt_at"]
    return first_at


async def set_aside(transaction: Transaction, engine: Engine, run: Run, budget: Budget) -> Run:
    """Have the tenant's budget of the day hold ready what a run may take; gives the run as it is then.

    What is set aside stays so until `put_right`: for a process that was killed the worst is assumed. Raises asyncpg's
    LockNotAvailableError where somebody keeps the budget locked.
    """
    if not engine.most_tokens:
        return replace(run, set_aside=0)
    await transaction.wait_for_locks(LONGEST_WAIT)
    # The last call of the day is made, too, if without a second try.
    for calls in sorted({engine.most_calls, 1}, reverse=True):
        if await transaction.fetch(
            SAVE_BUDGET_USE,
            date=run.started_at.date(),
            calls=calls,
            tokens=engine.most_tokens,
            most_calls=budget.daily_calls,
            most_tokens=budget.daily_tokens,
        ):
            return replace(run, set_aside=engine.most_tokens, calls_set_aside=calls)
    return run


async def end_run(transaction: Transaction, run: Run, made: Result, given: str | None, budget: Budget) -> None:
    """End a run, which is to let go of the lease: what came of it, and whose advice was given (None: nobody's)."""
    usage, cost = made.usage, None if made.is_unsure else budget.cost(made.usage)
    await transaction.fetch(
        SAVE_OUTCOME,
        run_id=run.run_id,
        outcome=made.outcome,
        given=given or "",
        calls=usage.calls,
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        cost="" if cost is None else f"{cost:f}",
        duration_ms=round(made.took * 1000),
        now=run.started_at + dt.timedelta(seconds=made.took),
    )


async def put_right(transaction: Transaction, run: Run, made: Result) -> None:
    """Give back to the budget what was set aside for a run that has ended, and not used."""
    if run.set_aside:
        used = run.set_aside if made.is_unsure else made.usage.tokens_in + made.usage.tokens_out
        await transaction.wait_for_locks(LONGEST_WAIT)
        await transaction.fetch(
            SAVE_BUDGET_CORRECTION,
            date=run.started_at.date(),
            calls=made.usage.calls - run.calls_set_aside,
            tokens=used - run.set_aside,
        )
