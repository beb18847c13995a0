"""Where a command works: the database that the settings name, or the embedded one in a data folder."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from service import embedded
from service.administrator import Administrator
from service.identity.issuers import NO_IDENTITY, discovers, providers_of
from service.seal import Seal
from service.setting_values import DISCOVER, Secret
from service.settings import Settings, SettingsError, environment, kept_secret, read

DATABASE = "daymark"
SERVICE_ROLE = "daymark_service"
ADMIN_ROLE = "postgres"


class Installation(Struct, frozen=True):
    """The settings, completed by what the embedded Postgres brings where they name no database."""

    settings: Settings
    embedded: bool

    @property
    def service_url(self) -> Secret:
        """Where the service logs in."""
        return _given(self.settings.database_url, "DAYMARK_DATABASE_URL")

    @property
    def admin_url(self) -> Secret:
        """Where migrations and the operator log in. Raises SettingsError where nobody said."""
        return _given(self.settings.admin_database_url, "DAYMARK_ADMIN_DATABASE_URL")

    @property
    def jwt_secret(self) -> Secret:
        """The key of HS256. Raises SettingsError where nobody gave one."""
        return _given(self.settings.jwt_secret, "DAYMARK_JWT_SECRET")

    @property
    def seal(self) -> Seal:
        """What contexts are sealed with. Raises SettingsError where nobody gave a key."""
        return Seal(_given(self.settings.seal_key, "DAYMARK_SEAL_KEY"))


def _given(value: Secret | None, name: str) -> Secret:
    if value is None:
        raise SettingsError(f"{name} is not set")
    return value


@contextmanager
def installation(data: Path, purpose: str) -> Iterator[Installation]:
    """Give the installation that the settings name, or the embedded one in `data`, started if it is not running.

    Either of its two URLs names a database: a migration runner has no use for the service's.

    Raises SettingsError and EmbeddedError.
    """
    settings = read(environment(Path.cwd()))
    if settings.database_url is not None or settings.admin_database_url is not None:
        yield Installation(settings, embedded=False)
        return
    with embedded_installation(data, purpose) as found:
        yield found


@contextmanager
def embedded_installation(data: Path, purpose: str, *, exclusive: bool = False) -> Iterator[Installation]:
    """Give the embedded installation in `data`, whatever database the settings name.

    Raises SettingsError, and EmbeddedError; `exclusive`, also where another command uses it.
    """
    settings = read(environment(Path.cwd()))
    with embedded.running(data, purpose=purpose, exclusive=exclusive) as server:
        asyncio.run(_make_database(server))
        yield Installation(
            msgspec.structs.replace(
                settings,
                database_url=Secret(server.url(SERVICE_ROLE, DATABASE)),
                admin_database_url=Secret(server.url(ADMIN_ROLE, DATABASE)),
                # With a secret that nobody gave, it would not be seen any more that there is a provider.
                jwt_jwks_url=DISCOVER if discovers(settings) else settings.jwt_jwks_url,
                jwt_secret=settings.jwt_secret or kept_secret(data, "jwt-secret"),
                seal_key=settings.seal_key or kept_secret(data, "seal-key"),
            ),
            embedded=True,
        )


async def _make_database(server: embedded.Server) -> None:
    async with Administrator.connect(server.url(ADMIN_ROLE, "postgres")) as administrator:
        await administrator.make_database(DATABASE)


async def keep_seal_key(found: Installation) -> None:
    """See that the database holds the key that the service seals with; without one set, that is a later step's."""
    if found.settings.seal_key is not None:
        async with Administrator.connect(found.admin_url) as administrator:
            await administrator.keep_seal_key(found.seal)


def with_seal_key(found: Installation, secret: Secret) -> Installation:
    """Give the same installation, with another key of the seal."""
    return msgspec.structs.replace(found, settings=msgspec.structs.replace(found.settings, seal_key=secret))


def production() -> Installation:
    """Give the installation that the settings name, complete enough to serve.

    Raises SettingsError with everything that is missing, or with what is wrong with the identity providers.
    """
    settings = read(environment(Path.cwd()))
    identity = settings.jwt_secret or providers_of(settings) or None
    needed = {
        "DAYMARK_DATABASE_URL is not set": settings.database_url,
        NO_IDENTITY: identity,
        "DAYMARK_SEAL_KEY is not set": settings.seal_key,
    }
    missing = [said for said, value in needed.items() if value is None]
    if missing:
        raise SettingsError("\n".join([*missing, "for a trial that needs none of it: daymark dev"]))
    return Installation(settings, embedded=False)


def export(settings: Settings) -> None:
    """Hand the settings on to the server's worker processes, which read them from the environment."""
    for field in settings.__struct_fields__:
        value = getattr(settings, field)
        if value is not None:
            os.environ[f"DAYMARK_{field.upper()}"] = str(value)
