"""Options that name files: each says on the command whether it is read or written.

A batch takes from that which files are part of a task's identity, and which must stay in the output
folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from fastsig.cli.common import InputPath, OutputPath
from fastsig.cli.main import cli

#: What stands for a path in a help page, and how a help text about a file begins.
METAVAR = re.compile(r"PATH|FILE|FOLDER|DIR\b|TABLE|\.\w+$")
HELP = re.compile(r"(A |The |[\w-]+ )?(files?|folders?|tables?|pictures?|pages?)\b", re.IGNORECASE)


def options(command: click.Command, name: str) -> Iterator[tuple[str, click.Option]]:
    """All options of a command, or of those in a group, with the words that give them."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for inner in command.list_commands(context):
            below = command.get_command(context, inner)
            assert below is not None
            yield from options(below, f"{name} {inner}")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield f"{name} {max(parameter.opts, key=len)}", parameter


OPTIONS = dict(options(cli, "fastsig"))


def takes_text(option: click.Option) -> bool:
    """Whether any text may be its value."""
    return not option.is_flag and not isinstance(
        option.type, (click.Choice, click.IntRange, click.FloatRange, click.types.IntParamType,
                      click.types.FloatParamType))


def names_a_file(option: click.Option) -> bool:
    """Whether it looks as if its value were a path."""
    return takes_text(option) and bool(
        isinstance(option.type, (click.Path, click.File)) or METAVAR.search(option.metavar or "")
        or HELP.match(option.help or "") or option.name == "output")


@pytest.mark.parametrize("name", [name for name in OPTIONS if names_a_file(OPTIONS[name])])
def test_an_option_that_names_a_file_says_whether_it_is_read(name: str) -> None:
    assert isinstance(OPTIONS[name].type, (InputPath, OutputPath)), (
        f"{name} names a file; its type has to be InputPath or OutputPath of fastsig.cli.common")


def test_a_forgotten_option_is_noticed() -> None:
    for forgotten in (click.Option(["--mask"], metavar="FILE.npz"),
                      click.Option(["--params"], metavar="N|TABLE"),
                      click.Option(["--list"], help="File with names."),
                      click.Option(["--where"], type=click.Path())):
        assert names_a_file(forgotten), forgotten
    assert not names_a_file(click.Option(["--to"], type=click.Choice(["a"]), help="File type."))
    assert not names_a_file(click.Option(["--width"], metavar="FREQ", help="Of the window."))


def test_every_declared_option_looks_like_one() -> None:
    """So that the test above would have found it."""
    declared = {name for name, option in OPTIONS.items()
                if isinstance(option.type, (InputPath, OutputPath))}
    assert declared == {name for name in OPTIONS if names_a_file(OPTIONS[name])}
    assert {"fastsig calibrate --ky", "fastsig calibrate --mueller", "fastsig calibrate --tcal",
            "fastsig batch run --recipe", "fastsig batch run --dask-tls-key"} <= declared
