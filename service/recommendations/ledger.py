"""The ledger of an engine's runs, and the lease that a run is while it lasts: statements of a transaction.

Of all tasks, processes and machines, one makes a person's recommendations at a time: the one whose run gets in.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal
from uuid import UUID

from msgspec import Struct

from service.database import Transaction
from service.errors import TooManyRequests
from service.queries import (
    COUNT_REFRESHES,
    SAVE_BUDGET_CORRECTION,
    SAVE_BUDGET_USE,
    SAVE_LOST_RUNS,
    SAVE_OUTCOME,
    SAVE_RUN,
)
from service.recommendations.advice import Advice, Engine, Outcome, Usage
from service.recommendations.batch import BasedOn

Reason = Literal["missed", "renewed", "refreshed"]

MOST_REFRESHES = 3
REFRESHES_WITHIN = dt.timedelta(days=1)

# What an API turned away or failed at, it does not bill. All else it may, though no bill has come.
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


class Making(Struct, frozen=True):
    """What an engine made in a run, and what that took."""

    outcome: Outcome
    advice: Sequence[Advice]
    usage: Usage
    took: float
    """Seconds."""


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
    """Raise TooManyRequests where the person has refreshed three times within a day."""
    [row] = await transaction.fetch(COUNT_REFRESHES, after=run.started_at - REFRESHES_WITHIN, run_id=run.run_id)
    if row["refreshes"] >= MOST_REFRESHES:
        left = row["first_at"] + REFRESHES_WITHIN - run.started_at
        raise TooManyRequests(
            f"New recommendations can be asked for {MOST_REFRESHES} times a day", -(-left // dt.timedelta(seconds=1))
        )


async def set_aside(transaction: Transaction, engine: Engine, run: Run, budget: Budget) -> int | None:
    """Have the tenant's budget of the day hold ready what a run may take; None where it does not allow that.

    What is set aside stays so until `end_run`: for a process that was killed the worst is assumed.
    """
    if not engine.most_tokens:
        return 0
    allowed = await transaction.fetch(
        SAVE_BUDGET_USE,
        date=run.started_at.date(),
        tokens=engine.most_tokens,
        most_calls=budget.daily_calls,
        most_tokens=budget.daily_tokens,
    )
    return engine.most_tokens if allowed else None


async def end_run(transaction: Transaction, run: Run, made: Making, given: str | None, budget: Budget) -> None:
    """End a run, which is to let go of the lease: what came of it, and whose advice was given (None: nobody's)."""
    usage = made.usage
    await transaction.fetch(
        SAVE_OUTCOME,
        run_id=run.run_id,
        outcome=made.outcome,
        given=given or "",
        calls=usage.calls,
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        cost="" if (cost := budget.cost(usage)) is None else f"{cost:f}",
        duration_ms=round(made.took * 1000),
        now=run.started_at + dt.timedelta(seconds=made.took),
    )
    if run.set_aside:
        await transaction.fetch(
            SAVE_BUDGET_CORRECTION,
            date=run.started_at.date(),
            calls=usage.calls - 1,
            tokens=_used(made, run.set_aside) - run.set_aside,
        )


def _used(made: Making, most: int) -> int:
    """The tokens that a run has to be taken to have used."""
    known = made.usage.tokens_in + made.usage.tokens_out
    # Whether an API that was cut short, or says nothing of tokens, bills them all the same, nobody can tell from here.
    unsure = made.usage.calls > 0 and known == 0 and made.outcome not in NOT_BILLED
    return most if unsure else known
