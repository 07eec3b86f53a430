"""The words of recipes: the commands of fastsig and their options, as the command line has them.

Nothing is told twice: which options there are, how many values one takes, which choices are allowed
is asked of click's parameters, and values are checked by their types and callbacks.
"""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import click

from fastsig.errors import FastsigError, UsageError

__all__ = ["OWN", "READ", "WRITTEN", "Vocabulary", "commands", "measured", "nearest", "plain",
           "text_of", "vocabulary"]

_LOGS = "batch keeps a log of each task"
#: Options that batch sets itself, or that make no sense in it.
OWN = {
    "overwrite": "batch replaces what is stale by itself", "workers": "see batch run --workers",
    "memory": "see limits.memory, and batch run --memory",
    "quiet": _LOGS, "verbose": _LOGS, "debug": _LOGS, "as_json": _LOGS,
    "dry_run": "see batch run --dry-run",
    "explain": "see batch run --dry-run",
}
#: Options that may name a file which the command makes; `Vocabulary.written` has those that do.
WRITTEN = ("picture", "keep")
#: Options that name a file which the command reads, beside its inputs.
READ = ("ky", "mueller", "tcal")

_UNITS = {"TIME": "s", "FREQ": "Hz", "ANGLE": "deg", "K/JY": "K / Jy"}
_KNOWN_UNITS = {
    "s": ("s", "ms", "us", "ns", "min", "h"), "Hz": ("Hz", "kHz", "MHz", "GHz"),
    "deg": ("deg", "arcmin", "arcsec", "rad"), "K / Jy": ("K/Jy",), "K": ("K", "mK"),
    "bytes": ("B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"),
}
_ENDS = ("tstart", "tstop")
_SEVERAL = ("LIST", "K|TABLE")  # and whatever has a comma


def nearest(word: str, allowed: Iterable[str]) -> str:
    """``; did you mean X?``, or what is allowed where nothing is near."""
    known = list(allowed)
    found = difflib.get_close_matches(word, known, 1, 0.6) or difflib.get_close_matches(
        word.lower().replace("-", "_"), known, 1, 0.6)
    if not found:
        found = [each for each in known if each.lower() == word.lower()]
    if found:
        return f"; did you mean {found[0]}?"
    return f"; allowed: {', '.join(known)}" if len(known) <= 12 else ""


@cache
def commands() -> tuple[str, ...]:
    """Names of the commands that make a file of others: what a step may be."""
    from fastsig.cli.main import cli

    context = click.Context(cli)
    found = []
    for name in cli.list_commands(context):
        command = cli.get_command(context, name) if name != "batch" else None
        known = set() if command is None else {each.name for each in command.params}
        if "output" in known and known & {"files", "file"}:
            found.append(name)
    return tuple(found)


@cache
def vocabulary(name: str) -> Vocabulary:
    """The words of one of the `commands`."""
    from fastsig.cli.main import cli

    command = cli.get_command(click.Context(cli), name)
    if command is None:
        raise UsageError(f"{name!r} is no command of fastsig{nearest(name, commands())}")
    return Vocabulary(command)


class Vocabulary:
    """Options of a command under their names in recipes.

    Parameters
    ----------
    command : click.Command
    """

    def __init__(self, command: click.Command) -> None:
        self.command = command
        self.name = str(command.name)
        named = [each for each in command.params if isinstance(each, click.Option)]
        self._offered = {str(each.name) for each in named}
        output = next(each for each in named if each.name == "output")
        #: Fields that the command itself puts into the name of its output.
        self.fields = tuple(re.findall(r"\{(\w+)\}", output.help or ""))
        self.options = {_word(each): each for each in named
                        if each.name not in (*OWN, "output")}
        #: Whether the command takes one file and no more.
        self.single = any(each.name == "file" for each in command.params)
        #: Options that name a file which the command makes, beside its output.
        self.written = tuple(word for word in WRITTEN if word in self.options and not isinstance(
            self.options[word].type, click.Choice))
        self._own = {_word(each): OWN[str(each.name)] for each in named if each.name in OWN}

    def offers(self, option: str) -> bool:
        """Whether the command has an option, by its parameter's name (``workers``, ``memory``)."""
        return option in self._offered

    def required(self) -> list[str]:
        """Options that must be given."""
        return [word for word, option in self.options.items() if option.required]

    def unknown(self, word: str) -> str:
        """Why a word is no option here."""
        if word in self._own:
            return f"no option of a step: {self._own[word]}"
        own = ("command", "output", "input", "name", "keep")
        return f"no such option of {self.name}{nearest(word, [*self.options, *own])}"

    def words(self, word: str, value: Any) -> list[str]:
        """Words of the command line for an option and its value in a recipe.

        Parameters
        ----------
        word : str
            One of `options`.
        value : object
            Of TOML.

        Raises
        ------
        UsageError
            Where the command would not take it; the message tells what is allowed.
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
        """The several values of an option such as ``n_chan``, each as the command names it."""
        option = self.options[word]
        given = option.process_value(click.Context(self.command), _texts(option, value)[0])
        return [str(each) for each in (given if isinstance(given, list) else [given])]

    def _check(self, option: click.Option, texts: list[str]) -> None:
        """Let click convert the value, then parse what the command would parse by its unit."""
        context = click.Context(self.command, info_name=self.name)
        given: Any = tuple(texts) if option.multiple else texts[0]
        try:
            option.process_value(context, given)
        except click.BadParameter as error:
            raise UsageError(_told(error, option, texts)) from None
        for text in texts:
            try:
                _check_unit(str(option.name), option.metavar or "", text)
            except FastsigError as error:
                which = f"{text!r}: " if len(texts) > 1 else ""
                raise UsageError(which + plain(error, text)) from None


def _told(error: click.BadParameter, option: click.Option, texts: list[str]) -> str:
    """What click says, without the value, and the nearest choice."""
    if isinstance(option.type, click.Choice):
        return f"no such choice{nearest(texts[0], map(str, option.type.choices))}"
    if option.type in (click.INT, click.FLOAT):
        return "allowed: a whole number" if option.type is click.INT else "allowed: a number"
    return plain(UsageError(error.message.rstrip(".")), texts[0])


def _long(option: click.Option) -> str:
    return max(option.opts, key=len)


def _word(option: click.Option) -> str:
    return _long(option).lstrip("-").replace("-", "_")


def text_of(value: Any) -> str:
    """A value of TOML as the command line has it."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.UTC).replace(tzinfo=None)
        return str(value.isoformat())
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UsageError("allowed: text or a number")
    text = value if isinstance(value, str) else repr(value)
    if not text.strip() or "\0" in text:
        raise UsageError("allowed: text that is not empty")
    return text


