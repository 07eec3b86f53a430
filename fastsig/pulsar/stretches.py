"""Stretches of dispersion measure with one step and one downsampling, for a given band."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, floor, hypot, inf, log, log10, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.dispersion import lateness
from fastsig.axes.units import number
from fastsig.errors import UsageError
from fastsig.pulsar import smearing

__all__ = ["LONGEST_S", "Recording", "Rules", "Stretch", "Subbands", "stretches"]

F8 = NDArray[np.float64]

#: Upper limit of sample times and of widths of pulses, s.
LONGEST_S = 1e6
_SHORTEST_S = 1e-12
#: The rate is halved where a pulse is at least this many times as wide as the smearing that the
#: plan adds to it.
SWITCH = 2.0
#: Samples up to this fraction of the width of the pulses are short enough at any DM.
FINE = 0.5
#: Width of the pulses that half the rate must resolve, in its samples, for a `Rules.switch` of 1.
RESOLVED = 2.0
#: Largest smear of a subband, in units of the smear of a step or of the sample, if this is shorter.
SUBBAND = 0.8
#: Delays times DMs of a stretch, at most: a tree then needs 200 to 500 MB.
STATE = 2.5e7
#: Longest delay of a tree, in spectra.
_LONGEST_DELAY = 2.5e7
_MOST_DMS = 2**20


@dataclass(frozen=True)
class Rules:
    """The rules according to which the sampling rate is halved and the steps grow.

    Parameters
    ----------
    switch : float
        The rate is halved where the smearing within a channel is at least this many times the
        smearing that the plan adds, regardless of the width of the pulses.
    resolved : float
        Width, in recorded samples, of pulses that must be resolved at half the rate: with the smear
        of a channel, they must be at least ``2 switch`` samples wide there. 0 imposes no such
        condition.
    growth : float
        Approximate ratio of successive steps at the same rate, which grow with the smear of a
        channel. With infinity, steps at the same rate remain the same.
    state : float
        Largest product of the numbers of delays and of dispersion measures of a stretch; a larger
        stretch is divided.
    """

    switch: float = SWITCH
    resolved: float = 0.0
    growth: float = inf
    state: float = STATE


@dataclass(frozen=True)
class Recording:
    """The properties of spectra that determine a plan.

    Parameters
    ----------
    low_mhz, high_mhz : float
        Centres of the lowest and of the highest channel, MHz.
    n_chan : int
        Number of channels.
    sample_s : float
        Time from one spectrum to the next, s.
    constant : float
        Dispersion constant, MHz^2 pc^-1 cm^3 s.
    """

    low_mhz: float
    high_mhz: float
    n_chan: int
    sample_s: float
    constant: float

    @classmethod
    def of_band(cls, fstart: Any, bandwidth: Any, n_chan: int, sample_time: Any,
                constant: float = float(DISPERSION_CONSTANT)) -> Recording:
        """Return a recording of channels that fill a band.

        Parameters
        ----------
        fstart, bandwidth : value, Hz
            Lower edge of the band and its width.
        n_chan : int
            Number of channels.
        sample_time : value, s
            Time from one spectrum to the next.
        constant : float
            Dispersion constant, MHz^2 pc^-1 cm^3 s.
        """
        low, width = number(fstart, "MHz", "fstart"), number(bandwidth, "MHz", "bandwidth")
        sample_s = number(sample_time, "s", "sample_time")
        for name, value in (("fstart", low), ("bandwidth", width), ("sample_time", sample_s)):
            if value <= 0:
                raise UsageError(f"{name} is not above 0; allowed: above 0")
        if not _SHORTEST_S <= sample_s < LONGEST_S:
            raise UsageError(f"sample_time = {sample_s:g} s; allowed: {_SHORTEST_S:g} s or more, "
                             f"and below {LONGEST_S:g} s")
        if n_chan < 2:
            raise UsageError(f"n_chan = {n_chan}; allowed: 2 or more")
        half = width / n_chan / 2
        return cls(low + half, low + width - half, n_chan, sample_s, constant)

    @property
    def chan_mhz(self) -> float:
        """Width of a channel, MHz."""
        return (self.high_mhz - self.low_mhz) / (self.n_chan - 1)

    @property
    def bandwidth_mhz(self) -> float:
        """Width of the band, MHz."""
        return self.chan_mhz * self.n_chan

    @property
    def center_mhz(self) -> float:
        """Middle of the band, MHz."""
        return (self.low_mhz + self.high_mhz) / 2

    @property
    def unit_s(self) -> float:
        """Delay of the lowest channel after the highest for a DM of 1, s."""
        return float(self.constant * lateness(self.low_mhz, self.high_mhz))

    @property
    def curve(self) -> F8:
        """Delay of each channel after the highest, relative to that of the lowest, (n_chan,)."""
        mhz = np.linspace(self.low_mhz, self.high_mhz, self.n_chan)
        later = lateness(mhz, self.high_mhz)
        curve: F8 = later / later[0]
        return curve

    def smear_s(self, dm: float, share: float = 1.0) -> float:
        """Return the delay across a fraction of the band, at its middle, s."""
        return float(smearing.smear_s(dm, share * self.bandwidth_mhz, self.center_mhz,
                                      self.constant))


@dataclass(frozen=True)
class Subbands:
    """Two stages of sums, over the channels of subbands and over subbands.

    Parameters
    ----------
    n_subband : int
        Number of subbands.
    step : float
        Step of the dispersion measures for which subbands are summed, pc cm^-3.
    smear_s : float
        Delay across a subband for half this step, s.
    n_addition : int
        Number of additions for each downsampled spectrum.
    """

    n_subband: int
    step: float
    smear_s: float
    n_addition: int


@dataclass(frozen=True)
class Stretch:
    """Dispersion measures with one step and one downsampling.

    Parameters
    ----------
    recording : Recording
        Properties of the spectra.
    low, step : float
        The first dispersion measure and the step, pc cm^-3.
    n_dm : int
        Number of dispersion measures.
    downsampling : int
        Number of spectra that are summed first, a power of two.
    """

    recording: Recording
    low: float
    step: float
    n_dm: int
    downsampling: int

    @property
    def high(self) -> float:
        """The last dispersion measure, pc cm^-3."""
        return _digits(self.low + (self.n_dm - 1) * self.step)

    @property
    def dms(self) -> F8:
        """Dispersion measures, (n_dm,), pc cm^-3."""
        return np.round(self.low + self.step * np.arange(self.n_dm, dtype=np.float64), 9)

    @property
    def sample_s(self) -> float:
        """Duration of a downsampled spectrum, s."""
        return self.recording.sample_s * self.downsampling

    @property
    def delays(self) -> F8:
        """Delays of the lowest channel after the highest, in downsampled spectra, (n_dm,)."""
        return self.dms * (self.recording.unit_s / self.sample_s)

    @property
    def step_smear_s(self) -> float:
        """Delay across the band for half a step, the largest error of a DM, s."""
        return self.recording.smear_s(self.step / 2)

    def channel_smear_s(self, dm: float) -> float:
        """Return the delay across a channel at the middle of the band, s."""
        return self.recording.smear_s(dm, 1 / self.recording.n_chan)

    @property
    def subbands(self) -> Subbands:
        """The subbands that need the fewest additions for these dispersion measures."""
        allowed = SUBBAND * min(self.step_smear_s, self.sample_s)
        found = []
        for power in range(int(np.log2(self.recording.n_chan)) + 1):
            n = 2**power
            step = 2 * allowed / self.recording.smear_s(1.0, 1 / n)
            n_coarse = ceil((self.high - self.low) / step) + 1
            found.append(Subbands(n, step, allowed, n_coarse * self.recording.n_chan
                                  + self.n_dm * n))
        return min(found, key=lambda each: each.n_addition)


def stretches(recording: Recording, low: float, high: float, width_s: float, loss: float,
              rules: Rules) -> Iterator[Stretch]:
    """Yield the stretches from one dispersion measure to another.

    Parameters
    ----------
    low, high : float
        Dispersion measures, pc cm^-3.
    width_s : float
        Width of the pulses, s; 0 if they may be as narrow as the spectra resolve.
    loss : float
        Largest fraction of the S/N that is lost half a step from the nearest dispersion measure.
    rules : Rules
        Rules according to which the rate is halved and steps grow.

    Raises
    ------
    UsageError
        If there are too many dispersion measures, or a delay is too long for a tree.
    """
    off, factor, total = smearing.off_dm(1 - loss), 1, 0
    while True:
        made = Stretch(recording, low, _step(recording, low, factor, width_s, off), 1, factor)
        end = _switch(made, width_s, rules)
        factor *= 2
        if end <= low:
            continue
        is_last = end >= high - made.step
        for whole in _with_steps(made, high if is_last else end, width_s, off, rules.growth,
                                 is_last=is_last):
            total += whole.n_dm
            _check_size(whole, total)
            yield from _parts(whole, rules.state)
            low = _digits(whole.high + whole.step)
        if is_last:
            return


def _with_steps(first: Stretch, end: float, width_s: float, off: float, growth: float, *,
                is_last: bool) -> Iterator[Stretch]:
    """Yield the stretches at one rate, each with a larger step, up to an end."""
    low = first.low
    *others, last = _growing(first, end, width_s, growth)
    for stop, covers in (*((each, False) for each in others), (last, is_last)):
        step = _step(first.recording, low, first.downsampling, width_s, off)
        made = replace(first, low=low, step=step)
        n_dm = _count(made, stop, covers)
        if n_dm > 0:  # otherwise, the last step was longer than the rest
            made = replace(made, n_dm=n_dm)
            yield made
            low = _digits(made.high + made.step)


def _growing(first: Stretch, end: float, width_s: float, growth: float) -> list[float]:
    """Return the dispersion measures up to which steps remain the same, at one rate.

    Steps are in proportion to the width of a pulse as it is sampled. The last one is the end.
    """
    recording, smear = first.recording, first.channel_smear_s(1.0)
    narrow, wide = (hypot(_pulse(recording, dm, width_s), first.sample_s)
                    for dm in (first.low, end))
    n = max(1, round(log(wide / narrow) / log(growth)))
    widths = [narrow * (wide / narrow) ** (k / n) for k in range(1, n)]
    return [*(sqrt(width**2 - width_s**2 - first.sample_s**2) / smear for width in widths), end]


def _count(first: Stretch, end: float, is_last: bool) -> int:
    """Return the number of dispersion measures up to an end; the last ones also cover the end."""
    steps = (end - first.low) / first.step
    if not is_last:
        return ceil(steps)
    whole = floor(steps + 1e-9)
    return whole + 1 + (steps - whole > 0.5)


def _check_size(stretch: Stretch, total: int) -> None:
    """Refuse a stretch whose trees would not fit, and plans that take days to search."""
    longest = stretch.high * stretch.recording.unit_s / stretch.sample_s
    if total <= _MOST_DMS and longest <= _LONGEST_DELAY:
        return
    what = (f"{total} or more dispersion measures; allowed: up to {_MOST_DMS}"
            if total > _MOST_DMS else f"a delay of {longest:.3g} spectra at DM {stretch.high:g}; "
            f"allowed: up to {_LONGEST_DELAY:.3g}")
    raise UsageError(f"the plan has {what}, so specify a smaller dm or a larger width")


def _parts(stretch: Stretch, state: float) -> Iterator[Stretch]:
    """Divide a stretch into parts for each of which the state of a tree is small enough."""
    done = 0
    while done < stretch.n_dm:
        low = _digits(stretch.low + done * stretch.step)
        # n_dm times the largest delay, which is (low + n_dm step) per_dm
        per_dm = stretch.recording.unit_s / stretch.sample_s
        most = (sqrt(low**2 + 4 * state * stretch.step / per_dm) - low) / (2 * stretch.step)
        part = replace(stretch, low=low, n_dm=min(stretch.n_dm - done, max(1, int(most))))
        yield part
        done += part.n_dm


def _digits(dm: float) -> float:
    """Return a sum of steps without the errors of its last bits."""
    return float(f"{dm:.12g}")


def _pulse(recording: Recording, dm: float, width_s: float) -> float:
    """Return the width of a pulse in a channel, s."""
    return hypot(width_s, recording.smear_s(dm, 1 / recording.n_chan))


def _step(recording: Recording, dm: float, factor: int, width_s: float, off: float) -> float:
    """Return the largest step of two digits whose half loses no more than allowed."""
    width = hypot(_pulse(recording, dm, width_s), factor * recording.sample_s)
    step = 2 * off * width / recording.smear_s(1.0)
    digit = 10.0 ** (floor(log10(step)) - 1)
    return _digits(floor(step / digit * (1 + 1e-12)) * digit)


def _added(stretch: Stretch) -> float:
    """Return the width that samples, downsampled samples and steps add together, s."""
    return hypot(stretch.recording.sample_s, stretch.sample_s, stretch.step_smear_s)


def _switch(stretch: Stretch, width_s: float, rules: Rules) -> float:
    """Return the dispersion measure above which half the rate is sufficient."""
    return max(_narrow(stretch, width_s, rules.switch), _resolving(stretch, width_s, rules))


def _narrow(stretch: Stretch, width_s: float, switch: float) -> float:
    """Return the dispersion measure above which half the rate suffices for the narrowest pulses."""
    added = _added(stretch)
    square = (SWITCH * added) ** 2 - width_s**2
    if square <= 0 or 2 * stretch.sample_s <= FINE * width_s:
        return -inf
    return min(sqrt(square), switch * added) / stretch.channel_smear_s(1.0)


def _resolving(stretch: Stretch, width_s: float, rules: Rules) -> float:
    """Return the dispersion measure above which half the rate resolves the pulses that it must."""
    if not rules.resolved:
        return -inf
    width = max(width_s, rules.resolved * stretch.recording.sample_s)
    square = (RESOLVED * rules.switch * 2 * stretch.sample_s) ** 2 - width**2
    return sqrt(square) / stretch.channel_smear_s(1.0) if square > 0 else -inf
