"""Spectra of voltages for a fold: channels without dispersion, integrated within bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastsig.axes.dispersion import dm_of
from fastsig.errors import UsageError
from fastsig.pulsar.predictors import Predictor
from fastsig.reductions.folding.sink import usual_bins
from fastsig.stages.dedisperse_voltages import DedisperseVoltages
from fastsig.stages.detect import Detect
from fastsig.stages.integrate import Integrate
from fastsig.stream import SpectrumStream, VoltageStream, spectra_of

__all__ = ["coherent_spectra"]

_ROWS_OF_A_BIN = 4  # at least: an integration then smears a pulse by a quarter of a bin


def coherent_spectra(stream: VoltageStream, predictors: Sequence[Predictor], n_chan: int, *,
                     dm: Any = None, constant: Any = None, n_bin: int | None = None
                     ) -> tuple[SpectrumStream, int]:
    """Return the spectra of voltages, dedispersed coherently within channels, and a number of bins.

    The products are AA, BB, CR and CI of two polarisations, and I of one. Integrations are as long
    as a quarter of a bin allows.

    Parameters
    ----------
    stream : VoltageStream
    predictors : sequence of Predictor
    n_chan : int
        Number of channels per channel of the voltages.
    dm : float, str or Quantity, optional
        Dispersion measure, pc cm^-3; by default, that of the predictors.
    constant : optional
        Dispersion constant.
    n_bin : int, optional
        Bins of a turn; by default, as for `Fold`, with the samples of a channel.

    Raises
    ------
    UsageError
        If there is no dispersion measure, or more than one, or a value is not allowed.
    """
    measures = {each.dm for each in predictors} if dm is None else {float(dm_of(dm))}
    measure = next(iter(measures))
    if len(measures) > 1 or measure is None:
        known = ", ".join(str(each) for each in measures if each is not None) or "none"
        raise UsageError(f"coherent dedispersion needs one dispersion measure; found {known}, so "
                         "specify dm")
    made = DedisperseVoltages(stream, measure, n_chan=n_chan, constant=constant)
    detected = spectra_of(Detect(made, "AABBCRCI" if stream.shape[1] == 2 else "I"))
    ends = np.array([0.0, float(detected.duration.value)])
    fastest = max(float(each.frequency(stream.header.start_time, ends).max())
                  for each in predictors)
    samples = float(detected.header.sample_rate) / fastest
    bins = usual_bins(samples) if n_bin is None else n_bin
    n_int = max(1, int(samples / (_ROWS_OF_A_BIN * bins)))
    return detected if n_int == 1 else Integrate(detected, n_int=n_int), bins
