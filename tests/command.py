"""The real `daymark` executable, as a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

DAYMARK = Path(sys.executable).with_name("daymark")


def environment(**variables: str) -> dict[str, str]:
    """Give this process's environment without what would set Daymark, OpenAI or libpq, and with `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAYMARK_", "OPENAI_", "PG"))}
    return kept | variables


def run(folder: Path, *arguments: str | bytes, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `daymark` in `folder` to its end."""
    return subprocess.run(
        [DAYMARK, *arguments],
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass(frozen=True)
class Running:
    """A `daymark` that runs; what it prints goes to two files."""

    process: subprocess.Popen[bytes]
    port: int
    stdout: Path
    stderr: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def family(self) -> list[int]:
        """Give the ids of its processes, its own first."""
        parents = dict(_parents())
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def stop(self, number: signal.Signals, *, group: bool = False) -> int:
        """Send a signal (`group`: as a terminal does, to all that it started) and give the exit status."""
        (os.killpg if group else os.kill)(self.process.pid, number)
        return self.process.wait(30)


def _parents() -> Iterator[tuple[int, int]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            yield int(path.parent.name), int(path.read_text().rpartition(")")[2].split()[1])


@contextmanager
def started(
    folder: Path, *arguments: str, ready: str, daymark: Sequence[str | Path] = (DAYMARK,), **variables: str
) -> Iterator[Running]:
    """Run `daymark … --port` in `folder` from when it has printed `ready`, killed at the end if it still runs."""
    port = free_port()
    stdout, stderr = folder / f"stdout.{port}", folder / f"stderr.{port}"
    with (
        stdout.open("wb") as out,
        stderr.open("wb") as err,
        subprocess.Popen(
            [*daymark, *arguments, "--port", str(port)],
            cwd=folder,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        ) as process,
    ):
        try:
            running = Running(process, port, stdout, stderr)
            assert until(lambda: process.poll() is not None or ready in said(running), 30), said(running)
            assert process.poll() is None, said(running)
            yield running
        finally:
            process.kill()


def said(running: Running) -> str:
    return running.stdout.read_text() + running.stderr.read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(happened: Callable[[], bool], seconds: float = 10) -> bool:
    """Poll a condition; whether it held in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.02)
    return happened()


def ended(pids: Sequence[int]) -> bool:
    """Say whether none of these processes runs; one that nobody has waited for yet does not."""
    return not any(_runs(pid) for pid in pids)


def _runs(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
