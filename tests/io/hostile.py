"""Files with bytes changed at random, which must give an error of ours or a sound stream."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastsig.errors import FastsigError

N_FILE = 2000


def change_bytes(
    raw: bytes, path: Path, place: Callable[[np.random.Generator], int],
    open_: Callable[[str], Any],
) -> None:
    """Open many versions of a file, each with one to three bytes changed at a `place`, and read."""
    rng = np.random.default_rng(3)
    for _ in range(N_FILE):
        changed = bytearray(raw)
        for _ in range(rng.integers(1, 4)):
            changed[place(rng)] = rng.integers(0, 256)
        path.write_bytes(changed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of lost samples, and of years to come
            try:
                stream = open_(str(path))
                found = stream.read_block(0, min(stream.shape[0], 1000))
            except FastsigError as error:
                # Of the file, or of an option that has no meaning for what it now says.
                assert str(path) in str(error) or "allowed" in str(error)
                continue
        assert found.data.shape == (min(stream.shape[0], 1000), *stream.shape[1:])
        stream.close()
