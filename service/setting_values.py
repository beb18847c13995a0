"""The values that settings take: each parser gives one out of its text, or raises ValueError with what was expected."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Self
from urllib.parse import urlsplit

from msgspec import Struct

SHORTEST_SECRET = 32  # bytes: RFC 7518, 3.2 asks HS256 for a key no shorter than its hash
LONGEST_MODEL = 200  # as the ledger's column
DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
WHOLE = re.compile(r"[0-9]{1,20}")
# A host or an IPv6 address, a port, a path: no name, password, query or fragment.
API_URL = re.compile(r"https?://(?:[\w.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?(?:/[^\s?#\\]*)?", re.IGNORECASE)
LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# What a browser sends as Origin (RFC 6454, 6.2): no path, nothing in capitals, no port that the scheme has by itself.
ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
OWN_PORT = re.compile(r"http:.*:80|https:.*:443")
RATE = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,4})", re.ASCII)
LONGEST_WINDOW = 86_400  # seconds
DISCOVER = "discover"
LONGEST_LEEWAY = 300  # seconds
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Secret(str):
    """A string that shows itself in no repr, and so in no traceback and no log."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"


class Rate(Struct, frozen=True):
    """At most `count` of something within `seconds`, from the first of them on; a count of 0 is no limit at all."""

    count: int
    seconds: int

    def __str__(self) -> str:
        """Give the text that a setting has."""
        return f"{self.count}/{self.seconds}" if self.count else "off"


class Origins(tuple[str, ...]):
    """The origins of front ends, as browsers spell them."""

    __slots__ = ()

    def __str__(self) -> str:
        """Give the text that a setting has."""
        return ",".join(self)


class ClaimNames(Struct, frozen=True):
    """In which claim of a token each thing that we want to know stands.

    A name that begins with a slash is a JSON pointer (RFC 6901) into the claims; any other is a claim's own name,
    dots, colons and slashes in it included.
    """

    sub: str = "sub"
    tenant_id: str = "tenant_id"
    role: str = "role"

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Self:
        """Take names over. Raises ValueError for what is none."""
        for field, name in given.items():
            if field not in cls.__struct_fields__ or not name or not name.isprintable():
                raise ValueError(
                    "sub=claim,tenant_id=claim,role=claim: a claim's name, or a JSON pointer that begins with /"
                )
        return cls(**given)

    def __str__(self) -> str:
        """Give the text that a setting has."""
        return ",".join(f"{field}={getattr(self, field)}" for field in self.__struct_fields__)


def postgres_url(text: str) -> Secret:
    """Take a database's URL."""
    # What is wrong is never repeated: it may hold a password.
    expected = "postgresql://role:password@host:5432/database, with %2F for / and the like in a password"
    try:
        parts = urlsplit(text)
        for host in parts.netloc.rpartition("@")[2].split(","):
            urlsplit(f"//{host}").port  # noqa: B018 - raises for what is no port
    except ValueError as error:
        raise ValueError(expected) from error
    if parts.scheme not in {"postgres", "postgresql"} or LONE_PERCENT.search(text):
        raise ValueError(expected)
    return Secret(text)


def secret(text: str) -> Secret:
    """Take a secret that is long enough."""
    if len(text.encode()) < SHORTEST_SECRET:
        raise ValueError(f"at least {SHORTEST_SECRET} bytes (this one has {len(text.encode())})")
    return Secret(text)


def number(least: int, most: int, unit: str) -> Callable[[str], int]:
    """Make the parser of a whole number."""

    def parse(text: str) -> int:
        expected = f"a whole number of {unit} from {least} to {most}, not {text!r}"
        if not WHOLE.fullmatch(text) or not least <= int(text) <= most:
            raise ValueError(expected)
        return int(text)

    return parse


def decimal(least: str, most: str, unit: str) -> Callable[[str], Decimal]:
    """Make the parser of a number with a fraction."""

    def parse(text: str) -> Decimal:
        expected = f"{unit} from {least} to {most}, not {text!r}"
        if not DECIMAL.fullmatch(text) or not Decimal(least) <= Decimal(text) <= Decimal(most):
            raise ValueError(expected)
        return Decimal(text)

    return parse


def api_url(text: str) -> str:
    """Take an API's URL."""
    # What is wrong is not repeated here either.
    expected = "http://host/v1 or https://host/v1, with no name or password in it"
    try:
        sound = urlsplit(text).port != 0  # raises for one that is too high, and for an IPv6 address that is none
    except ValueError as error:
        raise ValueError(expected) from error
    if not sound or not text.isprintable() or not API_URL.fullmatch(text):
        raise ValueError(expected)
    return text


def api_key(text: str) -> Secret:
    """Take an API's key."""
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("a key without spaces")
    return Secret(text)


def model(text: str) -> str:
    """Take a model's name."""
    if not text.isprintable() or len(text) > LONGEST_MODEL:
        raise ValueError(f"the name of a model, of at most {LONGEST_MODEL} characters")
    return text


def one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    """Make the parser of one word of several."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{' or '.join(choices)}, not {text!r}")
        return text

    return parse


def https_url(text: str) -> str:
    """Take a URL whose answer is believed: over TLS, or from this machine itself."""
    expected = "https://host/path (http:// only for a host of this machine), with no name or password in it"
    try:
        url = urlsplit(api_url(text))
    except ValueError as error:
        raise ValueError(expected) from error
    if url.scheme.lower() != "https" and url.hostname not in LOOPBACK:
        raise ValueError(expected)
    return text


def keys_url(text: str) -> str:
    """Take where a provider's keys are: a URL, or that it is to be discovered."""
    if text == DISCOVER:
        return text
    try:
        return https_url(text)
    except ValueError as error:
        raise ValueError(f"{error}, or {DISCOVER}") from error


def rate(text: str) -> Rate:
    """Take `COUNT/SECONDS`, or `off`."""
    if text == "off":
        return Rate(0, 1)
    match = RATE.fullmatch(text)
    if not match or int(match[2]) > LONGEST_WINDOW:
        raise ValueError(f"COUNT/SECONDS, such as 600/60, of at most {LONGEST_WINDOW} seconds, or off, not {text!r}")
    return Rate(int(match[1]), int(match[2]))


def origins(text: str) -> Origins:
    """Take a list of origins, with commas between them."""
    given = Origins(each.strip() for each in text.split(","))
    for each in given:
        if not ORIGIN.fullmatch(each) or OWN_PORT.fullmatch(each):
            raise ValueError(f"origins such as https://app.example, with commas between them, not {each!r}")
    return given


def claim_names(text: str) -> ClaimNames:
    """Take `sub=claim,tenant_id=claim,role=claim`, any of them."""
    pairs = [each.partition("=") for each in text.split(",")]
    return ClaimNames.of({field.strip(): name.strip() for field, _, name in pairs})
