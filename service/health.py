"""The routes that tell an orchestrator whether to restart the service, and whether to send it requests."""

from typing import Any, Literal

from litestar import Request, Router, get
from msgspec import Struct

from service.errors import Internal, InvalidRequest, Unavailable
from service.guards import require_known_parameters
from service.openapi import DescribedOperation, problems
from service.runtime import runtime_of


class Health(Struct):
    """How the service is."""

    status: Literal["ok"]


@get("/live", operation_class=DescribedOperation, responses=problems(InvalidRequest))
async def get_live() -> Health:
    """Answer as long as the process can; whether the database is there does not matter."""
    return Health("ok")


@get("/ready", operation_class=DescribedOperation, responses=problems(InvalidRequest, Internal, Unavailable))
async def get_ready(request: Request[Any, Any, Any]) -> Health:
    """Answer 200 while Postgres does, else 503."""
    await runtime_of(request).database.ping()
    return Health("ok")


router = Router(
    "/health",
    guards=[require_known_parameters],
    route_handlers=[get_live, get_ready],
    tags=["Health"],
)
