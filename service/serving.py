"""Serving HTTP: what `daymark serve` and `daymark dev` run."""

import socket
import threading
import time
import urllib.request
from collections.abc import Callable

import asyncpg
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from service import logs
from service.database import CONNECT_TIMEOUT
from service.installation import Installation, export
from service.queries import LIST_ROLE_DANGERS

HEADER_TIMEOUT = 30_000  # milliseconds that a client may take to send its headers
STOP_TIMEOUT = 10  # seconds that a worker may take to finish what it has begun
READY_LIMIT = 30.0  # seconds


class ServingError(Exception):
    """The service cannot be started; the message is one line for the operator."""


def serve(found: Installation, host: str, port: int, workers: int, when_ready: Callable[[], None]) -> None:
    """Serve until a signal ends it; calls `when_ready` once the first request has been answered."""
    export(found.settings)
    server = Granian(
        "service.app:from_environment",
        factory=True,
        interface=Interfaces.ASGI,
        address=host,
        port=port,
        workers=workers,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_TIMEOUT,
        log_level=LogLevels.warning,  # its start and stop are told by the command, its access log by front.py
        log_dictconfig=logs.configuration(found.settings.log),
    )
    threading.Thread(target=_tell, args=(host, port, when_ready), daemon=True).start()
    server.serve()


def check_port(host: str, port: int) -> None:
    """Raise ServingError unless `port` can be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServingError(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port"
            ) from error


async def check_role(url: str) -> None:
    """Raise ServingError where the database is away, or where the role at `url` could pass the wall."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT, command_timeout=CONNECT_TIMEOUT)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        raise ServingError(f"cannot reach the database: {str(error) or type(error).__name__}") from error
    try:
        dangers = [row["danger"] for row in await connection.fetch(LIST_ROLE_DANGERS.plain)]
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT)
    if dangers:
        raise ServingError(f"this role could pass the wall between tenants: {'; '.join(dangers)}")


def _tell(host: str, port: int, when_ready: Callable[[], None]) -> None:
    deadline = time.monotonic() + READY_LIMIT
    address = f"[{host}]" if ":" in host else host
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://{address}:{port}/health/live", timeout=1):
                when_ready()
                return
        except OSError:
            time.sleep(0.05)
