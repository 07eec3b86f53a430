"""Detect dedispersed voltages: powers and a weight for each channel, computed in the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastsig.axes.time import sample_time
from fastsig.errors import PlanError
from fastsig.stages.coherent_runs import Kind, is_one
from fastsig.stages.dedisperse_voltages import DedisperseVoltages
from fastsig.stages.detected_header import detected_header
from fastsig.stream import SpectraStage, Stream, Sums

__all__ = ["DetectDedispersed"]


class DetectDedispersed(SpectraStage):
    """Powers and cross products of voltages that `dedisperse` returned.

    The products are those of `DetectFrames`. They are summed over any number of samples in the
    kernel, in float64 and in order. Losses are compensated for in each sample of a channel: its
    power is divided by the fraction of its signal that was recorded, which is its weight. Stokes
    parameters and cross products need both polarisations, and have the smaller of the two weights.

    Powers begin half a row before the voltages, so that the middle of a row has the time of its
    voltages, as in spectra of a filter bank.

    Parameters
    ----------
    source : DedisperseVoltages
        Dedispersed voltages.
    products : {"I", "AABB", "AABBCRCI", "IQUV", "V"}
        The products to compute.
    sign_q, sign_v : {1, -1}
        As for `DetectFrames`.
    """

    name = "detect"
    source: DedisperseVoltages
    sums_any_length = True
    sum_dtype = np.float64  # type: ignore[assignment]

    def __init__(self, source: Stream, products: str = "I", *, sign_q: int = 1, sign_v: int = 1
                 ) -> None:
        if not isinstance(source, DedisperseVoltages):
            raise PlanError(f"{source.path}: requires voltages of dedisperse, not {source.kind}")
        header = detected_header(source, products, sign_q, sign_v)
        # A voltage is that of an instant, which is the middle of the interval of its power.
        rate = header.sample_rate
        header = header.later(sample_time(header.start_time, -1, 2 * rate), -1 / (2 * rate))
        self.products = products
        self.signs: dict[str, Any] = {"sign_q": int(sign_q), "sign_v": int(sign_v)}
        n_chan = source.shape[2] if len(source.shape) == 3 else 1
        super().__init__(source, header=header,
                         shape=(source.shape[0], len(header.polarization.names), n_chan))

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values."""
        return {"products": self.products, **self.signs}

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis: the dispersion delay differs between channels."""
        return self.shape[2]

    @property
    def run_rows(self) -> int:
        """Number of rows that are read at a time and added."""
        return max(super().run_rows, self.source.align)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` spectra."""
        return self.source.runs.work_bytes + 3 * n * self.row_bytes

    def group_bytes(self, n: int, flag_sigma: float | None = None) -> int:
        """Memory that a thread needs for sums of rows."""
        return self.source.runs.work_bytes

    def read_sums(self, start: int, n: int) -> Sums:
        """Return rows in their additive form."""
        return self.group_sums(start, n, 1)

    def group_sums(self, start: int, n: int, n_each: int, flag_sigma: float | None = None
                   ) -> Sums:
        """Return the sums of every `n_each` of `n` rows; the last sum may have fewer."""
        self._check_range(start, n)
        if flag_sigma is not None:
            self.check_flag(flag_sigma)
        whole, rest = divmod(n, n_each)
        if rest and start + n == self.shape[0]:  # nothing follows that a sum could contain
            whole, rest = whole + 1, 0
        if not rest:
            return self._sums(start, whole, n_each)
        parts = [self._sums(start, whole, n_each), self._sums(start + whole * n_each, 1, rest)]
        wide = max(part.weight.shape[2] for part in parts)
        return Sums(np.concatenate([part.total for part in parts]), np.concatenate([
            np.broadcast_to(part.weight, (*part.weight.shape[:2], wide)) for part in parts]))

    def _sums(self, start: int, n: int, n_each: int) -> Sums:
        """Return `n` sums of `n_each` rows."""
        if not n:
            return Sums(np.empty((0, *self.shape[1:])), np.empty((0, self.shape[1], 1)))
        kind = Kind(self.products, n_each, **self.signs)
        means, weights = self.source.read_powers(kind, start, n)
        if is_one(weights) or (weights == 1).all():  # the same bits, with fewer passes over memory
            whole = np.full((n, self.shape[1], 1), float(n_each))
            return Sums(means * np.float64(n_each), whole)
        weight = weights * np.float64(n_each)
        return Sums(np.where(weight > 0, means, 0) * weight, weight)
