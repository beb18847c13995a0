"""What an operator does to the accounts of a tenant's people: passwords, roles, sessions. The audit trail has each."""

import datetime as dt
from typing import get_args
from uuid import UUID

from msgspec import Struct

from service.administrator import Administrator, AdministratorError
from service.caller import Role
from service.identity.passwords import Passwords
from service.queries import FIND_USER_TO_CHANGE, LIST_OPEN_SESSIONS, SAVE_PASSWORD, SAVE_REVOCATIONS, SAVE_ROLE


class HeldSession(Struct, frozen=True):
    """An open session of somebody in a tenant; `email` is None for a person known by a token only."""

    session_id: UUID
    email: str | None
    created_at: dt.datetime
    used_at: dt.datetime
    expires_at: dt.datetime
    address: str | None
    agent: str | None


async def set_password(administrator: Administrator, tenant: str, email: str, password: str, now: dt.datetime) -> int:
    """Set a user's password, and give how many sessions of theirs that ended: all that they had.

    Raises AdministratorError where there is no such user, or for a password that is too short or too long.
    """
    person = await administrator.find_caller(tenant, email)
    try:
        kept = Passwords().hash(password)
    except ValueError as error:
        raise AdministratorError(str(error)) from error
    async with administrator.transaction():
        # Held first, so that of a login at this very moment the session is seen, and ended, or never begins.
        await administrator.run(FIND_USER_TO_CHANGE, tenant_id=person.tenant_id, user_id=person.user_id)
        [row] = await administrator.run(
            SAVE_PASSWORD, tenant_id=person.tenant_id, user_id=person.user_id, password_hash=kept, now=now
        )
    return int(row["ended"])


async def set_role(administrator: Administrator, tenant: str, email: str, role: str, now: dt.datetime) -> int:
    """Set a user's role, and give how many sessions of theirs that ended: none, where they had that role already.

    Raises AdministratorError where there is no such user or role.
    """
    if role not in get_args(Role):
        raise AdministratorError(f"a role is {' or '.join(get_args(Role))}, not {role!r}")
    person = await administrator.find_caller(tenant, email)
    async with administrator.transaction():
        await administrator.run(FIND_USER_TO_CHANGE, tenant_id=person.tenant_id, user_id=person.user_id)
        rows = await administrator.run(
            SAVE_ROLE, tenant_id=person.tenant_id, user_id=person.user_id, role=role, now=now
        )
    return sum(row["ended"] for row in rows)


async def list_sessions(
    administrator: Administrator, tenant: str, email: str | None, now: dt.datetime
) -> list[HeldSession]:
    """List the open sessions of a tenant, or of one of its users, newest first."""
    tenant_id, person = await _find(administrator, tenant, email)
    rows = await administrator.run(LIST_OPEN_SESSIONS, tenant_id=tenant_id, person=person, now=now)
    return [HeldSession(**row) for row in rows]


async def revoke_sessions(
    administrator: Administrator, tenant: str, email: str | None, session_id: UUID | None, now: dt.datetime
) -> int:
    """End sessions of a tenant: one, all of a user's, or all; give how many that ended."""
    tenant_id, person = await _find(administrator, tenant, email)
    rows = await administrator.run(SAVE_REVOCATIONS, tenant_id=tenant_id, person=person, session_id=session_id, now=now)
    return len(rows)


async def _find(administrator: Administrator, tenant: str, email: str | None) -> tuple[UUID, UUID | None]:
    if email is None:
        return (await administrator.find_tenant(tenant)).tenant_id, None
    person = await administrator.find_caller(tenant, email)
    return person.tenant_id, person.user_id
