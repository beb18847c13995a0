"""The settings: one frozen struct, read once from the environment and a `.env` file."""

import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar, get_args
from urllib.parse import urlsplit

from dotenv import dotenv_values
from msgspec import Struct

Fallback = Literal["lenient", "strict"]
LogFormat = Literal["text", "json"]
T = TypeVar("T")

SHORTEST_SECRET = 32  # bytes: RFC 7518, 3.2 asks HS256 for a key no shorter than its hash
LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class SettingsError(Exception):
    """One or more settings are wrong or missing; the message has a line for each."""


class Secret(str):
    """A string that shows itself in no repr, and so in no traceback and no log."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that an operator can set; each field is the environment variable `DAYMARK_<FIELD>`.

    Durations are in seconds. A URL of a database may carry a password: `repr` shows none.
    """

    database_url: Secret | None = None
    """Where the service logs in, as its own role. None: the embedded Postgres."""
    admin_database_url: Secret | None = None
    """Where migrations and the operator's commands log in."""
    jwt_secret: Secret | None = None
    """The HS256 key, at least 32 bytes. None: one is made and kept, for embedded use only."""
    jwt_issuer: str | None = None
    """What `iss` must be. None: not looked at."""
    jwt_audience: str | None = None
    """What `aud` must name. None: a token that names an audience is refused."""
    seal_key: Secret | None = None
    """What contexts are sealed with, at least 32 bytes; the database holds the same. None: embedded use only."""
    cache_ttl: int = 3600
    """How long recommendations are kept, in seconds."""
    fallback: Fallback = "lenient"
    """`strict`: the two GET routes that never fail answer 401, 404 and 503 like all others."""
    pool_size: int = 8
    """Connections to Postgres, for each worker."""
    log: LogFormat = "text"
    """`json`: one object a line, for machines."""


def environment(directory: Path) -> dict[str, str]:
    """Give the process's environment over what `.env` in `directory` says (the environment wins).

    Raises SettingsError where that file cannot be read.
    """
    try:
        kept = dotenv_values(directory / ".env", encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f".env cannot be read: {error}") from error
    return {name: value for name, value in kept.items() if value is not None} | dict(os.environ)


def read(variables: Mapping[str, str]) -> Settings:
    """Read the settings out of `variables`; an empty value counts as none given.

    Raises SettingsError with every wrong one, not just the first, each named with what was expected.
    """
    given: dict[str, object] = {}
    wrong: list[str] = []
    for field, parse in PARSERS.items():
        name = f"DAYMARK_{field.upper()}"
        text = variables.get(name, "").strip()
        if not text:
            continue
        try:
            given[field] = parse(text)
        except ValueError as error:
            wrong.append(f"{name}: expected {error}")
    if wrong:
        raise SettingsError("\n".join(wrong))
    return Settings(**given)  # type: ignore[arg-type]  # each value comes from the parser of its own field


def kept_secret(directory: Path, name: str) -> Secret:
    """Give the secret called `name` that `directory` keeps; made on first use, readable to its owner only.

    Raises SettingsError where that file holds no secret.
    """
    path = directory / name
    if not path.exists():
        # Written beside, then linked: nobody sees it half written, and of two processes that find none, one wins.
        fresh = _write_beside(path, new_secret())
        try:
            with suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            fresh.unlink()
    try:
        return _secret(path.read_text().strip())
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        raise SettingsError(f"{path}: expected {error}; remove it, and another is made") from error


def new_secret() -> Secret:
    """Make a secret of 48 random bytes."""
    return Secret(secrets.token_urlsafe(48))


def keep_secret(directory: Path, name: str, secret: Secret) -> None:
    """Put `secret` in the place of the one called `name` that `directory` keeps; nobody sees it half written."""
    path = directory / name
    _write_beside(path, secret).replace(path)


def _write_beside(path: Path, secret: Secret) -> Path:
    handle, fresh = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # its mode is 0600
    with os.fdopen(handle, "w") as file:
        if os.geteuid() == 0:  # the folder may be another's, who shall be able to read it, too
            os.fchown(handle, path.parent.stat().st_uid, path.parent.stat().st_gid)
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    return Path(fresh)


def _postgres_url(text: str) -> Secret:
    # What is wrong is never repeated: it may hold a password.
    expected = "postgresql://role:password@host:5432/database, with %2F for / and the like in a password"
    try:
        parts = urlsplit(text)
        for host in parts.netloc.rpartition("@")[2].split(","):
            urlsplit(f"//{host}").port  # noqa: B018 - raises for what is no port
    except ValueError as error:
        raise ValueError(expected) from error
    if parts.scheme not in {"postgres", "postgresql"} or LONE_PERCENT.search(text):
        raise ValueError(expected)
    return Secret(text)


def _secret(text: str) -> Secret:
    if len(text.encode()) < SHORTEST_SECRET:
        raise ValueError(f"at least {SHORTEST_SECRET} bytes (this one has {len(text.encode())})")
    return Secret(text)


def _number(least: int, most: int, unit: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        expected = f"a whole number of {unit} from {least} to {most}, not {text!r}"
        if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
            raise ValueError(expected)
        return int(text)

    return parse


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{' or '.join(choices)}, not {text!r}")
        return text

    return parse


PARSERS: dict[str, Callable[[str], object]] = {
    "database_url": _postgres_url,
    "admin_database_url": _postgres_url,
    "jwt_secret": _secret,
    "jwt_issuer": str,
    "jwt_audience": str,
    "seal_key": _secret,
    "cache_ttl": _number(1, 86_400, "seconds"),
    "fallback": _one_of(get_args(Fallback)),
    "pool_size": _number(1, 1_000, "connections"),
    "log": _one_of(get_args(LogFormat)),
}
