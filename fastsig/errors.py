"""One tree of errors; the command line turns each branch into its exit code."""

from __future__ import annotations

import re
from os import PathLike, fspath

# Messages name options as the command line has them; elsewhere as arguments of Python.
_SET = re.compile(r"(?<![\w-])--set (\w+)=([^\s;)|]*)")
_FLAG = re.compile(
    r"(?<![\w-])--([a-z][a-z0-9-]*)"
    r"(?:[ =]([\w.,/+|-]*\d[\w.,/+|-]*|[A-Z]{2,}\b|\w+(?:\|\w+)+|lsrk|barycentric|fs\b))?")
_PLACEHOLDERS = ("RATE", "NUMBER", "FILE", "FIRST-LAST")
_SWITCHES = ("lossy", "overwrite")
_OTHER_NAMES = {"from": "source_frame", "site": "location"}
_on_command_line = False


def speak_of_options(yes: bool) -> bool:
    """Whether messages name options of the command line from now on; returns what it was."""
    global _on_command_line
    was, _on_command_line = _on_command_line, yes
    return was


def in_python(text: str) -> str:
    """A message that names arguments of Python in place of options of the command line."""
    return _FLAG.sub(_argument, _SET.sub(_override, text)) if "--" in text else text


def _override(match: re.Match[str]) -> str:
    value = match[2].rstrip(".,") if match[2].strip(".") else match[2]
    return f"{match[1]}={_literal(value)}{match[2][len(value):]}"


def _argument(match: re.Match[str]) -> str:
    name, value = match[1].replace("-", "_"), match[2]
    name = _OTHER_NAMES.get(name, name)
    if value is None:
        return f"{name}=True" if name in _SWITCHES else f"{name}="
    bare = value.rstrip(".,")
    return f"{name}={_literal(bare)}{value[len(bare):]}"


def _literal(value: str) -> str:
    """A value as Python has it; placeholders such as RATE, and numbers, stay as they are."""
    plain = re.fullmatch(r"[-+]?[\d.]+(?:e[-+]?\d+)?|\.*", value)
    return value if plain or value in _PLACEHOLDERS else repr(value)


class FastsigError(Exception):
    """Root of every error that fastsig raises on purpose.

    Its message names arguments of Python; on the command line, options.
    """

    def __str__(self) -> str:
        text = Exception.__str__(self)
        return text if _on_command_line else in_python(text)


class UsageError(FastsigError, ValueError):
    """The caller asked for something that cannot be: a bad option, value or combination."""


class PlanError(UsageError):
    """A chain cannot run as asked: wrong kind of stream, too little data, too little memory."""


_MOST, _END = 1000, 200


class InputError(FastsigError):
    """An input cannot be used; the message begins with the file's path.

    It is one line that a terminal can show, whatever values of the file it tells: a long one lacks
    its middle, and what is no printable character is escaped.
    """

    def __init__(self, path: str | PathLike[str], message: str) -> None:
        self.path = fspath(path)
        message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
        if len(message) > _MOST:
            message = f"{message[: _MOST - _END]} ... {message[-_END:]}"
        super().__init__(f"{self.path}: {message}")


class FormatError(InputError):
    """A file is not what it claims to be: wrong kind, truncated, corrupt or incomplete."""


class DataError(InputError):
    """The header is sound but samples are not: a checksum fails, a block cannot be read."""


class OutputError(FastsigError):
    """A product cannot be written.

    `poisoned` tells that a C library was left holding an unfinished file and may crash when the
    interpreter exits in the usual way: the process should leave by `os._exit`.
    """

    def __init__(
        self, path: str | PathLike[str], message: str, *, poisoned: bool = False
    ) -> None:
        self.path = fspath(path)
        self.poisoned = poisoned
        super().__init__(f"{self.path}: {message}")


class FastsigWarning(UserWarning):
    """Something the user should know that does not stop the work."""

    def __str__(self) -> str:
        text = UserWarning.__str__(self)
        return text if _on_command_line else in_python(text)


class DoubtWarning(FastsigWarning):
    """What a header leaves open, of a file that is whole."""
