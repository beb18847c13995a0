"""Conditional requests (RFC 9110, 13): an answer that the caller already has is not sent again.

All tags are strong: of two answers to one address, those with the same tag are the same to the byte. A tag is either a
hash of the answer, or it names the revision of the rows that the answer is made of, so that Postgres can say that it
still holds without giving the rows. A revision's tag names its form as well: all else that the answer depends on, such
as the release of the service.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.status_codes import HTTP_304_NOT_MODIFIED

TAG = re.compile(r'"[^"]*"')  # without the W/ before it: see is_named
MOST_REVISIONS = (
    10  # that Postgres is asked about; a caller who names more of them is given the answer, and checked then
)


def respond(
    request: Request[Any, Any, Any], content: object, headers: dict[str, str], tag: str | None = None
) -> Response[Any]:
    """Answer with `content` as JSON and its ETag; 304 and no body where If-None-Match names that tag.

    `tag` is what names the answer, if not a hash of it.
    """
    body = msgspec.json.encode(content)
    tag = tag or f'"{_hash(body, 16)}"'
    headers = headers | {"ETag": tag}
    if is_named(tag, request.headers.getall("if-none-match", [])):
        return not_modified(headers)
    return Response(body, headers=headers, media_type="application/json")


def not_modified(headers: dict[str, str]) -> Response[Any]:
    """Answer 304, with the headers that the answer would have, and neither body nor length (RFC 9110, 15.4.5)."""
    return Response(None, headers=headers, status_code=HTTP_304_NOT_MODIFIED)


@cache
def form_of(*settings: object) -> str:
    """Name the form of answers that depend on these settings: eight hexadecimal digits."""
    return _hash(repr((version("daymark"), *settings)).encode(), 4)


def tag_of(revision: str, form: str) -> str:
    """Give the ETag of an answer that is made of rows of this revision."""
    return f'"{revision}-{form}"'


def revisions_named(if_none_match: Sequence[str], form: str) -> list[str]:
    """Give the revisions that If-None-Match names, by tags of this form."""
    if not if_none_match:
        return []
    ending = f'-{form}"'
    tags = TAG.findall(",".join(if_none_match))
    return [tag[1 : -len(ending)] for tag in tags if tag.endswith(ending)][:MOST_REVISIONS]


def is_named(tag: str, if_none_match: Sequence[str]) -> bool:
    """Whether If-None-Match names `tag`, by the weak comparison that this header asks for (RFC 9110, 13.1.2)."""
    value = ",".join(if_none_match).strip()
    return value == "*" or tag in TAG.findall(value)


def _hash(data: bytes, size: int) -> str:
    return hashlib.blake2b(data, digest_size=size).hexdigest()
