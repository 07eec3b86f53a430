"""Dedisperse voltages: divide their band into channels, within which the dispersion is removed."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import dispersion, validity
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.units import whole
from fastsig.axes.validity import Spans
from fastsig.errors import PlanError, UsageError
from fastsig.stages.coherent_runs import Bands, Kind, Runs
from fastsig.stream import Stage, Stream, VoltageStream
from fastsig.stream.header import Header

__all__ = ["DedisperseVoltages", "constant_for"]

_BLOCKS = 8  # in a unit: neighbouring units compute one block twice


class DedisperseVoltages(Stage, VoltageStream):
    r"""Voltages in channels in which the dispersion of a source is removed coherently.

    .. math:: X_c(f) \to X_c(f) \exp\left(-2 \pi i \,K\,\mathrm{DM}
              \frac{(f - f_c)^2}{f f_c^2}\right)

    The voltages are transformed, divided into channels with rectangular passbands, multiplied by
    the phases that undo the dispersion relative to the centre of each channel, and transformed
    back. The channels are critically sampled. The delays between channels remain: detect and
    integrate first, and then apply `dedisperse` to the spectra. White noise keeps its variance.

    A row has the time of the first of the input samples that it replaces. If rows are read from
    this stage, a row of a polarisation is valid if all its channels are valid; `detect` uses the
    weight of each channel instead.

    Parameters
    ----------
    source : VoltageStream
        Real or complex voltages, in one or several channels of known frequency.
    dm : float, str or Quantity
        Dispersion measure, pc cm^-3.
    n_chan : int
        Number of channels into which each channel of the source is divided.
    constant : float or str, optional
        Dispersion constant K, MHz^2 pc^-1 cm^3 s; by default, that of the source, or 1/2.41e-4.
    min_valid : float
        A sample is used if at least this fraction of the samples over which its signal was
        dispersed is valid; above 0 and at most 1.
    allow_negative : bool
        Whether `dm` may be negative, to restore dispersion.

    Raises
    ------
    PlanError
        If the source contains no voltages.
    UsageError
        If a parameter is not allowed, or the dispersion within a channel is too large.
    FormatError
        If the frequency of the voltages is not known.
    """

    name = "dedisperse"
    source: VoltageStream

    def __init__(self, source: Stream, dm: Any, *, n_chan: int = 1, constant: Any = None,
                 min_valid: float = 0.9, allow_negative: bool = False) -> None:
        if not isinstance(source, VoltageStream):
            raise PlanError(f"dedisperse requires voltages, not {source.kind}")
        self.dm = dispersion.dm_of(dm, allow_negative=allow_negative)
        self.min_valid = float(min_valid)
        if not 0 < self.min_valid <= 1:
            raise UsageError(f"min_valid = {min_valid}; allowed: above 0, at most 1")
        self.n_chan = whole("n_chan", n_chan)
        if self.n_chan < 1:
            raise UsageError(f"n_chan = {n_chan}; allowed: 1 or more")
        self.constant = constant_for(source.header, constant)
        axis = _axis(source, self.n_chan)
        try:
            self.bands = Bands(source, float(self.dm * self.constant), self.n_chan, self.min_valid)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{source.path}: {error}") from error
        header, unit = source.header, self.bands.unit
        if source.shape[0] < unit:
            raise PlanError(f"{source.path}: a sample of {self.n_chan} channels needs {unit} "
                            f"samples; the stream has {source.shape[0]}")
        rows, reach = source.shape[0] // unit, self.bands.before + self.bands.after
        if self.dm and reach >= rows:
            seconds = float(reach * unit / header.sample_rate)
            raise PlanError(f"{source.path}: dm = {float(self.dm):g} disperses the signal of a "
                            f"channel over {seconds:.3g} s, {reach} samples with a margin; "
                            f"allowed: less than the length of the data, {rows} samples")
        self.overlap = self.bands.before * unit, self.bands.after * unit
        chans = (axis.n_chan,) if axis.n_chan > 1 or len(source.shape) == 3 else ()
        super().__init__(
            source, header=header.replace(
                sample_rate=header.sample_rate / unit, channels=axis, sideband="upper",
                is_complex=True, n_bits=32, bank=None, n_eff=1.0, diode=None,
                coherent_dm=_removed(header, self.dm, source.path),
                dispersion_constant=self.constant),
            shape=(rows, source.shape[1], *chans), dtype=np.complex64)
        self.runs = Runs(self.bands)

    def _replace(self, *sources: Stream) -> None:
        super()._replace(*sources)
        self.bands = Bands(self.source, float(self.dm * self.constant), self.n_chan, self.min_valid)
        self.runs = Runs(self.bands)

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values; the constant is exact."""
        bands = self.bands
        return {"dm": float(self.dm), "dm_total": self.header.coherent_dm,
                "constant": str(self.constant), "n_chan": self.n_chan,
                "min_valid": self.min_valid, "n_point": bands.n_point,
                "discarded": [bands.before, bands.after], "relative_to": "centre of each channel",
                "pass_band": "rectangular", "scale": "white noise keeps its variance"}

    @property
    def align(self) -> int:
        """Number of samples in a block of the kernel, which are computed together."""
        return self.bands.hop

    @property
    def read_bytes(self) -> int:  # type: ignore[override]
        """Bytes of the voltages of several blocks, which are read together.

        At the start of each such group, up to one block is computed again.
        """
        return _BLOCKS * self.bands.hop * self.bands.unit * self.bands.form.row_bytes

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the first row of the source and the number of rows for the given rows."""
        first, count = self.bands.needs(start, n)
        return first, min(count, self.source.shape[0] - first)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` rows."""
        return self.runs.work_bytes + 2 * self.runs.block_bytes + 3 * n * self.row_bytes

    def read_powers(self, kind: Kind, start: int, n: int
                    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return mean powers and weights, (n, product, chan), from sample `start` on."""
        return self.runs.read(kind, start, n)

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        data, _ = self.runs.read(Kind(), start, n)
        out[...] = data.reshape(out.shape)  # NaN where it is not valid
        return (validity.full(start, start + n),) * self.n_pol


def constant_for(header: Header, value: Any) -> Fraction:
    """Return the dispersion constant with which more dispersion is removed.

    A header states one constant for all dispersion that was removed, between channels or within
    them.

    Parameters
    ----------
    header : Header
        Header of the source.
    value : float or str, optional
        The constant; by default, that of the header.

    Raises
    ------
    UsageError
        If dispersion has been removed with another constant, or the value is not a constant.
    """
    constant = dispersion.constant_of(header.dispersion_constant if value is None else value)
    removed = header.dm or header.coherent_dm
    if removed and constant != header.dispersion_constant:
        raise UsageError(f"constant = {float(constant):.9g}; allowed: "
                         f"{float(header.dispersion_constant):.9g}, with which the dispersion of "
                         f"{removed:g} pc cm^-3 was removed")
    return constant


def _axis(source: VoltageStream, n_chan: int) -> ChannelAxis:
    """Return the channels into which those of a source are divided."""
    header = source.header
    axis = header.require_channels(source.path)
    width = header.sample_rate / (1 if header.is_complex else 2)
    if n_chan > 1 and axis.n_chan > 1 and axis.step_hz != width:
        raise UsageError(f"{source.path}: n_chan = {n_chan} with channels of "
                         f"{float(width):.9g} Hz that are {float(axis.step_hz):.9g} Hz apart, "
                         "which cannot be divided into evenly spaced ones; allowed: 1")
    step = axis.step_hz if n_chan == 1 and axis.n_chan > 1 else width / n_chan
    first = axis.first_hz - width / 2 + width / n_chan / 2
    return ChannelAxis(first, step, axis.n_chan * n_chan)


def _removed(header: Header, dm: Fraction, path: str) -> float:
    """Return the dispersion measure removed within channels, before and by this stage together."""
    if header.dm is not None:
        raise PlanError(f"{path}: dispersion has already been removed, also between channels; "
                        "allowed: voltages as recorded")
    return float(Fraction(repr(header.coherent_dm or 0.0)) + dm)
