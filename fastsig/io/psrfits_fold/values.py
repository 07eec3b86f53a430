"""Values and weights of an archive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsig.io.fits.layout import read_column
from fastsig.io.psrfits_fold.epochs import column
from fastsig.io.psrfits_fold.headers import FoldFile

__all__ = ["read_values"]

F8 = NDArray[np.float64]


def read_values(file: FoldFile, shape: tuple[int, ...], descending: bool, notes: list[str]
                ) -> tuple[NDArray[np.float32], F8]:
    """Return profiles (subint, product, chan, bin) and weights (subint, 1, chan, 1)."""
    n_subint, n_pol, n_chan, _ = shape
    raw = read_column(file.path, file.table, "DATA").reshape(shape)
    data = raw.astype(np.float32)
    for name, apply in (("DAT_SCL", np.multiply), ("DAT_OFFS", np.add)):
        if name in file.table.columns:
            each = read_column(file.path, file.table, name).astype(np.float32)
            with np.errstate(all="ignore"):
                apply(data, each.reshape(n_subint, n_pol, n_chan, 1), out=data)
    weights = column(file, "DAT_WTS")
    weights = np.ones((n_subint, n_chan)) if weights is None else weights
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        notes.append(f"{file.path}: {int(wrong.sum())} of DAT_WTS are negative or not numbers; "
                     "taken as 0")
    lost = wrong | ~np.isfinite(data).all(axis=(1, 3))
    if (lost & ~wrong & (weights > 0)).any():
        notes.append(f"{file.path}: {int((lost & ~wrong & (weights > 0)).sum())} channels of "
                     "subintegrations have values that are not finite; their weight is set to 0")
    weights = np.where(lost, 0.0, weights)
    data[np.broadcast_to((weights == 0)[:, None, :, None], shape)] = np.nan
    weights = weights[:, None, :, None]
    if descending:
        data, weights = np.ascontiguousarray(data[:, :, ::-1]), weights[:, :, ::-1].copy()
    return data, weights
