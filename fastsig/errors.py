"""One tree of errors; the command line turns each branch into its exit code."""

from __future__ import annotations

from os import PathLike, fspath


class FastsigError(Exception):
    """Root of every error that fastsig raises on purpose."""


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


class DoubtWarning(FastsigWarning):
    """What a header leaves open, of a file that is whole."""
