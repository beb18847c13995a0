"""The service's own sessions: a login, what keeps it going, and its end.

A session is a row; its tokens are of two kinds. An access token is a JWT of ours that names the session, and holds for
minutes: Postgres asks, with every statement in its name, whether the session still lasts. A refresh token is opaque,
good for one use, and kept as its SHA-256 only.
"""

import base64
import binascii
import datetime as dt
import hashlib
import re
import secrets
from contextlib import suppress
from typing import Any, Literal
from uuid import UUID, uuid4

import msgspec
from msgspec import Struct

from service.caller import NOBODY_KNOWN, NOBODY_YET, Caller, Role
from service.database import Database
from service.errors import InvalidCredentials, InvalidRefreshToken, NotFound, RefreshTokenSuperseded, UnknownTenant
from service.identity.passwords import Passwords
from service.identity.tokens import Tokens
from service.queries import (
    DELETE_OLD_SESSIONS,
    FIND_CONFIRMED_LOGIN,
    FIND_LOCKED_PERSON,
    FIND_LOGIN,
    LIST_SESSIONS,
    SAVE_CLEARING,
    SAVE_EVENT,
    SAVE_LOGOUT,
    SAVE_REVOCATION,
    SAVE_ROTATION,
    SAVE_SESSION,
)

MARK = "dmr_"  # by which scanners of leaked secrets can tell one of ours
RANDOM = 32  # bytes
SHAPE = re.compile(r"dmr_[A-Za-z0-9_-]{86}", re.ASCII)  # two UUIDs and RANDOM
LONGEST_AGENT = 200  # as the column


class Asker(Struct, frozen=True):
    """Where a request comes from, as far as that is told."""

    address: str | None = None
    agent: str | None = None


class Granted(Struct, rename="camel"):
    """What somebody who logged in is given: an access token, and what to get the next one with.

    Times in seconds from now.
    """

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int
    session_id: UUID
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - no password, but RFC 6750's name of the kind


class OpenSession(Struct, rename="camel"):
    """One of a person's open sessions; `current` is the one that asks."""

    id: UUID
    current: bool
    created_at: dt.datetime
    used_at: dt.datetime
    expires_at: dt.datetime
    address: str | None
    agent: str | None


class Login(Struct, frozen=True):
    """Whom somebody says that they are, as far as there is such a person."""

    account: str
    """What tells accounts apart, whether there is one or not."""
    tenant_id: UUID | None
    user_id: UUID | None
    password_hash: str | None
    role: Role = "member"

    def __repr__(self) -> str:
        """Show no hash."""
        return f"<login of {self.account}>"


class Lives(Struct, frozen=True):
    """How long things last."""

    access: dt.timedelta = dt.timedelta(minutes=15)
    """An access token."""
    session: dt.timedelta = dt.timedelta(days=30)
    """A session, from its last use on."""
    grace: int = 10
    """For how many seconds after its first use a refresh token that is used again does not end its session."""


