"""Detect: channelised voltages into powers, cross products or Stokes parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from fastsig_kernels import (
    detect,
    detect_accumulate,
    frame_correlation,
    keep,
    kurtosis,
    kurtosis_thresholds,
    least_frames,
)
from numpy.typing import NDArray

from fastsig.errors import PlanError, UsageError
from fastsig.polarization import product_names
from fastsig.stages.channelize import Channelize
from fastsig.stream import FrameStream, SpectrumStream, Stream, Sums

__all__ = ["Detect"]


class Detect(SpectrumStream):
    """Products of the polarisations of every frame and channel.

    ``AA = |A|^2, BB = |B|^2, CR + i CI = A* B``; ``I = AA + BB, Q = AA - BB, U = 2 CR, V = 2 CI``
    for linear feeds. With one polarisation, I is its power.

    Parameters
    ----------
    source : FrameStream
        Frames of one or two polarisations.
    products : {"I", "AABB", "AABBCRCI", "IQUV", "V"}
        What to make.
    sign_q, sign_v : {1, -1}
        Signs of Q and V, for recorders and users of the other convention; recorded.

    Raises
    ------
    PlanError
        Where the source holds no frames.
    UsageError
        Where the products cannot be made of these polarisations.
    """

    sum_dtype = np.float32

    def __init__(
        self, source: Stream, products: str = "I", *, sign_q: int = 1, sign_v: int = 1
    ) -> None:
        if not isinstance(source, FrameStream):
            raise PlanError(f"detect takes channelised voltages, not {source.kind}")
        if sign_q not in (1, -1) or sign_v not in (1, -1):
            raise UsageError(f"sign_q = {sign_q}, sign_v = {sign_v}; allowed: 1, -1")
        basis = source.polarization
        names = product_names(products, basis.n_pol, basis.kind)
        self.source, self.products = source, products
        self.signs: dict[str, Any] = {"sign_q": int(sign_q), "sign_v": int(sign_v)}
        header = source.header.replace(
            is_complex=False, n_sum=1, polarization=replace(basis, names=names, **self.signs)
        )
        super().__init__(header, (source.shape[0], len(names), source.shape[2]), np.float32,
                         source.path)

    def inputs(self) -> tuple[Stream, ...]:
        """The frames."""
        return (self.source,)

    def parameters(self) -> Mapping[str, Any]:
        """What decides the numbers."""
        return {"products": self.products, **self.signs}

    @property
    def rows_at_once(self) -> int:
        """Rows handled at a time: voltages, frames and sums within some MB."""
        source = self.source
        samples = source.hop * source.source.row_bytes if isinstance(source, Channelize) else 0
        return max(1, 2**22 // (self.row_bytes + source.row_bytes + samples))

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to make `n` spectra."""
        rows = min(n, self.rows_at_once)
        return self.source.work_bytes(rows) + rows * self.source.row_bytes + n * self.row_bytes

    def row_work_bytes(self, flag_sigma: float | None) -> int:
        """Memory that a thread takes for sums of rows, with or without spectral kurtosis."""
        return self.work_bytes(self.rows_at_once) + 4 * self.row_bytes

    def read_sums(self, start: int, n: int) -> Sums:
        """Numerators (float32) and the energies they belong to."""
        block = self.source.read_block(start, n)
        total, weight = detect(block.data, block.valid, self.products, **self.signs)
        return Sums(total, weight[:, :, np.newaxis])

    def check_flag(self, sigma: float) -> None:
        """Refuse thresholds that spectral kurtosis cannot have."""
        try:
            kurtosis_thresholds(128, 1.0, sigma)
        except (TypeError, ValueError) as error:
            raise UsageError(f"flag_{error}") from error

    def row_sums(self, start: int, n: int, n_each: int, flag_sigma: float | None) -> Sums:
        """Sums of each `n_each` of `n` frames; the last may be of fewer.

        With `flag_sigma`, channels whose spectral kurtosis is outside are left out.
        """
        self._check_range(start, n)
        rows = [self._row(first, min(n_each, start + n - first), flag_sigma)
                for first in range(start, start + n, n_each)]
        return Sums(np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows]))

    def _row(
        self, start: int, n: int, flag_sigma: float | None
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        total = np.zeros(self.shape[1:], np.float32)
        weight = np.zeros(self.shape[1])
        moments = np.zeros((self.source.shape[1], 2, self.shape[2]), np.float32)
        counts = np.zeros(self.source.shape[1], int)
        for first in range(start, start + n, self.rows_at_once):
            block = self.source.read_block(first, min(self.rows_at_once, start + n - first))
            detect_accumulate(block.data, block.valid, self.products, total, weight, **self.signs)
            if flag_sigma is not None:
                _add_moments(block, moments, counts)
        if flag_sigma is None:
            return total, weight[:, np.newaxis]
        kept = self._kept(moments, counts, flag_sigma)
        return total.astype(np.float64) * kept, weight[:, np.newaxis] * kept

    def _kept(
        self, moments: NDArray[np.float32], counts: NDArray[Any], sigma: float
    ) -> NDArray[np.bool_]:
        """Whether each channel looks like noise in all polarisations."""
        kept = np.ones(self.shape[2], bool)
        shape = self.gamma_shape()
        for (s1, s2), count in zip(moments, counts.tolist(), strict=True):
            if count < self.least_flagged:
                continue
            limits = np.array([
                kurtosis_thresholds(count, k, sigma, correlation=self._correlation)
                for k in (1.0, 0.5)
            ])
            low, high = np.where(shape[:, np.newaxis] == 1.0, limits[0], limits[1]).T
            kept &= keep(kurtosis(s1, s2, count, shape), low.copy(), high.copy())
        return kept

    @cached_property
    def _correlation(self) -> NDArray[np.float64]:
        """Of the powers of neighbouring frames."""
        bank = self.source
        if not isinstance(bank, Channelize):
            return np.empty(0)
        found: NDArray[np.float64] = frame_correlation(bank.bank.taps, bank.hop)
        return found

    @cached_property
    def least_flagged(self) -> int:
        """Frames of a sum, at the least, whose kurtosis decides: 16, or more that overlap."""
        return int(least_frames(self._correlation))

    def gamma_shape(self) -> NDArray[np.float64]:
        """Shape of each channel's Gamma distribution: 1, or 1/2 where the voltage is real."""
        shape = np.ones(self.shape[2])
        bank = self.source
        if isinstance(bank, Channelize) and not bank.source.header.is_complex:
            edge = bank.n_chan - 1 if bank.source.header.sideband == "lower" else 0
            shape[edge :: bank.n_chan] = 0.5
        return shape


def _add_moments(block: Any, moments: NDArray[np.float32], counts: NDArray[Any]) -> None:
    """Add powers, scaled to whole frames, and their squares, frame by frame."""
    for frame, energy in zip(block.data, block.valid, strict=True):
        for pol, x in enumerate(frame):
            if energy[pol] > 0:
                scale = np.float32(1 / energy[pol])
                power = scale * (x.real * x.real + x.imag * x.imag)
                moments[pol, 0] += power
                moments[pol, 1] += power * power
                counts[pol] += 1
