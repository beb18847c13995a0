"""What the OpenAPI document says and the routes' own types do not: who may ask, what goes wrong, the headers."""

from dataclasses import dataclass

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    OpenAPIHeader,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    Schema,
    SecurityRequirement,
)
from msgspec import Struct

from service.errors import BodyTooLarge, InvalidToken, Problem, ProviderUnavailable, RequestTimeout, Wrong

BEARER: list[SecurityRequirement] = [{"bearer": []}]
BEARER_OR_NOBODY: list[SecurityRequirement] = [{"bearer": []}, {}]


class ProblemDocument(Struct):
    """What is wrong (RFC 9457)."""

    status: int
    type: str
    title: str
    detail: str
    code: str
    errors: list[Wrong] = []


def problems(*kinds: type[Problem]) -> dict[int, ResponseSpec]:
    """Describe what a route may raise; what has one status is one response.

    Whatever looks at a token may need its provider for that, and whatever takes a body does not wait for it for ever.
    """
    said: dict[int, list[str]] = {}
    if InvalidToken in kinds:
        kinds = (*kinds, ProviderUnavailable)
    if BodyTooLarge in kinds:
        kinds = (*kinds, RequestTimeout)
    for kind in kinds:
        said.setdefault(kind.status, []).append(f"`{kind.code}`: {kind.__doc__}")
    return {
        status: ResponseSpec(
            ProblemDocument,
            generate_examples=False,
            description=" ".join(sentences),
            media_type="application/problem+json",
        )
        for status, sentences in said.items()
    }


NOT_MODIFIED = {304: ResponseSpec(None, description="The caller has this answer already: `If-None-Match` names it.")}


def _header(description: str) -> OpenAPIHeader:
    return OpenAPIHeader(schema=Schema(type=OpenAPIType.STRING), description=description)


REQUEST_ID = {"X-Request-ID": _header("The request's id, as in the log: the caller's own if it sent a plain one")}
OF_A_LIMIT = {
    "RateLimit-Policy": _header("The limits that the request counts for: `q` requests within `w` seconds"),
    "RateLimit": _header("What is left of each: `r` requests, until it begins anew in `t` seconds"),
}
OF_A_STATUS = {
    "401": {"WWW-Authenticate": _header("What to authenticate with, and what is wrong with the token sent (RFC 6750)")},
    "403": {"WWW-Authenticate": _header("With `code: forbidden`: what the token lacks (RFC 6750)")},
    "405": {"Allow": _header("The methods that this path takes")},
    "429": {"Retry-After": _header("After how many seconds it can be asked for again")},
    "503": {"Retry-After": _header("After how many seconds to try again")},
}
OF_AN_EXCUSE = {
    "Cache-Control": _header("For how long the answer may be kept, by its reader only"),
    "Vary": _header("Authorization, Prefer"),
    "Preference-Applied": _header("`handling=strict` or `handling=lenient`, where `Prefer` asked for it and got it"),
    "WWW-Authenticate": _header("With `reason: invalid_token`: what is wrong with the token (RFC 6750)"),
}
ETAG = {"ETag": _header("Names this answer, for `If-None-Match`")}


@dataclass
class DescribedOperation(Operation):
    """An operation with the headers that its answers have."""

    def __post_init__(self) -> None:
        responses = self.responses or {}
        everywhere = REQUEST_ID | (OF_A_LIMIT if "429" in responses else {})
        for status, response in responses.items():
            if isinstance(response, OpenAPIResponse):
                response.headers = {**(response.headers or {}), **everywhere, **OF_A_STATUS.get(status, {})}


@dataclass
class LenientOperation(DescribedOperation):
    """An operation that answers with a sample, unless asked to be strict."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._take("Prefer", "`handling=strict`: answer 401, 404 or 503 and not with a sample (RFC 7240)")
        self._give("200", OF_AN_EXCUSE)

    def _take(self, name: str, description: str) -> None:
        header = Parameter(name, "header", schema=Schema(type=OpenAPIType.STRING), description=description)
        self.parameters = [*(self.parameters or []), header]

    def _give(self, status: str, headers: dict[str, OpenAPIHeader]) -> None:
        response = (self.responses or {}).get(status)
        if isinstance(response, OpenAPIResponse):
            response.headers = {**(response.headers or {}), **headers}


@dataclass
class ConditionalOperation(LenientOperation):
    """A lenient operation whose answer has a tag."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._take("If-None-Match", "Tags that the caller has: 304 where the answer's is one of them")
        self._give("200", ETAG)
        self._give("304", OF_AN_EXCUSE | ETAG)
