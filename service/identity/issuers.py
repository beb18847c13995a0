"""The identity providers that the settings name, and where each publishes its keys."""

import tomllib
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from service.identity.claims import UUID_SHAPE, Expected
from service.identity.fetching import Fetched, Fetcher, FetchError
from service.setting_values import DISCOVER, LONGEST_LEEWAY, ClaimNames, https_url
from service.settings import Settings, SettingsError

OWN_ISSUER: Final = "urn:daymark"
"""What `iss` is in tokens of our own where DAYMARK_JWT_ISSUER is a provider's."""
NO_IDENTITY: Final = "DAYMARK_JWT_SECRET is not set, nor an identity provider (DAYMARK_JWT_JWKS_URL, DAYMARK_ISSUERS)"
ANY_TENANT: Final = "any"
MEMBERS: Final = {"issuer", "audience", "jwks_url", "tenants", "leeway", "claims"}


class Provider(Struct, frozen=True):
    """An identity provider: what its tokens must say, where its keys are, and of which tenants it may speak."""

    issuer: str
    expected: Expected
    jwks_url: str | None = None
    """None: where its discovery document says."""
    tenants: frozenset[UUID] | None = None
    """None: all of them."""

    async def fetch_keys(self, fetcher: Fetcher) -> Fetched:
        """Fetch its key set. Raises FetchError."""
        return await fetcher.get(self.jwks_url or await self._discover(fetcher))

    async def _discover(self, fetcher: Fetcher) -> str:
        """Find where its keys are (OpenID Connect Discovery 1.0, 4)."""
        document = (await fetcher.get(f"{self.issuer.removesuffix('/')}/.well-known/openid-configuration")).content
        # Discovery 1.0, 4.3: exactly, or another's keys could be passed off as this one's.
        if document.get("issuer") != self.issuer:
            raise FetchError("describes another issuer")
        url = str(document.get("jwks_uri", ""))
        try:
            # A provider elsewhere has no business with what answers on this machine.
            if https_url(url).lower().startswith("https") or self.issuer.startswith("http:"):
                return url
        except ValueError:
            pass
        raise FetchError("does not say where its keys are, or not by https")


def own_issuer(settings: Settings) -> str | None:
    """Give what `iss` is in tokens of our own; None: they name none, and it is not looked at."""
    return OWN_ISSUER if _names_provider(settings) else settings.jwt_issuer


def providers_of(settings: Settings) -> list[Provider]:
    """Give the identity providers that the settings name.

    Raises SettingsError with everything that is wrong with them, be it in the settings or in the file that they name.
    """
    wrong: list[str] = []
    found = _single(settings, wrong) + _several(settings, wrong)
    named = [provider.issuer for provider in found]
    wrong += [f"DAYMARK_ISSUERS: expected {each!r} once" for each in sorted({x for x in named if named.count(x) > 1})]
    if wrong:
        raise SettingsError("\n".join(wrong))
    return found


def discovers(settings: Settings) -> bool:
    """Say whether an operator who has set this, and no more, has a provider whose keys are to be discovered."""
    issuer = settings.jwt_issuer or ""
    return settings.jwt_jwks_url is None and settings.jwt_secret is None and issuer.startswith(("https://", "http://"))


def _names_provider(settings: Settings) -> bool:
    return settings.jwt_jwks_url is not None or discovers(settings)


def _single(settings: Settings, wrong: list[str]) -> list[Provider]:
    """Give the provider of DAYMARK_JWT_ISSUER, if that is one."""
    if not _names_provider(settings):
        return []
    issuer, url = settings.jwt_issuer, settings.jwt_jwks_url
    if issuer is None:
        wrong.append("DAYMARK_JWT_ISSUER: expected with DAYMARK_JWT_JWKS_URL, the `iss` of that provider's tokens")
        return []
    discovered = url in {None, DISCOVER}
    wrong += [f"DAYMARK_JWT_ISSUER: expected {what}" for what in _faults(issuer, discovered=discovered)]
    expected = Expected(issuer, settings.jwt_audience, settings.jwt_leeway, settings.jwt_claims)
    return [Provider(issuer, expected, None if discovered else url)]


def _faults(issuer: str, *, discovered: bool) -> list[str]:
    if issuer == OWN_ISSUER:
        return [f"another than {OWN_ISSUER}, which is our own"]
    if not discovered:
        return []
    try:
        https_url(issuer)
    except ValueError as error:
        return [f"{error}, since its keys are to be discovered"]
    return []


def _several(settings: Settings, wrong: list[str]) -> list[Provider]:
    """Give the providers of the file that DAYMARK_ISSUERS names."""
    if settings.issuers is None:
        return []
    try:
        document = tomllib.loads(Path(settings.issuers).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # what is no UTF-8, and what is no TOML, is a ValueError
        wrong.append(f"DAYMARK_ISSUERS: {settings.issuers} cannot be read: {error}")
        return []
    given = document.get("issuer")
    if set(document) != {"issuer"} or not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        wrong.append(f"DAYMARK_ISSUERS: {settings.issuers}: expected [[issuer]] tables and nothing else")
        return []
    found = []
    for number, table in enumerate(given, 1):
        reader = _Reader(table, f"DAYMARK_ISSUERS: issuer {number}: ")
        found.append(reader.provider())
        wrong += reader.wrong
    return found


class _Reader:
    """Reads one table of the file, and notes everything that is wrong with it."""

    def __init__(self, table: dict[str, Any], where: str) -> None:
        self._table = table
        self._where = where
        self.wrong: list[str] = []

    def provider(self) -> Provider:
        for name in sorted(set(self._table) - MEMBERS):
            self._expect(f"{', '.join(sorted(MEMBERS))}, not {name!r}")
        issuer, url = self._text("issuer") or "", self._text("jwks_url")
        if not issuer:
            self._expect("issuer, the `iss` of its tokens")
        else:
            for what in _faults(issuer, discovered=url is None):
                self._expect(f"as issuer {what}")
        if url is not None:
            try:
                https_url(url)
            except ValueError as error:
                self._expect(f"as jwks_url {error}")
        expected = Expected(issuer, self._text("audience"), self._leeway(), self._claims())
        return Provider(issuer, expected, url, self._tenants())

    def _text(self, name: str) -> str | None:
        value = self._table.get(name)
        if value is None or (isinstance(value, str) and value):
            return value
        self._expect(f"{name} to be a text")
        return None

    def _leeway(self) -> int:
        value = self._table.get("leeway", 0)
        if type(value) is int and 0 <= value <= LONGEST_LEEWAY:
            return value
        self._expect(f"leeway to be a whole number of seconds from 0 to {LONGEST_LEEWAY}")
        return 0

    def _claims(self) -> ClaimNames:
        value = self._table.get("claims", {})
        if isinstance(value, dict) and all(isinstance(name, str) for name in value.values()):
            try:
                return ClaimNames.of(value)
            except ValueError as error:
                self._expect(f"as claims {error}")
        else:
            self._expect("claims to be a table of texts")
        return ClaimNames()

    def _tenants(self) -> frozenset[UUID] | None:
        value = self._table.get("tenants")
        if value == ANY_TENANT:
            return None
        if isinstance(value, list) and value and all(isinstance(x, str) and UUID_SHAPE.fullmatch(x) for x in value):
            return frozenset(map(UUID, value))
        self._expect(f'tenants: a list of ids (UUIDs in lower case) that it may speak for, or "{ANY_TENANT}"')
        return frozenset()

    def _expect(self, what: str) -> None:
        self.wrong.append(f"{self._where}expected {what}")
