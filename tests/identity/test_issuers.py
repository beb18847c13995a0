"""Which identity providers the settings name; whatever is wrong with them is named, all of it."""

from pathlib import Path
from uuid import UUID

import pytest

from service.identity.claims import Expected
from service.identity.fetching import Fetched, Fetcher, FetchError
from service.identity.issuers import Provider, discovers, own_issuer, providers_of
from service.setting_values import ClaimNames, Secret
from service.settings import Settings, SettingsError, read

ISSUER, URL = "https://id.example", "https://id.example/keys"
SECRET = Secret("s" * 32)
A_URL = "https://host/path (http:// only for a host of this machine), with no name or password in it"
NAMES = "sub=claim,tenant_id=claim,role=claim: a claim's name, or a JSON pointer that begins with /"
TENANT = "0b51f4f2-7f0e-4c3a-9a53-0f2b3b1d9a01"


def file(folder: Path, text: str) -> Settings:
    path = folder / "issuers.toml"
    path.write_text(text)
    return Settings(issuers=str(path))


def wrongs(settings: Settings) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        providers_of(settings)
    return str(raised.value).splitlines()


@pytest.mark.parametrize(
    ("settings", "url", "own"),
    [
        (Settings(), "none", None),
        (Settings(jwt_secret=SECRET), "none", None),
        (Settings(jwt_secret=SECRET, jwt_issuer="us"), "none", "us"),
        (Settings(jwt_secret=SECRET, jwt_issuer=ISSUER), "none", ISSUER),
        (Settings(jwt_issuer="us"), "none", "us"),
        (Settings(jwt_issuer=ISSUER), None, "urn:daymark"),
        (Settings(jwt_issuer="http://127.0.0.1:9/realm"), None, "urn:daymark"),
        (Settings(jwt_issuer=ISSUER, jwt_jwks_url="discover"), None, "urn:daymark"),
        (Settings(jwt_issuer=ISSUER, jwt_jwks_url="discover", jwt_secret=SECRET), None, "urn:daymark"),
        (Settings(jwt_issuer=ISSUER, jwt_jwks_url=URL), URL, "urn:daymark"),
        (Settings(jwt_issuer="accounts.example", jwt_jwks_url=URL, jwt_secret=SECRET), URL, "urn:daymark"),
    ],
)
def test_an_issuer_is_a_providers_where_its_keys_are_named_or_to_be_discovered(
    settings: Settings, url: str | None, own: str | None
) -> None:
    assert [provider.jwks_url for provider in providers_of(settings)] == ([] if url == "none" else [url])
    assert own_issuer(settings) == own


def test_without_a_file_the_settings_say_all_of_the_one_provider() -> None:
    settings = read(
        {
            "DAYMARK_JWT_ISSUER": ISSUER,
            "DAYMARK_JWT_JWKS_URL": URL,
            "DAYMARK_JWT_AUDIENCE": "daymark",
            "DAYMARK_JWT_LEEWAY": "30",
            "DAYMARK_JWT_CLAIMS": "tenant_id=/app/tenant, role=https://x/role",
        }
    )

    names = ClaimNames("sub", "/app/tenant", "https://x/role")
    assert providers_of(settings) == [Provider(ISSUER, Expected(ISSUER, "daymark", 30, names), URL, None)]


