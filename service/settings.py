"""The settings: one frozen struct, read once from the environment and a `.env` file."""

import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Literal, get_args

from dotenv import dotenv_values
from msgspec import Struct

from service.setting_values import (
    LONGEST_LEEWAY,
    ClaimNames,
    Origins,
    Rate,
    Secret,
    api_key,
    api_url,
    claim_names,
    decimal,
    keys_url,
    model,
    number,
    one_of,
    origins,
    postgres_url,
    rate,
    secret,
)

Fallback = Literal["lenient", "strict"]
LogFormat = Literal["text", "json"]

DEFAULT_MODEL = "gpt-4o-mini"


class SettingsError(Exception):
    """One or more settings are wrong or missing; the message has a line for each."""


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that an operator can set; each field is the environment variable `DAYMARK_<FIELD>` (but see NAMES).

    Durations are in seconds. A URL of a database may carry a password: `repr` shows none.
    """

    database_url: Secret | None = None
    """Where the service logs in, as its own role. None: the embedded Postgres."""
    admin_database_url: Secret | None = None
    """Where migrations and the operator's commands log in."""
    jwt_secret: Secret | None = None
    """The HS256 key, at least 32 bytes. None: one is made and kept for embedded use; elsewhere a provider is needed."""
    jwt_issuer: str | None = None
    """What `iss` must be. None: not looked at. With a provider, it is that of its tokens, not of our own."""
    jwt_audience: str | None = None
    """What `aud` must name. None: a token that names an audience is refused."""
    jwt_jwks_url: str | None = None
    """Where the keys of the provider jwt_issuer are (RFC 7517); `discover`: where its discovery says.

    None: as `discover` where jwt_issuer is a URL and there is no jwt_secret; else there is no such provider.
    """
    jwt_leeway: int = 0
    """How far the clock of whoever signs tokens may differ from ours, in seconds."""
    jwt_claims: ClaimNames = ClaimNames()
    """Where an identity provider's tokens say who, of which tenant and in which role."""
    issuers: str | None = None
    """A TOML file of several identity providers, each with the tenants that it may speak for."""
    access_ttl: int = 900
    """How long an access token of our own sessions is good for, in seconds."""
    refresh_ttl: int = 2_592_000
    """How long a session lasts that nobody uses, in seconds."""
    refresh_grace: int = 10
    """For how long a refresh token that was used already ends nothing: two tabs, or an answer that got lost."""
    limit_person: Rate = Rate(600_000, 60)
    """Requests of one person."""
    limit_anonymous: Rate = Rate(60_000, 60)
    """Requests without a token that holds, of one address."""
    limit_login: Rate = Rate(10, 900)
    """Tries to log in to one account."""
    limit_login_address: Rate = Rate(300, 900)
    """Tries to log in of one address, which may be that of a whole office."""
    trusted_proxies: int = 0
    """How many proxies before us add to X-Forwarded-For; 0: whoever connects is who asks."""
    cors_origins: Origins = Origins()
    """The origins whose pages may read our answers; none: CORS is off."""
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
        return secret(path.read_text().strip())
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


# Variables that other programs know by these names, too.
NAMES = {"openai_api_key": "OPENAI_API_KEY", "openai_base_url": "OPENAI_BASE_URL"}

PARSERS: dict[str, Callable[[str], object]] = {
    "database_url": postgres_url,
    "admin_database_url": postgres_url,
    "jwt_secret": secret,
    "jwt_issuer": str,
    "jwt_audience": str,
    "jwt_jwks_url": keys_url,
    "jwt_leeway": number(0, LONGEST_LEEWAY, "seconds"),
    "jwt_claims": claim_names,
    "issuers": str,
    "access_ttl": number(60, 3_600, "seconds"),
    "refresh_ttl": number(3_600, 31_536_000, "seconds"),
    "refresh_grace": number(0, 60, "seconds"),
    "limit_person": rate,
    "limit_anonymous": rate,
    "limit_login": rate,
    "limit_login_address": rate,
    "trusted_proxies": number(0, 10, "proxies"),
    "cors_origins": origins,
    "seal_key": secret,
    "cache_ttl": number(1, 86_400, "seconds"),
    "fallback_ttl": number(1, 86_400, "seconds"),
    "stale": number(0, 86_400, "seconds"),
    "openai_api_key": api_key,
    "openai_base_url": api_url,
    "openai_model": model,
    "openai_timeout": lambda text: float(decimal("0.1", "120", "seconds")(text)),
    "openai_input_price": decimal("0", "100000", "US dollars for a million tokens"),
    "openai_output_price": decimal("0", "100000", "US dollars for a million tokens"),
    "daily_calls": number(0, 1_000_000_000, "calls"),
    "daily_tokens": number(0, 1_000_000_000_000, "tokens"),
    "fallback": one_of(get_args(Fallback)),
    "pool_size": number(1, 1_000, "connections"),
    "log": one_of(get_args(LogFormat)),
}
