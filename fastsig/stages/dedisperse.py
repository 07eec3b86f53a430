"""Dedisperse: align the channels of spectra by removing the dispersion of a source."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import dispersion
from fastsig.axes.time import sample_time
from fastsig.errors import PlanError, UsageError
from fastsig.stages.dedisperse_voltages import DedisperseVoltages, constant_for
from fastsig.stream import Block, PassedSpectra, SpectrumStream, Stream, VoltageStream
from fastsig.stream.header import Header

__all__ = ["Dedisperse", "DedisperseSpectra", "check_last", "dedispersed_header"]

_RUN_BYTES = 2**24  # rows of the source that are read at a time
_LONGEST_S = 10**9  # by which a reference frequency changes the start time, which stays a date


def Dedisperse(  # noqa: N802 - used like the class of a stage, for all kinds of stream
    source: Stream, dm: Any, *, ref: Any = None, constant: Any = None, allow_negative: bool = False,
    last: str | None = None, n_chan: int | None = None, min_valid: float | None = None,
) -> Stream:
    """Return a dedispersed stream: spectra, or voltages in channels.

    The channels of spectra are shifted by their delays relative to the highest channel, rounded to
    the nearest spectrum. Voltages are divided into channels, and dispersion is removed coherently
    within each of them; the delays between the channels remain, until the spectra that are made
    from these voltages are dedispersed with the same dispersion measure.

    Parameters
    ----------
    source : Stream
        Spectra or voltages with channels of known frequency.
    dm : float, str or Quantity
        Dispersion measure, pc cm^-3.
    ref : str or Quantity, optional
        For spectra: reference frequency of times, ``"top"``, ``"infinity"``, or a frequency such as
        ``"1500MHz"``; see `DedisperseSpectra`.
    constant : float or str, optional
        Dispersion constant K, MHz^2 pc^-1 cm^3 s; by default, that of the source if dispersion has
        already been removed from it, otherwise 1/2.41e-4.
    allow_negative : bool
        Whether `dm` may be negative, to restore dispersion.
    last : {"keep", "drop"}, optional
        For spectra: whether the spectra at the end that lack the lower channels are kept (the
        default) or dropped.
    n_chan : int, optional
        For voltages: number of channels into which each channel of the source is divided; 1 by
        default.
    min_valid : float, optional
        For voltages: a sample is used if at least this fraction of the samples over which its
        signal was dispersed is valid; 0.9 by default.

    Raises
    ------
    PlanError
        If the source contains neither spectra nor voltages, or is too short.
    UsageError
        If a parameter is not allowed, for this kind of source or at all.
    FormatError
        If the frequencies of the channels are not known.
    """
    common = {"constant": constant, "allow_negative": allow_negative}
    spectral, voltage = {"ref": ref, "last": last}, {"n_chan": n_chan, "min_valid": min_valid}
    if isinstance(source, VoltageStream):
        _refuse(spectral, "spectra")
        return DedisperseVoltages(source, dm, **common, **_given(voltage))
    if not isinstance(source, SpectrumStream):
        raise PlanError(f"dedisperse requires spectra or voltages, not {source.kind}")
    _refuse(voltage, "voltages")
    return DedisperseSpectra(source, dm, **common, **_given(spectral))


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _refuse(options: Mapping[str, Any], kind: str) -> None:
    """Refuse options of the other kind of stream."""
    for name, value in _given(options).items():
        raise UsageError(f"{name} = {value!r}; allowed: for {kind}")


class DedisperseSpectra(PassedSpectra):
    r"""Spectra in which the channels of a dispersed signal are aligned.

    .. math:: t_c = K\,\mathrm{DM}\,(f_c^{-2} - f_{top}^{-2})

    Each channel is shifted by its delay after the highest channel, rounded to the nearest whole
    spectrum; no values are interpolated, and no channel is misaligned by more than half a spectrum.
    Unless `last` is "drop", there are as many spectra as before: at the end, the lower channels,
    which have not been recorded, have weight 0. Weights are shifted with the values.

    Times are those at which the signal passes the reference frequency, and are exact: if the
    reference is not the highest channel, the start time changes. The other columns of a row, such
    as positions, are those of the time at which the highest channel was recorded. The header has
    the total dispersion measure, the reference frequency and the constant; the schedule of a noise
    diode, which is not dispersed, is left out.

    If dispersion has already been removed from the spectra, for a dispersion measure stated in the
    header, `dm` is added to that dispersion measure.

    Parameters
    ----------
    source : SpectrumStream
        Spectra with two or more channels of known frequency.
    dm : float, str or Quantity
        Dispersion measure, pc cm^-3.
    ref : str or Quantity, optional
        Reference frequency: ``"top"`` for the centre of the highest channel, ``"infinity"``, or a
        frequency such as ``"1500MHz"``. By default, that of the source if its dispersion has
        already been removed, otherwise ``"top"``.
    constant : float or str, optional
        Dispersion constant K, MHz^2 pc^-1 cm^3 s. By default, that of the source if its dispersion
        has already been removed, between channels or within them, otherwise 1/2.41e-4, which pulsar
        catalogues, PRESTO and dspsr use; the other value in use is 4148.808.
    allow_negative : bool
        Whether `dm` may be negative, to restore dispersion.
    last : {"keep", "drop"}
        Whether the spectra at the end that lack the lower channels are kept or dropped.

    Raises
    ------
    PlanError
        If the source contains no spectra, has one channel, or is shorter than the delay.
    UsageError
        If a parameter is not allowed.
    FormatError
        If the frequencies of the channels are not known.
    """

    name = "dedisperse"
    source: SpectrumStream

    def __init__(self, source: Stream, dm: Any, *, ref: Any = None, constant: Any = None,
                 allow_negative: bool = False, last: str = "keep") -> None:
        if not isinstance(source, SpectrumStream):
            raise PlanError(f"dedisperse requires spectra, not {source.kind}")
        self.dm = dispersion.dm_of(dm, allow_negative=allow_negative)
        axis = source.header.require_channels(source.path)
        if axis.n_chan < 2:
            raise PlanError(f"{source.path}: has one channel, and therefore no delay to remove; "
                            "allowed: 2 or more")
        header = dedispersed_header(source, self.dm, ref, constant)
        self.delays = dispersion.channel_delays(axis, header.dispersion_constant)
        #: Number of spectra by which each channel is moved to earlier times, (chan,) int64.
        self.shift = self.delays.samples(float(self.dm), header.sample_rate)
        most = int(np.abs(self.shift).max())
        if most >= source.shape[0]:
            seconds = abs(self.delays.seconds(float(self.dm))[0])
            raise PlanError(f"{source.path}: dm = {float(self.dm):g} delays the lowest channel by "
                            f"{seconds:.6g} s, {most} spectra; allowed: less than the length of "
                            f"the data, {source.shape[0]} spectra")
        check_last(source, last, self.dm)
        #: Number of spectra at the end that are left out.
        self.n_dropped = most if last == "drop" else 0
        super().__init__(source, header=header.replace(diode=None) if most else header,
                         shape=(source.shape[0] - self.n_dropped, *source.shape[1:]),
                         dtype=source.dtype)
        self.overlap = max(0, -int(self.shift.min())), max(0, int(self.shift.max()))

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values; frequencies and the constant are exact."""
        header = self.header
        top = dispersion.top_hz(header.require_channels(self.path))
        dropped = {"last": "drop", "n_dropped": self.n_dropped} if self.n_dropped else {}
        return {"dm": float(self.dm), "dm_total": header.dm,
                "constant": str(header.dispersion_constant),
                "reference_hz": ("infinity" if header.dm_reference_hz is None
                                 else str(header.dm_reference_hz)),
                "aligned_to_hz": str(top), "delay_spectra": int(self.shift[0]),
                "rounding": "nearest spectrum", **dropped}

    @property
    def moves(self) -> bool:
        """Whether any channel is shifted."""
        return self.overlap != (0, 0)

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis: they differ between channels after a shift."""
        return self.shape[2] if self.moves else self.source.weight_channels

    def all_valid(self) -> bool | None:
        """Return False if samples are missing at the end; otherwise the same as for the source."""
        return False if self.moves and not self.n_dropped else self.source.all_valid()

    @property
    def columns(self) -> Mapping[str, str]:
        """Same as for the source."""
        return self.source.columns

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return the values of the source's columns for the same rows."""
        return self.source.read_columns(start, n)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` spectra: these, and a run of the source."""
        run = min(self._run, self.needs(0, n)[1])
        return n * self.row_bytes + self.source.work_bytes(run) + run * self.source.row_bytes

    @property
    def _run(self) -> int:
        """Number of rows that are read at a time."""
        rows = max(self.source.run_rows, _RUN_BYTES // max(1, self.source.row_bytes))
        return -(-rows // self.source.align) * self.source.align

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return shifted spectra and weights, read in runs of rows."""
        self._check_range(start, n)
        if not self.moves:
            return self.source.read_block(start, n, out)
        usable = out is not None and out.flags.c_contiguous and out.dtype == np.float32
        shape = (n, *self.shape[1:])
        data = out[:n] if usable and out is not None else np.empty(shape, np.float32)
        weight = self._fill(start, data)
        if out is not None and not usable:
            np.copyto(out[:n], data)
        view = data.view()
        view.flags.writeable = weight.flags.writeable = False
        return Block(view, weight, start, n)

    def _fill(self, start: int, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """Put all rows of a block in their places, and return their weights."""
        n, (before, after) = len(data), self.overlap
        is_whole = start >= before and start + n + after <= self.source.shape[0]
        weight: NDArray[np.float32] | None = None
        if not is_whole:
            data[...] = np.nan
            weight = np.zeros(data.shape, np.float32)
        at, count = self.needs(start, n)
        stop = at + count
        while at < stop:
            end = min(stop, (at // self._run + 1) * self._run)
            block = self.source.read_block(at, end - at)
            if weight is None and not (block.valid == 1).all():
                weight = np.ones(data.shape, np.float32)  # of the rows before, all are valid
            self._put(block, at - start, data, weight)
            at = end
        return np.ones((n, data.shape[1], 1), np.float32) if weight is None else weight

    def _put(self, block: Block, first: int, data: NDArray[Any],
             weight: NDArray[np.float32] | None) -> None:
        """Put the values and weights of a block in their places."""
        from fastsig_kernels import shift_channels

        shift_channels(np.ascontiguousarray(block.data, np.float32), self.shift, first, data)
        if weight is not None:
            weights = np.broadcast_to(np.asarray(block.valid, np.float32), block.data.shape)
            shift_channels(weights, self.shift, first, weight)


def check_last(source: Stream, last: str, dm: Fraction = Fraction(0)) -> None:
    """Refuse values of `last` that are not possible for a source and a dispersion measure."""
    if last not in ("keep", "drop"):
        raise UsageError(f"last = {last!r}; allowed: keep, drop")
    if last == "drop" and source.endless:
        raise PlanError(f"{source.path}: last = 'drop', but the end of the stream is not known; "
                        "allowed: keep")
    if last == "drop" and dm < 0:
        raise UsageError(f"last = 'drop' with dm = {float(dm):g}, which leaves out channels of the "
                         "first spectra; allowed: keep")


def dedispersed_header(source: Stream, dm: Fraction, ref: Any, constant: Any) -> Header:
    """Return the header of a stream whose channels are aligned to the highest one.

    Parameters
    ----------
    source : Stream
        Spectra, from which dispersion may already have been removed.
    dm : Fraction
        Dispersion measure that is removed, pc cm^-3.
    ref, constant : object
        As for `Dedisperse`.
    """
    header = source.header
    axis, before = header.require_channels(source.path), Fraction(repr(header.dm or 0.0))
    done = header.dm is not None
    k = constant_for(header, constant)
    old = header.dm_reference_hz if done else None
    new = old if ref is None and done else dispersion.reference_of(
        "top" if ref is None else ref, axis)
    # From the old reference to the channel that stays, and from there to the new one.
    top = dispersion.top_hz(axis)
    later = (dispersion.delay_s(before, top, old, k) if before else Fraction(0)
             ) - dispersion.delay_s(before + dm, top, new, k)
    if abs(later) > _LONGEST_S:
        raise UsageError(f"ref = {'infinity' if new is None else f'{float(new):g}Hz'} with a "
                         f"dispersion measure of {float(before + dm):g} changes the start time by "
                         f"{float(later):.3g} s; allowed: up to {_LONGEST_S:g} s")
    start = header.start_time if not later else sample_time(header.start_time, 1, 1 / later)
    return header.replace(start_time=start, dm=float(before + dm), dispersion_constant=k,
                          dm_reference_hz=new)
