"""Why a file cannot be read or written, in a few words."""

from __future__ import annotations

import os
import re

__all__ = ["cause_of"]

_ERRNO = re.compile(r"\berrno = (\d{1,4})\b")


def cause_of(error: BaseException) -> str:
    """Return the system's words for an error, such as ``No space left on device``.

    HDF5 states the number of the system's error only within its own text of several lines. Of other
    errors, the first line is returned.
    """
    text = str(error)
    within = _ERRNO.search(text)
    number = int(within[1]) if within else getattr(error, "errno", None)
    if number:
        return os.strerror(number)
    return (text.splitlines() or [type(error).__name__])[0]