class Sessions:
    """The sessions of tenants that have no identity provider."""

    def __init__(self, database: Database, tokens: Tokens, passwords: Passwords, lives: Lives) -> None:
        self._database = database
        self._tokens = tokens
        self._passwords = passwords
        self._lives = lives

    async def find_login(self, tenant: str, email: str) -> Login:
        """Find whoever says that they are a tenant's person of an e-mail address. Raises Unavailable."""
        rows = await self._database.read(NOBODY_YET, FIND_LOGIN, tenant=tenant, email=email)
        if not rows:
            return Login(f"{tenant} {email}".lower(), None, None, None)
        [row] = rows
        # By what it was looked for by, whether there is anybody or not: a tenant's slug and its id, and an address in
        # any case, are one account, and how tries are counted tells nothing.
        role: Role = row["role"] or "member"
        return Login(f"{row['tenant_id']} {row['email']}", row["tenant_id"], row["user_id"], row["password_hash"], role)

    async def log_in(self, login: Login, password: str, now: dt.datetime, asker: Asker) -> Granted:
        """Begin a session.

        Raises InvalidCredentials, whichever of the three is wrong and in the same time; Busy and Unavailable.
        """
        # No connection is held meanwhile: it takes a tenth of a second.
        fits = await self._passwords.fit(login.password_hash, password)
        if not fits or login.tenant_id is None or login.user_id is None:
            await self._note_failure(login, now, asker)
            raise InvalidCredentials
        person, session_id = Caller(login.tenant_id, login.user_id, login.role), uuid4()
        refresh_token = _new_refresh_token(person)
        # Not yet in the session's own name: there is no such session before this.
        async with self._database.transaction(person) as transaction:
            # Who was deleted, or given another password or role, while this one was checked is not let in.
            [held] = await transaction.fetch(FIND_CONFIRMED_LOGIN, password_hash=login.password_hash, role=login.role)
            if not held["confirmed"]:
                raise InvalidCredentials
            await transaction.fetch(
                SAVE_SESSION,
                session_id=session_id,
                token_hash=_digest(refresh_token),
                now=now,
                expires_at=now + self._lives.session,
                address=asker.address,
                agent=_agent(asker),
            )
            await transaction.fetch(DELETE_OLD_SESSIONS, before=now - self._lives.session)
        return self._grant(person, session_id, refresh_token, now)

    async def refresh(self, refresh_token: str, now: dt.datetime, asker: Asker) -> Granted:
        """Exchange a refresh token for the next one, and an access token.

        Raises InvalidRefreshToken for one that is unknown or over, or was used before (then its session ends), and
        RefreshTokenSuperseded for one that was used a moment ago.
        """
        person = _person_named(refresh_token)
        following = _new_refresh_token(person)
        async with self._database.transaction(person) as transaction:
            await transaction.fetch(FIND_LOCKED_PERSON)
            [row] = await transaction.fetch(
                SAVE_ROTATION,
                token_hash=_digest(refresh_token),
                next_hash=_digest(following),
                now=now,
                grace=self._lives.grace,
                expires_at=now + self._lives.session,
                address=asker.address,
            )
            if row["outcome"] == "rotated":
                await transaction.fetch(DELETE_OLD_SESSIONS, before=now - self._lives.session)
        if row["outcome"] == "superseded":
            raise RefreshTokenSuperseded
        if row["outcome"] == "reused":
            self._tokens.forget(row["session_id"])
        if row["outcome"] != "rotated":
            raise InvalidRefreshToken
        person = msgspec.structs.replace(person, role=row["role"])
        return self._grant(person, row["session_id"], following, now)

    async def log_out(self, caller: Caller, now: dt.datetime, asker: Asker, *, everywhere: bool) -> None:
        """End the caller's session, or all that they have; what was kept for them is not given out again."""
        async with self._database.transaction(caller) as transaction:
            await transaction.fetch(SAVE_CLEARING, now=now)
            ended = await transaction.fetch(
                SAVE_LOGOUT, session_id=caller.session_id, everywhere=everywhere, now=now, address=asker.address
            )
        self._forget(ended)

    async def find_open(self, caller: Caller, now: dt.datetime) -> list[OpenSession]:
        """Find the caller's open sessions, newest first, a hundred at most."""
        return [
            OpenSession(
                row["session_id"],
                row["session_id"] == caller.session_id,
                row["created_at"],
                row["used_at"],
                row["expires_at"],
                row["address"],
                row["agent"],
            )
            for row in await self._database.read(caller, LIST_SESSIONS, now=now)
        ]

    async def revoke(self, caller: Caller, session_id: UUID, now: dt.datetime, asker: Asker) -> None:
        """End one of the caller's sessions. Raises NotFound where they have no such session open."""
        async with self._database.transaction(caller) as transaction:
            await transaction.fetch(FIND_LOCKED_PERSON)
            ended = await transaction.fetch(SAVE_REVOCATION, id=session_id, now=now, address=asker.address)
        if not ended:
            raise NotFound
        self._forget(ended)

    async def _note_failure(self, login: Login, now: dt.datetime, asker: Asker) -> None:
        if login.tenant_id is None:
            return
        failed = Caller(login.tenant_id, login.user_id or NOBODY_KNOWN)
        with suppress(UnknownTenant):  # it was deleted meanwhile
            async with self._database.transaction(failed) as transaction:
                await transaction.fetch(SAVE_EVENT, kind="login_failed", now=now, address=asker.address)

    def _forget(self, ended: list[Any]) -> None:
        for row in ended:
            self._tokens.forget(row["session_id"])

    def _grant(self, person: Caller, session_id: UUID, refresh_token: str, now: dt.datetime) -> Granted:
        person = msgspec.structs.replace(person, session_id=session_id)
        return Granted(
            access_token=self._tokens.sign(person, now, self._lives.access),
            expires_in=int(self._lives.access.total_seconds()),
            refresh_token=refresh_token,
            refresh_expires_in=int(self._lives.session.total_seconds()),
            session_id=session_id,
        )


def _new_refresh_token(person: Caller) -> str:
    """Make a token. It says whose it is, so that its row can be looked for behind the wall; the rest is random."""
    data = person.tenant_id.bytes + person.user_id.bytes + secrets.token_bytes(RANDOM)
    return MARK + base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _person_named(refresh_token: str) -> Caller:
    """Give whom a token claims to be of: good for looking for its row, and for nothing else."""
    if not SHAPE.fullmatch(refresh_token):
        raise InvalidRefreshToken
    try:
        data = base64.urlsafe_b64decode(refresh_token.removeprefix(MARK) + "==")
    except binascii.Error as error:
        raise InvalidRefreshToken from error
    return Caller(UUID(bytes=data[:16]), UUID(bytes=data[16:32]))


def _digest(refresh_token: str) -> bytes:
    # No slow hash: there is nothing to guess in 32 random bytes.
    return hashlib.sha256(refresh_token.encode()).digest()


def _agent(asker: Asker) -> str | None:
    return None if asker.agent is None else asker.agent[:LONGEST_AGENT]
