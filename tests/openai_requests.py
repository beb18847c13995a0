"""What OpenAI's API takes: a request of chat completions whose answer is to keep to a strict JSON schema."""

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

PATH = "/v1/chat/completions"
PARAMETERS = {
    "frequency_penalty",
    "max_completion_tokens",
    "messages",
    "metadata",
    "model",
    "n",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "store",
    "temperature",
    "top_p",
    "verbosity",
}
# Of a strict schema. Among those that it does not take: minLength, maxLength, uniqueItems, allOf, oneOf, default.
KEYWORDS = {
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
}


class Received(Struct, frozen=True):
    """A request; the names of its headers are in lower case, its body is bytes where it is not JSON."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    at: float = 0
    """When it came, in seconds of the monotonic clock."""


def find_complaints(request: Received) -> Iterator[tuple[int, str]]:
    """Say why the API would refuse a request, and with which status; the first counts."""
    body = request.body
    if (request.method, request.path) != ("POST", PATH):
        yield 404, f"no {request.method} {request.path}"
    if not request.headers.get("authorization", "").startswith("Bearer "):
        yield 401, "no key"
    if request.headers.get("content-type") != "application/json" or not isinstance(body, dict):
        yield 400, "no JSON object"
    if unknown := body.keys() - PARAMETERS:
        yield 400, f"unknown: {sorted(unknown)}"
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield 400, "no model"
    messages = body.get("messages", [])
    if not messages or not all(
        each["role"] in {"system", "developer", "user"} and each["content"] for each in messages
    ):
        yield 400, "no messages"
    form = body.get("response_format", {})
    named = form.get("json_schema", {})
    if form.get("type") != "json_schema" or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", named.get("name", "")):
        yield 400, "no JSON schema"
    schema = named.get("schema", {})
    if named.get("strict") is not True or schema.get("type") != "object":
        yield 400, "no strict schema of an object"
    for loose in find_loose(schema, schema.get("$defs", {})):
        yield 400, f"schema: {loose}"


def find_loose(node: dict[str, Any], parts: dict[str, Any]) -> Iterator[str]:
    """Say what in a schema is not as strict mode has it."""
    if unknown := node.keys() - KEYWORDS:
        yield f"unknown keywords {sorted(unknown)}"
    if not node.keys() & {"type", "anyOf", "$ref"}:
        yield "a node of no type"
    if "$ref" in node and node["$ref"].removeprefix("#/$defs/") not in parts:
        yield "a reference to nothing"
    if node.get("type") == "object" and node.get("additionalProperties") is not False:
        yield "an object that may have more"
    if node.get("type") == "object" and sorted(node.get("required", [])) != sorted(node.get("properties", {})):
        yield "an object that may have less"
    below = [node.get("items", {}), *node.get("anyOf", []), *node.get("properties", {}).values()]
    for each in [*filter(None, below), *node.get("$defs", {}).values()]:
        yield from find_loose(each, parts)
