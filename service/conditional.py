"""Conditional requests (RFC 9110, 13): an answer that the caller already has is not sent again."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.status_codes import HTTP_304_NOT_MODIFIED

TAG = re.compile(r'"[^"]*"')  # without the W/ before it: see is_named


def respond(request: Request[Any, Any, Any], content: object, headers: dict[str, str]) -> Response[Any]:
    """Answer with `content` as JSON and its ETag; 304 and no body where If-None-Match names that tag."""
    body, tag = tagged(content)
    headers = headers | {"ETag": tag}
    if is_named(tag, request.headers.getall("if-none-match", [])):
        return Response(None, headers=headers, status_code=HTTP_304_NOT_MODIFIED)
    return Response(body, headers=headers, media_type="application/json")


def tagged(content: object) -> tuple[bytes, str]:
    """Give `content` as JSON, and the ETag of that."""
    body = msgspec.json.encode(content)
    return body, f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def is_named(tag: str, if_none_match: Sequence[str]) -> bool:
    """Whether If-None-Match names `tag`, by the weak comparison that this header asks for (RFC 9110, 13.1.2)."""
    value = ",".join(if_none_match).strip()
    return value == "*" or tag in TAG.findall(value)
