"""The headers by which browsers do no more with an answer than they have to: OWASP's list for REST services.

Every answer has those of EVERYWHERE, and the Content-Security-Policy of NOTHING unless it is a page of its own: then
what that page needs and no more (`page_policy`). Strict-Transport-Security is for whoever holds the certificate to
send: this service speaks plain HTTP, over which browsers have to ignore it (RFC 6797, 8.1).
"""

import base64
import hashlib
import re
from functools import lru_cache

EVERYWHERE = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    # Of what a page asks for without CORS, such as an image: CORS, where it is on, decides by itself.
    (b"cross-origin-resource-policy", b"same-origin"),
)
POLICY = b"content-security-policy"
NOTHING = (POLICY, b"default-src 'none'; frame-ancestors 'none'")

KINDS = (b"script", b"style")
INLINE = re.compile(rb"<(script|style)(?![^>]*\ssrc=)[^>]*>(.*?)</\1>", re.DOTALL)


@lru_cache(maxsize=4)
def page_policy(page: bytes) -> str:
    """Give the policy of a page of the API reference: our own files, and the very scripts and styles in it.

    Swagger UI draws icons from `data:`, and sends the requests that are tried out on it.
    """
    scripts, styles = ([_spelled(text) for kind, text in INLINE.findall(page) if kind == each] for each in KINDS)
    return "; ".join(
        [
            "default-src 'none'",
            " ".join(["script-src 'self'", *scripts]),
            " ".join(["style-src 'self'", *styles]),
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _spelled(text: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
