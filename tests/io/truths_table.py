"""Rows of a table of truths, and how it is printed: what `truths` and the rows themselves share."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
_WIDE = 72


class Check(NamedTuple):
    """A quantity as it was expected and found."""

    what: str
    expected: str
    found: str
    ok: bool


def folder() -> Path:
    """Where the recorded files are."""
    return Path(os.environ.get("FASTSIG_REAL_DATA") or ROOT.parent / "shared" / "data" / "real")


def equal(what: str, expected: str, found: str) -> Check:
    """A quantity that has to be the same text."""
    return Check(what, expected, found, expected == found)


def number(value: complex) -> str:
    """A value in few digits."""
    return f"{value:g}" if complex(value).imag else f"{complex(value).real:g}"


def print_table(rows: Sequence[tuple[Any, Sequence[Check]]]) -> None:
    """Rows of what was expected and found, what differs, and where it is known from."""
    first = max(len(name) for truth, _ in rows for name in truth.files.split()) + 2
    width = max(len(line) for _, checks in rows for line in _cell(checks, "expected")) + 2
    head = f"{'file, format':{first}}{'expected':{width}}{'found':{width}}"
    print(head, "-" * len(head), sep="\n")
    for truth, checks in rows:
        names = [*truth.files.split(), *truth.name.removeprefix(truth.files).splitlines(),
                 f"  {truth.format or 'refused'}"]
        wrong = [f"{each.what}: {each.found}, not {each.expected}" for each in checks
                 if not each.ok]
        for a, b, c, d in zip_longest(names, _cell(checks, "expected"), _cell(checks, "found"),
                                      wrong or ["OK"], fillvalue=""):
            print(f"{a:{first}}{b:{width}}{c:{width}}{d}".rstrip())
        for line in textwrap.wrap(f"truth: {truth.source}", len(head) - 2):
            print(f"  {line}")
        print()


_LINES = (("start", "length"), ("rate", "bits", "shape"), ("rms", "valid"), ("mean", "std"),
          ("telescope", "source", "beam", "backend"), ("band", "sideband"))
_LAST = ("file", "error", "warning")


def _cell(checks: Sequence[Check], column: str) -> list[str]:
    """What was expected or found, some quantities a line."""
    lines, values = [], {each.what: getattr(each, column) for each in checks}
    for names in _LINES:
        parts = [f"{name} {values[name]}" for name in names if name in values]
        lines.append(", ".join(parts))
    samples = " ".join(f"{name}={values[name]}" for name in values if name.startswith("x["))
    lines += textwrap.wrap(samples, _WIDE, break_long_words=False, break_on_hyphens=False)
    known = {"format", *_LAST, *(name for names in _LINES for name in names)}
    for name in values:
        if name not in known and not name.startswith("x["):
            lines += textwrap.wrap(f"{name} {values[name]}", _WIDE, subsequent_indent="  ")
    for name in _LAST:
        if name in values:
            lines += textwrap.wrap(f"{name}: {values[name]}", _WIDE, subsequent_indent="  ")
    return [line for line in lines if line]
