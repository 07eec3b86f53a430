"""The plan of a search in dispersion measure: steps, downsampling, losses and cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import hypot, inf
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.units import number
from fastsig.errors import UsageError
from fastsig.pulsar import smearing
from fastsig.pulsar.costs import measured_rate, tree_cost
from fastsig.pulsar.stretches import Recording, Stretch, stretches
from fastsig.work.arguments import checked, shown

if TYPE_CHECKING:
    from astropy.table import QTable

__all__ = ["Cost", "DMPlan", "Smears", "dm_plan"]

LARGEST_DM = 1e6
_DM = "pc / cm3"
_FWHM = float(np.sqrt(8 * np.log(2)))


@dataclass(frozen=True)
class Smears:
    """Widths that are added to a pulse at a dispersion measure, and the S/N that remains, s.

    Parameters
    ----------
    sample, downsampled : float
        Time of a recorded and of a downsampled spectrum.
    channel : float
        Delay across a channel at the middle of the band.
    step : float
        Delay across the band for half a step of the plan.
    tree : float
        Width of the misalignment of channels by the tree: 2.355 times its rms.
    kept_step, kept_rate, kept_tree : float
        S/N of a pulse divided by that without the error of half a step, without downsampling, and
        with aligned channels.
    """

    sample: float
    downsampled: float
    channel: float
    step: float
    tree: float
    kept_step: float
    kept_rate: float
    kept_tree: float

    @property
    def total(self) -> float:
        """Square root of the sum of the squares of the five widths."""
        return hypot(self.sample, self.downsampled, self.channel, self.step, self.tree)

    @property
    def kept(self) -> float:
        """Product of the three shares of S/N."""
        return self.kept_step * self.kept_rate * self.kept_tree


@dataclass(frozen=True)
class Cost:
    """Cost of the sums over channels by trees, on one thread of this machine.

    Parameters
    ----------
    n_addition_per_s : float
        Additions for a second of data.
    rate_per_s : float
        Additions per second of the kernel, measured in a short trial.
    memory_bytes : int
        Memory of all trees together.
    """

    n_addition_per_s: float
    rate_per_s: float
    memory_bytes: int

    @property
    def load(self) -> float:
        """Seconds of one thread for a second of data; reading and downsampling are not included."""
        return self.n_addition_per_s / self.rate_per_s


@dataclass(frozen=True)
class DMPlan:
    """Dispersion measures to search, in stretches with a step and a downsampling each.

    Iteration yields the stretches in ascending order of dispersion measure, each with ``dms``,
    ``downsampling`` and ``delays`` (of the lowest channel after the highest, in downsampled
    spectra). `dm_plan` makes it.

    Parameters
    ----------
    recording : Recording
        Band, channels and sample time.
    dms : tuple of float
        Lowest and highest dispersion measure requested, pc cm^-3.
    width_s : float
        Width of the pulses, s; 0 if they may be as narrow as the spectra resolve.
    loss : float
        Largest share of S/N lost half a step off.
    stretches : tuple of Stretch
    """

    recording: Recording
    dms: tuple[float, float]
    width_s: float
    loss: float
    stretches: tuple[Stretch, ...]

    def __iter__(self) -> Iterator[Stretch]:
        return iter(self.stretches)

    def __len__(self) -> int:
        return len(self.stretches)

    @property
    def n_dm(self) -> int:
        """Number of dispersion measures of all stretches."""
        return sum(each.n_dm for each in self)

    def smears(self, dm: float, width_s: float | None = None) -> Smears:
        """Return what widens a pulse at a dispersion measure, and the S/N that remains.

        Parameters
        ----------
        dm : float
            Dispersion measure within the plan, pc cm^-3.
        width_s : float, optional
            Width (FWHM) of the pulse, s; by default that of the plan, or else one sample.
        """
        made = self._stretch(dm)
        sample, coarse = self.recording.sample_s, made.sample_s
        pulse = hypot(width_s or self.width_s or sample, made.channel_smear_s(dm))
        jitter = tree_cost(made).jitter * coarse
        return Smears(
            sample, coarse, made.channel_smear_s(dm), made.step_smear_s, _FWHM * jitter,
            kept_step=smearing.kept_off_dm(made.step_smear_s, hypot(pulse, coarse)),
            kept_rate=smearing.kept_by_bins(pulse, coarse, sample),
            kept_tree=smearing.kept_by_jitter(hypot(pulse, _BOX * coarse), jitter))

    def _stretch(self, dm: float) -> Stretch:
        half = [each.high + each.step / 2 for each in self]
        index = int(np.searchsorted(half, dm * (1 - 1e-9)))
        if not self.dms[0] <= dm <= max(self.dms[1], half[-1]):
            raise UsageError(f"dm = {dm:g}; allowed: within the plan, {self.dms[0]:g} to "
                             f"{self.dms[1]:g} pc cm^-3")
        return self.stretches[min(index, len(half) - 1)]

    @cached_property
    def cost(self) -> Cost:
        """Cost on one thread of this machine; a trial of the kernel takes 0.1 s."""
        found = [tree_cost(each) for each in self]
        return Cost(sum(tree.n_addition / each.sample_s
                        for tree, each in zip(found, self, strict=True)),
                    measured_rate(), sum(tree.memory_bytes for tree in found))

    def table(self) -> QTable:
        """Return a table with a row for each stretch, with units and descriptions."""
        from fastsig.pulsar.plan_table import plan_table

        return plan_table(self)

    def record(self) -> dict[str, Any]:
        """Return the plan for JSON: requested values, stretches and cost."""
        from fastsig.pulsar.plan_table import plan_record

        return plan_record(self)

    def __repr__(self) -> str:
        rows = [f"  {each.low:g} to {each.high:g} by {each.step:g}, downsampling "
                f"{each.downsampling}, {each.n_dm} DMs" for each in self]
        return "\n".join([f"<DMPlan of {self.n_dm} DMs, pc cm^-3", *rows]) + ">"


#: FWHM of the Gaussian with the rms of a sample, in samples.
_BOX = _FWHM / float(np.sqrt(12))


@checked
def dm_plan(source: Any, dms: Any = (0, 3000), *, width: Any = None, loss: float = 0.1,
            constant: Any = None) -> DMPlan:
    """Plan the dispersion measures of a search: steps, downsampling, losses and cost.

    Parameters
    ----------
    source : Header, stream, chain or Recording
        Spectra, or their header: the band, the channels and the sample time are used. Without
        spectra, use `fastsig.pulsar.stretches.Recording.of_band`.
    dms : pair, or text such as "0:3000"
        Lowest and highest dispersion measure, pc cm^-3.
    width : Quantity or str, optional
        Width (FWHM) of the narrowest pulses of interest, e.g. ``"1ms"``; by default, as narrow as
        the spectra resolve.
    loss : float
        Largest share of S/N that such a pulse may lose if its dispersion measure is halfway between
        two of the plan; this determines the steps.
    constant : value, optional
        Dispersion constant, MHz^2 pc^-1 cm^3 s; 1/2.41e-4 by default.

    Returns
    -------
    DMPlan

    Raises
    ------
    UsageError
        If a value is out of range, the spectra have one channel, their frequencies are not known
        or not above 0, or their dispersion was removed before.

    Notes
    -----
    The step is such that a pulse as wide as the width, the smear of a channel and a downsampled
    sample together loses no more than `loss` half a step off; it is rounded down to two digits.
    The rate is halved at the dispersion measure at which the pulse in a channel is twice as wide as
    a sample, a downsampled sample and half a step together (their squares are added), and where a
    sample of half the rate is no longer than half of `width`.
    """
    recording = _recording(source, constant)
    low, high = _limits(dms)
    if isinstance(loss, bool) or not 0.001 <= loss <= 0.5:
        raise UsageError(f"loss = {shown(loss)}; allowed: 0.001 to 0.5")
    width_s = 0.0 if width is None else number(width, "s", "width")
    if not 0 <= width_s < inf:
        raise UsageError(f"width = {shown(width)}; allowed: 0 or more, such as 1ms")
    made = tuple(stretches(recording, low, high, width_s, loss))
    return DMPlan(recording, (low, high), width_s, loss, made)


def _recording(source: Any, constant: Any) -> Recording:
    if isinstance(source, Recording):
        return source if constant is None else replace(source, constant=_constant(constant))
    header = getattr(getattr(source, "stream", source), "header", source)
    axis, rate = getattr(header, "channels", None), getattr(header, "sample_rate", None)
    if not hasattr(header, "channels") or not rate:
        raise UsageError(f"{shown(source)} has no band and sample time; allowed: spectra, or their "
                         "header")
    if axis is None:
        raise UsageError("the frequencies of the channels are not known; allowed: spectra whose "
                         "header states them, or with frequency=")
    if axis.n_chan < 2:
        raise UsageError("the band has one channel; allowed: spectra of 2 or more channels")
    if header.dm:
        raise UsageError(f"the dispersion was removed before, at DM {header.dm:g} pc cm^-3; "
                         "allowed: spectra with their dispersion")
    if axis.edges_hz[0] <= 0:
        raise UsageError(f"the band begins at {float(axis.edges_hz[0]) / 1e6:g} MHz; allowed: "
                         "above 0")
    mhz = axis.first_hz / 10**6, (axis.first_hz + (axis.n_chan - 1) * axis.step_hz) / 10**6
    return Recording(float(mhz[0]), float(mhz[1]), axis.n_chan, float(1 / rate),
                     _constant(constant))


def _constant(value: Any) -> float:
    constant = float(DISPERSION_CONSTANT) if value is None else number(value, "", "constant")
    if not 4000 < constant < 4300:
        raise UsageError(f"constant = {shown(value)}; allowed: about 4149 MHz^2 pc^-1 cm^3 s")
    return constant


def _limits(dms: Any) -> tuple[float, float]:
    """Return the lowest and highest dispersion measure of a pair or of text."""
    parts = dms.split(":") if isinstance(dms, str) else dms
    try:
        low, high = (_dm(each) for each in parts)
    except (TypeError, ValueError) as error:
        raise UsageError(f"dms = {shown(dms)}; allowed: the lowest and the highest DM, such as "
                         "0:3000, in pc cm^-3") from error
    if not 0 <= low <= high <= LARGEST_DM:
        raise UsageError(f"dms = {shown(dms)}; allowed: two ascending numbers from 0 to "
                         f"{LARGEST_DM:g} pc cm^-3")
    return low, high


def _dm(value: Any) -> float:
    if isinstance(value, u.Quantity):
        return number(value, _DM if value.unit != u.dimensionless_unscaled else "", "dms")
    if isinstance(value, (bool, np.bool_)):
        raise TypeError("a truth value is not a dispersion measure")
    return float(value)
