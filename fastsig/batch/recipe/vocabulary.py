"""The words of recipes: the commands of fastsig and their options, as on the command line.

Nothing is defined twice: click's parameters provide the options, which of them name files, how many
values they accept and which choices are allowed. Values are checked by their types and callbacks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import click

from fastsig.batch.recipe.suggestions import nearest
from fastsig.batch.recipe.values import check_unit, plain, text_of
from fastsig.cli.common import InputPath, OutputPath
from fastsig.errors import FastsigError, UsageError

__all__ = ["OWN", "Vocabulary", "commands", "vocabulary"]

_LOGS = "batch keeps a log of each task"
#: Options that batch sets itself, or that are of no use in it.
OWN = {
    "overwrite": "see batch run --overwrite", "workers": "see batch run --workers",
    "memory": "see limits.memory, and batch run --memory",
    "quiet": _LOGS, "verbose": _LOGS, "debug": _LOGS, "as_json": _LOGS,
    "dry_run": "see batch run --dry-run",
    "explain": "see batch run --dry-run",
    "cut_out_to": "cut-outs are written to the folder of the output",
}
_SEVERAL = ("LIST", "K|TABLE")  # and any metavar with a comma


@cache
def commands() -> tuple[str, ...]:
    """Return the names of the commands that make a file from others, which a step may use."""
    from fastsig.cli.main import cli

    return tuple(name for name, command in _below(cli, "")
                 if "output" in (known := {parameter.name for parameter in command.params})
                 and known & {"files", "file"})


def _below(group: click.Group, before: str) -> Iterator[tuple[str, click.Command]]:
    """Yield the commands of a group with their full names, such as ``search bursts``."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name) if name != "batch" else None
        if isinstance(command, click.Group):
            yield from _below(command, f"{before}{name} ")
        elif command is not None:
            yield f"{before}{name}", command


@cache
def vocabulary(name: str) -> Vocabulary:
    """Return the vocabulary of one of the `commands`."""
    from fastsig.cli.main import cli

    command: click.Command | None = cli
    for word in name.split():
        command = command.get_command(click.Context(command), word) if isinstance(
            command, click.Group) else None
    if command is None or command is cli:
        raise UsageError(f"{name!r} is not a command of fastsig{nearest(name, commands())}")
    return Vocabulary(command, name)


