"""The tables of options in docs/commands are those of the commands."""

from __future__ import annotations

import re
from typing import Any

import click
import option_tables as tables
import pytest
from cli import ROOT

from fastsig.cli.main import cli

PAGES = {path.name: path.read_text(encoding="utf-8")
         for path in sorted((ROOT / "docs" / "commands").glob("*.md"))}
COMMANDS = dict(tables.commands(cli))


def test_every_command_has_its_place_under_its_heading() -> None:
    places = [name for page in PAGES.values() for name in tables.places(page)]
    assert sorted(places) == sorted(COMMANDS)
    sections = [part for page in PAGES.values() for part in re.split(r"^##? ", page, flags=re.M)]
    for name in COMMANDS:
        section = next(part for part in sections if part.startswith(f"`fastsig {name}`\n"))
        assert tables.places(section) == [name]


def test_the_list_of_commands_cuts_no_sentence_short() -> None:
    with click.Context(cli, max_content_width=80) as context:
        lines = cli.get_help(context).partition("Commands:")[2].splitlines()
    assert len(lines) > 10 and not [line for line in lines if line.endswith("...")]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_of_one_or_two_lines(name: str) -> None:
    for option in COMMANDS[name].params:
        if isinstance(option, click.Option):
            assert option.help and option.help[0] != " " and len(option.help) <= 200, option
            assert option.help.partition("  [default: ")[0].endswith("."), option
            assert option.multiple == ("May be repeated." in option.help), option


def row(*names: str, **more: Any) -> str:
    command = click.Command("x", params=[click.Option(names, **more)])
    return str(tables.table(command).splitlines()[-1])


@pytest.mark.parametrize("names, more, expected", [
    (("--bits",), {"type": click.Choice(["8", "-1"]), "default": "8", "help": "Bits."},
     "| `--bits N` | Bits. One of `8`, `-1`. Default: `8`. |"),
    (("-o", "--output"), {"metavar": "PATH", "required": True, "help": "To {n_chan} or --to."},
     "| `-o`, `--output PATH` | To `{n_chan}` or `--to`. Required. |"),
    (("--noise/--no-noise",), {"default": True, "help": "a|b <A* B>."},
     "| `--noise`, `--no-noise` | a\\|b \\<A\\* B\\>. Default: `--noise`. |"),
    (("--n",), {"type": click.IntRange(1), "help": "Rows.  [default: all of them]"},
     "| `--n N` | Rows. Default: all of them. |"),
    (("--x",), {"type": float, "help": "Value.  [default: 1e8]"},
     "| `--x X` | Value. Default: `1e8`. |"),
    (("--dry-run",), {"is_flag": True, "help": "Nothing."}, "| `--dry-run` | Nothing. |"),
    (("--name",), {"multiple": True, "help": "Names."}, "| `--name TEXT` | Names. |"),
    (("--tcal",), {"metavar": "K|TABLE", "help": "Set it."}, "| `--tcal K\\|TABLE` | Set it. |"),
])
def test_a_row_of_the_table(names: tuple[str, ...], more: dict[str, Any], expected: str) -> None:
    assert row(*names, **more) == expected
