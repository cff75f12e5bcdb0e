"""Importing Orthogon and asking for help load nothing heavy, and the public list is what the package gives."""

import subprocess
import sys

import pytest

import orthogon

HEAVY = ["torch", "torchvision", "pandas", "sklearn", "scipy", "matplotlib", "pyarrow", "optuna", "PIL"]


def loaded_after(code: str) -> list[str]:
    script = f"import sys\n{code}\nprint('loaded', *(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()[1:]


def run_cli(arguments: str) -> str:
    return (
        "import contextlib, io\nfrom orthogon.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    main({arguments!r}.split())"
    )


def test_import_is_light() -> None:
    assert loaded_after("import orthogon") == []


@pytest.mark.parametrize(
    "arguments",
    ["--help", "start --help", "data --help", "runs --project nowhere", "learn", "learn adam", "weights list"],
)
def test_help_and_runs_are_light(arguments: str) -> None:
    assert loaded_after(run_cli(arguments)) == []


def test_varying_pictures_nothing_is_marked_in_needs_no_torchvision() -> None:
    code = (
        "import torch\nfrom orthogon.data.augment import AugmentConfig, change, draw, uniforms\n"
        "import numpy as np\nimport orthogon.tasks.image_classification\nimport orthogon.data.vary\n"
        "change(torch.rand(2, 1, 8, 8), draw(AugmentConfig(strength=1, flip=0.5), uniforms(0, 1, np.arange(2))))"
    )
    assert "torchvision" not in loaded_after(code)


def test_the_public_list_is_what_the_package_gives() -> None:
    for name in orthogon.__all__:
        assert getattr(orthogon, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'strat'"):
        orthogon.strat  # noqa: B018
