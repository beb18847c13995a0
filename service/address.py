"""From where a request comes: who connected, or who the proxies that we trust say did.

X-Forwarded-For is a list to which each proxy adds, at its end, the address of whoever connected to it. So of `trusted`
proxies before us, the last `trusted` entries are theirs, and believed; all before those is whatever the sender wrote.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from litestar.types import Scope

from service.settings import Settings

UNKNOWN = "unknown"
LONGEST_ADDRESS = 64  # characters: an IPv6 address has at most 45, and may come in brackets, with a port


def address_of(scope: Scope, settings: Settings) -> str:
    """Give the address that a request comes from, as it is usually spelled; `unknown` over a socket that has none.

    Where a trusted proxy gave no address (a hidden one, or garbage), the nearest after it that has one counts.
    """
    peer = scope["client"]
    connected = peer[0] if peer else ""
    if not settings.trusted_proxies:
        return _spelled(connected) or UNKNOWN
    lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    entries = b",".join(lines).rsplit(b",", settings.trusted_proxies)[-settings.trusted_proxies :]
    for entry in (*entries, connected.encode("latin-1", "replace")):
        if found := _spelled(entry.decode("latin-1")):
            return found
    return UNKNOWN


@lru_cache(maxsize=4_096)
def counted_as(address: str) -> str:
    """Give what an address is counted as: an IPv6 one as its /64, of which one household or machine has all."""
    if ":" not in address:
        return address
    return str(IPv6Network((address, 64), strict=False))


def _spelled(text: str) -> str | None:
    """Spell an address in its one usual way, without brackets, port and zone; None for what is none."""
    text = text.strip(' \t"')
    # Looked at first: what is kept below shall be small.
    return _parsed(text) if len(text) <= LONGEST_ADDRESS else None


@lru_cache(maxsize=4_096)
def _parsed(text: str) -> str | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)
