"""Help texts fit a terminal; a mistyped command or option is answered with the right one."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import combinations

import click
import pytest
from click.testing import CliRunner
from test_option_tables import COMMANDS

from fastsig.cli.main import cli


def groups(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words that lead to each group of commands."""
    yield words
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from groups(command, (*words, name))


GROUPS = list(groups(cli))


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_lists_of_commands_fit_80_columns(words: tuple[str, ...]) -> None:
    text = CliRunner().invoke(cli, [*words, "--help"], terminal_width=80).stdout
    rows = text.partition("Commands:\n")[2].splitlines()
    assert rows and all(len(row) < 80 and row.endswith(".") and "..." not in row for row in rows)
    assert all(row[2] != " " for row in rows), "a help that needs a second line"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_fits_80_columns_and_names_its_values(name: str) -> None:
    text = CliRunner().invoke(cli, [*name.split(), "--help"], terminal_width=80).stdout
    assert not [row for row in text.splitlines() if len(row) > 80]
    types = ("INTEGER", "FLOAT", "TEXT", "RANGE")  # click's names of types
    assert not [word for word in types if word in text.split()]


def test_options_that_mean_the_same_have_the_same_help() -> None:
    helps: dict[str, dict[str, str]] = {}
    for name, command in COMMANDS.items():
        for option in command.params:
            if isinstance(option, click.Option):
                text = (option.help or "").partition("  [default: ")[0]
                helps.setdefault(option.opts[-1], {})[text] = name
    near = [f"{option}: {found[one]}, {found[other]}" for option, found in helps.items()
            for one, other in combinations(found, 2)
            if SequenceMatcher(None, one, other, autojunk=False).ratio() > 0.97]
    assert not near, near


@pytest.mark.parametrize("words, right", [
    (["spectr"], "spectra"), (["Spectra"], "spectra"), (["calibrat"], "calibrate"),
    (["simulate", "fast-volt"], "fast-voltage"), (["batch", "statsu"], "status"),
])
def test_a_mistyped_command_is_answered(words: list[str], right: str) -> None:
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2 and f"did you mean {right!r}?" in result.stderr


def test_a_word_like_no_command_is_answered_by_all() -> None:
    result = CliRunner().invoke(cli, ["xyzzy"])
    assert result.exit_code == 2
    assert all(name.split()[0] in result.stderr for name in COMMANDS)


@pytest.mark.parametrize("words, right", [
    (["spectra", "x.h5", "--n-chans", "4"], "--n-chan"),
    (["flag", "x.h5", "--protects", "1MHz-2MHz"], "--protect"),
])
def test_a_mistyped_option_is_answered(words: list[str], right: str) -> None:
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2 and right in result.stderr.partition("Did you mean")[2]
