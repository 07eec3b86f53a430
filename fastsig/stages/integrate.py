"""Integrate: mean spectra over time and over neighbouring channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.units import exact, whole
from fastsig.errors import PlanError, UsageError
from fastsig.stream import SpectraStage, SpectrumStream, Stream, Sums

__all__ = ["SEGMENT", "Integrate"]

# Rows are summed in float32 within segments of this length, counted from the start of each
# integration, and the segments' sums in float64 and in order. So the result depends on neither
# blocks nor threads, long integrations lose no precision, and segments can be made in parallel.
SEGMENT = 128

_PART_BYTES = 2**22  # of sums of segments that are made at a time
_MOST = 2**40  # spectra of an integration: years of FAST, and the products' counts fit 64 bits


class Integrate(SpectraStage):
    """Mean of `n_int` spectra and of `n_freq` neighbouring channels, weighted by validity.

    ``mean = sum(total) / sum(weight)`` over what is valid; the product's weight is the share of
    what could have been. A last partial integration is kept, with its weight, unless `last` says
    otherwise: programs without weights take it for a whole one.

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
    last : {"keep", "drop"}
        What becomes of a last integration that spectra do not fill; where it is dropped the
        parameters record it.

    Raises
    ------
    PlanError
        Where the source holds no spectra.
    UsageError
        Where a parameter is not allowed.
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
            if source.least_flagged is None:
                raise PlanError("spectral kurtosis needs frames: detect and integrate in one go")
            if n_int < source.least_flagged:
                raise UsageError(
                    f"n_int = {n_int} spectra are too few for spectral kurtosis; allowed: "
                    f"{source.least_flagged} or more"
                )
            source.check_flag(flag_sigma)
        if last not in ("keep", "drop"):
            raise UsageError(f"last = {last!r}; allowed: keep, drop")
        if last == "drop" and source.endless:
            raise PlanError(f"{source.path}: last = 'drop' of a stream whose end is not known; "
                            "allowed: keep")
        if last == "drop" and source.shape[0] < n_int:
            raise UsageError(f"last = 'drop' leaves nothing of {source.shape[0]} spectra, which "
                             f"are fewer than the {n_int} of one integration")
        self.n_int, self.n_freq = n_int, n_freq
        #: Spectra at the end that are left out.
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
        """What decides the numbers; the integration time is the actual one, in s."""
        seconds = Fraction(1) / self.header.sample_rate
        found = {"n_int": self.n_int, "n_freq": self.n_freq, "tsamp_s": str(seconds)}
        if self.n_dropped:
            found |= {"last": "drop", "n_dropped": self.n_dropped}
        if self.flag_sigma is None:
            return found
        return found | {"flag": "spectral kurtosis", "flag_sigma": self.flag_sigma,
                        "flag_spectra": min(self.n_int, SEGMENT)}

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """First spectrum and number of spectra that rows are the means of."""
        first, stop = start * self.n_int, min((start + n) * self.n_int, self.source.shape[0])
        return first, stop - first

    @property
    def is_long(self) -> bool:  # type: ignore[override]
        """Whether a row is more than one segment, which can be summed side by side."""
        return self.n_int > SEGMENT

    def narrowed(self, first: int, stop: int) -> SpectrumStream | None:
        """Some of the channels, where the source can make the ones that they are means of."""
        part = self.source.narrowed(first * self.n_freq, stop * self.n_freq)
        return None if part is None else cast(SpectrumStream, self.on(part))

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

    def segments(self, row: int) -> int:
        """Number of segments that an output row is made of."""
        return -(-self.needs(row, 1)[1] // SEGMENT)

    def segment_needs(self, row: int, first: int, n: int) -> tuple[int, int]:
        """First spectrum and number of spectra that `n` segments of an output row are made of."""
        start, count = self.needs(row, 1)
        begin, end = first * SEGMENT, min((first + n) * SEGMENT, count)
        return start + begin, end - begin

    def segment_sums(self, row: int, first: int, n: int) -> Sums:
        """Sums of `n` segments of an output row, one after the other, in the source's channels."""
        return self.source.group_sums(*self.segment_needs(row, first, n), SEGMENT,
                                      self.flag_sigma)

    @property
    def run_segments(self) -> int:
        """Segments of a row that are summed at a time."""
        return max(1, _PART_BYTES // max(1, self.source.row_bytes))

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis."""
        flagged = self.flag_sigma is not None
        return self.shape[2] if flagged or self.source.weight_channels > 1 else 1

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to make `n` rows."""
        segments = self.run_segments if self.is_long else 0
        rows = min(max(1, n) * self.n_int, self.source.shape[0])
        rows = min(rows, segments * SEGMENT) if self.is_long else rows
        return (self.source.group_bytes(rows, self.flag_sigma)
                + (3 + segments) * self.source.row_bytes + 3 * n * self.row_bytes)

    def combine(self, parts: Iterable[Sums]) -> Sums:
        """One output row from the sums of its segments, in order."""
        rows = ((row, weight) for part in parts
                for row, weight in zip(part.total, part.weight, strict=True))
        first, first_weight = next(rows)
        total, total_weight = first.astype(np.float64), first_weight.copy()
        for row, weight in rows:
            total += row
            total_weight += weight
        return self._averaged(Sums(total[np.newaxis], total_weight[np.newaxis]))

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
        if not self.is_long:
            return self._averaged(
                self.source.group_sums(*self.needs(start, n), self.n_int, self.flag_sigma))
        rows = [self.combine(self._parts(row)) for row in range(start, start + n)]
        return Sums(np.concatenate([row.total for row in rows]),
                    np.concatenate([row.weight for row in rows]))

    def _parts(self, row: int) -> Iterator[Sums]:
        """Sums of the segments of a row, some at a time."""
        count, run = self.segments(row), self.run_segments
        for first in range(0, count, run):
            yield self.segment_sums(row, first, min(run, count - first))


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