def _texts(option: click.Option, value: Any) -> list[str]:
    """One text, or one each time that the option is repeated."""
    metavar = option.metavar or ""
    if isinstance(value, Mapping):
        if not metavar.startswith("KEY=VALUE"):
            raise UsageError("a table; allowed: a single value")
        pairs = [f"{key}={text_of(each)}" for key, each in value.items()]
        if not pairs:
            raise UsageError("an empty table; allowed: at least one key")
        return pairs if option.multiple else [",".join(pairs)]
    if not isinstance(value, list):
        return [text_of(value)]
    if not value:
        raise UsageError("an empty list; allowed: at least one value")
    texts = [text_of(each) for each in value]
    if option.multiple:
        return texts
    if "," not in metavar and metavar not in _SEVERAL:
        raise UsageError("a list; allowed: a single value")
    return [",".join(texts)]


def measured(text: str, unit: str, name: str) -> Any:
    """The number of a text in some unit, or bytes.

    Raises
    ------
    UsageError
        Where it is none; the message tells the nearest unit.
    """
    from fastsig import units
    from fastsig.memory import parse_bytes

    try:
        return parse_bytes(text) if unit == "bytes" else units.exact(text, unit, name)
    except UsageError:
        number, found = re.fullmatch(r"\s*([-+\d.eE]*)\s*(.*?)\s*", text, re.DOTALL).groups()  # type: ignore[union-attr]
        known = _KNOWN_UNITS[unit]
        near = difflib.get_close_matches(found, known, 1, 0.5)
        hint = f"did you mean {number}{near[0]}?" if number and near else (
            f"allowed: a number with {', '.join(known)}")
        raise UsageError(f"not a value in {unit}; {hint}") from None


def _check_unit(name: str, metavar: str, text: str) -> None:
    """Parse a text as the command will."""
    if name in _ENDS:
        _check_end(text)
    elif metavar == "SIZE":
        measured(text, "bytes", name)
    elif metavar == "FREQ|N":
        if not text.isdecimal():
            measured(text, "Hz", name)
    elif metavar in ("FREQ-FREQ", "NAME|FREQ-FREQ", "WINDOW"):
        _check_intervals(name, metavar, text)
    elif metavar == "K|TABLE":
        _check_tcal(name, text)
    elif metavar == "KEY=VALUE" and not re.fullmatch(r"[^=]*[^=\s][^=]*=.+", text, re.DOTALL):
        raise UsageError("allowed: KEY=VALUE")
    elif metavar in _UNITS:
        measured(text, _UNITS[metavar], name)


def _check_end(text: str) -> None:
    from fastsig.cli.common import parse_end

    end = parse_end(text)
    if isinstance(end, str):
        measured(end, "s", "time")


def _check_intervals(name: str, metavar: str, text: str) -> None:
    from fastsig import interference
    from fastsig.calibration.windows import window_mhz

    if metavar == "WINDOW":
        if (name, text) != ("protect", "auto"):
            window_mhz(text)
    elif name == "bands":
        interference.bands(text)
    else:
        interference.intervals(text, name)


def _check_tcal(name: str, text: str) -> None:
    try:
        for part in text.split(","):
            measured(part, "K", name)
    except UsageError:
        raise UsageError("neither temperatures such as 1.1K nor a table that is there") from None


def plain(error: BaseException, text: str) -> str:
    """What an error says, without the name and the value that stand before it anyway."""
    return re.sub(rf"^(?:[\w -]+ = |[\w -]+ )?(?:{re.escape(repr(text))}|{re.escape(text)})"
                  r"(?:[;:] | is | )", "", str(error))
