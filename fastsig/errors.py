"""The errors of fastsig, in one tree; the command line has an exit code for each branch."""

from __future__ import annotations

import errno
import os
import re
import sys
from os import PathLike, fspath
from types import FrameType

# Messages are written with options of the command line; in Python they name arguments instead.
_SET = re.compile(r"(?<![\w-])--set (\w+)=([^\s;)|]*)")
_FLAG = re.compile(
    r"(?<![\w-])--([a-z][a-z0-9-]*)"
    r"(?:[ =]([\w.,/+|-]*\d[\w.,/+|-]*|[A-Z]{2,}\b|\w+(?:\|\w+)+|lsrk|barycentric|fs\b))?")
_PLACEHOLDERS = ("RATE", "NUMBER", "FILE", "FIRST-LAST")
_SWITCHES = ("lossy", "overwrite")
_OTHER_NAMES = {"from": "source_frame", "site": "location"}
_on_command_line = False
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def speak_of_options(yes: bool) -> bool:
    """Set whether messages name options of the command line; return the previous setting."""
    global _on_command_line
    was, _on_command_line = _on_command_line, yes
    return was


def in_python(text: str) -> str:
    """Rewrite a message so that it names arguments of Python, not options of the command line."""
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
    """Write a value as in Python; placeholders such as RATE, and numbers, stay unchanged."""
    plain = re.fullmatch(r"[-+]?[\d.]+(?:e[-+]?\d+)?|\.*", value)
    return value if plain or value in _PLACEHOLDERS else repr(value)


class FastsigError(Exception):
    """The base class of every error that fastsig raises on purpose.

    In Python, the message names arguments; on the command line, it names options.
    """

    def __str__(self) -> str:
        text = Exception.__str__(self)
        return text if _on_command_line else in_python(text)


class UsageError(FastsigError, ValueError):
    """The caller asked for something impossible: a bad option, value or combination of options."""


class PlanError(UsageError):
    """A chain cannot run as requested: wrong kind of stream, too little data or memory."""


_MOST, _END = 1000, 200


class InputError(FastsigError):
    """An input cannot be used; the message begins with the path of the file.

    The message is one line that a terminal can show, even if it quotes values from the file: the
    middle of a long message is left out, and characters that cannot be printed are escaped.
    """

    def __init__(self, path: str | PathLike[str], message: str) -> None:
        self.path = fspath(path)
        message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
        if len(message) > _MOST:
            message = f"{message[: _MOST - _END]} ... {message[-_END:]}"
        super().__init__(f"{self.path}: {message}")


class FormatError(InputError):
    """A file is not what it claims to be: wrong kind, truncated, corrupt or incomplete."""


class MissingFileError(FormatError, FileNotFoundError):
    """A file or folder does not exist; scripts may also catch this as `FileNotFoundError`."""

    def __init__(self, path: str | PathLike[str], message: str | None = None) -> None:
        super().__init__(path, message or os.strerror(errno.ENOENT))
        self.errno, self.filename = errno.ENOENT, self.path
        self.strerror = os.strerror(errno.ENOENT)


class ForbiddenFileError(FormatError, PermissionError):
    """A file or folder may not be read; scripts may also catch this as `PermissionError`."""

    def __init__(self, path: str | PathLike[str], message: str | None = None) -> None:
        super().__init__(path, message or os.strerror(errno.EACCES))
        self.errno, self.filename = errno.EACCES, self.path
        self.strerror = os.strerror(errno.EACCES)


def unreadable(path: str | PathLike[str], error: OSError, message: str | None = None
               ) -> FormatError:
    """Return the error for a file that cannot be opened, whose cause is an `OSError`."""
    kind = (MissingFileError if isinstance(error, FileNotFoundError) else
            ForbiddenFileError if isinstance(error, PermissionError) else FormatError)
    return kind(path, message or error.strerror or str(error))


class DataError(InputError):
    """The header is valid but the samples are not: a checksum fails, or a block cannot be read."""


class OutputError(FastsigError):
    """A product cannot be written.

    If `poisoned` is true, a C library still holds an unfinished file and may crash when the
    interpreter exits in the usual way: the process should exit with `os._exit`.
    """

    def __init__(
        self, path: str | PathLike[str], message: str, *, poisoned: bool = False
    ) -> None:
        self.path = fspath(path)
        self.poisoned = poisoned
        super().__init__(f"{self.path}: {message}")


def users_line() -> int:
    """Return the `stacklevel` for `warnings.warn` of the user's line, which called fastsig."""
    frame: FrameType | None = sys._getframe(1)
    level = found = 1
    while frame is not None:
        if frame.f_code.co_filename.startswith(_HERE):
            found = level + 1
        frame, level = frame.f_back, level + 1
    return found


class FastsigWarning(UserWarning):
    """A problem that does not stop the run, but that the user should consider."""

    def __str__(self) -> str:
        text = UserWarning.__str__(self)
        return text if _on_command_line else in_python(text)


class DoubtWarning(FastsigWarning):
    """A good file has a header that leaves something open."""
