"""From where a request comes: no more is believed of X-Forwarded-For than the proxies that we trust have written."""

from typing import Any

import pytest

from service import address as module
from service.address import LONGEST_ADDRESS, address_of, counted_as
from service.settings import Settings

PEER = "192.0.2.1"


def found(*lines: bytes, proxies: int, peer: tuple[str, int] | None = (PEER, 40_000)) -> str:
    """Give the address of a request with these lines of X-Forwarded-For."""
    scope: Any = {
        "client": peer,
        "headers": [(b"host", b"a"), *((b"x-forwarded-for", line) for line in lines), (b"accept", b"*/*")],
    }
    return address_of(scope, Settings(trusted_proxies=proxies))


@pytest.mark.parametrize("line", [b"203.0.113.7", b"127.0.0.1, 10.0.0.1", b"", b"\xff"])
def test_without_proxies_nothing_is_believed(line: bytes) -> None:
    assert found(line, proxies=0) == PEER


@pytest.mark.parametrize(
    ("lines", "proxies", "address"),
    [
        ([b"203.0.113.7"], 1, "203.0.113.7"),
        ([b"203.0.113.7, 198.51.100.1"], 2, "203.0.113.7"),
        ([b"203.0.113.7,198.51.100.1"], 2, "203.0.113.7"),
        # What the sender wrote before the proxies did.
        ([b"127.0.0.1, 203.0.113.7"], 1, "203.0.113.7"),
        ([b"1.1.1.1, 2.2.2.2, 203.0.113.7, 198.51.100.1"], 2, "203.0.113.7"),
        ([b"1.1.1.1", b"203.0.113.7"], 1, "203.0.113.7"),
        ([b"1.1.1.1, 203.0.113.7", b"198.51.100.1"], 2, "203.0.113.7"),
        ([b"1.1.1.1," * 10_000 + b"203.0.113.7"], 1, "203.0.113.7"),
        ([b"evil\x00, 203.0.113.7"], 1, "203.0.113.7"),
    ],
)
def test_of_so_many_proxies_the_first_ones_word_counts(lines: list[bytes], proxies: int, address: str) -> None:
    assert found(*lines, proxies=proxies) == address


@pytest.mark.parametrize(
    ("lines", "proxies", "address"),
    [
        ([], 1, PEER),
        ([b""], 1, PEER),
        ([b"203.0.113.7,"], 1, PEER),
        ([b"203.0.113.7, unknown"], 1, PEER),
        ([b"203.0.113.7, _hidden"], 1, PEER),
        ([b"203.0.113.7, unknown"], 2, "203.0.113.7"),
        ([b"unknown, 198.51.100.1"], 2, "198.51.100.1"),
        ([b"1.1.1.1, <script>, 198.51.100.1"], 2, "198.51.100.1"),
        ([b"198.51.100.1"], 3, "198.51.100.1"),
        ([b"unknown, unknown"], 2, PEER),
        ([b"1.1.1.1, 999.1.1.1"], 1, PEER),
        ([b"1.1.1.1, 010.1.1.1"], 1, PEER),
        ([b"1.1.1.1, 1.1.1"], 1, PEER),
        ([b"1.1.1.1, ::1::"], 1, PEER),
        (["1.1.1.1, \uff11.1.1.1".encode()], 1, PEER),
        ([b"1.1.1.1, \xb9.1.1.1"], 1, PEER),
        ([b"1.1.1.1, " + b"2" * 100_000], 1, PEER),
        ([b"1.1.1.1, [" + b":" * 100_000], 1, PEER),
        ([b"1.1.1.1, 2.2.2.2\x00"], 1, PEER),
        ([b"1.1.1.1, 2.2.2.2 3.3.3.3"], 1, PEER),
        ([b"1.1.1.1, 16843009"], 1, PEER),
        ([b"1.1.1.1, 2.2.2.2/8"], 1, PEER),
    ],
)
def test_where_a_proxy_gave_no_address_the_nearest_after_it_counts(
    lines: list[bytes], proxies: int, address: str
) -> None:
    assert found(*lines, proxies=proxies) == address


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        (b"203.0.113.7:51000", "203.0.113.7"),
        (b'"203.0.113.7"', "203.0.113.7"),
        (b"\t203.0.113.7 ", "203.0.113.7"),
        (b"2001:db8::7", "2001:db8::7"),
        (b"2001:0DB8:0:0::0007", "2001:db8::7"),
        (b"[2001:db8::7]", "2001:db8::7"),
        (b"[2001:db8::7]:443", "2001:db8::7"),
        (b'"[2001:db8::7]:443"', "2001:db8::7"),
        (b"fe80::7%eth0", "fe80::7"),
        (b"::ffff:203.0.113.7", "203.0.113.7"),
        (b"[::ffff:203.0.113.7]:80", "203.0.113.7"),
    ],
)
def test_an_address_is_spelled_in_one_way_whatever_is_around_it(entry: bytes, address: str) -> None:
    assert found(entry, proxies=1) == address


def test_a_peer_without_an_address_is_unknown() -> None:
    assert found(proxies=0, peer=None) == "unknown"
    assert found(proxies=1, peer=("", 0)) == "unknown"
    assert found(b"203.0.113.7", proxies=1, peer=None) == "203.0.113.7"


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("unknown", "unknown"),
    ],
)
def test_ipv6_counts_by_its_network(address: str, counted: str) -> None:
    assert counted_as(address) == counted


def test_what_is_too_long_for_an_address_is_not_kept() -> None:
    module._parsed.cache_clear()
    for length in (LONGEST_ADDRESS, LONGEST_ADDRESS + 1, 60_000):
        assert found(b"f" * length, proxies=1) == PEER
    assert found(b" " * 60_000 + b"203.0.113.7", proxies=1) == "203.0.113.7"

    # The longest that may be one, the peer that stood in for all three, and the last.
    assert module._parsed.cache_info().currsize == 3
