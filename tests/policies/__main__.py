"""Judge the policies on a live schema: `python -m tests.policies` lints them and proves isolation, in three modes.

Exits 1 on any finding that pgrls.toml gives no reason for, and on any table that is not PROVEN.

The prover does not read row comparisons, so it would call what app.isolate spells, for a reason that it gives,
UNVERIFIED. What it proves is the same policies with each row comparison cut down to that of its first column.
That lets through whatever the whole comparison does, and more: of the floor, a tenant's every row.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from service import embedded, migrating

# Word for word, as Postgres prints them: a policy that is spelled in any other way stays as it is, and is judged so.
SAME_TENANT = "tenant_id = (select app.tenant_id())"
CUT_DOWN = {
    "((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,\n    true))": SAME_TENANT,
    (
        "((tenant_id,\nCASE\n    WHEN (( SELECT app.claimed_reach() AS claimed_reach) = 'own'::text) THEN user_id\n"
        "    ELSE '00000000-0000-0000-0000-000000000000'::uuid\nEND, true) = ( SELECT reach.tenant_id,\n"
        "    reach.user_id,\n    true\n   FROM app.reach() reach(tenant_id, user_id)))"
    ): SAME_TENANT,
    "((user_id, true) = ( SELECT app.user_id() AS user_id,\n    true))": "user_id = (select app.user_id())",
}
LIST_POLICIES = """
    select
        format('%I on %s', polname, polrelid::regclass),
        pg_get_expr(polqual, polrelid),
        pg_get_expr(polwithcheck, polrelid)
    from pg_policy
"""

PGRLS = Path(sys.executable).with_name("pgrls")
CONFIGURATION = Path(__file__).with_name("pgrls.toml")
# What the prover has to know of us: these tell a session from another.
IDENTITY = ["--auth-function=app.tenant_id", "--auth-function=app.user_id"]
CHECKS = {
    "lint": ["lint", "--fail-on=info"],
    "verify: a session without a tenant reads nothing": ["verify", "--mode=anon", "--strict", *IDENTITY],
    "verify: a tenant reads no other's rows": ["verify", "--mode=cross-tenant", "--strict", *IDENTITY],
    "verify: a tenant writes no other's rows": ["verify", "--mode=write", "--strict", *IDENTITY],
}


def cut_comparisons_down(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for policy, condition, check in connection.execute(LIST_POLICIES).fetchall():
            if condition in CUT_DOWN:
                checked = f" with check ({CUT_DOWN.get(check, check)})" if check else ""
                connection.execute(f"alter policy {policy} using ({CUT_DOWN[condition]}){checked}")


def main() -> int:
    failed = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded.running(Path(folder), purpose="make check", durable=False) as server,
    ):
        url = server.url("postgres", "postgres")
        migrating.up(url)
        for name, arguments in CHECKS.items():
            if arguments[0] == "verify":
                cut_comparisons_down(url)
            print(f"pgrls {name}", flush=True)
            command: list[str | Path] = [PGRLS, *arguments, f"--config={CONFIGURATION}", f"--database-url={url}"]
            done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
            print(done.stdout)
            # A prover that found no table has proven nothing.
            vacuous = arguments[0] == "verify" and "app.pattern_data" not in done.stdout
            failed |= done.returncode or vacuous
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
