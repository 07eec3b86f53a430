"""A table of the measurements of archives: S/N, flux density, widths, polarisation and RM."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsig.errors import PlanError, UsageError
from fastsig.pulsar.profile_measurements import four_stokes, measured_rm, polarization
from fastsig.pulsar.profile_toas import intensity
from fastsig.pulsar.significance import best_boxcar, pulse_signal, radiometer_flux
from fastsig.pulsar.sky_frame import in_sky_frame
from fastsig.pulsar.widths import pulse_widths

if TYPE_CHECKING:
    from astropy.table import QTable

    from fastsig.pulsar.profiles import Profiles

__all__ = ["profile_values", "units_of_values", "values_table"]

#: Columns of numbers: unit and description.
_COLUMNS: dict[str, tuple[str, str]] = {
    "mjd": ("d", "UTC of the first epoch, MJD; exact epochs are in the archive"),
    "duration": ("s", "time observed"),
    "frequency": ("MHz", "centre of the band"),
    "period": ("s", "folding period of the middle subintegration"),
    "dm": ("pc / cm3", "dispersion measure"),
    "snr": ("", "signal of the on-pulse bins divided by its error"),
    "snr_boxcar": ("", "S/N of the best boxcar"),
    "mean_flux": ("mJy", "flux density averaged over the turn"),
    "mean_flux_error": ("mJy", "its error, without that of the SEFD"),
    "w50": ("ms", "width at 50 per cent of the peak"), "w50_error": ("ms", "its error"),
    "w10": ("ms", "width at 10 per cent of the peak"), "w10_error": ("ms", "its error"),
    "w_equivalent": ("ms", "area divided by the peak"), "w_equivalent_error": ("ms", "its error"),
    "linear": ("", "L / I of the on-pulse bins, Faraday rotation removed"),
    "linear_error": ("", "its error"),
    "circular": ("", "V / I of the on-pulse bins"), "circular_error": ("", "its error"),
    "pa": ("deg", "position angle of the linear polarisation of the on-pulse bins, at the centre "
                  "of the band"),
    "pa_error": ("deg", "its error"),
    "rm": ("rad / m2", "rotation measure, the ionosphere included"),
    "rm_error": ("rad / m2", "its error"), "rm_sigma": ("", "significance of the RM"),
}
#: An RM that is less significant is not removed before the linear polarisation is measured.
_CERTAIN = 5.0
_C_MHZ_M = 299.792458
_TEXTS = {"file": "name of the archive", "source": "source",
          "frame": "frame of the position angle: sky (north through east) or receiver (from feed "
                   "A)"}


def units_of_values() -> dict[str, str]:
    """Return the units of the measurements that have one, by name."""
    return {name: unit for name, (unit, _) in _COLUMNS.items() if unit}


def profile_values(profiles: Profiles, *, sefd_jy: float | None = None, n_pol: int | None = None,
                   convention: str = "PSR/IEEE", feed_angle: Any = None) -> dict[str, Any]:
    """Return the measurements of the mean profile; NaN for those that cannot be made.

    The polarisation is that of four products of linear or circular feeds, after the rotation by the
    measured RM was removed.

    Parameters
    ----------
    profiles : Profiles
        Profiles; channels are aligned first if the dispersion measure is known.
    sefd_jy : float, optional
        System equivalent flux density of one polarisation, Jy, from which the flux density follows.
        The exposure is computed from the durations and from the weights relative to the largest
        weight.
    n_pol : int, optional
        Number of polarisations in the total intensity; by default, as the profiles record it.
    convention : {"PSR/IEEE", "IAU"}
        Sign of V.
    feed_angle : Quantity or str, optional
        Angle of receptor A from the direction of the zenith, as for `Profiles.to_sky`. By default,
        the position angle is in the frame of the profiles.

    Raises
    ------
    PlanError
        If there are no products for total intensity, bins of the mean profile have no data, there
        are too few bins, or the profile has no noise.
    UsageError
        If the SEFD is not above 0.
    """
    if feed_angle is not None:
        profiles = in_sky_frame(profiles, feed_angle)
    total = intensity(profiles)
    mean = total.mean("time", "frequency").data[0, 0, 0].astype(np.float64)
    if not np.isfinite(mean).all():
        raise PlanError(f"{profiles.path}: its mean profile has bins without data")
    try:
        pulse, found = pulse_signal(mean), _facts(profiles)
    except UsageError as error:
        raise PlanError(f"{profiles.path}: {error}") from error
    found |= {"snr": pulse.snr, "snr_boxcar": best_boxcar(mean, pulse.baseline.sigma).snr}
    if sefd_jy is not None:
        flux = radiometer_flux(pulse, sefd_jy=sefd_jy, time_bandwidth=_time_bandwidth(total),
                               n_pol=total.header.polarization.n_added("I") if n_pol is None
                               else n_pol)
        found |= {"mean_flux": 1e3 * flux.mean_jy, "mean_flux_error": 1e3 * flux.mean_error_jy}
    widths = pulse_widths(mean, pulse.baseline.off)
    for name, width in (("w50", widths.w50), ("w10", widths.w10),
                        ("w_equivalent", widths.equivalent)):
        found |= {name: 1e3 * profiles.period * width.turns,
                  f"{name}_error": 1e3 * profiles.period * width.error}
    if profiles.n_product == 4 and not pulse.baseline.off.all():
        found |= _polarized(profiles, pulse.baseline.off, convention)
    return {name: found.get(name, np.nan) for name in (*_TEXTS, *_COLUMNS)}


def values_table(rows: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> QTable:
    """Return a table of the results of `profile_values`, with units and descriptions."""
    from astropy import units as u
    from astropy.table import QTable

    table = QTable(meta=dict(meta))
    for name, text in _TEXTS.items():
        table[name] = [str(row[name]) for row in rows]
        table[name].info.description = text
    for name, (unit, text) in _COLUMNS.items():
        table[name] = np.array([row[name] for row in rows], np.float64) << u.Unit(unit)
        table[name].info.description = text
    return table


def _facts(profiles: Profiles) -> dict[str, Any]:
    day, seconds = profiles.exact_epochs()[0]
    return {"file": os.path.basename(profiles.path), "source": profiles.header.source or "",
            "mjd": day + float(seconds) / 86400, "duration": profiles.duration,
            "frequency": float(profiles.frequency.value.mean()), "period": profiles.period,
            "frame": profiles.header.polarization.frame,
            "dm": np.nan if profiles.dm is None else profiles.dm}


def _time_bandwidth(total: Profiles) -> float:
    """Return the sum of time times width over cells, each times its relative weight, s Hz."""
    low, high = total.header.require_channels(total.path).edges_hz
    weights = total.weight[:, 0].mean(axis=2)
    share = weights / weights.max()
    return float((share * total.durations[:, np.newaxis]).sum() * float(high - low) / total.n_chan)


def _polarized(profiles: Profiles, off: Any, convention: str) -> dict[str, float]:
    """Return fractions of polarisation and the rotation measure; none if feeds are unknown."""
    result: dict[str, float] = {}
    try:
        four = four_stokes(profiles)
    except PlanError:
        return result
    if profiles.n_chan >= 3:
        try:
            rm = measured_rm(four, off)
        except UsageError:  # too few channels with data
            pass
        else:
            result = {"rm": rm.rm, "rm_error": rm.error, "rm_sigma": rm.sigma}
            four = _derotated(four, rm.rm if rm.sigma > _CERTAIN else 0.0)
    found = polarization(four, off, convention=convention)
    for which in ("linear", "circular"):
        result[which], result[f"{which}_error"] = found.fraction(which)  # type: ignore[arg-type]
    result["pa"], result["pa_error"] = found.mean_pa_deg()
    return result


def _derotated(four: Profiles, rm: float) -> Profiles:
    """Return Stokes parameters without the Faraday rotation relative to the centre of the band."""
    mhz = four.frequency.value
    from_centre = (_C_MHZ_M / mhz) ** 2 - (_C_MHZ_M / mhz.mean()) ** 2
    turn = np.exp(-2j * rm * from_centre)[:, np.newaxis]
    data = four.data.copy()
    linear = (data[:, 1] + 1j * data[:, 2]) * turn
    data[:, 1], data[:, 2] = linear.real, linear.imag
    return four.replace(data=data)
