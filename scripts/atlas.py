"""The atlas: each system of the field -> idea -> chapter in scratch -> product -> tests.

Read from docs/systems.yaml, the chapters' docstrings, and the tests: their marks, and the names that marked tests use.
What does the same in the product is what the table says, or else the chapters, or else the tests by what they use.
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from orthogon.scratch import TOPICS
from orthogon.scratch.learn import Chapter, chapter

ROOT = Path(__file__).parent.parent
NO_PRODUCT = {"errors", "scratch", "shown"}  # what every test may need
VERBS = {path.stem for path in (ROOT / "src/orthogon/cli").glob("*.py")} - {"__init__", "screen"}
PRODUCT = re.compile(r"\b(?:torch|torchvision|numpy|sklearn|scipy|orthogon)(?:\.\w+)+")
MOST_NAMES = 4  # of those that tests use, where neither the table nor a chapter says what the product is
SCAFFOLD = 0.1  # a name that tests of more than this share of the systems use tells nothing about one of them


@dataclass
class System:
    """What stands behind a system: its chapters, the tests' files, and how many marked tests use each name."""

    name: str
    own_line: str | None
    own_product: list[str] = field(default_factory=list)
    chapters: list[Chapter] = field(default_factory=list)
    tests: set[str] = field(default_factory=set)
    uses: Counter[str] = field(default_factory=Counter)

    @property
    def idea(self) -> str:
        """Its line in docs/systems.yaml, or else that of the first chapter that tells it."""
        line = self.own_line or self.chapters[0].line
        return line[0].upper() + line[1:]


def areas() -> dict[str, list[System]]:
    """Every system under its area, in the table's order."""
    table = yaml.safe_load((ROOT / "docs/systems.yaml").read_text())
    told = defaultdict(list)
    for each in map(chapter, TOPICS):
        for name in each.systems:
            told[name].append(each)
    found = {
        area: [System(name, *_own(entry), told[name]) for name, entry in systems.items()]
        for area, systems in table.items()
    }
    by_name = {system.name: system for systems in found.values() for system in systems}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, uses in marked(path.read_text()):
            if name in by_name:
                by_name[name].tests.add(path.relative_to(ROOT / "tests").as_posix())
                by_name[name].uses.update(uses)
    return found


def _own(entry: str | dict[str, str] | None) -> tuple[str | None, list[str]]:
    """A system's line and product in the table, which says either, both or neither."""
    if isinstance(entry, dict):
        return entry.get("line"), entry["product"].split()
    return entry, []


def marked(source: str) -> Iterator[tuple[str, set[str]]]:
    """For each mark of each test: the system's name, and the names of Orthogon that the test uses."""
    if "mark.system(" not in source:
        return
    tree = ast.parse(source)
    own: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            own[node.name] = node
        elif isinstance(node, ast.Assign):
            own |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            own[node.target.id] = node
    imported = _imported(tree)
    of_all = _systems(own["pytestmark"]) if "pytestmark" in own else set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or not node.name.lower().startswith("test"):
            continue
        systems = {name for decorator in node.decorator_list for name in _systems(decorator)} | of_all
        for name in sorted(systems):
            yield name, _uses(node, own, imported)


def _systems(node: ast.AST) -> set[str]:
    return {
        text.value
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "system"
        for text in call.args
        if isinstance(text, ast.Constant)
    }


