"""Passwords: hashed as RFC 9106 has it, checked a few at a time, and no faster where there is nothing to check."""

import asyncio
import re
import time

import pytest

from service.errors import Busy
from service.identity.passwords import AT_ONCE, MOST_WAITING, NOBODYS, Passwords

PASSWORD = "correct horse battery staple"


def test_a_hash_is_argon2id_with_its_parameters_and_a_salt_of_its_own() -> None:
    passwords = Passwords()
    first, second = passwords.hash(PASSWORD), passwords.hash(PASSWORD)
    assert re.fullmatch(r"\$argon2id\$v=19\$m=65536,t=3,p=4\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}", first)
    assert first != second


async def test_a_password_fits_its_own_hash_and_no_other() -> None:
    passwords = Passwords()
    kept = passwords.hash(PASSWORD)
    assert await passwords.fit(kept, PASSWORD)
    for other in ("", "correct horse battery stapl", PASSWORD + " ", PASSWORD.title(), PASSWORD + "\0"):
        assert not await passwords.fit(kept, other)


@pytest.mark.parametrize("kept", ["", "$argon2id$", "$argon2id$kept", "plain", NOBODYS])
async def test_what_is_no_hash_fits_nothing(kept: str) -> None:
    assert not await Passwords().fit(kept, PASSWORD)


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 1_001])
def test_a_password_that_is_too_short_or_too_long_is_not_kept(password: str) -> None:
    with pytest.raises(ValueError, match="a password has 12 to 1000 characters"):
        Passwords().hash(password)


async def test_no_hash_takes_as_long_as_a_real_one() -> None:
    passwords = Passwords()
    kept = passwords.hash(PASSWORD)

    async def took(hash_: str | None) -> float:
        times = []
        for _ in range(7):
            began = time.perf_counter()
            await passwords.fit(hash_, "wrong horse battery staple")
            times.append(time.perf_counter() - began)
        return min(times)  # what else the machine does only ever adds

    real = await took(kept)
    assert real / 2 < await took(None) < real * 2


async def test_checks_take_turns_and_the_loop_goes_on() -> None:
    passwords = Passwords()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    assert await asyncio.gather(*(passwords.fit(None, PASSWORD) for _ in range(AT_ONCE * 3))) == [False] * AT_ONCE * 3
    ticking.cancel()
    assert ticks > 5


async def test_too_many_at_once_are_told_to_come_again() -> None:
    passwords = Passwords()
    waiting = [asyncio.create_task(passwords.fit(None, PASSWORD)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Busy) as busy:
        await passwords.fit(None, PASSWORD)
    assert busy.value.headers["Retry-After"] == "2"
    await asyncio.gather(*waiting)
    assert not await passwords.fit(None, PASSWORD)


async def test_who_goes_away_does_not_let_more_in() -> None:
    passwords, before = Passwords(), asyncio.all_tasks()
    for _ in range(MOST_WAITING):
        gone = asyncio.create_task(passwords.fit(None, PASSWORD))
        await asyncio.sleep(0)
        gone.cancel()
    with pytest.raises(Busy):
        await passwords.fit(None, PASSWORD)
    await asyncio.gather(*(asyncio.all_tasks() - before), return_exceptions=True)
    assert not await passwords.fit(None, PASSWORD)
