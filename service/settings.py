"""The settings: one frozen struct, read once from the environment and a `.env` file."""

import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Literal, TypeVar, get_args
from urllib.parse import urlsplit

from dotenv import dotenv_values
from msgspec import Struct

Fallback = Literal["lenient", "strict"]
LogFormat = Literal["text", "json"]
T = TypeVar("T")

DEFAULT_MODEL = "gpt-4o-mini"

SHORTEST_SECRET = 32  # bytes: RFC 7518, 3.2 asks HS256 for a key no shorter than its hash
LONGEST_MODEL = 200  # as the ledger's column
DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
WHOLE = re.compile(r"[0-9]{1,20}")
# A host or an IPv6 address, a port, a path: no name, password, query or fragment.
API_URL = re.compile(r"https?://(?:[\w.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?(?:/[^\s?#\\]*)?", re.IGNORECASE)
LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class SettingsError(Exception):
    """One or more settings are wrong or missing; the message has a line for each."""


class Secret(str):
    """A string that shows itself in no repr, and so in no traceback and no log."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that an operator can set; each field is the environment variable `DAYMARK_<FIELD>` (but see NAMES).

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
    fallback_ttl: int = 300
    """How long recommendations by rules are kept that stand in for those of an AI that failed, in seconds."""
    stale: int = 0
    """For how long after that recommendations may still be given while new ones are made, in seconds. 0: not at all."""
    openai_api_key: Secret | None = None
    """None: recommendations come from rules, and nothing leaves the house."""
    openai_base_url: str | None = None
    """Where a server is that speaks OpenAI's API. None: OpenAI's own."""
    openai_model: str = DEFAULT_MODEL
    openai_timeout: float = 8.0
    """The most that making recommendations may take, all retries included, in seconds."""
    openai_input_price: Decimal | None = None
    """US dollars for a million tokens sent. None: the default model's list price; of another model, not known."""
    openai_output_price: Decimal | None = None
    """US dollars for a million tokens received; None likewise."""
    daily_calls: int = 10_000
    """How many calls of AI a tenant may use a day (UTC), unless it has a number of its own."""
    daily_tokens: int = 20_000_000
    """How many tokens a tenant may use a day (UTC), in and out, unless it has a number of its own."""
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
        name = NAMES.get(field, f"DAYMARK_{field.upper()}")
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
        if not WHOLE.fullmatch(text) or not least <= int(text) <= most:
            raise ValueError(expected)
        return int(text)

    return parse


def _decimal(least: str, most: str, unit: str) -> Callable[[str], Decimal]:
    def parse(text: str) -> Decimal:
        expected = f"{unit} from {least} to {most}, not {text!r}"
        if not DECIMAL.fullmatch(text) or not Decimal(least) <= Decimal(text) <= Decimal(most):
            raise ValueError(expected)
        return Decimal(text)

    return parse


def _api_url(text: str) -> str:
    # What is wrong is not repeated here either.
    expected = "http://host/v1 or https://host/v1, with no name or password in it"
    try:
        sound = urlsplit(text).port != 0  # raises for one that is too high, and for an IPv6 address that is none
    except ValueError as error:
        raise ValueError(expected) from error
    if not sound or not text.isprintable() or not API_URL.fullmatch(text):
        raise ValueError(expected)
    return text


def _api_key(text: str) -> Secret:
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("a key without spaces")
    return Secret(text)


def _model(text: str) -> str:
    if not text.isprintable() or len(text) > LONGEST_MODEL:
        raise ValueError(f"the name of a model, of at most {LONGEST_MODEL} characters")
    return text


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{' or '.join(choices)}, not {text!r}")
        return text

    return parse


# Variables that other programs know by these names, too.
NAMES = {"openai_api_key": "OPENAI_API_KEY", "openai_base_url": "OPENAI_BASE_URL"}

PARSERS: dict[str, Callable[[str], object]] = {
    "database_url": _postgres_url,
    "admin_database_url": _postgres_url,
    "jwt_secret": _secret,
    "jwt_issuer": str,
    "jwt_audience": str,
    "seal_key": _secret,
    "cache_ttl": _number(1, 86_400, "seconds"),
    "fallback_ttl": _number(1, 86_400, "seconds"),
    "stale": _number(0, 86_400, "seconds"),
    "openai_api_key": _api_key,
    "openai_base_url": _api_url,
    "openai_model": _model,
    "openai_timeout": lambda text: float(_decimal("0.1", "120", "seconds")(text)),
    "openai_input_price": _decimal("0", "100000", "US dollars for a million tokens"),
    "openai_output_price": _decimal("0", "100000", "US dollars for a million tokens"),
    "daily_calls": _number(0, 1_000_000_000, "calls"),
    "daily_tokens": _number(0, 1_000_000_000_000, "tokens"),
    "fallback": _one_of(get_args(Fallback)),
    "pool_size": _number(1, 1_000, "connections"),
    "log": _one_of(get_args(LogFormat)),
}
