"""What every test gets: one thread, no display, steady hypothesis, real data where it is, a share of the slow."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: workers must not fight over two cores
os.environ.setdefault("MPLBACKEND", "agg")
# Pretrained weights that lie on this machine would be found by `start` and change what tests see.
os.environ["ORTHOGON_CACHE"] = os.path.join(os.path.dirname(__file__), "no-such-cache")

import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "steady", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", default="", help="Run part K of N of the selected tests: --share K/N, K from 0.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    share = config.getoption("--share")
    if not share:
        return
    k, n = map(int, share.split("/"))
    kept = [item for item in items if zlib.crc32(item.nodeid.encode()) % n == k]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, named by ORTHOGON_DATA; skips the test where it is unset."""
    folder = os.environ.get("ORTHOGON_DATA")
    if not folder:
        pytest.skip("ORTHOGON_DATA is unset: it names a folder of real data that the repository does not hold")
    return Path(folder)


@pytest.fixture(autouse=True)
def _piped_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is piped is 100 columns wide, whatever the terminal or the test runner says."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]):
    """Run the command line in this process: cli("runs", "--json") -> (exit code, stdout, stderr)."""

    def call(*words: str | Path) -> tuple[int, str, str]:
        from orthogon.cli import main

        arguments: Sequence[str] = [str(word) for word in words]
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call