def test_a_file_names_several(tmp_path: Path) -> None:
    settings = file(
        tmp_path,
        f"""
        [[issuer]]
        issuer = "{ISSUER}"
        tenants = ["{TENANT}"]

        [[issuer]]
        issuer = "accounts.example"
        audience = "daymark"
        jwks_url = "{URL}"
        tenants = "any"
        leeway = 10
        claims = {{ sub = "/user/id", role = "r" }}
        """,
    )

    assert providers_of(settings) == [
        Provider(ISSUER, Expected(ISSUER), None, frozenset({UUID(TENANT)})),
        Provider(
            "accounts.example",
            Expected("accounts.example", "daymark", 10, ClaimNames("/user/id", "tenant_id", "r")),
            URL,
            None,
        ),
    ]
    assert own_issuer(settings) is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            Settings(jwt_jwks_url=URL),
            "DAYMARK_JWT_ISSUER: expected with DAYMARK_JWT_JWKS_URL, the `iss` of that provider's tokens",
        ),
        (
            Settings(jwt_issuer="http://id.example"),
            f"DAYMARK_JWT_ISSUER: expected {A_URL}, since its keys are to be discovered",
        ),
        (
            Settings(jwt_issuer="us", jwt_jwks_url="discover"),
            f"DAYMARK_JWT_ISSUER: expected {A_URL}, since its keys are to be discovered",
        ),
        (
            Settings(jwt_issuer="urn:daymark", jwt_jwks_url=URL),
            "DAYMARK_JWT_ISSUER: expected another than urn:daymark, which is our own",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_named(settings: Settings, said: str) -> None:
    assert wrongs(settings) == [said]


def test_everything_that_is_wrong_with_a_file_is_named(tmp_path: Path) -> None:
    settings = file(
        tmp_path,
        f"""
        [[issuer]]

        [[issuer]]
        issuer = "http://id.example"
        audience = 1
        jwks = "{URL}"
        jwks_url = ""
        tenants = "all"
        leeway = 301
        claims = {{ subject = "x" }}

        [[issuer]]
        issuer = "urn:daymark"
        jwks_url = "http://id.example/keys"
        tenants = ["{TENANT.upper()}"]
        leeway = true
        claims = {{ sub = 1 }}

        [[issuer]]
        issuer = "{ISSUER}"
        tenants = []
        claims = []

        [[issuer]]
        issuer = "{ISSUER}"
        tenants = "any"
        """,
    )
    tenants = 'tenants: a list of ids (UUIDs in lower case) that it may speak for, or "any"'

    assert wrongs(settings) == [
        f"DAYMARK_ISSUERS: {said}"
        for said in (
            "issuer 1: expected issuer, the `iss` of its tokens",
            f"issuer 1: expected {tenants}",
            "issuer 2: expected audience, claims, issuer, jwks_url, leeway, tenants, not 'jwks'",
            "issuer 2: expected jwks_url to be a text",
            f"issuer 2: expected as issuer {A_URL}, since its keys are to be discovered",
            "issuer 2: expected audience to be a text",
            "issuer 2: expected leeway to be a whole number of seconds from 0 to 300",
            f"issuer 2: expected as claims {NAMES}",
            f"issuer 2: expected {tenants}",
            "issuer 3: expected as issuer another than urn:daymark, which is our own",
            f"issuer 3: expected as jwks_url {A_URL}",
            "issuer 3: expected leeway to be a whole number of seconds from 0 to 300",
            "issuer 3: expected claims to be a table of texts",
            f"issuer 3: expected {tenants}",
            "issuer 4: expected claims to be a table of texts",
            f"issuer 4: expected {tenants}",
            f"expected '{ISSUER}' once",
        )
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected [[issuer]] tables and nothing else"),
        ("issuer = 1", "expected [[issuer]] tables and nothing else"),
        ("issuer = [1]", "expected [[issuer]] tables and nothing else"),
        ("[issuer]", "expected [[issuer]] tables and nothing else"),
        ("[[issuer]]\n[other]", "expected [[issuer]] tables and nothing else"),
        ("[[issuer]", "cannot be read: Expected ']]' at the end of an array declaration (at line 1, column 9)"),
    ],
)
def test_a_file_of_another_form_is_named(tmp_path: Path, text: str, said: str) -> None:
    (wrong,) = wrongs(file(tmp_path, text))

    assert wrong.startswith("DAYMARK_ISSUERS: ")
    assert wrong.endswith(said)


def test_a_file_that_is_not_there_is_named() -> None:
    (wrong,) = wrongs(Settings(issuers="/nowhere/issuers.toml"))

    assert wrong == (
        "DAYMARK_ISSUERS: /nowhere/issuers.toml cannot be read: [Errno 2] No such file or directory:"
        " '/nowhere/issuers.toml'"
    )


class Said(Fetcher):
    """What a provider elsewhere says of itself."""

    def __init__(self, jwks_uri: str) -> None:
        super().__init__()
        self._jwks_uri = jwks_uri
        self.urls: list[str] = []

    async def get(self, url: str) -> Fetched:
        self.urls.append(url)
        return Fetched({"issuer": ISSUER, "jwks_uri": self._jwks_uri})


async def test_a_provider_elsewhere_cannot_have_us_ask_what_answers_on_this_machine() -> None:
    provider, said = Provider(ISSUER, Expected(ISSUER)), Said("http://127.0.0.1:9200/keys")
    with pytest.raises(FetchError, match="does not say where its keys are, or not by https"):
        await provider.fetch_keys(said)
    assert said.urls == ["https://id.example/.well-known/openid-configuration"]

    said = Said(URL)
    await provider.fetch_keys(said)
    assert said.urls[1:] == [URL]


def test_what_is_to_be_discovered_is_what_an_operator_has_left_open() -> None:
    assert discovers(Settings(jwt_issuer=ISSUER))
    assert not discovers(Settings(jwt_issuer=ISSUER, jwt_secret=SECRET))
    assert not discovers(Settings(jwt_issuer=ISSUER, jwt_jwks_url=URL))
    assert not discovers(Settings(jwt_issuer="us"))
    assert not discovers(Settings())
