"""`daymark import`, by the real command: files as they come, and what stops it in the middle."""

import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from service.embedded import Server
from tests.command import DAYMARK, environment, until
from tests.conftest import run_as_admin

HEADER = "user,date,energy,focus,fulfillment\n"
LINE = "ada@acme.test,2026-01-05,85,78,90\n"
FIRST, LAST = "00000000-0000-4000-8000-000000000001", "ffffffff-ffff-4fff-8fff-ffffffffffff"


@pytest.fixture
def url(postgres: Server, own_database: str) -> str:
    """Give the administrator's URL of a database with one tenant, acme, and ada in it, and a first and a last user."""
    run_as_admin(
        postgres,
        own_database,
        "insert into app.tenants (slug, name) values ('acme', 'Acme')",
        "insert into app.users (tenant_id, email) select tenant_id, 'ada@acme.test' from app.tenants",
        f"insert into app.users (tenant_id, user_id) select tenant_id, '{FIRST}' from app.tenants",
        f"insert into app.users (tenant_id, user_id) select tenant_id, '{LAST}' from app.tenants",
    )
    return postgres.url("postgres", own_database)


def bring(folder: Path, url: str, *arguments: str | Path | bytes, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run `daymark import acme …`, and give its status and what it says, the rate left out."""
    result = subprocess.run(
        [DAYMARK, "import", "acme", *arguments],
        cwd=folder,
        env=environment(DAYMARK_ADMIN_DATABASE_URL=url),
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    stdout = re.sub(r" \([0-9,]+ lines a second\)\n$", "", result.stdout.decode())
    return result.returncode, stdout, result.stderr.decode()


def stored(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "select date::text, energy, focus, fulfillment from app.pattern_data order by date"
        ).fetchall()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("days.csv", HEADER + LINE),
        ("DAYS.CSV", HEADER + LINE),
        (
            "days.json",
            '[{"user": "ada@acme.test", "date": "2026-01-05", "energy": 85, "focus": 78, "fulfillment": 90}]',
        ),
        (
            "days.ndjson",
            '{"user": "ada@acme.test", "date": "2026-01-05", "energy": 85, "focus": 78, "fulfillment": 90}',
        ),
        ("days.jsonl", '{"user": "ada@acme.test", "date": "2026-01-05", "energy": 85, "focus": 78, "fulfillment": 90}'),
    ],
)
def test_a_file_is_stored_by_what_its_name_says_it_is(tmp_path: Path, url: str, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    assert bring(tmp_path, url, name) == (0, "1 day stored: 1 new, 0 replaced, 0 unchanged", "")
    assert stored(url) == [("2026-01-05", 85, 78, 90)]


def test_a_format_may_be_given_and_standard_input_read(tmp_path: Path, url: str) -> None:
    (tmp_path / "days.txt").write_text(HEADER + LINE)
    said = (0, "1 day stored: 0 new, 0 replaced, 1 unchanged", "")

    assert bring(tmp_path, url, "-", "--format", "csv", stdin=(HEADER + LINE).encode())[0] == 0
    assert bring(tmp_path, url, "days.txt", "--format", "csv") == said
    assert bring(tmp_path, url, "/dev/stdin", "--format=csv", stdin=(HEADER + LINE).encode()) == said


BAD = (
    HEADER
    + LINE
    + "ada@acme.test,2026-01-06,101,78,90\n"
    + "eve@acme.test,2026-01-06,85,78,90\n"
    + LINE
    + "ada@acme.test,9999-12-31,85,78,90\n"
    + "ada@acme.test,2026-01-06,1,2,3\n"
)


def reports(name: str) -> str:
    today = datetime.now(UTC).date()
    return (
        f"{name}:3: energy: expected a whole number from 0 to 100, got '101'\n"
        f"{name}:4: user: there is no 'eve@acme.test' in this tenant\n"
        f"{name}:5: date: 2026-01-05 stands at line 2 already for this person\n"
        f"{name}:6: date: 9999-12-31 is in the future: it is {today} where this person lives\n"
    )


def test_one_bad_line_and_nothing_is_stored_but_all_are_reported(tmp_path: Path, url: str) -> None:
    (tmp_path / "days.csv").write_text(BAD)

    assert bring(tmp_path, url, "days.csv") == (
        1,
        "",
        reports("days.csv") + "daymark: 4 bad lines: nothing was stored\n",
    )
    assert stored(url) == []


def test_bad_lines_may_be_left_out(tmp_path: Path, url: str) -> None:
    said = "2 days stored: 2 new, 0 replaced, 0 unchanged, 4 bad lines left out"

    assert bring(tmp_path, url, "-", "--format=csv", "--skip-bad", stdin=BAD.encode()) == (0, said, reports("stdin"))
    assert stored(url) == [("2026-01-05", 85, 78, 90), ("2026-01-06", 1, 2, 3)]


def test_a_dry_run_reports_and_stores_nothing(tmp_path: Path, url: str) -> None:
    (tmp_path / "bad.csv").write_text(BAD)
    (tmp_path / "good.csv").write_text(HEADER + LINE)

    assert bring(tmp_path, url, "good.csv", "--dry-run") == (0, "1 good day; nothing was stored", "")
    assert bring(tmp_path, url, "bad.csv", "--dry-run")[0] == 1
    skipping = bring(tmp_path, url, "bad.csv", "--dry-run", "--skip-bad")
    assert skipping == (0, "2 good days, 4 bad lines left out; nothing was stored", reports("bad.csv"))
    assert stored(url) == []


def test_of_many_bad_lines_the_first_hundred_are_shown_and_all_are_counted(tmp_path: Path, url: str) -> None:
    (tmp_path / "days.csv").write_text(HEADER + "x\n" * 1_000)

    status, _, stderr = bring(tmp_path, url, "days.csv")

    assert status == 1
    assert stderr.splitlines()[::50] == [
        "days.csv:2: expected 5 fields, got 1",
        "days.csv:52: expected 5 fields, got 1",
        "days.csv: and 900 more bad lines",
    ]
    assert stderr.splitlines()[101:] == ["daymark: 1000 bad lines: nothing was stored"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.csv", "daymark: none.csv: cannot be read: No such file or directory\n"),
        ("folder.csv", "daymark: folder.csv: cannot be read: Is a directory\n"),
        ("empty.csv", "daymark: empty.csv: is empty\n"),
        ("header.csv", "daymark: header.csv: holds no day\n"),
        (
            "columns.csv",
            "daymark: columns.csv:1: expected the columns user,date,energy,focus,fulfillment, got 'user'\n",
        ),
        ("utf16.csv", "daymark: utf16.csv:1: not UTF-8\n"),
        ("empty.json", "daymark: empty.json:1: expected a JSON list\n"),
        ("list.json", "daymark: list.json: holds no day\n"),
        ("broken.json", "daymark: broken.json:2: item 1 is not JSON, or longer than 65536 characters\n"),
        ("empty.ndjson", "daymark: empty.ndjson: holds no day\n"),
    ],
)
def test_a_file_that_is_none_of_days_is_one_clear_line(tmp_path: Path, url: str, name: str, said: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    for file, text in {
        "empty.csv": b"",
        "header.csv": HEADER.encode(),
        "columns.csv": b"user\n",
        "utf16.csv": HEADER.encode("utf-16"),
        "empty.json": b"",
        "list.json": b"[]",
        "broken.json": b"[\n{",
        "empty.ndjson": b"\n",
    }.items():
        (tmp_path / file).write_bytes(text)

    assert bring(tmp_path, url, name) == (1, "", said)


def test_the_bad_lines_before_a_broken_place_are_reported_too(tmp_path: Path, url: str) -> None:
    assert bring(tmp_path, url, "-", "--format", "json", stdin=b"[1,\n2,\n{") == (
        1,
        "",
        (
            "stdin:1: item 1: Expected object, got int\n"
            "stdin:2: item 2: Expected object, got int\n"
            "daymark: stdin:3: item 3 is not JSON, or longer than 65536 characters\n"
        ),
    )


def test_an_unknown_tenant_is_one_clear_line(tmp_path: Path, url: str) -> None:
    (tmp_path / "days.csv").write_text(HEADER + LINE)
    result = subprocess.run(
        [DAYMARK, "import", "nowhere", "days.csv"],
        cwd=tmp_path,
        env=environment(DAYMARK_ADMIN_DATABASE_URL=url),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stdout, result.stderr) == (1, "", "daymark: there is no tenant 'nowhere'\n")


@pytest.mark.parametrize("name", ["days.xlsx", "days", "-"])
def test_a_format_that_nobody_says_is_wrong_usage(tmp_path: Path, url: str, name: str) -> None:
    status, stdout, stderr = bring(tmp_path, url, name)

    assert (status, stdout) == (2, "")
    assert "give --format csv|json|ndjson" in re.sub(r"[│\s]+", " ", stderr)


def test_many_lines_take_no_more_memory_than_few(tmp_path: Path, url: str) -> None:
    few, many = (peak_memory(tmp_path, url, lines) for lines in (20_000, 400_000))

    assert many - few < 4_096  # KiB


def peak_memory(folder: Path, url: str, lines: int) -> int:
    """Give the most memory, in KiB, that an import has taken when it has read so many lines, good and bad ones."""
    with importing(folder, url, "-", "--format", "csv", "--dry-run") as process:
        assert process.stdin
        process.stdin.write(HEADER.encode())
        for _ in range(lines // 2_000):
            process.stdin.write((LINE + "eve@acme.test,2026-01-05,85,78,90\n").encode() * 1_000)
        # Not what waiting for it would tell: that counts in the process that it was forked from.
        [peak] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        process.communicate(timeout=60)
        assert process.returncode == 1
    return int(peak)


@contextmanager
def importing(folder: Path, url: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `daymark import acme …` with a standard input that stays open."""
    with subprocess.Popen(
        [DAYMARK, "import", "acme", *arguments],
        cwd=folder,
        env=environment(DAYMARK_ADMIN_DATABASE_URL=url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def happened(url: str, question: str) -> bool:
    def asked() -> bool:
        with psycopg.connect(url) as connection:
            return connection.execute(f"select exists ({question})".encode()).fetchone() == (True,)

    return until(asked, 30)


@contextmanager
def held_up(folder: Path, url: str) -> Iterator[None]:
    """Have an import of days.csv, of more days than are stored at once, wait for somebody before its end."""
    days = [f"{FIRST},{date(2026, 1, 1) - timedelta(days=back)},1,2,3\n" for back in range(50_000)]
    (folder / "days.csv").write_text(HEADER + "".join(days) + f"{LAST},2026-01-01,1,2,3\n")
    with psycopg.connect(url) as other:
        other.execute(
            "insert into app.pattern_data"
            " select tenant_id, user_id, '2026-01-01', 9, 9, 9 from app.users where user_id = %s",
            (LAST,),
        )
        yield
        other.rollback()
    # Postgres does not see that whoever asked is gone before it has finished the one statement.
    assert happened(url, ALONE)


ALONE = """
    select where not exists (
        select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
    )
"""
WAITING = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


def count(url: str) -> tuple[object, ...] | None:
    with psycopg.connect(url) as connection:
        return connection.execute("select count(*), max(revision) from app.pattern_data").fetchone()


@pytest.mark.parametrize(
    ("options", "left", "said"),
    [
        ([], (0, None), "50001 days stored: 50001 new, 0 replaced, 0 unchanged"),
        # The last few it had handed to Postgres, which stores them without it.
        (["--skip-bad"], (50_000, 1), "50001 days stored: 0 new, 0 replaced, 50001 unchanged"),
    ],
)
def test_killed_and_run_again_it_ends_as_if_it_had_never_been_killed(
    tmp_path: Path, url: str, options: list[str], left: tuple[object, ...], said: str
) -> None:
    with held_up(tmp_path, url), importing(tmp_path, url, "days.csv", *options) as process:
        assert happened(url, WAITING)
        process.kill()
        process.wait(30)
        assert count(url) == left

    assert bring(tmp_path, url, "days.csv", *options) == (0, said, "")
    assert count(url) == (50_001, 1)


@pytest.mark.parametrize(
    ("options", "left", "said"),
    [
        ([], (0, None), b"daymark: interrupted: nothing was stored\n"),
        (["--skip-bad"], (50_000, 1), b"daymark: interrupted: 50000 days stored; run it again for the others\n"),
    ],
)
def test_ctrl_c_while_it_stores_says_what_is_left_behind(
    tmp_path: Path, url: str, options: list[str], left: tuple[object, ...], said: bytes
) -> None:
    with held_up(tmp_path, url), importing(tmp_path, url, "days.csv", *options) as process:
        assert happened(url, WAITING)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)

    assert (process.returncode, stdout, stderr) == (130, b"", said)
    assert count(url) == left


def test_ctrl_c_ends_the_wait_for_a_pipe(tmp_path: Path, url: str) -> None:
    with importing(tmp_path, url, "-", "--format", "csv") as process:
        assert process.stdin
        process.stdin.write((HEADER + LINE).encode())
        process.stdin.flush()
        assert happened(url, "select from pg_class where relname = 'checked' and relpersistence = 't'")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr
        assert process.stderr.read() == b"daymark: interrupted: nothing was stored\n"
    assert stored(url) == []


def test_on_a_terminal_it_shows_how_far_it_is(tmp_path: Path, url: str) -> None:
    (tmp_path / "days.csv").write_text(HEADER + LINE)
    terminal, end = pty.openpty()
    try:
        subprocess.run(
            [DAYMARK, "import", "acme", "days.csv"],
            cwd=tmp_path,
            env=environment(DAYMARK_ADMIN_DATABASE_URL=url, TERM="xterm", COLUMNS="100"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=end,
            timeout=60,
            check=True,
        )
        os.write(end, b"\n")  # so that there is something to read if nothing was shown
        shown = os.read(terminal, 65_536).decode()
    finally:
        os.close(end)
        os.close(terminal)

    assert re.search(r"reading .*━.* 1 lines", shown)
    assert re.search(r"storing .*━.* 1 lines", shown)
