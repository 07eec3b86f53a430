"""The stub of the verbs of chains, as the stages and functions themselves have them.

``python docs/generated.py --write`` writes ``fastsig/own_verbs.pyi``, which type checkers and
editors read. Signatures and docstrings are changed in the stages, never in the stub.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastsig import registry
from fastsig.verbs import described, without_stream, work_of

STUB = Path(__file__).resolve().parent.parent / "fastsig" / "own_verbs.pyi"
_HEAD = '''"""The verbs that come with fastsig; written by docs/verb_stub.py from the stages."""

'''
_KNOWN = {"Any": "typing", "Self": "typing"}


def stub() -> str:
    """The text of the stub."""
    imports: dict[str, set[str]] = {"typing": {"Self"}}
    methods = [_method(name, imports) for name in registry.own_verbs()]
    return (_HEAD + _imports(imports) + '__all__ = ["OwnVerbs"]\n\n'
            + 'class OwnVerbs:\n    """Verbs of chains that come with fastsig."""\n\n'
            + "\n".join(methods))


def _imports(imports: dict[str, set[str]]) -> str:
    def line(module: str) -> str:
        return f"from {module} import {', '.join(sorted(imports[module]))}\n"

    groups = [[each for each in sorted(imports) if _rank(each) == rank] for rank in range(3)]
    return "\n".join("".join(map(line, group)) for group in groups if group) + "\n"


def _rank(module: str) -> int:
    top = module.split(".")[0]
    return 2 if top == "fastsig" else 0 if top in sys.stdlib_module_names else 1


def _method(name: str, imports: dict[str, set[str]]) -> str:
    work, lazy = work_of(name)
    signature = described(work, None)
    parts = ["self", *_parameters(signature)]
    made = "Self" if lazy else str(signature.return_annotation)
    for text in (*(str(each.annotation) for each in signature.parameters.values()), made):
        _note(text, work, imports)
    return f"    def {name}({_wrapped(name, parts)}) -> {made}:\n{_doc(work)}"


def _parameters(signature: inspect.Signature) -> list[str]:
    parts, starred = [], False
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        default = "" if each.default is each.empty else f" = {each.default!r}"
        mark = "**" if each.kind is each.VAR_KEYWORD else ""
        parts.append(f"{mark}{each.name}: {each.annotation}{default}")
    return parts


def _wrapped(name: str, parts: list[str]) -> str:
    space = " " * 8
    text = textwrap.fill(", ".join(part.replace(" ", "\0") for part in parts), 91,
                         initial_indent=space, subsequent_indent=space, break_long_words=False,
                         break_on_hyphens=False).replace("\0", " ")
    return f"\n{text},\n    "


def _doc(work: Callable[..., Any]) -> str:
    text = without_stream(inspect.getdoc(work) or "")
    lines = f'r"""{text}\n"""' if "\\" in text else f'"""{text}\n"""'
    return textwrap.indent(lines, " " * 8) + "\n"


def _note(annotation: str, work: Callable[..., Any], imports: dict[str, set[str]]) -> None:
    """Add the imports that the names in an annotation need."""
    there = _names_of(sys.modules[work.__module__].__file__ or "")
    for name in re.findall(r"[A-Za-z_]\w*", re.sub(r"\"[^\"]*\"|'[^']*'", "", annotation)):
        if name in there:
            imports.setdefault(there[name], set()).add(name)
        elif name[0].isupper() and name in dir(sys.modules[work.__module__]):
            imports.setdefault(work.__module__, set()).add(name)


def _names_of(path: str) -> dict[str, str]:
    """Modules of the names that a file imports."""
    nodes = ast.walk(ast.parse(Path(path).read_text()))
    return _KNOWN | {alias.asname or alias.name: node.module for node in nodes
                     if isinstance(node, ast.ImportFrom) and node.module
                     for alias in node.names}


if __name__ == "__main__":
    from generated import main

    main()
