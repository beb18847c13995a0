"""The settings: each wrong one is named, none is shown, and a secret that nobody gave is made once."""

import stat
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from service.setting_values import ClaimNames, Secret
from service.settings import Settings, SettingsError, environment, kept_secret, read

URL = "postgresql://daymark_service:geheim@db.example:5432/daymark"


def test_what_nobody_sets_has_a_default() -> None:
    assert read({}) == Settings(
        database_url=None, jwt_secret=None, cache_ttl=3600, fallback="lenient", pool_size=8, log="text"
    )


def test_every_setting_is_read() -> None:
    secret = "x" * 32
    given = {
        "DAYMARK_DATABASE_URL": URL,
        "DAYMARK_ADMIN_DATABASE_URL": "postgres:///daymark?host=/run/postgresql",
        "DAYMARK_JWT_SECRET": secret,
        "DAYMARK_JWT_ISSUER": "https://id.example",
        "DAYMARK_JWT_AUDIENCE": "daymark",
        "DAYMARK_JWT_JWKS_URL": "https://id.example/keys",
        "DAYMARK_JWT_LEEWAY": "300",
        "DAYMARK_JWT_CLAIMS": "tenant_id=/app/tenant",
        "DAYMARK_ISSUERS": "issuers.toml",
        "DAYMARK_CACHE_TTL": "60",
        "DAYMARK_FALLBACK_TTL": "30",
        "DAYMARK_STALE": "86400",
        "OPENAI_API_KEY": "sk-geheim",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "DAYMARK_OPENAI_MODEL": "other-1",
        "DAYMARK_OPENAI_TIMEOUT": "2.5",
        "DAYMARK_OPENAI_INPUT_PRICE": "0.15",
        "DAYMARK_OPENAI_OUTPUT_PRICE": "0",
        "DAYMARK_DAILY_CALLS": "0",
        "DAYMARK_DAILY_TOKENS": "1000000000000",
        "DAYMARK_FALLBACK": "strict",
        "DAYMARK_POOL_SIZE": "2",
        "DAYMARK_LOG": "json",
        "OTHER": "not ours",
    }
    assert read(given) == Settings(
        database_url=Secret(URL),
        admin_database_url=Secret("postgres:///daymark?host=/run/postgresql"),
        jwt_secret=Secret(secret),
        jwt_issuer="https://id.example",
        jwt_audience="daymark",
        jwt_jwks_url="https://id.example/keys",
        jwt_leeway=300,
        jwt_claims=ClaimNames("sub", "/app/tenant", "role"),
        issuers="issuers.toml",
        cache_ttl=60,
        fallback_ttl=30,
        stale=86_400,
        openai_api_key=Secret("sk-geheim"),
        openai_base_url="http://127.0.0.1:9/v1",
        openai_model="other-1",
        openai_timeout=2.5,
        openai_input_price=Decimal("0.15"),
        openai_output_price=Decimal(0),
        daily_calls=0,
        daily_tokens=1_000_000_000_000,
        fallback="strict",
        pool_size=2,
        log="json",
    )


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_value_is_none(empty: str) -> None:
    assert read({"DAYMARK_JWT_SECRET": empty, "DAYMARK_CACHE_TTL": empty}) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DAYMARK_JWT_SECRET", "geheim", "expected at least 32 bytes (this one has 6)"),
        ("DAYMARK_JWT_LEEWAY", "301", "expected a whole number of seconds from 0 to 300, not '301'"),
        ("DAYMARK_CACHE_TTL", "0", "expected a whole number of seconds from 1 to 86400, not '0'"),
        ("DAYMARK_CACHE_TTL", "86401", "expected a whole number of seconds from 1 to 86400, not '86401'"),
        ("DAYMARK_CACHE_TTL", "1.5", "expected a whole number of seconds from 1 to 86400, not '1.5'"),
        ("DAYMARK_CACHE_TTL", "٣", "expected a whole number of seconds from 1 to 86400, not '٣'"),
        ("DAYMARK_STALE", "-1", "expected a whole number of seconds from 0 to 86400, not '-1'"),
        ("DAYMARK_OPENAI_TIMEOUT", "0", "expected seconds from 0.1 to 120, not '0'"),
        ("DAYMARK_OPENAI_TIMEOUT", "nan", "expected seconds from 0.1 to 120, not 'nan'"),
        ("DAYMARK_OPENAI_TIMEOUT", "1e1", "expected seconds from 0.1 to 120, not '1e1'"),
        ("DAYMARK_OPENAI_MODEL", "a\tb", "expected the name of a model, of at most 200 characters"),
        (
            "DAYMARK_OPENAI_INPUT_PRICE",
            "-1",
            "expected US dollars for a million tokens from 0 to 100000, not '-1'",
        ),
        ("DAYMARK_DAILY_CALLS", "many", "expected a whole number of calls from 0 to 1000000000, not 'many'"),
        ("OPENAI_API_KEY", "sk one", "expected a key without spaces"),
        ("OPENAI_API_KEY", "schlüssel", "expected a key without spaces"),
        ("DAYMARK_FALLBACK", "Lenient", "expected lenient or strict, not 'Lenient'"),
        ("DAYMARK_POOL_SIZE", "-1", "expected a whole number of connections from 1 to 1000, not '-1'"),
        ("DAYMARK_LOG", "xml", "expected text or json, not 'xml'"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read({name: value})
    assert str(raised.value) == f"{name}: {said}"


@pytest.mark.parametrize(
    "url",
    [
        "geheim",
        "mysql://daymark:geheim@db.example/daymark",
        "postgresql://daymark:geheim@db.example:99999/daymark",
        "postgresql://daymark:geheim@db.example:port/daymark",
        "postgresql://daymark:geheim@one.example:1,two.example:x/daymark",
        "postgresql://daymark:geheim@[::1/daymark",
        "postgresql://daymark:geh/eim@db.example/daymark",
        "postgresql://daymark:gehe%im@db.example/daymark",
    ],
)
def test_a_url_that_is_none_is_named_and_its_password_is_not(url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read({"DAYMARK_DATABASE_URL": url})
    assert str(raised.value) == (
        "DAYMARK_DATABASE_URL: expected postgresql://role:password@host:5432/database,"
        " with %2F for / and the like in a password"
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgres://a@b/c",
        "postgresql://a:%2F@[::1]:5432/c",
        "postgresql://a@one:1,two:2/c?sslmode=require",
    ],
)
def test_a_url_may_be_any_that_libpq_takes(url: str) -> None:
    assert read({"DAYMARK_DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize(
    "url",
    [
        "api.example",
        "ftp://api.example/v1",
        "https://",
        "https:///v1",
        "https://me:geheim@api.example/v1",
        "https://@api.example/v1",
        "https://a/v1?key=geheim",
        "https://a/v1?",
        "https://a/v1#geheim",
        "https://a:geheim/v1",
        "https://a:99999/v1",
        "https://a:0/v1",
        "https://ge heim/v1",
        "https://a/ge heim",
        "https://a/\x01geheim",
        "https://a/\u202egeheim",
        "https://a\\geheim/v1",
        "https://ge%68eim/v1",
        "https://[::1",
        "https://[::1]geheim/v1",
        "https://[:::1]/v1",
        f"https://a:{'9' * 5000}/v1",
    ],
)
def test_an_api_that_is_no_url_is_named_and_what_is_in_it_is_not(url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read({"OPENAI_BASE_URL": url})
    assert str(raised.value) == (
        "OPENAI_BASE_URL: expected http://host/v1 or https://host/v1, with no name or password in it"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "HTTPS://api.example:8443/",
        "http://[::1]:11434/v1",
        "https://müller.example/openai/v1/",
        "http://model_server:80/a%20b;c=d/~v1",
    ],
)
def test_an_api_may_be_at_any_address_of_http(url: str) -> None:
    assert read({"OPENAI_BASE_URL": url}).openai_base_url == url


@pytest.mark.parametrize("name", ["DAYMARK_DAILY_CALLS", "DAYMARK_OPENAI_INPUT_PRICE"])
def test_a_number_without_end_is_one_that_is_too_high(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name}: expected .* from 0 to 10+, not '9+'$"):
        read({name: "9" * 5_000})


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        read({"DAYMARK_LOG": "xml", "DAYMARK_POOL_SIZE": "0", "DAYMARK_CACHE_TTL": "60", "DAYMARK_FALLBACK": "no"})
    assert [line.partition(":")[0] for line in str(raised.value).splitlines()] == [
        "DAYMARK_FALLBACK",
        "DAYMARK_POOL_SIZE",
        "DAYMARK_LOG",
    ]


def test_no_secret_shows_in_a_repr() -> None:
    settings = read(
        {"DAYMARK_DATABASE_URL": URL, "DAYMARK_ADMIN_DATABASE_URL": URL, "DAYMARK_JWT_SECRET": "geheim" * 6}
        | {"OPENAI_API_KEY": "sk-geheim"}
    )
    assert "geheim" not in repr(settings)
    assert "geheim" not in f"{settings!s} {[settings.database_url]}"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("DAYMARK_LOG=json\nDAYMARK_FALLBACK='strict'\n# DAYMARK_POOL_SIZE=1\n")
    monkeypatch.setenv("DAYMARK_LOG", "text")
    found = environment(tmp_path)
    assert (found["DAYMARK_LOG"], found["DAYMARK_FALLBACK"]) == ("text", "strict")
    assert "DAYMARK_POOL_SIZE" not in found


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfDAYMARK_LOG=json\n")
    assert environment(tmp_path)["DAYMARK_LOG"] == "json"


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"DAYMARK_LOG=\xff\n")
    with pytest.raises(SettingsError, match=r"\.env cannot be read"):
        environment(tmp_path)


def test_a_secret_is_made_once_and_readable_to_its_owner_only(tmp_path: Path) -> None:
    first = kept_secret(tmp_path, "jwt-secret")
    assert kept_secret(tmp_path, "jwt-secret") == first
    assert len(first) == 64
    assert stat.S_IMODE((tmp_path / "jwt-secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["jwt-secret"]


def test_two_folders_have_two_secrets(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    assert kept_secret(folders[0], "jwt-secret") != kept_secret(folders[1], "jwt-secret")


def test_of_many_first_starts_one_makes_the_secret(tmp_path: Path) -> None:
    for turn in range(50):
        folder = tmp_path / str(turn)
        folder.mkdir()
        barrier = threading.Barrier(4)
        found: list[Secret] = []

        def start(folder: Path = folder, barrier: threading.Barrier = barrier, found: list[Secret] = found) -> None:
            barrier.wait()
            found.append(kept_secret(folder, "jwt-secret"))

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(found), len(set(found))) == (4, 1)


def test_a_kept_file_that_holds_no_secret_is_named(tmp_path: Path) -> None:
    (tmp_path / "jwt-secret").write_text("\n")
    with pytest.raises(SettingsError) as raised:
        kept_secret(tmp_path, "jwt-secret")
    assert str(raised.value) == (
        f"{tmp_path}/jwt-secret: expected at least 32 bytes (this one has 0); remove it, and another is made"
    )
