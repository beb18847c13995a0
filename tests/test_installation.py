"""Where a command works: the database that the settings name, or else the embedded one."""

from pathlib import Path

import psycopg
import pytest

from service.embedded import EmbeddedError
from service.installation import embedded_installation, installation, production
from service.settings import SettingsError

URL = "postgresql://daymark_service@db.example/daymark"
ADMIN_URL = "postgresql://postgres@db.example/daymark"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with nothing set."""
    for name in ("DATABASE_URL", "ADMIN_DATABASE_URL", "JWT_SECRET", "JWT_ISSUER", "ISSUERS", "SEAL_KEY", "LOG"):
        monkeypatch.delenv(f"DAYMARK_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_url_it_is_embedded_and_complete(folder: Path) -> None:
    (folder / ".env").write_text("DAYMARK_LOG=json\n")
    with installation(folder / "data", "a test") as found:
        assert found.embedded
        assert found.settings.log == "json"
        for url, role in ((found.service_url, "daymark_service"), (found.admin_url, "postgres")):
            assert url.startswith(f"postgresql://{role}@/daymark?host=")
        with psycopg.connect(found.admin_url) as connection:
            assert connection.execute("select current_database()").fetchone() == ("daymark",)
        secret = found.jwt_secret
    with installation(folder / "data", "a test") as again:
        assert again.jwt_secret == secret
    assert (folder / "data/jwt-secret").read_text() == f"{secret}\n"


def test_a_secret_that_is_set_is_taken_and_none_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYMARK_JWT_SECRET", "s" * 32)
    with installation(folder / "data", "a test") as found:
        assert found.jwt_secret == "s" * 32
    assert not (folder / "data/jwt-secret").exists()


def test_with_a_url_nothing_is_started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYMARK_DATABASE_URL", URL)
    with installation(folder / "data", "a test") as found:
        assert not found.embedded
        assert found.service_url == URL
        with pytest.raises(SettingsError, match="DAYMARK_ADMIN_DATABASE_URL is not set"):
            _ = found.admin_url
        with pytest.raises(SettingsError, match="DAYMARK_JWT_SECRET is not set"):
            _ = found.jwt_secret
        with pytest.raises(SettingsError, match="DAYMARK_SEAL_KEY is not set"):
            _ = found.seal
    assert not (folder / "data").exists()


def test_the_administrators_url_alone_names_a_database_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYMARK_ADMIN_DATABASE_URL", ADMIN_URL)
    with installation(folder / "data", "a test") as found:
        assert not found.embedded
        assert found.admin_url == ADMIN_URL
        with pytest.raises(SettingsError, match="DAYMARK_DATABASE_URL is not set"):
            _ = found.service_url
    assert not (folder / "data").exists()


def test_dev_is_embedded_whatever_is_set_and_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYMARK_DATABASE_URL", URL)
    with embedded_installation(folder / "data", "daymark dev", exclusive=True) as found:
        assert found.embedded
        assert "db.example" not in found.service_url
        with (
            pytest.raises(EmbeddedError, match="already in use by `daymark dev`"),
            embedded_installation(folder / "data", "daymark dev", exclusive=True),
        ):
            pass


def test_production_names_all_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as raised:
        production()
    assert str(raised.value).splitlines() == [
        "DAYMARK_DATABASE_URL is not set",
        "DAYMARK_JWT_SECRET is not set, nor an identity provider (DAYMARK_JWT_JWKS_URL, DAYMARK_ISSUERS)",
        "DAYMARK_SEAL_KEY is not set",
        "for a trial that needs none of it: daymark dev",
    ]
    monkeypatch.setenv("DAYMARK_DATABASE_URL", URL)
    with pytest.raises(SettingsError, match=r"\ADAYMARK_JWT_SECRET is not set, nor an identity provider"):
        production()
    monkeypatch.setenv("DAYMARK_JWT_SECRET", "s" * 32)
    monkeypatch.setenv("DAYMARK_SEAL_KEY", "k" * 32)
    assert production().service_url == URL


def test_production_needs_no_secret_where_there_is_a_provider(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYMARK_DATABASE_URL", URL)
    monkeypatch.setenv("DAYMARK_SEAL_KEY", "k" * 32)
    monkeypatch.setenv("DAYMARK_JWT_ISSUER", "https://id.example")
    assert production().settings.jwt_secret is None

    (folder / "issuers.toml").write_text('[[issuer]]\nissuer = "https://id.example"\ntenants = []')
    monkeypatch.setenv("DAYMARK_ISSUERS", "issuers.toml")
    with pytest.raises(SettingsError) as raised:
        production()
    assert [line.partition(", or")[0] for line in str(raised.value).splitlines()] == [
        "DAYMARK_ISSUERS: issuer 1: expected tenants: a list of ids (UUIDs in lower case) that it may speak for",
        "DAYMARK_ISSUERS: expected 'https://id.example' once",
    ]


@pytest.mark.parametrize(
    ("issuer", "secret", "url"),
    [("https://id.example", "", "discover"), ("https://id.example", "s" * 32, None), ("us", "", None)],
)
def test_an_embedded_secret_does_not_hide_a_provider(
    folder: Path, monkeypatch: pytest.MonkeyPatch, issuer: str, secret: str, url: str | None
) -> None:
    monkeypatch.setenv("DAYMARK_JWT_ISSUER", issuer)
    monkeypatch.setenv("DAYMARK_JWT_SECRET", secret)
    with installation(folder / "data", "a test") as found:
        assert found.settings.jwt_jwks_url == url
        assert found.settings.jwt_secret is not None
