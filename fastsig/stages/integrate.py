"""Integrate: average spectra over time and over neighbouring channels."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.units import exact, whole
from fastsig.errors import FastsigWarning, PlanError, UsageError, users_line
from fastsig.stream import SpectraStage, SpectrumStream, Stream, Sums

__all__ = ["SEGMENT", "Integrate"]

# Rows are summed in float32 within segments of this length, counted from the start of each
# integration; the sums of segments are added in float64, in order. The result therefore does not
# depend on blocks or threads, long integrations lose no precision, and segments can be computed in
# parallel.
SEGMENT = 128

_PART_BYTES = 2**22  # size of the sums of segments that are computed at a time
_MOST = 2**40  # spectra of an integration: years at FAST, and counts in products fit in 64 bits


class Integrate(SpectraStage):
    """Weighted means over `n_int` spectra and `n_freq` neighbouring channels.

    ``mean = sum(total) / sum(weight)`` over all valid samples; the weight of a value in the result
    is the fraction of its samples that are valid. An incomplete last integration is kept, with its
    weight, unless `last` is "drop"; programs that do not read weights mistake it for a complete
    one.

    Parameters
    ----------
    source : SpectrumStream
        Spectra in any unit.
    time : Quantity or str, optional
        Integration time; rounded to whole spectra, at least one.
    n_int : int, optional
        Exact number of spectra to integrate; not allowed with `time`.
    n_freq : int
        Number of channels to average; must divide the number of channels.
    flag_sigma : float, optional
        For every 128 spectra (fewer at the end of an integration), leave out channels whose
        spectral kurtosis differs from that of noise, in any polarisation, by more than this many
        standard deviations of a Gaussian. This requires detected frames, and integrations of at
        least 16 spectra (more if frames overlap strongly). Each channel then has its own weight.
    last : {"keep", "drop"}
        Whether an incomplete last integration is kept or dropped; the parameters record the number
        of spectra dropped.

    Raises
    ------
    PlanError
        If the source contains no spectra, or if `flag_sigma` is given for spectra that are not
        detected frames.
    UsageError
        If a parameter is not allowed.
    """

    name = "integrate"
    sums_groups = True
    source: SpectrumStream
    sum_dtype = np.float64  # type: ignore[assignment]

    def __init__(
        self, source: Stream, time: Any = None, *, n_int: int | None = None, n_freq: int = 1,
        flag_sigma: float | None = None, last: str = "keep",
    ) -> None:
        if not isinstance(source, SpectrumStream):
            raise PlanError(f"integrate requires spectra, not {source.kind}")
        if time is not None and n_int is not None:
            raise UsageError("give the integration as a time or as n_int, not both")
        if time is not None:
            seconds = exact(time, "s", "integration time")
            if seconds <= 0:
                raise UsageError(f"integration time = {time}; allowed: above 0")
            n_int = max(1, round(seconds * source.header.sample_rate))
            if 2 * seconds * source.header.sample_rate < 1:
                row = float(1 / source.header.sample_rate)
                warnings.warn(
                    f"{source.path}: a spectrum takes {row:.6g} s, longer than the integration of "
                    f"{float(seconds):.6g} s; spectra are not integrated", FastsigWarning,
                    stacklevel=users_line())
        n_int, n_freq = whole("n_int", 1 if n_int is None else n_int), whole("n_freq", n_freq)
        n_chan = source.shape[2]
        if not 0 < n_int < _MOST or n_freq < 1 or n_chan % n_freq:
            raise UsageError(
                f"n_int = {n_int}, n_freq = {n_freq}; allowed: 1 to {_MOST}, n_freq dividing the "
                f"{n_chan} channels"
            )
        if flag_sigma is not None:
            if source.least_flagged is None:
                raise PlanError("spectral kurtosis needs frames: detect and integrate in one chain")
            if n_int < source.least_flagged:
                raise UsageError(
                    f"n_int = {n_int} spectra are too few for spectral kurtosis; allowed: "
                    f"{source.least_flagged} or more"
                )
            source.check_flag(flag_sigma)
        if last not in ("keep", "drop"):
            raise UsageError(f"last = {last!r}; allowed: keep, drop")
        if last == "drop" and source.endless:
            raise PlanError(f"{source.path}: last = 'drop', but the end of the stream is not "
                            "known; allowed: keep")
        if last == "drop" and source.shape[0] < n_int:
            raise UsageError(f"last = 'drop' leaves nothing of {source.shape[0]} spectra, fewer "
                             f"than the {n_int} of one integration")
        self.n_int, self.n_freq = n_int, n_freq
        #: Number of spectra at the end that are left out.
        self.n_dropped = source.shape[0] % n_int if last == "drop" else 0
        self.flag_sigma = None if flag_sigma is None else float(flag_sigma)
        header = source.header
        axis = header.channels
        super().__init__(
            source, header=header.replace(
                sample_rate=header.sample_rate / n_int, n_sum=header.n_sum * n_int * n_freq,
                channels=axis.averaged(n_freq) if axis else None,
            ),
            shape=(-(-(source.shape[0] - self.n_dropped) // n_int), source.shape[1],
                   n_chan // n_freq),
        )

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values; the integration time is the actual one, in s."""
        seconds = Fraction(1) / self.header.sample_rate
        found = {"n_int": self.n_int, "n_freq": self.n_freq, "tsamp_s": str(seconds)}
        if self.n_dropped:
            found |= {"last": "drop", "n_dropped": self.n_dropped}
        if self.flag_sigma is None:
            return found
        return found | {"flag": "spectral kurtosis", "flag_sigma": self.flag_sigma,
                        "flag_spectra": min(self.n_int, SEGMENT)}

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the first spectrum and the number of spectra that are averaged in rows."""
        first, stop = start * self.n_int, min((start + n) * self.n_int, self.source.shape[0])
        return first, stop - first

    @property
    def is_long(self) -> bool:  # type: ignore[override]
        """Whether a row has more than one segment, so that segments can be summed in parallel."""
        return self.n_int > SEGMENT and not self.source.sums_any_length

    def narrowed(self, first: int, stop: int) -> SpectrumStream | None:
        """Return some of the channels, if the source can compute only those that are averaged."""
        part = self.source.narrowed(first * self.n_freq, stop * self.n_freq)
        return None if part is None else cast(SpectrumStream, self.on(part))

    def all_valid(self) -> bool | None:
        """Return True if the source is valid and integrations are complete; otherwise None."""
        is_whole = self.flag_sigma is None and not (
            self.source.shape[0] - self.n_dropped) % self.n_int
        return (is_whole and self.source.all_valid()) or None

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns of the spectra."""
        return self.source.columns

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return means over the spectra of each row.

        Angles are averaged correctly across the step from 360 to 0 deg.
        """
        first, count = self.needs(start, n)
        found = self.source.read_columns(first, count) if n else {}
        return {name: _mean_of_rows(values, self.n_int, self.columns[name])
                for name, values in found.items()}

    def segments(self, row: int) -> int:
        """Return the number of segments in an output row."""
        return -(-self.needs(row, 1)[1] // SEGMENT)

    def segment_needs(self, row: int, first: int, n: int) -> tuple[int, int]:
        """Return the first spectrum and the number of spectra in `n` segments of an output row."""
        start, count = self.needs(row, 1)
        begin, end = first * SEGMENT, min((first + n) * SEGMENT, count)
        return start + begin, end - begin

    def segment_sums(self, row: int, first: int, n: int) -> Sums:
        """Return the sums of `n` segments of an output row, in the channels of the source."""
        return self.source.group_sums(*self.segment_needs(row, first, n), SEGMENT,
                                      self.flag_sigma)

    @property
    def run_segments(self) -> int:
        """Number of segments of a row that are summed at a time."""
        return max(1, _PART_BYTES // max(1, self.source.row_bytes))

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis."""
        flagged = self.flag_sigma is not None
        return self.shape[2] if flagged or self.source.weight_channels > 1 else 1

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` rows."""
        segments = self.run_segments if self.is_long else 0
        rows = min(max(1, n) * self.n_int, self.source.shape[0])
        rows = min(rows, segments * SEGMENT) if self.is_long else rows
        return (self.source.group_bytes(rows, self.flag_sigma)
                + (3 + segments) * self.source.row_bytes + 3 * n * self.row_bytes)

    def combine(self, parts: Iterable[Sums]) -> Sums:
        """Add the sums of the segments of an output row, in order."""
        rows = ((row, weight) for part in parts
                for row, weight in zip(part.total, part.weight, strict=True))
        first, first_weight = next(rows)
        total, total_weight = first.astype(np.float64), first_weight.copy()
        for row, weight in rows:
            total += row
            total_weight += weight
        return self._averaged(Sums(total[np.newaxis], total_weight[np.newaxis]))

    def _averaged(self, sums: Sums) -> Sums:
        """Add the sums of neighbouring channels."""
        if self.n_freq == 1:
            return sums
        total, weight = sums.total.astype(np.float64, copy=False), sums.weight
        total = total.reshape(*total.shape[:2], -1, self.n_freq).sum(axis=3)
        if weight.shape[2] == 1:
            return Sums(total, weight * self.n_freq)
        return Sums(total, weight.reshape(*weight.shape[:2], -1, self.n_freq).sum(axis=3))

    def read_sums(self, start: int, n: int) -> Sums:
        """Return rows in their additive form."""
        self._check_range(start, n)
        if n == 0:
            empty = (0, *self.shape[1:])
            return Sums(np.empty(empty), np.empty((0, self.shape[1], self.weight_channels)))
        if not self.is_long:
            return self._averaged(
                self.source.group_sums(*self.needs(start, n), self.n_int, self.flag_sigma))
        rows = [self.combine(self._parts(row)) for row in range(start, start + n)]
        return Sums(np.concatenate([row.total for row in rows]),
                    np.concatenate([row.weight for row in rows]))

    def _parts(self, row: int) -> Iterator[Sums]:
        """Yield the sums of the segments of a row, some at a time."""
        count, run = self.segments(row), self.run_segments
        for first in range(0, count, run):
            yield self.segment_sums(row, first, min(run, count - first))


def _mean_of_rows(values: NDArray[np.float64], n_int: int, unit: str) -> NDArray[np.float64]:
    """Return means of `n_int` rows (the last of fewer); angles in degrees may cross 0 or 360."""
    starts = np.arange(0, len(values), n_int)
    base = np.repeat(values[starts], n_int)[: len(values)]
    off = values - base
    if unit == "deg":
        off = (off + 180) % 360 - 180
    means = values[starts] + np.add.reduceat(off, starts) / np.diff([*starts, len(values)])
    if unit == "deg" and (values >= 180).any():  # right ascensions and azimuths, up to 360
        means %= 360
    return np.asarray(means)
