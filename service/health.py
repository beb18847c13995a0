"""The routes that tell an orchestrator whether to restart the service, and whether to send it requests."""

from typing import Any, Literal

from litestar import Request, Router, get
from msgspec import Struct

from service.errors import Internal, InvalidRequest, Unavailable
from service.guards import require_known_parameters
from service.openapi import DescribedOperation, problems
from service.runtime import runtime_of


class Health(Struct, omit_defaults=True):
    """How the service is: degraded, it answers, but not as well as it should, and `reasons` says why."""

    status: Literal["ok", "degraded"]
    reasons: list[str] = []


@get("/live", operation_class=DescribedOperation, responses=problems(InvalidRequest))
async def get_live() -> Health:
    """Answer as long as the process can; whether the database is there does not matter."""
    return Health("ok")


@get("/ready", operation_class=DescribedOperation, responses=problems(InvalidRequest, Internal, Unavailable))
async def get_ready(request: Request[Any, Any, Any]) -> Health:
    """Answer 200 while Postgres does, else 503. An AI that fails is no reason to send requests elsewhere."""
    runtime = runtime_of(request)
    await runtime.database.ping()
    if runtime.circuit is not None and runtime.circuit.is_open:
        engine, left = runtime.circuit.name, runtime.circuit.seconds_left
        return Health(
            "degraded", [f"{engine} keeps failing: the rules stand in, and it is tried again in {left:.0f} s"]
        )
    return Health("ok")


router = Router(
    "/health",
    guards=[require_known_parameters],
    route_handlers=[get_live, get_ready],
    tags=["Health"],
)
