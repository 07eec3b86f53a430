"""Flux: antenna temperatures to flux densities, by the gain of a receiver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError, UsageError
from fastsig.stream import Block, SpectrumStream, Stream, Sums, sums
from fastsig.telescopes.receiver import Receiver

__all__ = ["Flux"]

_STEP_DEG = 0.01  # of zenith angle: gains of FAST change by 1e-4 at the most


class Flux(SpectrumStream):
    r"""Flux densities, Jy.

    .. math:: S_{AA} = T_{AA} / G, \quad S_I = (T_{AA} + T_{BB}) / 2 G

    Each of AA, BB, CR and CI is in units of a polarisation's: the flux density of I is the mean of
    those of AA and BB; I, Q, U and V, which are sums of both, are divided by 2 G.

    Parameters
    ----------
    source : SpectrumStream
        Temperatures, K, of one beam; with the column ``zenith_deg`` unless `zenith_angle` is given.
    receiver : Receiver
        Its gain depends on beam, frequency and zenith angle.
    zenith_angle : Quantity, optional
        Of all spectra.
    temperature : Quantity, optional
        Ambient; its term is left out by default.

    Raises
    ------
    PlanError
        Where the source is not in K, or its beam or zenith angle is not known.
    """

    def __init__(self, source: Stream, receiver: Receiver, *, zenith_angle: Any = None,
                 temperature: Any = None) -> None:
        if not isinstance(source, SpectrumStream) or source.header.unit != "K":
            raise PlanError(f"{source.path}: flux densities are made of temperatures in K: "
                            "calibrate first")
        if zenith_angle is None and "zenith_deg" not in source.columns:
            raise UsageError(f"{source.path}: the zenith angle is not known; give the telescope's "
                             "track (--ky) or --zenith-angle 20deg")
        if source.header.beam is None:
            raise UsageError(f"{source.path}: the file tells no beam; give --beam 1")
        axis = source.header.require_channels(source.path)
        super().__init__(source.header.replace(unit="Jy"), source.shape, np.float32, source.path)
        self.source, self.receiver, self.axis = source, receiver, axis
        self.zenith = None if zenith_angle is None else u.Quantity(zenith_angle, "deg").value
        self.temperature = temperature
        self._sum = np.array([1 if len(name) == 2 else 2 for name in source.polarization.names],
                             np.float32)
        self._gains: dict[int, NDArray[np.float32]] = {}
        if self.zenith is not None:
            self._gain(round(self.zenith / _STEP_DEG))

    def _gain(self, step: int) -> NDArray[np.float32]:
        """Gain of all channels, K/Jy, at a zenith angle of so many steps; NaN where unknown."""
        if step not in self._gains:
            angle = step * _STEP_DEG << u.deg
            found = self.receiver.gain(self.header.beam, self.axis.centers, angle,
                                       self.temperature, outside="nan")
            self._gains[step] = found.to_value(u.K / u.Jy).astype(np.float32)
        return self._gains[step]

    def inputs(self) -> tuple[Stream, ...]:
        """The temperatures."""
        return (self.source,)

    def parameters(self) -> Mapping[str, Any]:
        """What decides the gain."""
        return {"receiver": self.receiver.name, "beam": self.header.beam,
                "zenith_deg": self.zenith, "temperature": None if self.temperature is None
                else str(self.temperature), "source": self.receiver.sources.get("gain")}

    @property
    def weight_channels(self) -> int:
        """All: channels outside of the gain's table have the weight 0."""
        return self.shape[2]

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to make `n` rows."""
        return self.source.work_bytes(n) + 2 * n * self.row_bytes

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Flux densities, float32; NaN where the weight is 0."""
        block = self.source.read_block(start, n)
        if self.zenith is None:
            angle = self.source.read_columns(start, n)["zenith_deg"]
        else:
            angle = np.full(n, self.zenith)
        gain = np.stack([self._gain(round(each / _STEP_DEG)) for each in angle])[:, np.newaxis]
        data = np.divide(block.data, gain * self._sum[:, np.newaxis],
                         out=None if out is None else out[:n])
        known = np.isfinite(gain)
        weight = np.where(known & (data == data), block.valid, np.float32(0))
        view = data.view()
        view.flags.writeable = weight.flags.writeable = False
        return Block(view, weight, start, n)

    def read_sums(self, start: int, n: int) -> Sums:
        """The flux densities times their weights, float64."""
        return sums(self.read_block(start, n), self.header.n_sum, self.weight_channels)
