"""Conditional requests (RFC 9110, 13): an answer that the caller already has is not sent again."""

import hashlib
import re
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.status_codes import HTTP_304_NOT_MODIFIED

TAG = re.compile(r'"[^"]*"')  # without the W/ before it: see _names


def respond(request: Request[Any, Any, Any], content: object, headers: dict[str, str]) -> Response[Any]:
    """Answer with `content` as JSON and its ETag; 304 and no body where If-None-Match names that tag."""
    body = msgspec.json.encode(content)
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    headers = headers | {"ETag": tag}
    if _names(request.headers.getall("if-none-match", []), tag):
        return Response(None, headers=headers, status_code=HTTP_304_NOT_MODIFIED)
    return Response(body, headers=headers, media_type="application/json")


def _names(headers: list[str], tag: str) -> bool:
    """Whether If-None-Match names `tag`, by the weak comparison that this header asks for (RFC 9110, 13.1.2)."""
    value = ",".join(headers).strip()
    return value == "*" or tag in TAG.findall(value)
