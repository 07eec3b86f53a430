"""The analysis bank that made the channels of voltages or frames."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from fastsig_kernels import prototype
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis, Sideband, synthesized_axis
from fastsig.errors import PlanError, UsageError
from fastsig.stages.channelize import Channelize
from fastsig.stream import VoltageStage, VoltageStream

__all__ = ["Analysis", "analysis_of_frames", "analysis_of_voltages", "centred_prototype"]

_ROUNDED = Fraction(1, 10**5)  # relative error of rates and widths in headers
_MAX_DENOMINATOR = 128


class Analysis(NamedTuple):
    """An analysis bank, and how its channels are stored.

    Parameters
    ----------
    oversample : Fraction
    taps : ndarray, shape (n_tap, n_fft)
        The prototype.
    n_tap : int
        Length of the prototype in transforms, without the zeros that were added.
    window : str
        Name of the window of the prototype; empty if the prototype was given as an array.
    real : bool
        Whether the voltages of the band are real.
    sideband : {"upper", "lower"}
        Sideband of the voltages of the band.
    conjugate : bool
        Whether each channel is stored as a lower sideband.
    between : bool
        Whether 0 Hz of the band is between its two middle channels, not at the centre of one.
    first_frame : int
        Number of row 0 in the count to which the phases refer.
    middle : Fraction
        Time of a row in the header, in samples of the band after the start of its window.
    """

    oversample: Fraction
    taps: NDArray[Any]
    n_tap: int
    window: str
    real: bool
    sideband: Sideband
    conjugate: bool
    between: bool
    first_frame: int
    middle: Fraction

    def axis(self, channels: ChannelAxis, rate: Fraction) -> ChannelAxis:
        """Return the axis of the band of the given channels, at this sample rate."""
        if self.between:
            low, high = channels.edges_hz
            return ChannelAxis.band((low + high) / 2, rate)
        return synthesized_axis(channels, rate, is_complex=not self.real, sideband=self.sideband)


def analysis_of_frames(
    source: Channelize, *, oversample: Any, n_tap: Any, window: Any, taps: Any, real: Any,
    sideband: Any, first_frame: int,
) -> Analysis:
    """Return the bank of frames; parameters may be given if they agree with it."""
    below: VoltageStream = source.source
    if len(below.shape) > 2 and below.shape[2] > 1:
        raise PlanError(f"{source.path}: the frames contain the channels of {below.shape[2]} "
                        "filter banks; select one of the recorded channels before channelize")
    bank, header = source.bank, below.header
    made = _sideband(sideband, header.sideband)
    known = {"n_tap": source.n_tap, "window": source.window, "first_frame": 0,
             "real": not header.is_complex, "oversample": bank.oversample}
    if not header.is_complex:
        known["sideband"] = header.sideband
    given = {"oversample": _ratio_of(oversample), "n_tap": n_tap, "window": window, "real": real,
             "sideband": made, "first_frame": first_frame}
    if taps is not None:
        raise UsageError("taps: the prototype of frames of channelize is known; omit them")
    for name, value in known.items():
        if given[name] is not None and given[name] != value:
            raise UsageError(f"{name} = {_short(given[name])}: the frames of channelize have "
                             f"{name} = {value}; omit it")
    return Analysis(bank.oversample, bank.taps, source.n_tap, source.window,
                    not header.is_complex, made, False, False, 0, Fraction(bank.history, 2))


def analysis_of_voltages(
    source: VoltageStream, *, oversample: Any, n_tap: Any, window: Any, taps: Any, real: Any,
    sideband: Any, first_frame: int,
) -> Analysis:
    """Return the bank of recorded channels from the header and the given parameters."""
    header = source.header
    if len(source.shape) < 3 or source.shape[2] < 2:
        raise PlanError(f"{source.path}: contains one channel; synthesize joins several")
    if not header.is_complex:
        raise PlanError(f"{source.path}: the samples of its {source.shape[2]} channels are real; "
                        "synthesize joins complex ones")
    if source.shape[2] % 2:
        raise PlanError(f"{source.path}: contains {source.shape[2]} channels; allowed: an even "
                        "number; select channels first")
    ratio = _ratio(source, _ratio_of(oversample))
    n_fft = source.shape[2] * (2 if real else 1)
    if taps is not None and not (isinstance(taps, np.ndarray) and taps.dtype.kind == "f"):
        raise UsageError("taps: found something else; allowed: an array of float32 or float64")
    if taps is not None and (n_tap is not None or window is not None):
        raise UsageError("taps beside n_tap or window; allowed: the prototype, or its parameters")
    name = "" if taps is not None else "hamming" if window is None else window
    length = 8 if n_tap is None else n_tap
    try:
        table = centred_prototype(n_fft, length, name) if taps is None else taps
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    return Analysis(ratio, table, length if taps is None else len(table), name, bool(real),
                    _sideband(sideband, "upper"), header.sideband == "lower", not real,
                    first_frame + _row_of_file(source), _middle(table))


def centred_prototype(n_fft: int, n_tap: int, window: str) -> NDArray[np.float64]:
    """Return a windowed sinc with its centre, and the origin of the phases, at a whole sample.

    It is `fastsig_kernels.prototype` at times moved by half a sample, since a recorder, whose
    sample rate is much higher than its row rate, gives each row the time of the middle of the
    window. If the number of taps is odd, half a transform of zeros is added at each end, so that
    the centre is at a multiple of `n_fft`. The window "none", of a plain transform, has its origin
    at the first sample.

    Returns
    -------
    ndarray, shape (n_tap or n_tap + 1, n_fft), float64, of unit energy
    """
    bare: NDArray[np.float64] = prototype(n_fft, n_tap, window)  # checks the arguments
    if window == "none":
        return bare
    length = bare.size
    at = np.arange(length + 1) - length / 2
    # With one tap of this length the sinc has no zeros, so the window is what remains of it.
    bell = prototype(length + 1, 1, window)[0] / np.sinc(at / (length + 1))
    taps = (bell * np.sinc(at / n_fft))[:length]
    taps[0] = 0  # its counterpart is the sample after the last one
    taps /= np.sqrt(taps @ taps)
    if n_tap % 2:
        before = n_fft // 2
        taps = np.concatenate([np.zeros(before), taps, np.zeros(n_fft - before)])
    shaped: NDArray[np.float64] = taps.reshape(-1, n_fft)
    return shaped


def _middle(taps: Any) -> Fraction:
    """Return the centre of a prototype: the centroid of its energy, to half a sample."""
    power = np.asarray(taps, np.float64).reshape(-1) ** 2
    total = power.sum()
    if not 0 < total < np.inf:
        raise UsageError("taps: found no finite energy; allowed: a prototype")
    return Fraction(round(2 * float(np.arange(power.size) @ power / total)), 2)


def _ratio_of(value: Any) -> Fraction | None:
    if value is None:
        return None
    try:
        return Fraction(value)
    except (TypeError, ValueError, ZeroDivisionError):
        raise UsageError(f"oversample = {value!r}; allowed: a ratio such as '32/27'") from None


def _ratio(source: VoltageStream, given: Fraction | None) -> Fraction:
    """Return the sample rate of a channel divided by the spacing, from header and parameter."""
    header = source.header
    step = header.require_channels(source.path).step_hz
    ratio = header.sample_rate / step
    about = (f"{source.path}: its channels are {float(step):.9g} Hz apart, with "
             f"{float(header.sample_rate):.9g} samples per second")
    near = ratio.limit_denominator(_MAX_DENOMINATOR) if given is None else given
    if ratio < 1 - _ROUNDED:
        raise PlanError(f"{about}; allowed: channels that abut or overlap")
    if not near or abs(ratio / near - 1) > _ROUNDED:
        wanted = "the ratio of two small numbers" if given is None else f"oversample = {given}"
        raise PlanError(f"{about}, a ratio of {float(ratio):.9g}, not {wanted}")
    return near


def _row_of_file(source: VoltageStream) -> int:
    """Return the row of the recording, before any selection, to which row 0 belongs."""
    row, stream = 0, source
    while isinstance(stream, VoltageStage):
        row, stream = stream.needs(row, 1)[0], stream.source
    return row


def _sideband(value: Any, default: Sideband) -> Sideband:
    if value is None:
        return default
    if not isinstance(value, str) or value not in ("upper", "lower"):
        raise UsageError(f"sideband = {_short(value)}; allowed: upper, lower")
    return "upper" if value == "upper" else "lower"


def _short(value: Any) -> str:
    return "an array" if isinstance(value, np.ndarray) else str(value)
