"""The measured values of a burst, as a record, a row of a table, and text."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.time import Time

from fastsig import registry
from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.time import iso
from fastsig.pulsar.bursts.dm_fit import DMFit
from fastsig.pulsar.bursts.fluence import Fluence
from fastsig.pulsar.bursts.polarization import BurstPolarization
from fastsig.pulsar.bursts.shape import BurstFit
from fastsig.pulsar.bursts.subbands import Boxcar
from fastsig.reductions.sources.fitted_lines import rounded
from fastsig.work.arguments import checked
from fastsig.work.shown import Shown

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.figure import Figure

__all__ = ["COLUMNS", "KIND", "BurstMeasurement"]

#: Kind of the table of measurements, in its meta.
KIND = "burst measurements"

_LEAST_GAIN = 16.0  # by which a tail has to lower chi^2 for the burst to count as scattered

#: Unit and description of the columns of a table.
COLUMNS: dict[str, tuple[str | None, str]] = {
    "file": (None, "name of the file"),
    "time": (None, "time of the burst at the reference frequency, UTC"),
    "time_s": ("s", "time of the burst after the start of the file"),
    "time_error": ("s", "standard error of the time"),
    "reference_mhz": ("MHz", "reference frequency of times"),
    "dm": ("pc / cm3", "dispersion measure"), "dm_error": ("pc / cm3", "standard error of dm"),
    "dm_method": (None, "criterion of the dispersion measure"),
    "fit_dm": ("pc / cm3", "dispersion measure of the fit, without the bias of a tail"),
    "fit_dm_error": ("pc / cm3", "standard error of fit_dm"), "snr": ("", "S/N of the best boxcar"),
    "width": ("s", "width of the best boxcar"),
    "valid_share": ("", "fraction of the samples of the boxcar that are valid"),
    "fwhm": ("s", "full width at half maximum of the Gaussian"),
    "fwhm_error": ("s", "standard error of fwhm"), "tau": ("s", "scattering time at tau_mhz"),
    "tau_error": ("s", "standard error of tau"),
    "tau_mhz": ("MHz", "frequency of the scattering time"),
    "tail_gain": ("", "decrease of chi^2 due to a tail"), "chi2": ("", "chi^2 of the fit"),
    "dof": (None, "degrees of freedom of the fit"),
    "fluence": ("Jy ms", "fluence, averaged over the band"),
    "fluence_error": ("Jy ms", "standard error of fluence"), "peak": ("Jy", "highest flux density"),
    "peak_error": ("Jy", "standard error of peak"),
    "low_mhz": ("MHz", "lower edge of the channels that were used"),
    "high_mhz": ("MHz", "upper edge of the channels that were used"),
    "n_chan": (None, "number of channels that were used"), "rm": ("rad / m2", "rotation measure"),
    "rm_error": ("rad / m2", "standard error of rm"),
    "rm_sigma": ("", "significance of rm, in standard deviations"),
    "linear": ("", "L/I, without bias"), "linear_error": ("", "standard error of linear"),
    "circular": ("", "V/I"), "circular_error": ("", "standard error of circular"),
    "pa": ("deg", "position angle of the whole burst"), "pa_error": ("deg", "standard error of pa"),
}


@dataclass(frozen=True, repr=False)
class BurstMeasurement(Shown):
    """The measurement of a burst.

    Parameters
    ----------
    path : str
        The file.
    time : Time
        Time of the burst, UTC: the centre of the Gaussian, at the reference frequency.
    time_s, time_error_s : float
        The same time in seconds after the start of the file, and its standard error.
    reference_mhz : float
        Reference frequency of times: the centre of the highest channel, unless dispersion had
        already been removed from the file.
    dm, dm_error : float
        Dispersion measure, pc cm^-3.
    dm_fit : DMFit
        The trials from which the dispersion measure was determined.
    boxcar : Boxcar
        The best boxcar; `width_s` is its width.
    width_s : float
        Width of the best boxcar, s.
    valid_share : float
        Fraction of the samples of the boxcar that are valid.
    gaussian, scattered : BurstFit
        Fits without and with a tail.
    flux : Fluence or None
        Fluence; None if the system temperature or the gain is not known.
    band_mhz : (float, float)
        Edges of the channels that were used.
    n_chan : int
        Number of channels that were used.
    polarization : BurstPolarization or None
        Polarisation; None if there are not four products.
    constant : Fraction
        Dispersion constant, MHz^2 pc^-1 cm^3 s.
    settings : mapping
        The arguments of the measurement, as numbers and text.
    """

    path: str
    time: Time
    time_s: float
    time_error_s: float
    reference_mhz: float
    dm: float
    dm_error: float
    dm_fit: DMFit
    boxcar: Boxcar
    width_s: float
    valid_share: float
    gaussian: BurstFit
    scattered: BurstFit
    flux: Fluence | None
    band_mhz: tuple[float, float]
    n_chan: int
    polarization: BurstPolarization | None
    constant: Fraction = DISPERSION_CONSTANT
    settings: Mapping[str, Any] = field(default_factory=dict)
    _source: Any = None

    @property
    def snr(self) -> float:
        """S/N of the best boxcar."""
        return float(self.boxcar.snr)

    @property
    def tail_gain(self) -> float:
        """Decrease of chi^2 due to a tail."""
        return self.gaussian.chi2 - self.scattered.chi2

    @property
    def is_scattered(self) -> bool:
        """Whether the tail lowers chi^2 by 16 or more; the chance probability is 3e-5."""
        return self.tail_gain >= _LEAST_GAIN

    @property
    def fit(self) -> BurstFit:
        """The fit with a tail if the tail is significant, otherwise the fit without a tail."""
        return self.scattered if self.is_scattered else self.gaussian

    def _fields(self) -> dict[str, Any]:
        """What the repr shows."""
        return {"time": f"{iso(self.time)} UTC at {self.reference_mhz:.6g} MHz "
                        f"({self.time_s:.9g} s after the start)",
                "S/N": f"{self.boxcar.snr:.1f} in {self.width_s * 1e3:.4g} ms", **self._values()}

    def texts(self) -> list[str]:
        """Return the measured values as lines of text."""
        return [f"{name} {text}" for name, text in self._values().items()]

    def _values(self) -> dict[str, str]:
        fit, made = self.fit, self.polarization
        shown = {"DM": f"{rounded(self.dm, self.dm_error)} pc cm^-3 ({self.dm_fit.method})",
                 "FWHM": f"{rounded(fit.fwhm_s * 1e3, fit.fwhm_error_s * 1e3)} ms"}
        if fit.tau_s is not None and fit.tau_error_s is not None:
            shown["tau"] = (f"{rounded(fit.tau_s * 1e3, fit.tau_error_s * 1e3)} ms at "
                            f"{fit.tau_mhz:.5g} MHz")
        if self.flux is not None:
            shown["fluence"] = (f"{rounded(self.flux.value, self.flux.error)} Jy ms, peak "
                                f"{rounded(self.flux.peak, self.flux.peak_error)} Jy")
        if made is not None:
            shown["L/I"] = f"{rounded(*made.linear)}, V/I {rounded(*made.circular)}"
            shown["PA"] = f"{rounded(made.pa_deg, made.pa_error_deg)} deg"
        if made is not None and made.is_rotated:
            shown["RM"] = f"{rounded(made.rotation.rm, made.rotation.error)} rad m^-2"
        return shown

    def record(self) -> dict[str, Any]:
        """Return the values by the names of `COLUMNS`, ready for JSON; unknown values are None."""
        fit, flux, made = self.fit, self.flux, self.polarization
        found: dict[str, Any] = {
            "file": os.path.basename(self.path), "time": iso(self.time), "time_s": self.time_s,
            "time_error": self.time_error_s, "reference_mhz": self.reference_mhz, "dm": self.dm,
            "dm_error": self.dm_error, "fit_dm": self.dm + fit.dm_change,
            "fit_dm_error": fit.dm_error if np.isfinite(fit.dm_error) else None,
            "dm_method": self.dm_fit.method, "snr": self.boxcar.snr,
            "width": self.width_s, "valid_share": self.valid_share, "fwhm": fit.fwhm_s,
            "fwhm_error": fit.fwhm_error_s, "tau": fit.tau_s, "tau_error": fit.tau_error_s,
            "tau_mhz": fit.tau_mhz, "tail_gain": self.tail_gain, "chi2": fit.chi2, "dof": fit.dof,
            "low_mhz": self.band_mhz[0], "high_mhz": self.band_mhz[1], "n_chan": self.n_chan}
        if flux is not None:
            found |= {"fluence": flux.value, "fluence_error": flux.error, "peak": flux.peak,
                      "peak_error": flux.peak_error}
        if made is not None:
            found |= {"linear": made.linear[0], "linear_error": made.linear[1],
                      "circular": made.circular[0], "circular_error": made.circular[1],
                      "pa": made.pa_deg, "pa_error": made.pa_error_deg,
                      "rm_sigma": made.rotation.sigma}
        if made is not None and made.is_rotated:
            found |= {"rm": made.rotation.rm, "rm_error": made.rotation.error}
        return {name: _plain(found.get(name)) for name in COLUMNS}

    def to_table(self) -> QTable:
        """Return a table with one row; numbers that are not known are NaN.

        The meta contains the arguments of the measurement (``settings``) and the dispersion
        constant.
        """
        from astropy.table import QTable

        record, table = self.record(), QTable(meta={
            "settings": dict(self.settings), "dispersion_constant": float(self.constant)})
        for name, (unit, about) in COLUMNS.items():
            value = record[name]
            if name == "time":
                table[name] = Time([self.time])
            elif unit is None:
                table[name] = [value]
            else:
                table[name] = u.Quantity([np.nan if value is None else value], unit)
            table[name].info.description = about
        return table

    @checked
    def plot(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False
             ) -> Figure:
        """Draw the burst; save the picture if `path` is given, as `fastsig.view.draw` does."""
        figure: Figure = registry.drawing("draw_burst")(
            self._source, self.time_s * u.s, self.dm, self.width_s * u.s, path,
            overwrite=overwrite, facts=self.texts(), constant=self.constant,
            measured=(self.boxcar.snr, self.time, self.time_s))
        return figure


def _plain(value: Any) -> Any:
    """Return a value in the types of Python."""
    return value.item() if isinstance(value, np.generic) else value
