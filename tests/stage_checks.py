"""What every stage must satisfy, whatever it computes.

A stage of another package is checked by these functions in the same way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Pieces of rows, each with its start, as fractions of all rows.
PIECES = ((0, 1), (0.1, 0.15), (0.5, 1), (0.95, 1), (0.3, 0.8), (0, 0.4))


def check_rows(stream: Any) -> None:
    """Rows that are read in pieces, in any order, are those of the whole, bit for bit."""
    n = stream.shape[0]
    whole = stream.read_block(0, n)
    weight = weights(stream, whole)
    for low, high in PIECES:
        start, stop = int(low * n), max(int(low * n) + 1, int(high * n))
        _check_needs(stream, start, stop - start)
        block = stream.read_block(start, stop - start)
        where = f"rows {start} to {stop - 1} read alone differ from those of the whole"
        np.testing.assert_array_equal(block.data, whole.data[start:stop], where)
        if weight is not None:
            np.testing.assert_array_equal(weights(stream, block), weight[start:stop], where)


def weights(stream: Any, block: Any) -> Any:
    """A weight for every value of spectra, the energies of frames, nothing for voltages."""
    if stream.kind == "spectra":
        return np.broadcast_to(block.valid, block.data.shape)
    return block.valid if stream.kind == "frames" else None


def _check_needs(stream: Any, start: int, n: int) -> None:
    """The rows of the source that are needed are rows that it has."""
    first, count = stream.needs(start, n)
    stop = first + count
    assert 0 <= first < stop <= stream.inputs()[0].shape[0], (first, stop)


def check_channels(stream: Any) -> int:
    """Where some channels can be computed alone, they are those of the whole, bit for bit.

    Returns the number of bands that can be computed alone.
    """
    n_row, _, n_chan = stream.shape
    whole, found = stream.read_block(0, n_row), 0
    weight = weights(stream, whole)
    for first, stop in ((0, n_chan // 2), (n_chan // 4, n_chan - 1), (n_chan - 3, n_chan)):
        part = stream.narrowed(first, stop)
        if part is None:
            continue
        found += 1
        where = (f"narrowed({first}, {stop}) differs from channels {first} to {stop - 1} of the "
                 "whole band; omit narrowed if a channel depends on its number or on other "
                 "channels")
        assert part.shape == (*stream.shape[:2], stop - first), where
        assert part.header.channels == stream.header.channels.sliced(first, stop), where
        block = part.read_block(0, n_row)
        np.testing.assert_array_equal(block.data, whole.data[:, :, first:stop], where)
        np.testing.assert_array_equal(weights(part, block), weight[:, :, first:stop], where)
    return found
