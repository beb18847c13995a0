"""Lenient or strict: whether a route that can do without the caller's own data answers with a sample or an error.

A front end that shows the two GET routes under /api/insights never has to handle an error of theirs. A caller that
would rather know says `Prefer: handling=strict` (RFC 7240), or the operator says so for everybody.
"""

import re
from typing import Any, Literal, cast

from litestar import Request, Response

from service.errors import InvalidToken, NoData, Problem, ProviderUnavailable, Unauthenticated, Unavailable
from service.settings import Settings

Reason = Literal["unauthenticated", "invalid_token", "no_data", "unavailable"]

# What a sample can stand in for; the code of each is the reason given.
EXCUSABLE = (Unauthenticated, InvalidToken, NoData, Unavailable, ProviderUnavailable)

# What stands between commas; a comma within quotes is none. A quote that is never closed reaches to the end.
PREFERENCE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*(?:"|\\?\Z))+')

VARY = {"Vary": "Authorization, Prefer"}


class Handling:
    """How one request wants what is excusable handled."""

    def __init__(self, request: Request[Any, Any, Any], settings: Settings) -> None:
        preferred = _preference(request.headers.getall("prefer", []), "handling")
        self.strict = settings.fallback == "strict" or preferred == "strict"
        applied = "strict" if self.strict else "lenient"
        # RFC 7240, 3: a preference is confirmed where it was heeded.
        self.headers = VARY | ({"Preference-Applied": f"handling={applied}"} if preferred == applied else {})

    def excuse(self, problem: Problem) -> Reason:
        """Give the reason for answering with a sample; strict, raise `problem` itself."""
        if self.strict:
            problem.headers |= self.headers
            raise problem
        return cast("Reason", problem.code)

    def sample(self, content: object, problem: Problem) -> Response[Any]:
        """Answer 200 with sample data. It is nobody's, and may be outdated at the next request: not to be stored."""
        headers = self.headers | {"Cache-Control": "no-store"}
        if isinstance(problem, InvalidToken):
            headers |= problem.headers  # WWW-Authenticate: the front end shall be able to tell
        return Response(content, headers=headers)


def _preference(headers: list[str], name: str) -> str | None:
    """Find a preference by name, in lower case; of two, the first counts (RFC 7240, 2)."""
    for preference in PREFERENCE.findall(",".join(headers)):
        token, _, value = preference.partition(";")[0].partition("=")
        if token.strip().lower() == name:
            return str(value).strip().strip('"').lower()
    return None
