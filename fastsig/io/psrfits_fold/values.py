"""Values and weights of an archive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsig.io.fits.layout import read_column
from fastsig.io.psrfits_fold.epochs import column
from fastsig.io.psrfits_fold.headers import FoldFile

__all__ = ["read_values", "unread_values"]

F8 = NDArray[np.float64]


def read_values(file: FoldFile, shape: tuple[int, ...], descending: bool, notes: list[str]
                ) -> tuple[NDArray[np.float32], F8]:
    """Return profiles (subint, product, chan, bin) and weights (subint, 1, chan, 1)."""
    n_subint, n_pol, n_chan, _ = shape
    data = read_column(file.path, file.table, "DATA").reshape(shape).astype(np.float32)
    for name, apply in (("DAT_SCL", np.multiply), ("DAT_OFFS", np.add)):
        if name in file.table.columns:
            each = read_column(file.path, file.table, name).astype(np.float32)
            with np.errstate(all="ignore"):
                apply(data, each.reshape(n_subint, n_pol, n_chan, 1), out=data)
    weights = _weights(file, notes)
    lost = (weights > 0) & ~np.isfinite(data).all(axis=(1, 3))
    if lost.any():
        notes.append(f"{file.path}: values are not finite in {int(lost.sum())} of {lost.size} "
                     "channels of subintegrations; their weight is set to 0")
        weights[lost] = 0
    data[np.broadcast_to((weights == 0)[:, None, :, None], shape)] = np.nan
    if descending:
        data, weights = np.ascontiguousarray(data[:, :, ::-1]), weights[:, ::-1]
    return data, weights[:, None, :, None].copy()


def unread_values(file: FoldFile, shape: tuple[int, ...], descending: bool, notes: list[str]
                  ) -> tuple[NDArray[np.float32], F8]:
    """Return what `read_values` does, with zeros instead of values, which take no memory."""
    weights = _weights(file, notes)
    weights = weights[:, ::-1] if descending else weights
    return np.broadcast_to(np.float32(0), shape), weights[:, None, :, None]


def _weights(file: FoldFile, notes: list[str]) -> F8:
    """Return DAT_WTS, (subint, chan), with 0 for values that are not weights."""
    found = column(file, "DAT_WTS")
    if found is None:
        return np.ones((file.table.n_row, file.table.cards.integer("NCHAN")))
    wrong = ~(np.isfinite(found) & (found >= 0))
    if wrong.any():
        notes.append(f"{file.path}: {int(wrong.sum())} of {wrong.size} DAT_WTS are negative or not "
                     "numbers; taken as 0")
    return np.where(wrong, 0.0, found)
