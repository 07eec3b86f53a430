"""Mistakes of a recipe, a line each: place, value, why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Mistakes", "one_line"]


@dataclass
class Mistakes:
    """The mistakes of a recipe, in the order in which they are found.

    Parameters
    ----------
    path : str
        Of the recipe, which every line begins with.
    lines : list of str
    """

    path: str
    lines: list[str] = field(default_factory=list)

    def add(self, where: str, why: str, *value: Any) -> None:
        """Write down a mistake: its place, why, and the value where there is one."""
        given = f" = {shown(value[0])}" if value else ""
        self.lines.append(one_line(f"{self.path}: {where}{given}: {why}"))


def one_line(text: str) -> str:
    """The text without control characters: each as its escape."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def shown(value: Any) -> str:
    """A value as TOML would have it, shortened."""
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
