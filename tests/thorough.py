"""How much the tests try: a part of it in ``make test``, all of it in ``make thorough``.

What is drawn at random, killed at random or repeated on every processor finds little more the next
time, and takes longest: ``make test`` does some of each.
"""

from __future__ import annotations

import os
from typing import TypeVar

import pytest

_Any = TypeVar("_Any")

#: Whether all is tried.
THOROUGH = bool(os.environ.get("FASTSIG_THOROUGH"))

#: Marks a test, or a parameter of one, that ``make thorough`` alone runs.
thorough = pytest.mark.skipif(not THOROUGH, reason="a part of make thorough")


def many(some: _Any, all_: _Any) -> _Any:
    """How many to try, or which."""
    return all_ if THOROUGH else some