class Vocabulary:
    """The options of a command under their names in recipes.

    Parameters
    ----------
    command : click.Command
    name : str, optional
        Full name of the command, such as ``search bursts``, if it belongs to a group.
    """

    def __init__(self, command: click.Command, name: str | None = None) -> None:
        self.command = command
        self.name = name or str(command.name)
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        self._offered = {str(option.name) for option in options}
        output = next(option for option in options if option.name == "output")
        #: Fields that the command itself fills in the name of its output.
        self.fields = tuple(re.findall(r"\{(\w+)\}", output.help or ""))
        self.options = {_word(option): option for option in options
                        if option.name not in (*OWN, "output")}
        #: Whether the command accepts only one file.
        self.single = any(parameter.name == "file" for parameter in command.params)
        #: Options that name a file which the command writes, beside its output.
        self.written = self._typed(OutputPath)
        #: Options that name a file which the command reads, beside its inputs.
        self.read = self._typed(InputPath)
        self._own = {_word(option): OWN[str(option.name)] for option in options
                     if option.name in OWN}

    def _typed(self, kind: type[InputPath | OutputPath]) -> tuple[str, ...]:
        """Return the options of a type."""
        return tuple(word for word, option in self.options.items() if isinstance(option.type, kind))

    def may_be_value(self, word: str) -> bool:
        """Return whether an option that names a file to read also accepts a value."""
        kind = self.options[word].type
        return isinstance(kind, InputPath) and kind.or_value

    def files_read(self, argv: Sequence[str]) -> list[str]:
        """Return the paths of the files to read that options name, in the order of the options.

        Parameters
        ----------
        argv : sequence of str
            As in `fastsig.batch.Step`: options as ``--option=value``, all paths absolute.
        """
        kinds = {f"{_long(self.options[word])}=": self.may_be_value(word) for word in self.read}
        paths = []
        for option, sign, value in (word.partition("=") for word in argv):
            may_be_value = kinds.get(option + sign)
            if may_be_value is False or (may_be_value and os.path.isabs(value)):
                paths.append(value)
        return paths

    def offers(self, option: str) -> bool:
        """Return whether the command has an option with this parameter name (e.g. ``workers``)."""
        return option in self._offered

    def required(self) -> list[str]:
        """Return the options that must be given."""
        return [word for word, option in self.options.items() if option.required]

    def unknown(self, word: str) -> str:
        """Return why a word is not an option here."""
        if word in self._own:
            return f"not an option of a step: {self._own[word]}"
        own = ("command", "output", "input", "name", "keep")
        return f"no such option of {self.name}{nearest(word, [*self.options, *own])}"

    def words(self, word: str, value: Any) -> list[str]:
        """Return the words of the command line for an option and its value in a recipe.

        Parameters
        ----------
        word : str
            One of `options`.
        value : object
            Value as in TOML.

        Raises
        ------
        UsageError
            If the command would not accept it; the message states what is allowed.
        """
        option = self.options[word]
        flag = option.opts[-1] if option.is_flag else _long(option)
        if option.is_flag:
            if not isinstance(value, bool):
                raise UsageError("allowed: true or false")
            return [flag] if value else []
        try:
            texts = _texts(option, value)
        except UsageError:
            if isinstance(option.type, click.Choice):
                raise UsageError(f"allowed: {', '.join(map(str, option.type.choices))}") from None
            raise
        self._check(option, texts)
        return [f"{flag}={text}" for text in texts]

    def values(self, word: str, value: Any) -> list[str]:
        """Return the values of an option such as ``n_chan``, as they appear in names."""
        option = self.options[word]
        given = option.process_value(click.Context(self.command), _texts(option, value)[0])
        return [str(value) for value in (given if isinstance(given, list) else [given])]

    def _check(self, option: click.Option, texts: list[str]) -> None:
        """Let click convert the value, then parse it with its unit as the command would."""
        context = click.Context(self.command, info_name=self.name)
        given: Any = tuple(texts) if option.multiple else texts[0]
        try:
            option.process_value(context, given)
        except click.BadParameter as error:
            raise UsageError(_reason(error, option, texts)) from None
        for text in texts:
            try:
                check_unit(str(option.name), option.metavar or "", text)
            except FastsigError as error:
                which = f"{text!r}: " if len(texts) > 1 else ""
                raise UsageError(which + plain(error, text)) from None


def _reason(error: click.BadParameter, option: click.Option, texts: list[str]) -> str:
    """Return click's message without the value, and the most similar choice."""
    if isinstance(option.type, click.Choice):
        return f"no such choice{nearest(texts[0], map(str, option.type.choices))}"
    if option.type in (click.INT, click.FLOAT):
        return "allowed: a whole number" if option.type is click.INT else "allowed: a number"
    return plain(UsageError(error.message.rstrip(".")), texts[0])


def _long(option: click.Option) -> str:
    return max(option.opts, key=len)


def _word(option: click.Option) -> str:
    return _long(option).lstrip("-").replace("-", "_")


def _texts(option: click.Option, value: Any) -> list[str]:
    """Return one text, or one for each repetition of the option."""
    metavar = option.metavar or ""
    if isinstance(value, Mapping):
        if not metavar.startswith("KEY=VALUE"):
            raise UsageError("a table; allowed: a single value")
        pairs = [f"{key}={text_of(item)}" for key, item in value.items()]
        if not pairs:
            raise UsageError("an empty table; allowed: at least one key")
        return pairs if option.multiple else [",".join(pairs)]
    if not isinstance(value, list):
        return [text_of(value)]
    if not value:
        raise UsageError("an empty list; allowed: at least one value")
    texts = [text_of(item) for item in value]
    if option.multiple:
        return texts
    if "," not in metavar and metavar not in _SEVERAL:
        raise UsageError("a list; allowed: a single value")
    return [",".join(texts)]
