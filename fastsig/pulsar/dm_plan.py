"""The plan of the dispersion measures of a search: `dm_plan`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from astropy import units as u

from fastsig.axes.units import number
from fastsig.errors import UsageError
from fastsig.pulsar.plan import DMPlan
from fastsig.pulsar.stretches import LONGEST_S, SWITCH, Recording, Rules, stretches
from fastsig.work.arguments import checked, shown

__all__ = ["LARGEST_DM", "MOST_CHANNELS", "dm_limits", "dm_plan", "planned"]

#: Largest dispersion measure, pc cm^-3.
LARGEST_DM = 1e6
#: Largest number of channels; making the tree of a stretch then takes a few seconds.
MOST_CHANNELS = 2**16
_DM = "pc / cm3"


@checked
def dm_plan(source: Any, dms: Any = (0, 3000), *, width: Any = None, loss: float = 0.1,
            constant: Any = None, switch: float = SWITCH) -> DMPlan:
    """Plan the dispersion measures of a search: steps, downsampling, losses and cost.

    Parameters
    ----------
    source : Header, stream, chain or Recording
        Spectra, or their header, from which the band, the channels and the sample time are taken.
        Without spectra, use `fastsig.pulsar.stretches.Recording.of_band`.
    dms : pair, or text such as "0:3000"
        Lowest and highest dispersion measure, pc cm^-3.
    width : Quantity or str, optional
        Width (FWHM) of the narrowest pulses of interest, such as ``"1ms"``; by default, 0
        (for the fraction of the S/N that is kept, the sample time).
    loss : float
        Largest fraction of its S/N that such a pulse may lose if its dispersion measure is halfway
        between two dispersion measures of the plan. It determines the steps.
    constant : value, optional
        Dispersion constant, MHz^2 pc^-1 cm^3 s; by default, that of the source, or 1/2.41e-4.
    switch : float
        The sampling rate is also halved where the smearing within a channel is at least this many
        times the smearing that the plan adds. With values below 2, a search takes less time, but
        pulses that are narrower than the smearing lose more S/N.

    Returns
    -------
    DMPlan

    Raises
    ------
    UsageError
        If a value is out of range, the source contains voltages, the spectra have one channel,
        their frequencies are not known or not above 0, or their dispersion has already been
        removed.

    Notes
    -----
    The step is such that a pulse loses no more than the fraction `loss` of its S/N at half a step
    from its dispersion measure. The width of the pulse is the square root of the sum of the squares
    of `width`, the smearing within a channel and a downsampled sample. The step is rounded down to
    two digits. The sampling rate is halved in two cases: where a sample at half the rate is no
    longer than half of `width`, and above the dispersion measure at which the pulse in a channel is
    twice as wide as a sample, a downsampled sample and half a step together (their squares are
    added).
    """
    return planned(source, dms, width=width, loss=loss, constant=constant, rules=Rules(switch))


def planned(source: Any, dms: Any, *, width: Any, loss: float, constant: Any, rules: Rules
            ) -> DMPlan:
    """Plan the dispersion measures of a search, as `dm_plan` does, with the given rules.

    Raises
    ------
    UsageError
        As for `dm_plan`.
    """
    recording = _recording(source, constant)
    low, high = dm_limits(dms)
    if isinstance(loss, bool) or not 0.001 <= loss <= 0.5:
        raise UsageError(f"loss = {shown(loss)}; allowed: 0.001 to 0.5")
    width_s = 0.0 if width is None else number(width, "s", "width")
    if not 0 <= width_s < LONGEST_S:
        raise UsageError(f"width = {shown(width)}; allowed: 0 or more, such as 1ms, and below "
                         f"{LONGEST_S:g} s")
    if not 0.1 <= rules.switch <= 10:
        raise UsageError(f"switch = {shown(rules.switch)}; allowed: 0.1 to 10")
    made = tuple(stretches(recording, low, high, width_s, loss, rules))
    if recording.n_chan > MOST_CHANNELS:
        raise UsageError(f"n_chan = {recording.n_chan}; allowed: 2 to {MOST_CHANNELS}, so average "
                         "channels first, for example by integrate(n_freq=...)")
    return DMPlan(recording, (low, high), width_s, loss, made)


def _recording(source: Any, constant: Any) -> Recording:
    if isinstance(source, Recording):
        return source if constant is None else replace(source, constant=_constant(constant))
    stream = getattr(source, "stream", source)
    header, path = getattr(stream, "header", stream), getattr(stream, "path", None)
    of = f"{path}: " if path else ""
    axis, rate = getattr(header, "channels", None), getattr(header, "sample_rate", None)
    if not hasattr(header, "channels") or not rate:
        raise UsageError(f"{shown(source)} has no band and sample time; allowed: spectra, or their "
                         "header")
    if getattr(stream, "kind", "spectra") == "voltage":
        raise UsageError(f"{of}contains voltages; allowed: spectra, as channelize and detect make "
                         "them")
    if axis is None:
        raise UsageError(f"{of}the frequencies of the channels are not known; allowed: spectra "
                         "whose header states them, or with frequency=")
    if axis.n_chan < 2:
        raise UsageError(f"{of}the band has one channel; allowed: spectra of 2 or more channels")
    if header.dm:
        raise UsageError(f"{of}the dispersion has already been removed at DM {header.dm:g} "
                         "pc cm^-3; allowed: spectra with their dispersion")
    if header.coherent_dm:
        raise UsageError(f"{of}the dispersion within channels was removed at DM "
                         f"{header.coherent_dm:g} pc cm^-3, and a plan assumes that it is present; "
                         "allowed: a list of dispersion measures instead, such as 470:480:0.1")
    if axis.edges_hz[0] <= 0:
        raise UsageError(f"{of}the band begins at {float(axis.edges_hz[0]) / 1e6:g} MHz; allowed: "
                         "above 0")
    mhz = axis.first_hz / 10**6, (axis.first_hz + (axis.n_chan - 1) * axis.step_hz) / 10**6
    return Recording(float(mhz[0]), float(mhz[1]), axis.n_chan, float(1 / rate),
                     _constant(float(header.dispersion_constant) if constant is None else constant))


def _constant(value: Any) -> float:
    constant = number(value, "", "constant")
    if not 4000 < constant < 4300:
        raise UsageError(f"constant = {shown(value)}; allowed: about 4149 MHz^2 pc^-1 cm^3 s")
    return constant


def dm_limits(dms: Any) -> tuple[float, float]:
    """Return the lowest and highest dispersion measure of a pair or of text, pc cm^-3.

    Raises
    ------
    UsageError
        If the limits are not two ascending numbers from 0 on.
    """
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
