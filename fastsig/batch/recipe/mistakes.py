"""Mistakes in a recipe, one line for each: place, value, reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Mistakes", "one_line"]


@dataclass
class Mistakes:
    """The mistakes in a recipe, in the order in which they are detected.

    Parameters
    ----------
    path : str
        Path of the recipe, with which every line begins.
    lines : list of str
    """

    path: str
    lines: list[str] = field(default_factory=list)

    def add(self, where: str, why: str, *value: Any) -> None:
        """Record a mistake: its place, the reason, and the value if there is one."""
        given = f" = {shown(value[0])}" if value else ""
        self.lines.append(one_line(f"{self.path}: {where}{given}: {why}"))


def one_line(text: str) -> str:
    """Return the text with control characters replaced by escapes."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def shown(value: Any) -> str:
    """Return a value as it is written in TOML, shortened."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    elif isinstance(value, list):
        text = f"[{', '.join(map(shown, value))}]"
    elif isinstance(value, Mapping):
        text = f"{{ {', '.join(f'{key} = {shown(item)}' for key, item in value.items())} }}"
    else:
        text = str(value)
    return text if len(text) <= 80 else f"{text[:60]} ... {text[-15:]}"
