"""The parts of every page of the project: one file that requests nothing from the network.

Headers are hostile input: a source may be called ``</script><img onerror=...>``. All text is
escaped here, and a policy in the page lets the browser run the project's own script alone, by its
hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from fastsig._version import __version__
from fastsig.io.files.provenance import file_record, provenance
from fastsig.io.fits.cube import CubeFile
from fastsig.io.opening import describe
from fastsig.stream import Stream

__all__ = ["bytes_block", "cube_sections", "document", "facts_of", "flat", "json_block",
           "picture_block", "section", "stream_sections", "table"]


_NESTED = (Mapping, list, tuple)
_LONGEST, _DEEPEST = 2**22, 50  # bytes of a provenance that a page accepts, and its levels


def document(title: str, body: str, scripts: Sequence[str] = (), *, lead: str = "",
             styles: Sequence[str] = (), generator: str = "fastsig") -> bytes:
    """Return a complete page.

    Parameters
    ----------
    title : str
        Plain text, for the tab and the heading.
    body : str
        HTML, made by the functions of this module.
    scripts : sequence of str
        Files of this package that the page runs, in this order, after ``common.js``.
    lead : str
        Plain text below the heading.
    styles : sequence of str
        Files of this package that follow ``style.css``.
    generator : str
        The program that made the page, which identifies it later.
    """
    style = "".join(_asset(name) for name in ("style.css", *styles))
    script = ("(() => {\n\"use strict\";\n"
              + "".join(_asset(name) for name in ("common.js", *scripts)) + "})();\n")
    policy = ("default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
              f"style-src '{_hash(style)}'; script-src '{_hash(script)}'")
    name, subtitle = escape(title), f"<p class=lead>{escape(lead)}</p>" if lead else ""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="generator" content="{escape(generator)}">\n'
        f'<meta name="viewport" content="width=device-width">\n'
        f'<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{name}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{name}</h1>{subtitle}</header>\n{body}\n<script>{script}</script>\n"
        f"</body>\n</html>\n"
    ).encode()


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def json_block(name: str, value: Any) -> str:
    """Return values for the page's script; no text in them can end the block."""
    text = json.dumps(_plain(value), separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def bytes_block(name: str, content: bytes) -> str:
    """Return bytes for the page's script."""
    return f'<script type="text/plain" id="{name}">{base64.b64encode(content).decode()}</script>\n'


def picture_block(content: bytes, description: str) -> str:
    """Return a PNG picture; `description` is for those who cannot see it."""
    alt = escape(description)
    return (f'<p><img class=picture alt="{alt}" '
            f'src="data:image/png;base64,{base64.b64encode(content).decode()}"></p>\n')


def section(title: str, content: str, *, opened: bool = False) -> str:
    """Return a collapsible part of the page; `content` is HTML."""
    state = " open" if opened else ""
    return f"<details{state}><summary>{escape(title)}</summary>\n{content}</details>\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows under headings; the script searches them, and sorts them by a clicked heading."""
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in columns)
    lines = []
    for first, *others in rows:
        cells = "".join(f"<td>{escape(_text(value))}</td>" for value in others)
        lines.append(f"<tr><th scope=row>{escape(_text(first))}</th>{cells}</tr>\n")
    return (f'<table class="facts"><thead><tr>{head}</tr></thead>\n<tbody>\n{"".join(lines)}'
            "</tbody></table>\n")


def flat(value: Any, path: str = "", depth: int = 0) -> list[tuple[str, Any]]:
    """Return nested mappings and lists as pairs of a dotted path and a value."""
    items: Iterable[tuple[Any, Any]]
    if depth > _DEEPEST:
        return [(path, "nested too deep to be shown")]
    if isinstance(value, Mapping) and value:
        items = value.items()
    elif isinstance(value, (list, tuple)) and any(isinstance(each, _NESTED) for each in value):
        items = enumerate(value)
    else:
        return [(path, value)]
    return [pair for key, each in items
            for pair in flat(each, f"{path}.{key}" if path else str(key), depth + 1)]


def facts_of(stream: Stream) -> dict[str, Any]:
    """Return the known facts that `fastsig info` lists, without the folder, for equal bytes."""
    facts = describe(stream, stream.format_name)
    facts["path"] = os.path.basename(os.path.abspath(stream.path))
    return {key: value for key, value in facts.items() if value not in (None, "")}


def stream_sections(stream: Stream) -> str:
    """Return header, cards and provenance of a stream as collapsible parts."""
    parts = section("Header", table(("field", "value"), facts_of(stream).items()), opened=True)
    cards = flat(dict(stream.header.extra)) if stream.header.extra else []
    if cards:
        parts += section(f"Cards of the file ({len(cards)})", table(("card", "value"), cards))
    return parts + section("Provenance", table(("what", "value"), flat(provenance(stream))))


def cube_sections(cube: CubeFile) -> str:
    """Return header, cards and provenance of a cube as collapsible parts."""
    from fastsig.io.fits.cube import info

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the table lists the same doubts
        known = info(cube.path)
    known["path"] = os.path.basename(os.path.abspath(cube.path))
    doubts = [str(each).removeprefix(f"{cube.path}: ") for each in known.pop("warnings", ())]
    facts = {key: value for key, value in known.items() if value not in (None, "")}
    cards = list(cube.header.header.items())
    rows = [*facts.items(), *(("doubt", each) for each in doubts)]
    record = {"fastsig": __version__, "inputs": [file_record(path) for path in cube.files],
              "made_by": _recorded(cube)}
    return (section("Header", table(("field", "value"), rows), opened=True)
            + section(f"Cards of the file ({len(cards)})", table(("card", "value"), cards))
            + section("Provenance", table(("what", "value"), flat(record))))


def _recorded(cube: CubeFile) -> Any:
    """Return the content of the unit PROVENANCE of a cube made by this project."""
    for unit in cube.units[1:]:
        if unit.name != "PROVENANCE" or unit.kind != "IMAGE":
            continue
        with open(cube.path, "rb") as file:
            file.seek(unit.data_offset)
            text = file.read(min(unit.cards.integer("NAXIS1", least=0), _LONGEST))
        try:
            return json.loads(text)
        except (ValueError, RecursionError):  # from another program, truncated, or hostile
            return "a unit PROVENANCE that is not JSON"
    return "not recorded"


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """Convert a value to the types of JSON; numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
