"""Judge the policies on a live schema: `python -m tests.policies` lints them and proves isolation, in three modes.

Exits 1 on any finding that pgrls.toml gives no reason for, and on any table that is not PROVEN.

The prover does not read row comparisons, so it would call `(tenant_id, true) = (select app.tenant_id(), true)`, which
app.isolate spells for a reason that it gives, UNVERIFIED. What it proves is the same policies with each row comparison
written out as the comparisons of its columns, which is what it is defined to be.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from service import embedded, migrating

# Word for word, as Postgres prints them: a policy that is spelled in any other way stays as it is, and is judged so.
WRITTEN_OUT = {
    "((tenant_id, true) = ( SELECT app.tenant_id() AS tenant_id,\n    true))": "tenant_id = (select app.tenant_id())",
    "((tenant_id, 'admin'::text) = ( SELECT app.tenant_id() AS tenant_id,\n    app.role() AS role))": (
        "tenant_id = (select app.tenant_id()) and 'admin' = (select app.role())"
    ),
}
LIST_POLICIES = """
    select format('%I on %s', polname, polrelid::regclass), pg_get_expr(polqual, polrelid), polwithcheck is not null
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


def write_out_comparisons(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for policy, condition, writes in connection.execute(LIST_POLICIES).fetchall():
            if written_out := WRITTEN_OUT.get(condition):
                check = f" with check ({written_out})" if writes else ""
                connection.execute(f"alter policy {policy} using ({written_out}){check}")


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
                write_out_comparisons(url)
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
