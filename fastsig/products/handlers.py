"""Choose the function that handles a file for a command, by the kind of product in the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fastsig.errors import FastsigError, FormatError, InputError
from fastsig.io.opening import Detected

__all__ = ["failure", "handler_of"]

Handler = TypeVar("Handler", bound=Callable[..., Any])


def handler_of(table: Mapping[str, Handler], detected: Detected, verb: str,
               by_format: Handler) -> Handler:
    """Return the handler for a file.

    Parameters
    ----------
    table : mapping of str to function
        Handlers by kind.
    detected : Detected
    verb : str
        Name of the function with the same task in the module of a format.
    by_format : function
        The handler that calls this function.

    Raises
    ------
    FormatError
        If neither the table nor the format has a handler.
    """
    for kind in detected.kinds:
        if kind in table:
            return table[kind]
    if hasattr(detected.module, verb):
        return by_format
    kinds = " or ".join(detected.kinds)
    raise FormatError(detected.files[0], f"contains {kinds} ({detected.name}), and the format has "
                      f"no {verb}; allowed here: {', '.join(table)}")


def failure(path: str | os.PathLike[str], error: FastsigError) -> dict[str, Any]:
    """Return the record that ``--json`` prints for a file that cannot be read."""
    name = os.fspath(path)
    return {"path": name, "error": str(error) if isinstance(error, InputError)
            else f"{name}: {error}"}
