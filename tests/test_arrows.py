"""The import graph keeps to the floors: an arrow goes only downward, also inside functions."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "orthogon"
# Top to bottom. A room imports only rooms on lines below its own; the package's own __init__ is a door too.
FLOORS = [
    {"__main__", "estimators"},
    {"cli"},
    {"api"},
    {"report"},
    {"strategy"},
    {"project"},
    {"run"},
    {"tasks"},
    {"training"},
    {"models"},
    {"nn", "metrics"},
    {"data"},
    {"errors", "shown", "scratch"},  # scratch stands alone
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def imports(source: str) -> set[str]:
    """Rooms that a file imports, at the top, in functions, and under TYPE_CHECKING."""
    rooms = set()
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("orthogon.")}
    return rooms


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def arrows_up(files: dict[str, str]) -> list[str]:
    return [
        f"{room} -> {target}"
        for room, source in files.items()
        for target in sorted(imports(source))
        if target in LEVEL and target != room and LEVEL[target] <= LEVEL[room]
    ]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_room_imports_one_above_it(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        return
    assert room_of(path) in LEVEL, "a new room needs a floor"
    assert arrows_up({room_of(path): path.read_text()}) == []


def test_scratch_is_never_on_the_products_path() -> None:
    users = {room_of(path) for path in PACKAGE.rglob("*.py") if "scratch" in imports(path.read_text())}
    assert users <= {"scratch", "cli"}


def test_an_arrow_up_is_seen() -> None:
    assert arrows_up({"data": "def f():\n    from orthogon.training.loop import fit\n"}) == ["data -> training"]
    assert arrows_up({"nn": "import orthogon.metrics.score"}) == ["nn -> metrics"]
    assert arrows_up({"tasks": "from orthogon.data.split import split"}) == []
