"""Detect: compute powers, cross products or Stokes parameters from channelised voltages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from fastsig_kernels import (
    detect,
    detect_accumulate,
    keep,
    kurtosis,
    kurtosis_thresholds,
    least_frames,
)
from numpy.typing import NDArray

from fastsig import registry
from fastsig.errors import PlanError, UsageError
from fastsig.registry import CPU
from fastsig.stages.channelize import Channelize
from fastsig.stages.dedisperse_voltages import DedisperseVoltages
from fastsig.stages.detect_dedispersed import DetectDedispersed
from fastsig.stages.detected_header import detected_header
from fastsig.stages.select import SelectSpectra
from fastsig.stream import FrameStream, SpectraStage, SpectrumStream, Stream, Sums

__all__ = ["Detect", "DetectFrames"]


def Detect(  # noqa: N802 - used like the class of a stage, for all kinds of stream
    source: Stream, products: str = "I", *, sign_q: int = 1, sign_v: int = 1, engine: str = CPU,
) -> Stream:
    """Return powers, cross products or Stokes parameters of voltages in channels.

    ``AA = |A|^2, BB = |B|^2, CR + i CI = A* B``; ``I = AA + BB, Q = AA - BB, U = 2 CR, V = 2 CI``
    for linear feeds. With a single polarisation, I is its power.

    Parameters
    ----------
    source : Stream
        Frames of `channelize`, or voltages of `dedisperse`, of one or two polarisations; with one,
        only I can be computed.
    products : {"I", "AABB", "AABBCRCI", "IQUV", "V"}
        The products to compute.
    sign_q, sign_v : {1, -1}
        Signs of Q and V, for recorders and users with the opposite convention; output files record
        the signs.
    engine : str
        For frames of `channelize`: the engine that computes the spectra; see `DetectFrames`.

    Raises
    ------
    PlanError
        If the source contains no voltages in channels, or the engine cannot be used.
    UsageError
        If the products cannot be computed from the polarisations of the source.
    """
    if isinstance(source, DedisperseVoltages):
        if engine != CPU:
            raise PlanError(f"{source.path}: engine {engine!r} after dedisperse; allowed: {CPU}")
        return DetectDedispersed(source, products, sign_q=sign_q, sign_v=sign_v)
    return DetectFrames(source, products, sign_q=sign_q, sign_v=sign_v, engine=engine)


class DetectFrames(SpectraStage):
    """Powers and cross products of the polarisations, for every frame and channel.

    ``AA = |A|^2, BB = |B|^2, CR + i CI = A* B``; ``I = AA + BB, Q = AA - BB, U = 2 CR, V = 2 CI``
    for linear feeds. With a single polarisation, I is its power.

    Parameters
    ----------
    source : FrameStream
        Frames of one or two polarisations; with one, only I can be computed.
    products : {"I", "AABB", "AABBCRCI", "IQUV", "V"}
        The products to compute.
    sign_q, sign_v : {1, -1}
        Signs of Q and V, for recorders and users with the opposite convention; output files record
        the signs.
    engine : str
        Engine that computes the spectra from the voltages that `channelize` reads: "cpu", one of a
        plug-in, or one that `fastsig.registry.register_engine` added. Output files record the name
        of any engine other than "cpu".

    Raises
    ------
    PlanError
        If the source contains no frames, or if the engine is not "cpu" and the frames are not those
        of `channelize`.
    UsageError
        If the products cannot be computed from the polarisations of the source.
    """

    name = "detect"
    source: FrameStream
    sum_dtype = np.float32  # type: ignore[assignment]

    def __init__(
        self, source: Stream, products: str = "I", *, sign_q: int = 1, sign_v: int = 1,
        engine: str = CPU,
    ) -> None:
        if not isinstance(source, FrameStream):
            raise PlanError(f"detect requires channelised voltages, not {source.kind}")
        header = detected_header(source, products, sign_q, sign_v)
        registry.engine(engine)
        if engine != CPU and type(source) is not Channelize:  # as it can be fused
            raise PlanError(f"{source.path}: engine {engine!r} computes spectra from voltages; "
                            "allowed: detect directly after channelize")
        self.engine = engine
        self.products = products
        self.signs: dict[str, Any] = {"sign_q": int(sign_q), "sign_v": int(sign_v)}
        super().__init__(source, header=header, shape=(
            source.shape[0], len(header.polarization.names), source.shape[2]))

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values."""
        engine = {} if self.engine == CPU else {"engine": self.engine}
        return {"products": self.products, **self.signs, **engine}

    def narrowed(self, first: int, stop: int) -> SpectrumStream | None:
        """Return some of the channels, if their frames can be computed without all others."""
        part = self.source.covering(first, stop)
        if part is None:
            return None
        frames, at = part
        return SelectSpectra(type(self)(frames, self.products, **self.signs, engine=self.engine),
                             (0, self.shape[0]), (first - at, stop - at))

    @property
    def run_rows(self) -> int:
        """Number of rows processed at a time, so that voltages, frames and sums take a few MB."""
        source = self.source
        return max(1, 2**22 // (self.row_bytes + source.row_bytes + source.hop_bytes))

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` spectra."""
        rows = min(n, self.run_rows)
        return self.source.work_bytes(rows) + rows * self.source.row_bytes + n * self.row_bytes

    def group_bytes(self, n: int, flag_sigma: float | None = None) -> int:
        """Memory that a thread needs for sums of rows, with or without spectral kurtosis."""
        return self.work_bytes(self.run_rows) + 4 * self.row_bytes

    def read_sums(self, start: int, n: int) -> Sums:
        """Return numerators (float32) and the energies that belong to them."""
        self._check_engine()
        block = self.source.read_block(start, n)
        total, weight = detect(block.data, block.valid, self.products, **self.signs)
        return Sums(total, weight[:, :, np.newaxis])

    def check_flag(self, sigma: float) -> None:
        """Refuse thresholds that are not possible for spectral kurtosis."""
        try:
            kurtosis_thresholds(128, 1.0, sigma)
        except (TypeError, ValueError) as error:
            raise UsageError(f"flag_{error}") from error

    def group_sums(self, start: int, n: int, n_each: int, flag_sigma: float | None = None
                   ) -> Sums:
        """Return the sums of every `n_each` of `n` frames; the last sum may contain fewer.

        With `flag_sigma`, channels with a spectral kurtosis outside the thresholds are left out.
        """
        self._check_range(start, n)
        self._check_engine()
        groups = -(-n // n_each)
        total = np.zeros((groups, *self.shape[1:]), np.float32)
        weight = np.zeros((groups, self.shape[1]))
        flags = None if flag_sigma is None else _Moments(groups, self.source.shape[1:])
        for first in range(start, start + n, self.run_rows):
            block = self.source.read_block(first, min(self.run_rows, start + n - first))
            for group, rows in _groups(first - start, block.n, n_each):
                frames, energy = block.data[rows], block.valid[rows]
                detect_accumulate(frames, energy, self.products, total[group], weight[group],
                                  **self.signs)
                if flags is not None:
                    flags.add(group, frames, energy)
        if flags is None or flag_sigma is None:
            return Sums(total, weight[:, :, np.newaxis])
        kept = np.stack([self._kept(*flags.of(group), flag_sigma) for group in range(groups)])
        return Sums(total.astype(np.float64) * kept[:, np.newaxis],
                    weight[:, :, np.newaxis] * kept[:, np.newaxis])

    def _check_engine(self) -> None:
        """Refuse to compute products for which another engine was specified."""
        if self.engine != CPU:
            raise PlanError(f"{self.path}: engine {self.engine!r} works only in the fused form of "
                            "channelize and detect")

    def _kept(
        self, moments: NDArray[np.float32], counts: NDArray[Any], sigma: float
    ) -> NDArray[np.bool_]:
        """Return whether each channel resembles noise in all polarisations."""
        kept = np.ones(self.shape[2], bool)
        shape = self.source.gamma_shape()
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
        """Correlation of the powers of neighbouring frames."""
        return self.source.correlation()

    @cached_property
    def least_flagged(self) -> int:  # type: ignore[override]
        """Smallest number of frames in a sum that is tested: 16, or more if they overlap much."""
        return int(least_frames(self._correlation))


class _Moments:
    """Sums of powers, scaled to complete frames, and of their squares, for groups of frames."""

    def __init__(self, groups: int, shape: tuple[int, ...]) -> None:
        self._sums = np.zeros((groups, shape[0], 2, shape[1]), np.float32)
        self._counts = np.zeros((groups, shape[0]), int)

    def add(self, group: int, frames: NDArray[Any], energies: NDArray[np.float64]) -> None:
        """Add frames, one by one."""
        for frame, energy in zip(frames, energies, strict=True):
            for pol, x in enumerate(frame):
                if energy[pol] > 0:
                    scale = np.float32(1 / energy[pol])
                    power = scale * (x.real * x.real + x.imag * x.imag)
                    self._sums[group, pol, 0] += power
                    self._sums[group, pol, 1] += power * power
                    self._counts[group, pol] += 1

    def of(self, group: int) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Return the sums of a group, (pol, 2, chan), and the number of frames per polarisation."""
        return self._sums[group], self._counts[group]


def _groups(first: int, n: int, n_each: int) -> list[tuple[int, slice]]:
    """Return the groups to which `n` rows from `first` on belong, with the rows in each group."""
    numbers = range(first // n_each, (first + n - 1) // n_each + 1)
    return [(group, slice(max(0, group * n_each - first), min(n, (group + 1) * n_each - first)))
            for group in numbers]
