"""How results are shown: one line for each field, arrays by type and shape.

A repr fits on a screen; `str`, which is what is printed, has every field in full.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

__all__ = ["Shown", "brief", "table", "whole"]

_LINE, _FIELDS, _NUMBERS = 88, 32, 4
_MOST_ITEMS = 1000  # of a list that is printed in full


class Shown:
    """A dataclass whose repr has one line for each field; `str` cuts none, and lists mappings.

    Subclasses are declared with ``repr=False``, or the repr of dataclasses would replace this one.
    """

    def _fields(self) -> Mapping[str, Any]:
        """The values that the repr shows, by name."""
        return {item.name: getattr(self, item.name)
                for item in dataclasses.fields(self)  # type: ignore[arg-type]
                if not item.name.startswith("_")}

    def __repr__(self) -> str:
        shown = [(key, value) for key, value in self._fields().items() if value is not None]
        lines = [f"  {key}: {brief(value)}"[:_LINE] for key, value in shown[:_FIELDS]]
        if len(shown) > _FIELDS:
            lines.append(f"  and {len(shown) - _FIELDS} more")
        return "\n".join([f"<{type(self).__name__}", *lines]) + ">"

    def __str__(self) -> str:
        lines = []
        for key, value in self._fields().items():
            if isinstance(value, Mapping) and value:
                lines += [f"  {key}:", *(f"    {name}: {whole(each)}"
                                         for name, each in value.items())]
            elif value is not None:
                lines.append(f"  {key}: {whole(value)}")
        return "\n".join([f"<{type(self).__name__}", *lines]) + ">"

    def _repr_html_(self) -> str:
        return table(type(self).__name__, {
            key: brief(value) for key, value in self._fields().items() if value is not None})


def table(title: str, facts: Mapping[str, Any]) -> str:
    """Format facts as an HTML table."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(key)}</th><td>{escape(str(value))}</td></tr>"
        for key, value in facts.items())
    return f"<table><caption>{escape(title)}</caption>{rows}</table>"


def whole(value: Any) -> str:
    """Format a value on one line of any length; only arrays and very long lists are described."""
    if isinstance(value, Mapping) and value:
        return ", ".join(f"{key}={whole(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields") and (
            0 < len(value) <= _MOST_ITEMS):
        return ", ".join(map(whole, value))
    return " ".join(_described(value).split())


def brief(value: Any) -> str:
    """Format a value on one line of limited length."""
    text = " ".join(_described(value).split())
    return text if len(text) <= _LINE else f"{text[:_LINE - 3]}..."


def _described(value: Any) -> str:
    """Return a value as text: long arrays, lists and mappings by what they contain."""
    shape, unit = getattr(value, "shape", None), getattr(value, "unit", None)
    if isinstance(shape, tuple) and int(np.prod(shape)) > _NUMBERS:
        kind = getattr(value, "dtype", type(value).__name__)
        text = f"{kind} {shape}" + (f", {unit}" if unit is not None else "")
    elif isinstance(value, Mapping):
        text = f"{len(value)} of {', '.join(map(str, value))}" if value else "none"
    elif isinstance(value, (list, tuple)) and len(value) > _NUMBERS:
        text = f"{len(value)} of {type(value[0]).__name__}: {brief(value[0])}, ..."
    elif isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        text = ", ".join(map(brief, value)) or "none"
    else:
        text = str(value) if isinstance(value, (str, float, np.ndarray)) or (
            type(value).__module__.startswith(("astropy", "fractions"))) else repr(value)
    return text
