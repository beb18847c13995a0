"""The wheel: complete, and of use where this tree is not."""

import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.command import environment, started

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT)
    [built] = folder.glob("daymark-*-py3-none-any.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the bin/ of an environment with the wheel; what it depends on is borrowed from ours."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    # A path line adds our packages behind its own, but does not run the .pth of this tree's editable install.
    packages = sysconfig.get_path("purelib", vars={"base": str(folder)})
    Path(packages, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel)
    return folder / "bin"


def run(*command: str | Path) -> str:
    result = subprocess.run(
        command,
        cwd="/",
        env=environment(PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONPATH=""),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_it_carries_every_query_and_migration_and_no_test(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    wanted = {
        *(
            f"service/{path.relative_to(ROOT)}"
            for folder in ("sql", "migrations")
            for path in (ROOT / folder).rglob("*.sql")
        ),
        *(str(path.relative_to(ROOT)) for path in (ROOT / "service").rglob("*.py")),
        "service/py.typed",
        "service/recommendations/prompt.toml",
    }
    assert len(wanted) > 50
    assert {name for name in names if ".dist-info/" not in name} == wanted


def test_installed_elsewhere_it_serves(installed: Path, tmp_path: Path) -> None:
    where = "import service, service.queries, service.migrating; print(service.__file__)\n"
    assert run(installed / "python", "-c", where).startswith(str(installed.parent))
    assert run(installed / "daymark", "--version") == "daymark, version 0.1.0\n"
    with started(tmp_path, "dev", ready="psql acme", daymark=[installed / "daymark"], PYTHONPATH="") as dev:
        [token] = [line[6:] for line in dev.stdout.read_text().splitlines() if line.startswith("TOKEN=")]
        headers = {"Authorization": f"Bearer {token}", "Prefer": "handling=strict"}
        for path in ("patterns", "recommendations"):
            answer = httpx.get(f"{dev.url}/api/insights/{path}", headers=headers)
            assert (answer.status_code, answer.json()["source"]) == (200, "user")
        assert httpx.get(f"{dev.url}/docs").status_code == 200
        assert dev.stop(signal.SIGTERM) == 0
