"""The values of limits and origins; those of the other settings are in test_settings.py."""

import pytest

from service.setting_values import Rate, origins, rate


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
