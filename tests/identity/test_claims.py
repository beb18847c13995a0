"""From the claims of any provider to a Caller: by name, by pointer, and within the leeway."""

from typing import Any
from uuid import UUID

import pytest

from service.caller import Caller
from service.errors import InvalidToken
from service.identity.claims import Expected, caller_of, check_address, span_of
from service.setting_values import ClaimNames
from tests.identity.signing import AT

TENANT, PERSON = "0b51f4f2-7f0e-4c3a-9a53-0f2b3b1d9a01", "5d0f8a52-3b8e-4f0c-8f5e-6a1c2d3e4f5a"
CALLER = Caller(UUID(TENANT), UUID(PERSON), "admin")


def named(**names: str) -> ClaimNames:
    return ClaimNames.of(names)


@pytest.mark.parametrize(
    ("claims", "names"),
    [
        ({"sub": PERSON, "tenant_id": TENANT, "role": "admin"}, {}),
        (
            {
                "sub": "auth0|1",
                "https://daymark.example/user": PERSON,
                "https://daymark.example/tenant": TENANT,
                "role": "admin",
            },
            {"sub": "https://daymark.example/user", "tenant_id": "https://daymark.example/tenant"},
        ),
        ({"oid": PERSON, "tid": TENANT, "a.b": "admin"}, {"sub": "oid", "tenant_id": "tid", "role": "a.b"}),
        (
            {"sub": PERSON, "app_metadata": {"tenant": {"id": TENANT}}, "roles": ["admin", "x"]},
            {"tenant_id": "/app_metadata/tenant/id", "role": "/roles/0"},
        ),
        ({"sub": PERSON, "a/b": {"m~n": TENANT}, "": "admin"}, {"tenant_id": "/a~1b/m~0n", "role": "/"}),
        ({"sub": PERSON, "~1": TENANT, "role": "admin"}, {"tenant_id": "/~01"}),
        ({"sub": PERSON, "x": {"0": TENANT}, "role": "admin"}, {"tenant_id": "/x/0"}),
    ],
    ids=["our own names", "Auth0's", "dots are letters", "nested", "escaped", "escaped twice", "a digit as a name"],
)
def test_claims_are_found_where_the_settings_say(claims: dict[str, Any], names: dict[str, str]) -> None:
    assert caller_of(claims, named(**names)) == CALLER


@pytest.mark.parametrize(
    ("claims", "tenant_id"),
    [
        ({"a": TENANT}, "/a/b"),
        ({"a": {"c": TENANT}}, "/a/b"),
        ({"a": [TENANT]}, "/a/1"),
        ({"a": [TENANT]}, "/a/00"),
        ({"a": [TENANT]}, "/a/-"),
        ({"a": [TENANT]}, "/a/-1"),
        ({"a": [TENANT]}, "/a/\u0660"),
        ({"a": [TENANT]}, "/a/99999999999999999999"),
        ({"a": None}, "/a/b"),
        ({"a": TENANT}, "a/"),
        ({"a": {"b": TENANT}}, "a.b"),
        ({"a": {"b": TENANT}}, "/a/b/"),
    ],
)
def test_a_pointer_that_leads_nowhere_finds_nothing(claims: dict[str, Any], tenant_id: str) -> None:
    with pytest.raises(InvalidToken, match="tenant_id must be a UUID in lower case"):
        caller_of({"sub": PERSON} | claims, named(tenant_id=tenant_id))


def test_a_role_is_member_where_there_is_none_and_only_there() -> None:
    claims = {"sub": PERSON, "tenant_id": TENANT}
    names = named(role="/realm/role")

    assert caller_of(claims, names).role == "member"
    assert caller_of(claims | {"realm": {"role": "admin"}}, names).role == "admin"
    for role in (None, "", "owner", ["admin"], True):
        with pytest.raises(InvalidToken, match="role must be member or admin"):
            caller_of(claims | {"realm": {"role": role}}, names)


def test_what_is_wrong_is_told_by_our_names_and_not_by_those_of_the_settings() -> None:
    with pytest.raises(InvalidToken) as raised:
        caller_of({}, named(sub='a "quoted" claim, \u2603'))

    assert raised.value.headers["WWW-Authenticate"] == (
        'Bearer realm="daymark", error="invalid_token", error_description="sub must be a UUID in lower case"'
    )


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": AT - 30}, "The token has expired"),
        ({"exp": AT - 29}, None),
        ({"exp": AT + 60, "nbf": AT + 30}, None),
        ({"exp": AT + 60, "nbf": AT + 31}, "The token is not valid yet"),
        ({"exp": AT + 86_430}, None),
        ({"exp": AT + 86_431}, "The token lives longer than is allowed"),
    ],
)
def test_another_clock_may_differ_by_the_leeway_and_no_more(claims: dict[str, Any], said: str | None) -> None:
    expected = Expected(leeway=30)
    if said is None:
        check_address(claims, expected, AT)
    else:
        with pytest.raises(InvalidToken, match=said):
            check_address(claims, expected, AT)


@pytest.mark.parametrize("claims", [{"exp": AT + 60}, {"exp": AT + 60, "nbf": AT}, {"exp": AT + 90_000, "nbf": 0}])
@pytest.mark.parametrize("leeway", [0, 30])
def test_a_span_is_when_a_token_would_be_accepted(claims: dict[str, Any], leeway: int) -> None:
    starts, ends = (each.timestamp() for each in span_of(claims, leeway))
    expected = Expected(leeway=leeway)

    check_address(claims, expected, starts)
    check_address(claims, expected, ends - 0.001)
    for outside in (starts - 0.001, ends):
        with pytest.raises(InvalidToken):
            check_address(claims, expected, outside)
