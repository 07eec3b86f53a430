"""Planes: time series of the whole band for many dispersion measures at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import dispersion
from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.frequency import ChannelAxis
from fastsig.errors import PlanError, UsageError
from fastsig.stages.dedisperse import check_last, dedispersed_header
from fastsig.stages.delay_sums import DelayPlans, DelaySums, kind_of
from fastsig.stages.series import mean_block
from fastsig.stream import Block, PlaneStream, SpectrumStream, Stage, Stream
from fastsig.work.arguments import shown
from fastsig.work.memory import available_bytes

__all__ = ["Planes", "dms_of"]

_MOST = 2**17  # dispersion measures
_FEW = 16  # for as many, exact tracks take less time than a tree
_DEVIATION = 4  # samples by which a track of a tree deviates from its curve, at most
_LEAST_BYTES = 12  # of a tree for each dispersion measure and sample of the longest delay
_SAME_BAND = 1e-3  # channels by which the frequencies of a plan may be off
_TRACKS = ("sample", "half", "exact")


class Planes(Stage, PlaneStream):
    r"""A DM-time plane of each product: the mean over the band for many dispersion measures.

    .. math:: y_{td} = \sum_c w x / \sum_c w, \quad x = x_{t + t_c(d), c}

    Each time series of the plane is what `dedisperse` and `to_series` return for its dispersion
    measure, except that delays are rounded as in a tree, in which sums of neighbouring channels are
    shared by neighbouring dispersion measures (FDMT, Zackay & Ofek 2017). For 4096 channels from
    1000 to 1500 MHz and 2048 samples of delay, the delay of a channel differs from the exact one by
    up to 2.2 samples, and by 0.5 samples rms; the mean difference over the channels is at most half
    a sample.

    Times are those at which the signal passes the centre of the highest channel, for all dispersion
    measures. The weight of a value is the mean weight of its channels; values are NaN where it is
    0. The last times lack channels, unless `last` is "drop".

    Parameters
    ----------
    source : SpectrumStream
        Spectra with two or more channels of known frequency.
    dms : str, sequence of float, or Stretch
        Dispersion measures, pc cm^-3, ascending: numbers; text such as ``"0:1000:0.5"``, with the
        first, the last and the step; or a stretch of a plan made with `dm_plan`, or a plan that
        has only one stretch. The dispersion measures are added to that of the source, if its
        dispersion has already been removed.
    constant : float or str, optional
        Dispersion constant K, as for `dedisperse`; by default, that of the plan, if there is one.
    track : {"sample", "half", "exact"}, optional
        Rounding of delays: that of the tree; that of a tree with half samples, which takes up to
        twice the time; or the nearest sample, as in `dedisperse`, which takes a time proportional
        to the number of dispersion measures. The default is "exact" for up to 16 dispersion
        measures, and "sample" otherwise.
    last : {"keep", "drop"}
        Whether the times at the end for which channels are missing at the largest dispersion
        measure are kept or dropped.

    Raises
    ------
    PlanError
        If the source contains no spectra, has one channel, or is shorter than the largest delay; if
        the plan is for other spectra; or if the sums do not fit into memory.
    UsageError
        If a parameter is not allowed.
    FormatError
        If the frequencies of the channels are not known.

    References
    ----------
    B. Zackay and E. O. Ofek, ApJ 835, 11 (2017).
    """

    name = "planes"
    source: SpectrumStream

    def __init__(self, source: Stream, dms: Any, *, constant: Any = None,
                 track: str | None = None, last: str = "keep") -> None:
        if not isinstance(source, SpectrumStream):
            raise PlanError(f"planes requires spectra, not {source.kind}")
        dms = _stretch_of(dms)
        asked = dms_of(dms)
        _check_rate(source, dms)
        if track not in (None, *_TRACKS):
            raise UsageError(f"track = {track!r}; allowed: {', '.join(_TRACKS)}")
        self.track = track or ("exact" if len(asked) <= _FEW else "sample")
        axis = source.header.require_channels(source.path)
        if axis.n_chan < 2:
            raise PlanError(f"{source.path}: has one channel, and therefore no delay to remove; "
                            "allowed: 2 or more")
        _check_band(source, axis, dms)
        header = dedispersed_header(source, dispersion.dm_of(0), "top",
                                    _constant_of(dms) if constant is None else constant)
        delays = dispersion.channel_delays(axis, header.dispersion_constant)
        span = delays.span(asked, header.sample_rate)
        _check_length(source, asked[-1], span[-1])
        check_last(source, last)
        #: Number of times at the end that are left out.
        self.n_dropped = 0 if last == "keep" else min(
            source.shape[0] - 1, round(span[-1]) + (0 if self.track == "exact" else _DEVIATION))
        Stage.__init__(self, source, header=header.replace(
            dm=None, channels=axis.averaged(axis.n_chan), diode=None,
            n_sum=header.n_sum * axis.n_chan,
            extra={**header.extra, "channels": axis.n_chan}),
            shape=(source.shape[0] - self.n_dropped, source.shape[1], len(asked)),
            dtype=np.float32)
        #: Dispersion measures, including those already removed, (n_dm,) float64, pc cm^-3.
        self.dms = asked + (header.dm or 0.0)
        self._asked, self._axis = asked, axis
        self._curve, self._span = delays.curve, span
        self._lock = threading.Lock()
        self._made: list[DelayPlans] = []
        self._delayed: DelaySums | None = None

    def _replace(self, *sources: Stream) -> None:
        super()._replace(*sources)
        self._delayed = None

    @property
    def _plans(self) -> DelayPlans:
        """The plans of the kernel, made when they are first needed; copies share them."""
        with self._lock:
            if not self._made:
                self._check_memory()
                self._made.append(DelayPlans(self._curve, self._span, self.track,
                                             kind_of(self.source)))
            return self._made[0]

    def _check_memory(self) -> None:
        """Refuse plans that do not fit into memory, before it is allocated."""
        least = self.least_held_bytes
        if least > (free := available_bytes()):
            raise PlanError(f"{self.path}: the sums for {len(self.dms)} dispersion measures up to "
                            f"{self.dms[-1]:g} hold {least / 1e9:.3g} GB or more, and "
                            f"{free / 1e9:.3g} GB are available; allowed: fewer or smaller ones, "
                            "or downsampled spectra, as in a plan by plan-dm")

    @property
    def _sums(self) -> DelaySums:
        plans = self._plans
        with self._lock:
            if self._delayed is None:
                self._delayed = DelaySums(self.source, plans)
            return self._delayed

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values; frequencies and the constant are exact."""
        lower, upper = self._axis.edges_hz
        dropped = {"last": "drop", "n_dropped": self.n_dropped} if self.n_dropped else {}
        return {"dms": self._asked.tolist(), "track": self.track, **dropped,
                "constant": str(self.header.dispersion_constant),
                "reference_hz": str(self.header.dm_reference_hz),
                "band_hz": [str(lower), str(upper)], "n_chan": self._axis.n_chan}

    def facts(self) -> dict[str, Any]:
        """Return the main facts by name."""
        found = {**super().facts(), "dispersion measures":
                 f"{len(self.dms)}, {self.dms[0]:g} to {self.dms[-1]:g} pc cm^-3"}
        found.pop("channels", None)
        return found

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the spectra that are summed in the given rows."""
        if not n:
            return start, 0
        first = max(0, start - self._plans.lead)
        return first, min(self.source.shape[0], start + n + self._plans.reach) - first

    def all_valid(self) -> bool | None:
        """Return False if samples are missing at the end; otherwise the same as for the source."""
        return self.source.all_valid() if self.n_dropped or self._span[-1] < 0.5 else False

    @property
    def least_held_bytes(self) -> int:
        """A lower limit of `held_bytes`: that of a tree, computed without making the tree."""
        return int(_LEAST_BYTES * len(self._span) * self._span[-1])

    @property
    def held_bytes(self) -> int:
        """Memory used by the sums: the plans of the kernel, and results that are not complete."""
        return self._sums.held_bytes

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` rows."""
        return n * self.row_bytes + self._sums.work_bytes(n)

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return means over the channels, and their weights."""
        self._check_range(start, n)
        return mean_block(*self._sums.read(start, n), self.source.shape[2], start)


def dms_of(value: Any, name: str = "dms") -> NDArray[np.float64]:
    """Return dispersion measures, pc cm^-3: ascending, finite, 0 or more.

    Parameters
    ----------
    value : str, sequence of float, or object with `dms`
        Text is one number, or ``first:last:step``; the last value is included if the steps reach
        it.
    name : str
        Name in messages.

    Raises
    ------
    UsageError
        If the values are none of these, or there are more than 131072 of them.
    """
    value = _stretch_of(value, name)
    value = getattr(value, "dms", value)
    if isinstance(value, str) and ":" in value:
        return _steps(value, name)
    try:
        parts = np.atleast_1d(np.asarray(value, object))
        found = np.array([float(dispersion.dm_of(each, name)) for each in parts.ravel()])
    except (TypeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{name} = {shown(value)}; allowed: numbers, or text such as "
                         "0:1000:0.5") from error
    if parts.ndim != 1 or not 1 <= len(found) <= _MOST or (np.diff(found) <= 0).any():
        raise UsageError(f"{name} = {shown(value)}; allowed: 1 to {_MOST} ascending numbers")
    return found


def _stretch_of(value: Any, name: str = "dms") -> Any:
    """Return the only stretch of a plan, or anything else unchanged."""
    stretches = getattr(value, "stretches", None)
    if stretches is None:
        return value
    if len(stretches) != 1:
        raise UsageError(f"{name}: the plan has {len(stretches)} stretches; allowed: one at a "
                         "time, as in [chain.integrate(n_int=s.downsampling).planes(s) for s in "
                         "plan]")
    return stretches[0]


def _steps(text: str, name: str) -> NDArray[np.float64]:
    """Return the numbers of ``first:last:step``, each the nearest to its exact value."""
    parts = text.split(":")
    if len(parts) != 3:
        raise UsageError(f"{name} = {text!r}; allowed: first:last:step, such as 0:1000:0.5")
    low, high, step = (dispersion.dm_of(part, name) for part in parts)
    if step <= 0 or high < low:
        raise UsageError(f"{name} = {text!r}; allowed: first:last:step with a step above 0, and "
                         "the last no smaller than the first")
    n = int((high - low) / step) + 1
    if n > _MOST:
        raise UsageError(f"{name} = {text!r} are {n} dispersion measures; allowed: up to {_MOST}")
    return np.array([float(low + k * step) for k in range(n)])


def _check_rate(source: Stream, dms: Any) -> None:
    """Refuse the stretch of a plan for spectra of another length."""
    wanted, have = getattr(dms, "sample_s", None), float(1 / source.header.sample_rate)
    if wanted is not None and abs(wanted / have - 1) > 1e-6:
        raise PlanError(f"the stretch is planned for spectra of {wanted:.9g} s, not {have:.9g} s; "
                        f"integrate(n_int={max(1, round(wanted / have))}) makes them")


def _check_band(source: Stream, axis: ChannelAxis, dms: Any) -> None:
    """Refuse the stretch of a plan for another band, whose steps are too coarse or too fine."""
    planned = getattr(dms, "recording", None)
    if planned is None:
        return
    ends = axis.centers.to_value("MHz")[[0, -1]]
    off = np.abs(ends - (planned.low_mhz, planned.high_mhz)).max()
    if axis.n_chan != planned.n_chan or off > _SAME_BAND * planned.chan_mhz:
        raise PlanError(f"{source.path}: the plan is for {planned.n_chan} channels at "
                        f"{planned.low_mhz:.9g} to {planned.high_mhz:.9g} MHz, not "
                        f"{axis.n_chan} at {ends[0]:.9g} to {ends[1]:.9g} MHz; allowed: the same "
                        "band")


def _constant_of(dms: Any) -> float | None:
    """Return the dispersion constant of the stretch of a plan, unless it is the usual one."""
    constant: float | None = getattr(getattr(dms, "recording", None), "constant", None)
    return None if constant == float(DISPERSION_CONSTANT) else constant


def _check_length(source: Stream, dm: float, delay: float) -> None:
    if delay + 0.5 >= source.shape[0]:
        raise PlanError(f"{source.path}: dm = {dm:g} delays the lowest channel by "
                        f"{round(delay)} spectra; allowed: less than the length of the data, "
                        f"{source.shape[0]} spectra")
