"""What happens inside: in Postgres, by pg_stat_statements, and in the check of a token."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Literal
from uuid import uuid4

from msgspec import Struct

from service.caller import Caller
from service.database import Connection
from service.identity.tokens import Tokens
from service.runtime import utc_now

TOKENS = 500
RELOAD_LIMIT = 5.0  # seconds
SERVICE_STATEMENTS = "from pg_stat_statements where userid = 'daymark_service'::regrole"


class Inside(Struct, frozen=True):
    """What a request takes in Postgres, on average: milliseconds, 8 KiB buffers touched, and statements run."""

    execution: float
    planning: float
    buffers: float
    statements: float


async def record(admin: Connection, ask: Callable[[], int]) -> Inside:
    """Record all that Postgres does for the service while `ask` asks; it gives how many requests it made."""
    await track(admin, "top")
    await admin.execute("select pg_stat_statements_reset()")
    requests = ask()
    await track(admin, "none")
    row = await admin.fetchrow(
        "select sum(total_exec_time) as execution, sum(total_plan_time) as planning,"
        f" sum(shared_blks_hit + shared_blks_read) as buffers, sum(calls) as statements {SERVICE_STATEMENTS}"
    )
    assert row is not None
    return Inside(**{name: float(value) / requests for name, value in row.items()})


async def track(admin: Connection, what: Literal["top", "none"]) -> None:
    """Have Postgres record every statement from here on, or none, since that costs each a little."""
    await admin.execute(f"alter system set pg_stat_statements.track = '{what}'")
    # The postmaster tells every backend, which looks before its next statement; this one is as good as any.
    await admin.execute("select pg_reload_conf()")
    async with asyncio.timeout(RELOAD_LIMIT):
        while await admin.fetchval("show pg_stat_statements.track") != what:  # noqa: ASYNC110 - bounded, as above
            await asyncio.sleep(0.001)


def check_tokens(tokens: Tokens) -> tuple[float, float]:
    """Measure how long the check of a token takes the first time, and again: microseconds."""
    now = utc_now()
    several = [tokens.sign(Caller(uuid4(), uuid4()), now, timedelta(hours=1)) for _ in range(TOKENS)]
    cold = _time(lambda: [tokens.verify(token, now) for token in several])
    again = _time(lambda: [tokens.verify(several[-1], now) for _ in range(TOKENS)])
    return cold, again


def _time(check: Callable[[], object]) -> float:
    began = time.perf_counter()
    check()
    return (time.perf_counter() - began) / TOKENS * 1e6
