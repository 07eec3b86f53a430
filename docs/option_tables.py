"""The tables of options in the pages of ``docs/commands``, made from the commands themselves.

``python docs/generated.py --write`` writes the table of each command between the two comments that
mark its place on a page, and the list of all commands in ``docs/command-line.md``. Texts are
changed in the commands, never on a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

DOCS = Path(__file__).resolve().parent
INDEX = DOCS / "command-line.md"
BEGIN = "<!-- options of `fastsig {}`: written by docs/option_tables.py -->"
END = "<!-- end of options -->"
# Options and fields of names; characters that mean something to Markdown.
_SPECIAL = re.compile(r"((?<![\w-])--[a-z][a-z-]*|\{\w+\})|([\\<>*|])")
_LIST = re.compile(r"(<!-- commands: .*? -->\n).*?(<!-- end of commands -->)", re.DOTALL)
_TOC = re.compile(r"(```\{toctree\}\n:hidden:\n\n).*?(```)", re.DOTALL)
_PLACE = re.compile(
    re.escape(BEGIN).replace(r"\{\}", "([a-z -]+)") + r"\n.*?" + re.escape(END), re.DOTALL)


def commands(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that is not a group, with its full name."""
    if not isinstance(command, click.Group):
        yield name.strip(), command
        return
    context = click.Context(command)
    for part in command.list_commands(context):
        below = command.get_command(context, part)
        assert below is not None
        yield from commands(below, f"{name} {part}")


def _value(option: click.Option) -> str:
    """What stands for an option's value; nothing for a flag."""
    if option.is_flag or option.count:
        return ""
    if isinstance(option.type, click.Choice) and option.type.choices:
        known = "N" if all(map(_is_number, option.type.choices)) else "NAME"
    else:
        kinds = ((click.types.IntParamType, "N"), (click.types.FloatParamType, "X"))
        known = next((name for kind, name in kinds if isinstance(option.type, kind)), "TEXT")
    return " " + (option.metavar or known)


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _names(option: click.Option) -> str:
    *short, last = option.opts
    value = _value(option).replace("|", r"\|")  # divides cells, even in code
    return ", ".join([*(f"`{name}`" for name in short), f"`{last}{value}`",
                      *(f"`{name}`" for name in option.secondary_opts)])


def _default(option: click.Option) -> str:
    default = option.to_info_dict()["default"]
    if option.secondary_opts:
        return f"`{option.opts[-1] if default else option.secondary_opts[-1]}`"
    plain = not option.is_flag and isinstance(default, (str, int, float))
    return f"`{default}`" if plain else ""


def _marked(text: str) -> str:
    """A text as Markdown: options and fields of names as code, no character with a meaning."""
    return _SPECIAL.sub(lambda match: f"`{match[1]}`" if match[1] else f"\\{match[2]}", text)


def meaning(option: click.Option) -> str:
    """The help of an option, what it may be, and its default."""
    text, _, stated = (option.help or "").partition("  [default: ")
    stated = stated.removesuffix("]")
    default = _default(option) or (_marked(stated) if " " in stated else stated and f"`{stated}`")
    parts = [_marked(text.strip())]
    if isinstance(option.type, click.Choice) and option.type.choices:
        parts.append("One of " + ", ".join(f"`{name}`" for name in option.type.choices) + ".")
    if option.required:
        parts.append("Required.")
    if default:
        parts.append(f"Default: {default}.")
    return " ".join(parts)


def table(command: click.Command) -> str:
    """The table of a command's options."""
    rows = [f"| {_names(option)} | {meaning(option)} |" for option in command.params
            if isinstance(option, click.Option)]
    return "\n".join(["| option | meaning |", "|---|---|", *rows])


def written(page: str, root: click.Command) -> str:
    """The page with the table of every command between its comments."""
    known = dict(commands(root))

    def place(match: re.Match[str]) -> str:
        return f"{BEGIN.format(match[1])}\n\n{table(known[match[1]])}\n\n{END}"

    return _PLACE.sub(place, page)


def page_of(name: str) -> str:
    """The page of a command, relative to ``docs``: one for each, and one for all of a batch."""
    stem = "batch" if name.startswith("batch ") else name.replace(" ", "-")
    return f"commands/{stem}"


def index(page: str, root: click.Command) -> str:
    """The page with the list of all commands, and their pages in the table of contents."""
    known = dict(commands(root))
    rows = [f"| `{name}` | [{command.get_short_help_str(100).rstrip('.')}]({page_of(name)}.md) |"
            for name, command in known.items()]
    listed = "\n".join(["| command | what it does |", "|---|---|", *rows])
    pages = "\n".join(dict.fromkeys(map(page_of, known)))
    page = _LIST.sub(lambda match: f"{match[1]}\n{listed}\n\n{match[2]}", page)
    return _TOC.sub(lambda match: f"{match[1]}{pages}\n{match[2]}", page)


def places(page: str) -> list[str]:
    """Names of the commands that have a place for their table, in the order of the page."""
    return _PLACE.findall(page)


def pages(root: click.Command) -> dict[Path, str]:
    """The pages with tables of options, and the list of commands, as they should be."""
    found = {path: written(path.read_text(encoding="utf-8"), root)
             for path in sorted((DOCS / "commands").glob("*.md"))}
    return {INDEX: index(INDEX.read_text(encoding="utf-8"), root), **found}


if __name__ == "__main__":
    from generated import main

    main()
