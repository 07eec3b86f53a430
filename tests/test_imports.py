"""Which modules import which: no loops between files, and every module in the contracts.

The arrows are those that sources state, wherever they state them: at the top, within functions, and
for type checkers alone. Names in text, such as the registry's, are none.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def sources(*packages: Path) -> dict[str, Path]:
    """Files of packages by the names of their modules."""
    return {
        ".".join(parts[:-1] if parts[-1] == "__init__" else parts): path
        for package in packages for path in sorted(package.rglob("*.py"))
        for parts in [path.relative_to(package.parent).with_suffix("").parts]
    }


def named(module: str, is_package: bool, tree: ast.AST) -> Iterator[str]:
    """Full names of all that the source of a module imports: modules, and attributes of modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = module.split(".")[: module.count(".") + 1 + is_package - node.level]
            base = [*(parent if node.level else []), *(node.module or "").split(".")]
            yield from (".".join(filter(None, [*base, alias.name])) for alias in node.names)


def arrows(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Modules, and those of them that each imports."""
    found = {}
    for name, path in modules.items():
        imported = set()
        for full in named(name, path.name == "__init__.py", ast.parse(path.read_text())):
            module = full if full in modules else full.rpartition(".")[0]
            imported |= {module} & modules.keys() - {name}
        found[name] = imported
    return found


def reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    """Modules that imports lead to."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - seen
        seen |= new
        waiting += new
    return seen


def loops(graph: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """Groups of modules of which every one leads to every other."""
    onward = {name: reached(name, graph) for name in graph}
    return {
        frozenset(other for other in onward[name] if name in onward[other])
        for name in graph if name in onward[name]
    }


def test_no_files_import_each_other_in_a_loop() -> None:
    found = loops(arrows(sources(
        ROOT / "fastsig", ROOT / "kernels" / "fastsig_kernels", ROOT / "bench")))
    text = "; ".join(" <-> ".join(sorted(loop)) for loop in found)
    assert not found, f"these import each other in a loop: {text}"


@pytest.mark.parametrize("statement", [
    "from made import b",
    "from made.b import X",
    "import made.b",
    "from . import b",
    "from .b import (\n    X,\n    Y,\n)",
    "def later():\n    from made.b import X",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from made.b import X",
])
def test_a_loop_is_seen(statement: str, tmp_path: Path) -> None:
    package = tmp_path / "made"
    package.mkdir()
    for name, text in {"__init__": "", "a": statement, "b": "from made.c import f",
                       "c": "import made.a", "d": "from made import a, b, c\nfrom made.x import y",
                       }.items():
        (package / f"{name}.py").write_text(text)
    assert loops(arrows(sources(package))) == {frozenset({"made.a", "made.b", "made.c"})}
    (package / "c.py").write_text("import os")
    assert not loops(arrows(sources(package)))


def test_a_package_that_takes_from_its_own_modules_may_not_be_asked_by_them(tmp_path: Path) -> None:
    package = tmp_path / "made"
    package.mkdir()
    (package / "__init__.py").write_text("from .a import X")
    (package / "a.py").write_text("from made import Y")
    assert loops(arrows(sources(package))) == {frozenset({"made", "made.a"})}


def test_contracts_name_every_module() -> None:
    """Imports that go up fail `make lint`, which knows an order for all that is named."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = [contract for contract in settings["contracts"]
              if contract["type"] == "layers" and contract.get("containers") == ["fastsig"]]
    assert len(layers) == 1 and layers[0]["exhaustive"] and not layers[0].get("exhaustive_ignores")
    listed = [name.strip() for layer in layers[0]["layers"] for name in re.split("[|:]", layer)]
    modules = sources(ROOT / "fastsig").keys() - {"fastsig"}
    assert sorted(listed) == sorted({name.split(".")[1] for name in modules})
