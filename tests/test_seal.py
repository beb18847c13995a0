"""The seal: what it looks like, and that the key in it is of no use to whoever sees it."""

import hashlib
import hmac
from datetime import UTC, datetime
from uuid import UUID

from service.caller import Caller
from service.seal import ANY_BACKEND, Seal
from service.setting_values import Secret

SECRET = Secret("0123456789abcdef0123456789abcdef")
ADA = Caller(UUID(int=1), UUID(int=2), "admin", UUID(int=3))
THEN = datetime(2026, 11, 22, 9, 0, 0, 999_999, tzinfo=UTC)


def test_a_seal_is_the_context_and_its_mac() -> None:
    context = (
        "1795338000|0000000042|00000000-0000-0000-0000-000000000001|00000000-0000-0000-0000-000000000002"
        "|00000000-0000-0000-0000-000000000003|admin"
    )
    mac = hmac.new(hashlib.sha256(SECRET.encode()).digest(), context.encode(), hashlib.sha256).hexdigest()

    assert Seal(SECRET).sign(ADA, 42, THEN) == f"{context}|{mac}"


def test_a_seal_of_no_session_and_any_backend_bears_zeros() -> None:
    sealed = Seal(SECRET).sign(Caller(UUID(int=1), UUID(int=2)), ANY_BACKEND, THEN)

    assert sealed.startswith("1795338000|0000000000|")
    assert "|00000000-0000-0000-0000-000000000000|member|" in sealed


def test_the_pads_are_those_of_hmac() -> None:
    inner, outer = Seal(SECRET).pads

    by_hand = hashlib.sha256(outer + hashlib.sha256(inner + b"context").digest()).hexdigest()
    assert by_hand == hmac.new(hashlib.sha256(SECRET.encode()).digest(), b"context", hashlib.sha256).hexdigest()


def test_a_key_is_known_by_an_id_that_tells_nothing_of_it() -> None:
    assert Seal(SECRET).key_id == hashlib.sha256(hashlib.sha256(SECRET.encode()).digest()).hexdigest()[:16]
    assert Seal(SECRET).key_id != Seal(Secret(SECRET + "x")).key_id


def test_a_seal_shows_its_key_in_no_repr() -> None:
    assert SECRET not in repr(Seal(SECRET))
    assert repr(SECRET) == "<secret>"
