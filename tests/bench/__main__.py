"""What a request costs, against a route that does nothing, in one run on one machine.

One worker, Postgres and the load share the machine, so only the ratios mean anything elsewhere. Each figure is the
median of several rounds, which take turns so that a slow moment of the machine hits all of them alike.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import day

CONNECTIONS = 32
ROUNDS = 5
SECONDS = 2.0
DAYMARK = Path(sys.executable).with_name("daymark")
RESULTS = Path("bench.json")

PATHS = {
    "a route that does nothing": "/health/live",
    "recommendations, cached": "/api/insights/recommendations",
    "patterns of 7 days": "/api/insights/patterns?days=7",
    "patterns of 90 days": "/api/insights/patterns?days=90",
}


@contextmanager
def service() -> Iterator[tuple[int, str]]:
    """Run `daymark serve` on an embedded Postgres with made-up data; give its port and a token."""
    with tempfile.TemporaryDirectory() as folder:
        data = ["--data", folder]
        run("demo", "--tenants", "20", "--users", "50", "--days", "90", *data)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        # `dev` and not `serve`: it keeps the database for as long as it runs. Its log goes nowhere, as in a quiet
        # terminal, but is written all the same.
        server = subprocess.Popen(
            [DAYMARK, "dev", "--port", str(port), *data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(port)
            yield port, run("token", "demo-1", "person-1@demo-1.test", "--ttl", "24h", *data)
        finally:
            server.terminate()
            server.wait()


def run(*arguments: str) -> str:
    return subprocess.run([DAYMARK, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def measure(port: int, token: str, path: str) -> dict[str, float]:
    """Load one path in a process of its own."""
    arguments = [str(port), path, token, str(CONNECTIONS), str(SECONDS)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load", *arguments], check=True, capture_output=True, text=True
    )
    figures: dict[str, float] = json.loads(done.stdout)
    if figures["failed"]:
        raise SystemExit(f"{figures['failed']:.0f} requests to {path} failed")
    return figures


def main() -> None:
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in PATHS}
    with service() as (port, token):
        for path in PATHS.values():  # what is made once (recommendations, prepared statements) is made before
            measure(port, token, path)
        for _ in range(ROUNDS):
            for name, path in PATHS.items():
                rounds[name].append(measure(port, token, path))

    table = Table(title=f"{CONNECTIONS} connections, {ROUNDS} rounds of {SECONDS:g} s, {os.cpu_count()} cores for all")
    for heading in ("", "of nothing", "requests/s", "spread", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    results = {}
    nothing = [each["rate"] for each in rounds["a route that does nothing"]]
    for name, figures in rounds.items():
        rates = [each["rate"] for each in figures]
        ratio = statistics.median(rate / base for rate, base in zip(rates, nothing, strict=True))
        medians = {key: statistics.median(each[key] for each in figures) for key in ("rate", "p50", "p99")}
        results[name] = {"ratio": ratio, **medians}
        table.add_row(
            name,
            f"{ratio:.2f}",
            f"{medians['rate']:,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            f"{medians['p50']:.1f}",
            f"{medians['p99']:.1f}",
        )
    Console().print(table)
    day.main()
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
