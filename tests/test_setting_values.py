"""The values that settings take: each parser takes what it should, and says what it expected of the rest."""

from collections.abc import Callable

import pytest

from service.setting_values import ClaimNames, Rate, claim_names, https_url, keys_url, origins, rate

A_URL = "https://host/path (http:// only for a host of this machine), with no name or password in it"
NAMES = "sub=claim,tenant_id=claim,role=claim: a claim's name, or a JSON pointer that begins with /"


def refusal(parse: Callable[[str], object], text: str) -> str:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - what it says is looked at
        parse(text)
    return str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example",
        "https://id.example/",
        "https://id.example:8443/realms/acme/keys",
        "HTTPS://id.example/keys",
        "https://[2001:db8::1]/keys",
        "http://127.0.0.1:9000/keys",
        "http://localhost/keys",
        "http://LOCALHOST/keys",
        "http://[::1]:9000/keys",
    ],
)
def test_a_url_whose_answer_is_believed_is_over_tls_or_of_this_machine(url: str) -> None:
    assert https_url(url) == url
    assert keys_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example/keys",
        "http://127.0.0.1.evil.example/keys",
        "http://localhost.evil.example/keys",
        "http://127.0.0.2/keys",
        "http://0.0.0.0/keys",
        "http://2130706433/keys",
        "http://localhost@id.example/keys",
        "https://ada:geheim@id.example/keys",
        "https://id.example/keys?geheim=1",
        "https://id.example/keys#geheim",
        "https://id.example\\@localhost/keys",
        "https://id.example:99999/keys",
        "https://id.example:0/keys",
        "https:///keys",
        "https://id.example/ke ys",
        "https://id.example/keys\n",
        "ftp://id.example/keys",
        "file:///etc/passwd",
        "//id.example/keys",
        "id.example",
        "discovery",
    ],
)
def test_no_other_url_is_and_what_is_wrong_is_not_repeated(url: str) -> None:
    assert refusal(https_url, url) == A_URL
    assert refusal(keys_url, url) == f"{A_URL}, or discover"


def test_keys_may_be_discovered() -> None:
    assert keys_url("discover") == "discover"
    assert refusal(keys_url, "Discover") == f"{A_URL}, or discover"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("sub=oid", ClaimNames("oid", "tenant_id", "role")),
        ("tenant_id=/app/tenant,role=r", ClaimNames("sub", "/app/tenant", "r")),
        (" role = https://x.example/role , sub = u ", ClaimNames("u", "tenant_id", "https://x.example/role")),
        ("sub=a=b", ClaimNames("a=b", "tenant_id", "role")),
        ("role=/", ClaimNames("sub", "tenant_id", "/")),
    ],
)
def test_claims_are_named_one_by_one(text: str, names: ClaimNames) -> None:
    assert claim_names(text) == names
    # As the server's worker processes are told.
    assert claim_names(str(names)) == names


@pytest.mark.parametrize("text", ["", ",", "oid", "sub=", "=oid", "subject=oid", "sub=oid,", "sub=a\nb", "Sub=oid"])
def test_what_names_no_claim_is_refused(text: str) -> None:
    assert refusal(claim_names, text) == NAMES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("600/60", Rate(600, 60)),
        ("1/1", Rate(1, 1)),
        ("999999999/86400", Rate(999_999_999, 86_400)),
        ("off", Rate(0, 1)),
    ],
)
def test_a_rate_is_a_count_and_seconds_and_prints_as_it_was_given(text: str, expected: Rate) -> None:
    assert rate(text) == expected
    assert str(rate(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "0/60",
        "60",
        "60/",
        "/60",
        "60/0",
        "-1/60",
        "1/86401",
        "1.5/60",
        "600 / 60",
        "OFF",
        "1000000000/1",
        "٦/60",
        "6/60\n",
    ],
)
def test_what_is_no_rate_is_named(text: str) -> None:
    with pytest.raises(
        ValueError, match="COUNT/SECONDS, such as 600/60, of at most 86400 seconds, or off, not "
    ) as said:
        rate(text)
    assert str(said.value).endswith(f"not {text!r}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://app.example", ("https://app.example",)),
        ("https://app.example, http://localhost:3000", ("https://app.example", "http://localhost:3000")),
        ("https://[2001:db8::1]:8443", ("https://[2001:db8::1]:8443",)),
        ("https://app.example:8080", ("https://app.example:8080",)),
        ("https://app.example:80,http://app.example:443", ("https://app.example:80", "http://app.example:443")),
    ],
)
def test_origins_are_taken_as_browsers_spell_them(text: str, expected: tuple[str, ...]) -> None:
    assert origins(text) == expected
    assert str(origins(text)) == ",".join(expected)


@pytest.mark.parametrize(
    "wrong",
    [
        "*",
        "null",
        "app.example",
        "https://app.example/",
        "https://App.example",
        "https://*.example",
        "https://app.example:443",
        "http://app.example:80",
        "ftp://app.example",
        "https://ada@app.example",
        "https://app.example?x",
        "https://app .example",
        "",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_named(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"origins such as https://app\.example, with commas between them, not "):
        origins(f"https://one.example,{wrong}")
