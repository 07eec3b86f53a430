"""Times of arrival of folded profiles: a template is matched to each subintegration and channel."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsig import telescopes
from fastsig.axes.time import day_and_seconds
from fastsig.errors import PlanError, UsageError
from fastsig.pulsar.arrival import Shifts, match_template
from fastsig.pulsar.channel_smear import Smear, smear_of
from fastsig.pulsar.templates import Template
from fastsig.pulsar.toas import Toa

if TYPE_CHECKING:
    from fastsig.pulsar.profiles import Profiles

__all__ = ["intensity", "profile_toas", "site_code"]

_BARYCENTRE = "@"  # in TEMPO, tempo2 and PINT
_DAY_S = 86400
_LEAST_BINS = 8  # of a template


def profile_toas(profiles: Profiles, template: Template, *, n_subint: int = 1,
                 n_chan: int | None = 1, site: str | None = None, least_snr: float = 0.0,
                 flags: Mapping[str, str] | None = None) -> list[Toa]:
    """Return the times of arrival of total intensity, for each subintegration and channel.

    Channels are averaged with the dispersion removed, if the dispersion measure is known, and each
    average is then delayed again by the delay at its centre frequency, to which its time refers.
    Profiles in which a bin has no data have no time of arrival. If the pulse is within a leap
    second, which has no MJD, the time is that of the last pulse before it.

    Parameters
    ----------
    profiles : Profiles
        Folded profiles.
    template : Template
        Template, whose phase 0 defines the time of arrival; see
        `fastsig.pulsar.arrival.match_template`. If its smear within channels and that of the
        profiles are known, each channel is matched with a template that has its own smear.
    n_subint : int
        Number of neighbouring subintegrations to average first.
    n_chan : int or None
        Number of channels after averaging; None for no averaging.
    site : str, optional
        Code of the observatory; by default, TEMPO's code for the telescope in the header, or that
        of the barycentre (@) if the times are barycentric.
    least_snr : float
        Times of profiles with a lower S/N are left out.
    flags : mapping of str to str, optional
        Further flags for all times. Those of receiver, backend, subintegration, channel, S/N,
        duration and bandwidth (``fe``, ``be``, ``subint``, ``chan``, ``snr``, ``tobs``, ``bw``) are
        always set.

    Raises
    ------
    UsageError
        If a number is out of range.
    PlanError
        If the code of the observatory, the folding period or the products for total intensity are
        missing.
    """
    if not 0 <= least_snr < float("inf"):
        raise UsageError(f"least_snr = {least_snr}; allowed: a finite number from 0")
    code = site_code(profiles, site)
    total = intensity(profiles)
    part = _averaged(total, n_subint, total.n_chan if n_chan is None else n_chan)
    if not (np.isfinite(part.periods) & (part.periods > 0)).all():
        raise PlanError(f"{profiles.path}: the folding period is not known; give "
                        "--set period=0.7s")
    if part.n_bin < _LEAST_BINS:
        raise PlanError(f"{profiles.path}: {part.n_bin} bins; at least {_LEAST_BINS} are needed")
    shifts = _matched(part, template, smear_of(total, part.n_chan))
    made = _Times(part, shifts, code, dict(flags or {}))
    with np.errstate(invalid="ignore"):
        kept = np.argwhere(np.isfinite(shifts.error) & (shifts.snr >= least_snr))
    return [made.toa(int(i), int(c)) for i, c in kept]


def _matched(part: Profiles, template: Template, smear: list[Smear] | None) -> Shifts:
    """Return the shifts of profiles from the template with the smear of each channel."""
    values = part.data[:, 0]
    if smear is None or not template.smear:
        return match_template(values, template.sampled(part.n_bin))
    found = [match_template(values[:, k], template.smeared(part.n_bin, each))
             for k, each in enumerate(smear)]
    return Shifts(*(np.stack([getattr(each, field.name) for each in found], axis=1)
                    for field in fields(Shifts)))


def intensity(profiles: Profiles) -> Profiles:
    """Return the total intensity of profiles."""
    return profiles if profiles.names == ("I",) else profiles.stokes("I")


def site_code(profiles: Profiles, site: str | None = None) -> str:
    """Return the code of the observatory: `site`, or TEMPO's code for the telescope.

    For barycentric times, the latter is the code of the barycentre.

    Raises
    ------
    PlanError
        If no code is given, and the telescope is not known or has none.
    """
    if site is not None:
        return site
    if profiles.header.barycentric:
        return _BARYCENTRE
    name = profiles.header.telescope
    try:
        code = telescopes.get(name or "").tempo
    except UsageError:
        code = None
    if code is None:
        raise PlanError(f"{profiles.path}: telescope {name or '(none)'} has no known code; give "
                        "--site CODE")
    return code


def _averaged(profiles: Profiles, n_subint: int, n_chan: int) -> Profiles:
    """Return averages, with the dispersion between them as it arrived."""
    if n_chan < 1 or profiles.n_chan % n_chan:
        raise UsageError(f"n_chan = {n_chan}; allowed: a divisor of {profiles.n_chan}, the number "
                         "of channels")
    part = profiles.grouped(n_subint=n_subint, n_chan=profiles.n_chan // n_chan)
    return part.dedisperse(0) if part.dedispersed else part


class _Times:
    """Times of arrival of one archive."""

    def __init__(self, profiles: Profiles, shifts: Shifts, site: str, flags: dict[str, str]
                 ) -> None:
        header = profiles.header
        self.profiles, self.shifts, self.site = profiles, shifts, site
        self.epochs = profiles.exact_epochs()
        self.name = _word(os.path.basename(profiles.path))
        self.mhz = profiles.frequency.value
        low, high = header.require_channels(profiles.path).edges_hz
        self.width_mhz = float(high - low) / 1e6 / profiles.n_chan
        known = {"fe": header.receiver, "be": header.backend}
        self.flags = {key: _word(value) for key, value in known.items() if value} | flags

    def toa(self, subint: int, chan: int) -> Toa:
        """Return the time of a subintegration and channel."""
        place, shifts = (subint, chan), self.shifts
        period = float(self.profiles.periods[subint])
        day, seconds = self.epochs[subint]
        day, seconds = _outside_leap_seconds(*day_and_seconds(
            day, seconds + Fraction(float(shifts.shift[place]) * period)), period)
        flags: dict[str, Any] = {
            "subint": subint, "chan": chan, "snr": f"{shifts.snr[place]:.5g}",
            "tobs": f"{self.profiles.durations[subint]:.6g}", "bw": f"{self.width_mhz:.6g}"}
        return Toa(day, seconds, float(shifts.error[place]) * period * 1e6, float(self.mhz[chan]),
                   self.site, self.name, self.flags | {k: str(v) for k, v in flags.items()})


def _outside_leap_seconds(day: int, seconds: Fraction, period: float) -> tuple[int, Fraction]:
    """Return the time of an earlier pulse for one within a leap second, which has no MJD."""
    if seconds < _DAY_S:
        return day, seconds
    turns = (seconds - _DAY_S) // Fraction(period) + 1
    return day_and_seconds(day, seconds - turns * Fraction(period))


def _word(text: str) -> str:
    """Return a text without spaces, as .tim files need them."""
    return "_".join(text.replace("#", "_").split()) or "-"
