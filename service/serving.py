"""Serving HTTP: what `daymark serve` and `daymark dev` run."""

import multiprocessing
import os
import resource
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing import connection
from uuid import UUID

import asyncpg
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from litestar.types import ASGIApp

from service import logs
from service.caller import Caller
from service.database import CONNECT_TIMEOUT, SEAL_LIFE
from service.doctor import examine_own_role
from service.installation import Installation, export
from service.queries import FIND_CONTEXT
from service.seal import Seal

HEADER_TIMEOUT = 30_000  # milliseconds that a client may take to send its headers
# Connections that a worker keeps, most of them idle; beyond, nobody is answered until one ends. Each takes some KiB.
MOST_CONNECTIONS = 8_192
OTHER_FILES = 256  # that a worker has open: the pool, providers, OpenAI, libraries
STOP_TIMEOUT = 10  # seconds that a worker may take to finish what it has begun
READY_LIMIT = 30.0  # seconds


ANYBODY = UUID(int=1)  # of a tenant that nobody has: only whether the seal fits is asked


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
        # Granian raised the soft limit to the hard one as it was loaded, and the workers inherit it.
        backpressure=_room_for_connections(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_TIMEOUT,
        log_level=LogLevels.warning,  # its start and stop are told by the command, its access log by front.py
        log_dictconfig=logs.configuration(found.settings.log),
    )
    hang_up = signal.getsignal(signal.SIGHUP)

    def heed_hang_up() -> None:
        # A closed terminal ends it as SIGTERM does (under nohup it does not); Granian would load the application anew.
        signal.signal(signal.SIGHUP, hang_up if hang_up is signal.SIG_IGN else signal.getsignal(signal.SIGTERM))

    server.on_startup(heed_hang_up)
    threading.Thread(target=_tell, args=(host, port, when_ready), daemon=True).start()
    # Not Granian's own loader, which imports from the working folder first and fails where that is a package.
    server.serve(target_loader=_make_application, wrap_loader=False)


def _room_for_connections(may_open: int) -> int:
    """Say how many connections a worker has files for that may open so many."""
    room = MOST_CONNECTIONS + OTHER_FILES
    if may_open != resource.RLIM_INFINITY:
        room = min(room, may_open)
    return max(room // 2, room - OTHER_FILES)


def _make_application() -> ASGIApp:
    """Make the application in a worker process, which does not outlive the server, even if that is killed."""
    os.setpgid(0, 0)  # Ctrl-C is the server's to act upon, which then tells its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until the loop has its own: the server's would do nothing here
    from service.app import from_environment  # noqa: PLC0415 - no other command needs it

    threading.Thread(target=_end_with_parent, daemon=True).start()
    return from_environment()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        # At once: this process holds the port, and by inheritance the embedded database's lock.
        os._exit(1)


def find_address(host: str, port: int) -> str:
    """Give the IP address that `host` names. Raises ServingError unless `port` can be listened on there."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # Of localhost's two, the one that everybody tries.
        family, kind, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:  # a name may be none that DNS takes
        reason = getattr(error, "strerror", None) or error
        raise ServingError(f"cannot listen on {host}:{port}: {reason}; choose another with --port") from error
    return str(address[0])


async def check_wall(url: str, seal: Seal) -> None:
    """Raise ServingError where the database is away, where the role at `url` could pass the wall, or where it is shut.

    It is shut to a service whose key of the seal the database does not hold: every statement would be refused.
    """
    try:
        database = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT, command_timeout=CONNECT_TIMEOUT)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        raise ServingError(f"cannot reach the database: {str(error) or type(error).__name__}") from error
    try:
        dangers = [danger for finding in await examine_own_role(database) for danger in finding.dangers]
        if dangers:
            raise ServingError(f"this role could pass the wall between tenants: {'; '.join(dangers)}")
        anybody = Caller(ANYBODY, ANYBODY)
        sealed = seal.sign(anybody, database.get_server_pid(), datetime.now(UTC) + SEAL_LIFE)
        await database.fetch(FIND_CONTEXT.entered, ANYBODY, ANYBODY, sealed)
    except asyncpg.InsufficientPrivilegeError as error:
        raise ServingError(
            f"the database does not take DAYMARK_SEAL_KEY ({error}): `daymark migrate up` with it set, or"
            " `daymark seal rotate`"
        ) from error
    except (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError) as error:
        raise ServingError("the database is not of this release: run `daymark migrate up`") from error
    finally:
        await database.close(timeout=CONNECT_TIMEOUT)


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