def _imported(tree: ast.AST) -> dict[str, str]:
    """Local name -> what it stands for, for everything imported from Orthogon."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return {local: name for local, name in found.items() if name.split(".")[0] == "orthogon"}


def _uses(test: ast.AST, own: dict[str, ast.AST], imported: dict[str, str]) -> set[str]:
    """Names used in a test, in its fixtures and in what else of its file it calls."""
    seen: set[int] = set()
    todo, found = [test], set()
    while todo:
        top = todo.pop()
        if id(top) in seen:
            continue
        seen.add(id(top))
        inner: set[int] = set()
        for node in ast.walk(top):
            if isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner:
                inner.update(id(part) for part in _chain(node))
                local, *rest = _dotted(node)
                if local in imported:
                    found.add(_symbol([*imported[local].split("."), *rest]))
                elif local in own:
                    todo.append(own[local])
            elif isinstance(node, ast.arg) and node.arg in own:  # a fixture
                todo.append(own[node.arg])
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("cli", "main"):
                first = next((part.value for part in ast.walk(node) if isinstance(part, ast.Constant)), None)
                if first in VERBS:
                    found.add(f"orthogon.cli.{first}")
    return found


def _chain(node: ast.AST) -> list[ast.AST]:
    """The nodes of a.b.c from the right; the last is a Name, or what else the attribute is of."""
    chain = [node]
    while isinstance(chain[-1], ast.Attribute):
        chain.append(chain[-1].value)
    return chain if isinstance(chain[-1], ast.Name) else chain[:-1]


def _dotted(node: ast.AST) -> list[str]:
    """["a", "b", "c"] for a.b.c; the first is empty where the chain begins with no name."""
    first, *rest = reversed(_chain(node))
    names = [part.attr for part in rest if isinstance(part, ast.Attribute)]
    return [first.id, *names] if isinstance(first, ast.Name) else ["", *names]


def _symbol(parts: list[str]) -> str:
    """The name as far as its first part that is no module."""
    folder = ROOT / "src"
    for i, part in enumerate(parts):
        if (folder / part).is_dir():
            folder /= part
        elif not (folder / f"{part}.py").is_file():
            return ".".join(parts[: i + 1])
        else:
            return ".".join(parts[: i + 2])
    return ".".join(parts)


def page() -> str:
    """docs/atlas.md."""
    found = areas()
    proved = [system for systems in found.values() for system in systems if system.tests]
    users = Counter(name for system in proved for name in system.uses)
    scaffold = {name for name, number in users.items() if number > SCAFFOLD * len(proved)}
    lines = [
        "# Atlas",
        "",
        "Written by `scripts/reference` from `docs/systems.yaml`, the chapters of `scratch/` and the tests' marks; do",
        "not edit. Each system of the field: its idea in a line; the chapter that tells it step by step, which",
        "`orthogon learn` opens, and the functions that its tests use; what does the same in the product, below",
        "`orthogon.` where no other package is named; and the tests that prove it. Without a test it is not yet there.",
        "",
        "| area | systems | proved by a test |",
        "|---|---|---|",
    ]
    for area, systems in found.items():
        anchor = re.sub(r"[^a-z0-9 -]", "", area.lower()).replace(" ", "-")
        lines.append(f"| [{area}](#{anchor}) | {len(systems)} | {sum(bool(each.tests) for each in systems)} |")
    for area, systems in found.items():
        lines += ["", f"## {area}", "", "| system | idea | from scratch | product | tests |", "|---|---|---|---|---|"]
        lines += [_row(system, users, scaffold) for system in systems]
    return "\n".join(lines) + "\n"


def _row(system: System, users: Counter[str], scaffold: set[str]) -> str:
    scratch, product = [], []
    for each in system.chapters:
        prefix = f"{each.module}."
        functions = sorted(name.removeprefix(prefix) for name in system.uses if name.startswith(prefix))
        path = f"../src/{each.module.replace('.', '/')}.py"
        scratch.append(
            f"[{each.topic}]({path})"
            + "".join(f" `{name}`" for name in functions if name != "demo" and not name.isupper())
        )
        product += PRODUCT.findall(each.product)
    if system.own_product:
        product = system.own_product
    elif not product:
        used = sorted(
            filter(_is_product, system.uses),
            key=lambda name: (name in scaffold, -system.uses[name] / users[name], _is_class(name), name),
        )
        product = ([name for name in used if name not in scaffold] or used)[:MOST_NAMES]
    names = " ".join(f"`{name.removeprefix('orthogon.')}`" for name in dict.fromkeys(product))
    tests = (
        " ".join(f"[{re.sub(r'test_|[.]py$', '', name)}](../tests/{name})" for name in sorted(system.tests))
        or "not yet"
    )
    return f"| `{system.name}` | {system.idea} | {' · '.join(scratch)} | {names} | {tests} |"


def _is_product(name: str) -> bool:
    """Neither of a room that any test may need, nor a constant."""
    _, *rest = name.split(".")
    if rest[:1] == ["cli"]:
        return rest[-1] in VERBS
    return bool(rest) and rest[0] not in NO_PRODUCT and not rest[-1].isupper()


def _is_class(name: str) -> bool:
    return name.rpartition(".")[2][0].isupper()
