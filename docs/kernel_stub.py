"""The stub of `fastsig_kernels`, which imports its names for type checkers, from their index.

``python docs/generated.py --write`` writes ``kernels/fastsig_kernels/__init__.pyi``. The package
itself imports a module when one of its names is first used, which type checkers do not follow.
"""

from __future__ import annotations

from pathlib import Path

import fastsig_kernels

STUB = Path(__file__).resolve().parent.parent / "kernels" / "fastsig_kernels" / "__init__.pyi"
_WIDTH = 100


def stub() -> str:
    """The text of the stub."""
    index = fastsig_kernels._INDEX
    lines = [_import(module, [name for name in index if index[name] == module])
             for module in sorted(set(index.values()))]
    listed = "".join(f'    "{name}",\n' for name in sorted(index))
    return "".join(lines) + f"\n__all__ = [\n{listed}]\n"


def _import(module: str, names: list[str]) -> str:
    """One statement, its constants, classes and functions in this order, as ruff sorts them."""
    names = sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    line = f"from .{module} import {', '.join(names)}\n"
    if len(line) <= _WIDTH + 1:
        return line
    each = "".join(f"    {name},\n" for name in names)
    return f"from .{module} import (\n{each})\n"
