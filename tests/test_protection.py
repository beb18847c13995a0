"""Headers by which browsers do no more with an answer than they have to: on every answer, of every kind."""

import base64
import hashlib
import re

import httpx
import pytest

from service.caller import Caller
from service.protection import page_policy
from tests.conftest import bearer
from tests.wire import exchange

PATTERNS, RECOMMENDATIONS = "/api/insights/patterns", "/api/insights/recommendations"
DAY = {"date": "2026-11-22", "energy": 60, "focus": 85, "fulfillment": 90}
NOTHING = "default-src 'none'; frame-ancestors 'none'"


def protection_of(answer: httpx.Response) -> dict[str, str]:
    """Give the headers that protect, each of which must come once."""
    names = (
        "x-content-type-options",
        "referrer-policy",
        "x-frame-options",
        "cross-origin-resource-policy",
        "content-security-policy",
    )
    found = {name: answer.headers.get_list(name) for name in names}
    assert {name: len(values) for name, values in found.items()} == dict.fromkeys(names, 1)
    return {name: value for name, [value] in found.items()}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", PATTERNS, 200),
        ("HEAD", RECOMMENDATIONS, 200),
        ("POST", PATTERNS, 401),
        ("GET", f"{PATTERNS}?x=1", 400),
        ("GET", "/nowhere", 404),
        ("PUT", PATTERNS, 405),
        ("OPTIONS", PATTERNS, 204),
        ("GET", "/health/live", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/assets/swagger-ui.css", 200),
        ("GET", "/assets/none", 404),
        ("GET", "/docs/none", 404),
        ("OPTIONS", "/docs", 204),
    ],
)
async def test_every_answer_is_protected(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path)

    assert answer.status_code == status
    assert protection_of(answer) == {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": NOTHING,
    }
    # For whoever has the certificate to say.
    assert "strict-transport-security" not in answer.headers


async def test_the_express_way_is_protected_as_well(client: httpx.AsyncClient, caller: Caller) -> None:
    await client.post(PATTERNS, json=DAY, headers=bearer(caller))
    await client.get(RECOMMENDATIONS, headers=bearer(caller))
    answer = await client.get(RECOMMENDATIONS, headers=bearer(caller))

    assert answer.json()["cached"] is True
    assert protection_of(answer)["content-security-policy"] == NOTHING


async def test_what_the_front_refuses_is_protected_as_well(client: httpx.AsyncClient) -> None:
    answer = await exchange(client, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")

    assert b"\r\ncontent-security-policy: default-src 'none'; frame-ancestors 'none'\r\n" in answer
    assert b"\r\nx-frame-options: DENY\r\n" in answer


@pytest.mark.parametrize(("path", "inline"), [("/docs", 2), ("/docs/oauth2-redirect.html", 1)])
async def test_the_api_reference_may_run_what_stands_in_it_and_our_own_files_and_nothing_else(
    client: httpx.AsyncClient, path: str, inline: int
) -> None:
    answer = await client.get(path)
    protection, page = protection_of(answer), answer.text
    allowed = dict(part.split(" ", 1) for part in protection["content-security-policy"].split("; "))

    written = re.findall(r"<(script|style)(?:\s+type='text/javascript')?>(.*?)</", page, re.DOTALL)
    assert len(written) == inline
    for kind, text in written:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed[f"{kind}-src"].split()
    for address in re.findall(r"""(?:src|href)=["']([^"']*)""", page):
        assert address.startswith(("/assets/", "data:"))
    assert not re.search(r"\son\w+=", page)
    assert "unsafe" not in protection["content-security-policy"]
    assert allowed["default-src"] == "'none'"
    assert allowed["frame-ancestors"] == "'none'"


def test_another_script_is_not_allowed_by_the_policy_of_a_page() -> None:
    page = b"<script src='/a.js'></script><script>run()</script><style>a {}</style>"

    assert page_policy(page) == (
        "default-src 'none'; script-src 'self' 'sha256-AvyuiL0SD1mVY3NNxR+V2uo+lhk6RMFrytWmRt6CrJQ=';"
        " style-src 'self' 'sha256-mkSHzL7faOU7/U/v8Umg+058R69+vN2A2xmE3Fz1q98=';"
        " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
