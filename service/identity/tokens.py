"""Bearer tokens: of our own, signed here (HS256), and of identity providers, signed with keys that they publish."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final, Self
from uuid import UUID

import jwt
from msgspec import Struct

from service.caller import Caller
from service.errors import InvalidToken, ProviderUnavailable
from service.identity.claims import LONGEST_LIFE, Expected, caller_of, check_address, session_of, span_of
from service.identity.fetching import Fetcher
from service.identity.issuers import NO_IDENTITY, Provider, own_issuer, providers_of
from service.identity.jws import LONGEST_TOKEN, Parts, take_apart
from service.identity.keys import PROVIDER_ALGORITHMS
from service.identity.keyset import KeySet, Pace
from service.identity.verified import Verified, VerifiedTokens
from service.setting_values import Secret
from service.settings import Settings, SettingsError

OWN_ALGORITHM: Final = "HS256"
MOST_REMEMBERED: Final = 10_000  # tokens: 4 MB


class KeyNeeded(ProviderUnavailable):
    """A token is signed with a key that is not known here; its provider has to be asked first."""

    def __init__(self, keys: KeySet, parts: Parts) -> None:
        super().__init__(after=1)
        self._keys = keys
        self._wanted = parts.algorithm, parts.key_id

    async def learn(self) -> None:
        """Ask the provider, or wait for whoever does. Raises ProviderUnavailable."""
        await self._keys.learn(*self._wanted)


class _Known(Struct, frozen=True):
    """A provider and its keys."""

    provider: Provider
    keys: KeySet


class Tokens:
    """The tokens of one shared secret, if there is one, and of some identity providers.

    Which of them a token is checked by, its `alg` says, and between providers its `iss`; what it is checked with never
    depends on what else it says. `issuer`, `audience` and `leeway` are what is expected of our own.

    What was verified once is remembered, and only looked up until it expires: front ends send the same token again and
    again. It is forgotten when its key is no longer its provider's, and by forget().
    """

    def __init__(  # noqa: PLR0913 - each is a setting of its own
        self,
        secret: Secret | None,
        issuer: str | None = None,
        audience: str | None = None,
        *,
        leeway: int = 0,
        providers: Sequence[Provider] = (),
        pace: Pace = Pace(),  # noqa: B008 - it is frozen
    ) -> None:
        self._secret = secret
        self._own = Expected(issuer, audience, leeway)
        self._fetcher = Fetcher()
        # By digest: a token of 8 KiB takes no more room than one of 300 bytes, and none lies about in memory.
        self._verified = VerifiedTokens(MOST_REMEMBERED)
        self._known = {
            each.issuer: _Known(
                each, KeySet(each.issuer, partial(each.fetch_keys, self._fetcher), self._verified.forget, pace=pace)
            )
            for each in providers
        }
        own = {OWN_ALGORITHM} if secret is not None else set()
        self._algorithms = frozenset(own | PROVIDER_ALGORITHMS if providers else own)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make those that the settings name. Raises SettingsError where they name none, or wrong ones."""
        providers = providers_of(settings)
        if settings.jwt_secret is None and not providers:
            raise SettingsError(NO_IDENTITY)
        return cls(
            settings.jwt_secret,
            own_issuer(settings),
            settings.jwt_audience,
            leeway=settings.jwt_leeway,
            providers=providers,
        )

    def sign(self, caller: Caller, now: datetime, life: timedelta) -> str:
        """Give a token of `caller`, and of their session if they have one, that is good for `life` from `now`.

        Raises ValueError for a life that is not between one second and LONGEST_LIFE, as it would not be accepted, and
        where there is no secret.
        """
        if self._secret is None:
            raise ValueError("there is no secret to sign with (DAYMARK_JWT_SECRET)")
        if not timedelta(seconds=1) <= life <= LONGEST_LIFE:
            raise ValueError(f"a token lives from 1 second to {LONGEST_LIFE // timedelta(hours=1)} hours")
        claims = {
            "sub": str(caller.user_id),
            "tenant_id": str(caller.tenant_id),
            "role": caller.role,
            "sid": None if caller.session_id is None else str(caller.session_id),
            "iat": int(now.timestamp()),
            "exp": int((now + life).timestamp()),
            "iss": self._own.issuer,
            "aud": self._own.audience,
        }
        given = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(given, self._secret, OWN_ALGORITHM)

    def verify(self, token: str, now: datetime) -> Caller:
        """Give the caller that `token` speaks for, by the keys that are at hand.

        Raises InvalidToken, with what is wrong with it, for everything that is not a whole, signed, unexpired token in
        the one form that we take, and KeyNeeded where its provider has to be asked for a key first.
        """
        if len(token) > LONGEST_TOKEN:
            raise InvalidToken("The token is too long")
        digest = sha256(token.encode()).digest()
        verified = self._verified.find(digest)
        if verified is None or not verified.starts <= now < verified.ends:
            verified = self._check(token, now)
            self._verified.keep(digest, verified)
        return verified.caller

    async def verify_asking(self, token: str, now: datetime) -> Caller:
        """Give the caller that `token` speaks for; a provider is asked for a key that is not at hand.

        Raises InvalidToken, and ProviderUnavailable where the provider cannot be asked.
        """
        try:
            return self.verify(token, now)
        except KeyNeeded as needed:
            await needed.learn()
        try:
            return self.verify(token, now)
        except KeyNeeded:
            raise InvalidToken("The token is signed with a key that is not known") from None

    def forget(self, session_id: UUID) -> None:
        """Forget the tokens of a session that has ended: the next one is checked from the ground up."""
        self._verified.forget(session_id)

    def start(self) -> None:
        """Fetch the keys of all providers, and renew them from here on; nobody waits for that."""
        for known in self._known.values():
            known.keys.start()

    async def close(self) -> None:
        """Stop renewing keys."""
        for known in self._known.values():
            await known.keys.close()
        await self._fetcher.close()

    def _check(self, token: str, now: datetime) -> Verified:
        parts = take_apart(token, self._algorithms)
        if parts.algorithm == OWN_ALGORITHM and self._secret is not None:
            return self._check_own(parts, self._secret, now.timestamp())
        return self._check_provided(parts, now.timestamp())

    def _check_own(self, parts: Parts, secret: Secret, now: float) -> Verified:
        if not hmac.compare_digest(hmac.digest(secret.encode(), parts.signed, sha256), parts.signature):
            raise InvalidToken("The signature does not match")
        check_address(parts.claims, self._own, now)
        caller = caller_of(parts.claims, self._own.names)
        session_id = session_of(parts.claims)
        if session_id is not None:
            caller = Caller(caller.tenant_id, caller.user_id, caller.role, session_id)
        return Verified(caller, *span_of(parts.claims, self._own.leeway), session_id)

    def _check_provided(self, parts: Parts, now: float) -> Verified:
        known = self._issuer_of(parts.claims)
        expected, algorithm = known.provider.expected, parts.algorithm
        # Before a key is looked for: what has expired has nobody ask a provider for anything.
        check_address(parts.claims, expected, now)
        key = known.keys.find(algorithm, parts.key_id)
        if key is None:
            raise KeyNeeded(known.keys, parts)
        if not key.signed(algorithm, parts.signed, parts.signature):
            raise InvalidToken("The signature does not match")
        caller = caller_of(parts.claims, expected.names)
        if known.provider.tenants is not None and caller.tenant_id not in known.provider.tenants:
            raise InvalidToken("The token's issuer does not speak for this tenant")
        return Verified(caller, *span_of(parts.claims, expected.leeway), key)

    def _issuer_of(self, claims: dict[str, Any]) -> _Known:
        """Find the provider that a token says it is of: only whose keys it has to hold by."""
        issuer = claims.get("iss")
        known = self._known.get(issuer) if isinstance(issuer, str) else None
        if known is None:
            raise InvalidToken("The token has another issuer")
        return known
