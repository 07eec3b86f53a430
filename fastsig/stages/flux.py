"""Flux: convert antenna temperatures to flux densities with the gain of a receiver."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig import telescopes
from fastsig.axes.gain_noise import scaled
from fastsig.axes.units import number
from fastsig.errors import FastsigWarning, PlanError, UsageError, users_line
from fastsig.stream import Block, SpectraStage, SpectrumStream, Stream
from fastsig.telescopes.receiver import Receiver

__all__ = ["Flux", "receiver_of"]

_STEP_DEG = 0.01  # of zenith angle: gains of FAST change by at most 1e-4


class Flux(SpectraStage):
    r"""Flux densities in Jy.

    .. math:: S_{AA} = T_{AA} / G, \quad S_I = (T_{AA} + T_{BB}) / (2 G)

    AA, BB, CR and CI are divided by the gain G of a single polarisation, so the flux density of I
    is the mean of those of AA and BB. I, Q, U and V, which combine both polarisations, are divided
    by 2 G; I of a single recorded polarisation is divided by G. Columns with the noise expected
    from the radiometer equation, ``radiometer_NAME``, are also converted to Jy.

    Parameters
    ----------
    source : SpectrumStream
        Spectra in K of one beam, with the column ``zenith_deg`` unless `zenith_angle` or `gain` is
        specified.
    receiver : Receiver, optional
        The receiver, with a gain that depends on beam, frequency and zenith angle; by default, the
        receiver of the telescope in the header, if it is known. The parameters record its name and
        the reference for its gain.
    gain : Quantity, optional
        Gain of one polarisation, K/Jy, instead of that of the receiver; for example, a gain
        measured with a calibrator of known flux density (`fastsig.telescopes.calibrators`).
    zenith_angle : Quantity, optional
        Zenith angle of all spectra.
    temperature : Quantity, optional
        Ambient temperature; by default, its term in the gain is left out.
    beam : int, optional
        Beam of the receiver; by default, that in the header.

    Raises
    ------
    PlanError
        If the source is not in K, or the gain is not known in any channel.
    UsageError
        If the telescope, its gain, the beam or the zenith angle is not known, or an argument is
        not allowed.
    """

    name = "flux"
    source: SpectrumStream

    def __init__(self, source: Stream, receiver: Receiver | None = None, *, gain: Any = None,
                 zenith_angle: Any = None, temperature: Any = None,
                 beam: int | None = None) -> None:
        if not isinstance(source, SpectrumStream) or source.header.unit != "K":
            raise PlanError(f"{source.path}: flux densities require temperatures in K: "
                            "calibrate first")
        if receiver is not None and gain is not None:
            raise UsageError("receiver and gain are both given; allowed: one of them")
        if gain is None and receiver is None:
            receiver = receiver_of(source)
        self.given = None if gain is None else number(gain, "K / Jy", "gain")
        if self.given is not None and not self.given > 0:
            raise UsageError(f"gain = {gain}; allowed: above 0 K/Jy")
        beam = source.header.beam if beam is None else beam
        if self.given is None:
            _check_place(source, zenith_angle, beam)
        axis = source.header.require_channels(source.path)
        extra = {key: value for key, value in source.header.extra.items() if key != "radiometer"}
        super().__init__(source, header=source.header.replace(unit="Jy", beam=beam, extra=extra))
        self.receiver, self.axis = receiver, axis
        self.zenith = None if zenith_angle is None else number(zenith_angle, "deg", "zenith_angle")
        self.temperature = temperature
        self._sum = np.array([source.polarization.n_added(name)
                              for name in source.polarization.names], np.float32)
        self._gains: dict[int, NDArray[np.float32]] = {}
        if self.zenith is not None or self.given is not None:
            first = self._gain(round((self.zenith or 0) / _STEP_DEG))
        else:
            angle = source.read_columns(0, 1)["zenith_deg"][0]
            first = self._gain(round(angle / _STEP_DEG))  # an angle out of range fails here
        _check_gain(first, source.path)
        factors = 1 / (np.nanmedian(first) * self._sum.astype(np.float64))
        self.header = self.header.replace(gain_noise=scaled(source.header.gain_noise, dict(zip(
            source.polarization.names, factors.tolist(), strict=True))))

    def _gain(self, step: int) -> NDArray[np.float32]:
        """Return the gain of all channels, K/Jy, at a zenith angle in steps; NaN if unknown."""
        if self.given is not None:
            return np.full(self.shape[2], self.given, np.float32)
        if step not in self._gains and self.receiver is not None:
            angle = step * _STEP_DEG << u.deg
            found = self.receiver.gain(self.header.beam, self.axis.centers, angle,
                                       self.temperature, outside="nan")
            self._gains[step] = found.to_value(u.K / u.Jy).astype(np.float32)
        return self._gains[step]

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the gain."""
        if self.receiver is None:
            return {"gain_k_jy": self.given}
        return {"receiver": self.receiver.name, "beam": self.header.beam,
                "zenith_deg": self.zenith, "temperature": None if self.temperature is None
                else str(self.temperature), "source": self.receiver.sources.get("gain")}

    @property
    def weight_channels(self) -> int:
        """All channels: those outside the table of gains have weight 0."""
        return self.shape[2]

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` rows."""
        return self.source.work_bytes(n) + 2 * n * self.row_bytes

    def _gains_of(self, start: int, n: int) -> NDArray[np.float32]:
        """Return the gain of each row and channel, (n, chan), K/Jy."""
        if self.zenith is None and self.given is None:
            angle = self.source.read_columns(start, n)["zenith_deg"]
        else:
            angle = np.full(n, self.zenith or 0.0)
        return np.stack([self._gain(round(each / _STEP_DEG)) for each in angle])

    def _noise_columns(self) -> dict[str, float]:
        """Return the columns of expected noise, each with the polarisations in its product."""
        units = super().columns
        each = zip(self.polarization.names, self._sum, strict=True)
        return {f"radiometer_{name}": float(n) for name, n in each
                if units.get(f"radiometer_{name}") == "K"}

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns of the source, with expected noise in Jy."""
        return {**super().columns, **dict.fromkeys(self._noise_columns(), "Jy")}

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return the values of the columns, with noise converted by the channels' median gain."""
        found, noise = super().read_columns(start, n), self._noise_columns()
        if noise:
            gain = np.nanmedian(self._gains_of(start, n), axis=1)
            found |= {name: found[name] / (n_sum * gain) for name, n_sum in noise.items()}
        return found

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return flux densities, float32; NaN where the weight is 0."""
        block = self.source.read_block(start, n)
        gain = self._gains_of(start, n)[:, np.newaxis]
        data = np.divide(block.data, gain * self._sum[:, np.newaxis],
                         out=None if out is None else out[:n])
        known = np.isfinite(gain)
        weight = np.where(known & (data == data), block.valid, np.float32(0))
        view = data.view()
        view.flags.writeable = weight.flags.writeable = False
        return Block(view, weight, start, n)


def receiver_of(source: SpectrumStream) -> Receiver:
    """Return the receiver of the telescope in the header: the one named there, or the first."""
    name, own = source.header.telescope, source.header.receiver
    if name is None:
        raise UsageError(f"{source.path}: the file names no telescope whose gain could be used; "
                         "give --gain 16K/Jy, the gain of one polarisation")
    try:
        telescope = telescopes.get(name)
        is_known = own is not None and own.casefold() in map(str.casefold, telescope.receivers)
        return telescope.receiver(own if is_known else None)
    except UsageError as error:
        raise UsageError(f"{source.path}: {error}. Give --gain 16K/Jy, the gain of one "
                         "polarisation") from error


def _check_place(source: SpectrumStream, zenith_angle: Any, beam: int | None) -> None:
    if zenith_angle is None and "zenith_deg" not in source.columns:
        raise UsageError(f"{source.path}: the zenith angle is not known; give the telescope's "
                         "track to fastsig calibrate (--ky), or give --zenith-angle 20deg or "
                         "--gain 16K/Jy")
    if beam is None:
        raise UsageError(f"{source.path}: the file does not state the beam; give --beam 1")


def _check_gain(gain: NDArray[np.float32], path: str) -> None:
    """Warn of channels without a known gain; raise `PlanError` if no channel has one."""
    lost = int(np.isnan(gain).sum())
    if lost == len(gain):
        raise PlanError(f"{path}: the telescope's gain is not known in any channel of the band; "
                        "give a gain (--gain 16K/Jy)")
    if lost:
        warnings.warn(f"{path}: {lost} of {len(gain)} channels have weight 0, because the "
                      "telescope's gain is not known there", FastsigWarning,
                      stacklevel=users_line())
