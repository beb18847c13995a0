"""No token, password, key or e-mail in any log: real processes, secrets sent in every way, and what they print read."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest

from service.caller import Caller
from service.embedded import Server
from service.settings import LogFormat
from tests.command import Running, said, started
from tests.conftest import SEAL_KEY, SECRET, run_as_admin, sign
from tests.openai_server import Server as Api
from tests.wire import exchange, request, status_of

PATTERNS, RECOMMENDATIONS = "/api/insights/patterns", "/api/insights/recommendations"
EMAIL = "geheim.ada@example.test"
PASSWORD = "geheim-password-of-ada"
REFRESH_TOKEN = "geheim-opaque-token-Zm9yIGEgc2Vzc2lvbiBvZiBhIHBlcnNvbg"
API_KEY = "sk-geheim-key-of-the-api"
DATABASE_PASSWORD = "geheim-password-of-the-role"
NOTE = "geheim is what I wrote"
READY = "serving on 127.0.0.1:"


async def fill(url: str, caller: Caller) -> None:
    """Add somebody, and have Postgres refuse every note: but for the wall, it would tell which row it did not take."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "insert into app.tenants (tenant_id, slug, name) values ($1, 'x', 'x')", caller.tenant_id
        )
        await connection.execute(
            "insert into app.users (tenant_id, user_id, email) values ($1, $2, $3)",
            caller.tenant_id,
            caller.user_id,
            EMAIL,
        )
        await connection.execute("alter table app.user_recommendations add constraint never check (note is null)")
    finally:
        await connection.close()


async def ask_in_every_way(client: httpx.AsyncClient, token: str, forged: str) -> list[int]:
    """Send secrets where they belong and where they do not; the status of each answer."""
    signed = {"Authorization": f"Bearer {token}"}
    day = {"date": str(datetime.now(UTC).date()), "energy": 60, "focus": 85, "fulfillment": 90}
    body = json.dumps({"email": EMAIL, "password": PASSWORD, "refreshToken": REFRESH_TOKEN})
    answers = [
        await client.post(PATTERNS, json=day, headers=signed),
        await client.get(RECOMMENDATIONS, headers=signed),
        await client.get(PATTERNS, headers={"Authorization": f"Bearer {forged}"}),
        await client.get(PATTERNS, headers={"Authorization": f"Basic {REFRESH_TOKEN}"}),
        await client.get(f"{PATTERNS}?access_token={token}&email={EMAIL}", headers=signed),
        await client.get(f"{PATTERNS}?until={PASSWORD}", headers=signed),
        await client.post(PATTERNS, content=body, headers=signed | {"Content-Type": "application/json"}),
        await client.post(PATTERNS, content=body + "}", headers=signed | {"Content-Type": "application/json"}),
        await client.post(PATTERNS, content=body, headers=signed | {"Content-Type": "text/plain"}),
        await client.delete(f"{PATTERNS}/{token}", headers=signed),
        await client.delete(f"{PATTERNS}/{REFRESH_TOKEN}", headers=signed),
        await client.get(f"/{EMAIL}/{token}"),
        await client.request(REFRESH_TOKEN[:12].replace("-", ""), f"/reset/{REFRESH_TOKEN}"),
        await client.post("/api/auth/login", json={"tenant": "x", "email": EMAIL, "password": PASSWORD}),
        await client.post("/api/auth/refresh", json={"refreshToken": REFRESH_TOKEN}),
        await client.get(PATTERNS, headers=signed | {"Cookie": f"session={REFRESH_TOKEN}", "X-Api-Key": API_KEY}),
        await client.get(
            PATTERNS, headers={"Prefer": PASSWORD, "Referer": f"https://a/?t={token}", "User-Agent": EMAIL}
        ),
        await client.get(PATTERNS, headers={"X-Forwarded-For": EMAIL, "X-Request-ID": EMAIL, "Origin": EMAIL}),
    ]
    raw = [
        await exchange(client, request("GET", f"/{EMAIL} {PASSWORD}")),
        await exchange(client, request("GET", PATTERNS, f"Authorization: Bearer {token}", f"Authorization: {token}")),
        await exchange(client, request("GET", PATTERNS, f"{PASSWORD} : {EMAIL}")),
        await exchange(client, request("GET", PATTERNS, "Authorization: " + token * 300)),
    ]
    return [answer.status_code for answer in answers] + [status_of(answer) for answer in raw]


@pytest.mark.parametrize("form", ["json", "text"])
async def test_no_log_has_a_secret_whatever_was_sent_and_whatever_went_wrong(
    tmp_path: Path, postgres: Server, own_database: str, form: LogFormat
) -> None:
    caller = Caller(uuid4(), uuid4())
    await fill(postgres.url("postgres", own_database), caller)
    token = sign(caller, datetime.now(UTC))
    forged = token[:-8] + "geheimAA"
    url = postgres.url("daymark_service", own_database)
    async with Api("echo") as api:
        variables = {
            "DAYMARK_DATABASE_URL": url.replace("@", f":{DATABASE_PASSWORD}@", 1),
            "DAYMARK_JWT_SECRET": SECRET,
            "DAYMARK_SEAL_KEY": SEAL_KEY,
            "DAYMARK_LOG": form,
            "OPENAI_API_KEY": API_KEY,
            "OPENAI_BASE_URL": api.url,
        }
        with started(tmp_path, "serve", ready=READY, **variables) as running:
            async with httpx.AsyncClient(base_url=running.url, timeout=20) as client:
                statuses = await ask_in_every_way(client, token, forged)
                broken = await provoke(client, postgres, own_database, token)
            logged = whole_log(running)

    assert statuses == [
        *[201, 200, 200, 200, 400, 400, 400, 400, 415, 400, 400, 404, 404, 401, 401, 200, 200, 200],
        *[400, 200, 400, 200],
    ]
    assert broken == [500, 503, 200, 503]
    # What was to go wrong did, and was told.
    for told in ("unexpected error", "CheckViolationError", "database unavailable", "no advice from openai"):
        assert told in logged
    secrets = [token, forged, *token.split("."), EMAIL, PASSWORD, REFRESH_TOKEN, API_KEY, DATABASE_PASSWORD, NOTE]
    for secret in [*secrets, SECRET, SEAL_KEY, "geheim"]:
        assert secret not in logged


async def provoke(client: httpx.AsyncClient, postgres: Server, database: str, token: str) -> list[int]:
    """Have it fail: by a constraint that nobody foresaw, and by a database that goes away."""
    signed = {"Authorization": f"Bearer {token}"}
    answer = (await client.get(RECOMMENDATIONS, headers=signed)).json()
    address = f"{RECOMMENDATIONS}/{answer['recommendations'][0]['id']}/feedback"
    judged = await client.put(address, json={"helpful": True, "note": NOTE}, headers=signed)
    run_as_admin(
        postgres,
        "postgres",
        f"alter database {database} allow_connections false",
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'",
    )
    away = [
        await client.put(address, json={"helpful": True, "note": NOTE}, headers=signed),
        await client.get(PATTERNS, headers=signed),
        await client.get("/health/ready"),
    ]
    return [judged.status_code, *(each.status_code for each in away)]


def whole_log(running: Running) -> str:
    """Stop the service, and give all that its processes ever printed."""
    running.process.terminate()
    running.process.wait(15)
    return said(running)
