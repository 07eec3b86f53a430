"""Integrate: mean spectra over time and over neighbouring channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError, UsageError
from fastsig.stages.detect import Detect
from fastsig.stream import SpectrumStream, Stream, Sums
from fastsig.units import exact, whole

__all__ = ["SEGMENT", "Integrate"]

# Rows are summed in float32 within segments of this length, counted from the start of each
# integration, and the segments' sums in float64 and in order. So the result depends on neither
# blocks nor threads, long integrations lose no precision, and segments can be made in parallel.
SEGMENT = 128

_MOST = 2**40  # spectra of an integration: years of FAST, and the products' counts fit 64 bits


class Integrate(SpectrumStream):
    """Mean of `n_int` spectra and of `n_freq` neighbouring channels, weighted by validity.

    ``mean = sum(total) / sum(weight)`` over what is valid; the product's weight is the share of
    what could have been. A last partial integration is kept, with its weight.

    Parameters
    ----------
    source : SpectrumStream
        Spectra.
    time : Quantity or str, optional
        Integration time; rounded to whole spectra, one at least.
    n_int : int, optional
        Spectra to integrate, exactly; not with `time`.
    n_freq : int
        Channels to average; must divide the number of channels.
    flag_sigma : float, optional
        Leave out, for every 128 spectra (fewer at the end of an integration) and channel, what
        has a spectral kurtosis outside this many Gaussian sigmas in any polarisation. Needs
        detected frames, and integrations of at least 16 (more where frames overlap much).
        Weights then are per channel.

    Raises
    ------
    PlanError
        Where the source holds no spectra.
    UsageError
        Where a parameter is not allowed.
    """

    def __init__(
        self, source: Stream, time: Any = None, *, n_int: int | None = None, n_freq: int = 1,
        flag_sigma: float | None = None,
    ) -> None:
        if not isinstance(source, SpectrumStream):
            raise PlanError(f"integrate takes spectra, not {source.kind}")
        if time is not None and n_int is not None:
            raise UsageError("give the integration as a time or as n_int, not both")
        if time is not None:
            seconds = exact(time, "s", "integration time")
            if seconds <= 0:
                raise UsageError(f"integration time = {time}; allowed: above 0")
            n_int = max(1, round(seconds * source.header.sample_rate))
        n_int, n_freq = whole("n_int", 1 if n_int is None else n_int), whole("n_freq", n_freq)
        n_chan = source.shape[2]
        if not 0 < n_int < _MOST or n_freq < 1 or n_chan % n_freq:
            raise UsageError(
                f"n_int = {n_int}, n_freq = {n_freq}; allowed: 1 to {_MOST}, n_freq dividing the "
                f"{n_chan} channels"
            )
        if flag_sigma is not None:
            if not isinstance(source, Detect):
                raise PlanError("spectral kurtosis needs frames: detect and integrate in one go")
            if n_int < source.least_flagged:
                raise UsageError(
                    f"n_int = {n_int} spectra are too few for spectral kurtosis; allowed: "
                    f"{source.least_flagged} or more"
                )
            source.check_flag(flag_sigma)
        self.source, self.n_int, self.n_freq = source, n_int, n_freq
        self.flag_sigma = None if flag_sigma is None else float(flag_sigma)
        header = source.header
        axis = header.channels
        super().__init__(
            header.replace(
                sample_rate=header.sample_rate / n_int, n_sum=header.n_sum * n_int * n_freq,
                channels=axis.averaged(n_freq) if axis else None,
            ),
            (-(-source.shape[0] // n_int), source.shape[1], n_chan // n_freq), np.float32,
            source.path,
        )

    def inputs(self) -> tuple[Stream, ...]:
        """The spectra."""
        return (self.source,)

    def parameters(self) -> Mapping[str, Any]:
        """What decides the numbers; the integration time is the actual one, in s."""
        seconds = Fraction(1) / self.header.sample_rate
        found = {"n_int": self.n_int, "n_freq": self.n_freq, "tsamp_s": str(seconds)}
        if self.flag_sigma is None:
            return found
        return found | {"flag": "spectral kurtosis", "flag_sigma": self.flag_sigma,
                        "flag_spectra": min(self.n_int, SEGMENT)}

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """First spectrum and number of spectra that rows are the means of."""
        first, stop = start * self.n_int, min((start + n) * self.n_int, self.source.shape[0])
        return first, stop - first

    @property
    def columns(self) -> Mapping[str, str]:
        """As of the spectra."""
        return self.source.columns

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Means over the spectra of each row, of angles the short way round."""
        first, count = self.needs(start, n)
        found = self.source.read_columns(first, count) if n else {}
        return {name: _mean_of_rows(values, self.n_int, self.columns[name])
                for name, values in found.items()}

    def segments(self, row: int) -> list[tuple[int, int]]:
        """First source row and length of every segment of an output row."""
        first, n = self.needs(row, 1)
        return [(start, min(SEGMENT, first + n - start))
                for start in range(first, first + n, SEGMENT)]

    def segment_sums(self, start: int, n: int) -> Sums:
        """Sums of one segment: one row in the source's channels."""
        if isinstance(self.source, Detect):
            return self.source.row_sums(start, n, min(self.n_int, SEGMENT), self.flag_sigma)
        source = self.source
        total: NDArray[Any] = np.zeros(source.shape[1:], source.sum_dtype)
        weight = np.zeros((source.shape[1], source.weight_channels))
        source.accumulate(start, n, total, weight)
        return Sums(total[np.newaxis], weight[np.newaxis])

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis."""
        flagged = self.flag_sigma is not None
        return self.shape[2] if flagged or self.source.weight_channels > 1 else 1

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to make `n` rows."""
        sums = 3 * int(np.prod(self.source.shape[1:])) * 8
        source = self.source
        work = (source.row_work_bytes(self.flag_sigma) if isinstance(source, Detect)
                else source.accumulate_bytes)
        return work + sums + 3 * n * self.row_bytes

    def combine(self, parts: Sequence[Sums]) -> Sums:
        """One output row from the sums of its segments, in order."""
        total = parts[0].total.astype(np.float64)
        weight = parts[0].weight.copy()
        for part in parts[1:]:
            total += part.total
            weight += part.weight
        return self._averaged(Sums(total, weight))

    def _averaged(self, sums: Sums) -> Sums:
        """Sums of neighbouring channels put together."""
        if self.n_freq == 1:
            return sums
        total, weight = sums.total.astype(np.float64, copy=False), sums.weight
        total = total.reshape(*total.shape[:2], -1, self.n_freq).sum(axis=3)
        if weight.shape[2] == 1:
            return Sums(total, weight * self.n_freq)
        return Sums(total, weight.reshape(*weight.shape[:2], -1, self.n_freq).sum(axis=3))

    def read_sums(self, start: int, n: int) -> Sums:
        """Rows in their additive form."""
        self._check_range(start, n)
        if n == 0:
            empty = (0, *self.shape[1:])
            return Sums(np.empty(empty), np.empty((0, self.shape[1], self.weight_channels)))
        if isinstance(self.source, Detect) and self.n_int <= SEGMENT:
            return self._averaged(
                self.source.row_sums(*self.needs(start, n), self.n_int, self.flag_sigma)
            )
        rows = [
            self.combine([self.segment_sums(*segment) for segment in self.segments(row)])
            for row in range(start, start + n)
        ]
        return Sums(np.concatenate([row.total for row in rows]),
                    np.concatenate([row.weight for row in rows]))


def _mean_of_rows(values: NDArray[np.float64], n_int: int, unit: str) -> NDArray[np.float64]:
    """Means of `n_int` neighbours, the last of fewer; angles in degrees without their turns."""
    starts = np.arange(0, len(values), n_int)
    base = np.repeat(values[starts], n_int)[: len(values)]
    off = values - base
    if unit == "deg":
        off = (off + 180) % 360 - 180
    means = values[starts] + np.add.reduceat(off, starts) / np.diff([*starts, len(values)])
    if unit == "deg" and (values >= 180).any():  # right ascensions and azimuths, up to 360
        means %= 360
    return np.asarray(means)
