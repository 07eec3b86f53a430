"""The measurement of a burst: dispersion measure, width, scattering, fluence, polarisation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.dispersion import dm_of
from fastsig.axes.polarization import PRODUCTS
from fastsig.axes.time import iso
from fastsig.axes.units import number
from fastsig.errors import DataError, PlanError, UsageError
from fastsig.pulsar.bursts.dm_fit import DMFit, fit_dm
from fastsig.pulsar.bursts.fluence import Fluence, fluence, jansky_per_sigma
from fastsig.pulsar.bursts.polarization import BurstPolarization, measure_polarization
from fastsig.pulsar.bursts.shape import FWHM, BurstFit, fit_shape
from fastsig.pulsar.bursts.subbands import (
    Boxcar,
    Normalized,
    Subbands,
    best_boxcar,
    grouped,
    normalized,
)
from fastsig.pulsar.stokes_profiles import defined_stokes
from fastsig.reductions.bursts.gains import gain_of
from fastsig.reductions.bursts.measured import BurstMeasurement
from fastsig.reductions.bursts.window import (
    BurstWindow,
    read_again,
    read_window,
    seconds_of,
    total_power,
)
from fastsig.stages.dedisperse_voltages import DedisperseVoltages
from fastsig.stages.detect import Detect
from fastsig.stream import SpectrumStream, Stream, VoltageStream, stream_of
from fastsig.work.arguments import checked

__all__ = ["Burst", "find_burst", "measure_burst"]

F8 = NDArray[np.float64]

_LEAST_SNR = 5.0  # of a burst that can be measured
_LOOK_S = 0.1  # before and after the given time, within which the burst is looked for
_FINE = 32  # samples in the width of a burst
_WIDTHS = 14  # of the burst, on both sides of it, that are read
_LEAST_SIDE = 96  # samples on both sides
_APART = 3  # widths from the burst, from which samples are off it
_BANDS = 128  # subbands for trial measures
_ROUNDS = 4  # of trials, if the best measure lies at the end of their range


@dataclass(frozen=True)
class Burst:
    """A burst in its window.

    Parameters
    ----------
    window : BurstWindow
    made : Normalized
    bands : Subbands
    off : ndarray, shape (time,), bool
        Samples off the burst.
    boxcar : Boxcar
    """

    window: BurstWindow
    made: Normalized
    bands: Subbands
    off: NDArray[np.bool_]
    boxcar: Boxcar

    @property
    def width_s(self) -> float:
        """Width of the boxcar, s."""
        return self.boxcar.width * self.window.step_s

    @property
    def centre_s(self) -> float:
        """Middle of the boxcar, seconds after the start of the stream."""
        begin = self.window.seconds[0] - self.window.step_s / 2
        return self.window.at_s + float(begin) + self.boxcar.centre * self.window.step_s


@checked
def measure_burst(
    chain: Any, at: Any, dm: Any, *, width: Any = None, method: str = "snr", tsys: Any = None,
    gain: Any = None, zenith_angle: Any = None, beam: int | None = None, scale_error: float = 0.0,
    constant: Any = None, index: float = 4.0, most_rm: float | None = None,
    coherent: int | None = None,
) -> BurstMeasurement:
    r"""Measure a burst: dispersion measure, width, scattering, fluence and polarisation.

    The dispersion measure is that at which the S/N of the best Gaussian is highest or, with
    ``method="structure"``, that at which the power of the derivative of the profile is highest. The
    width and the scattering time result from a least-squares fit of a Gaussian, with and without an
    exponential tail, to up to 8 subbands. The fluence is the sum of the profile over the burst; its
    scale follows from the radiometer equation :math:`\sigma = T_{sys} / (G \sqrt{n_{pol} b t})`,
    where b is the width of a channel and t the duration of a sample.

    Parameters
    ----------
    chain : chain, SpectrumStream or VoltageStream
        Spectra, or voltages with `coherent`. With AA, BB, CR and CI or with I, Q, U and V, the
        polarisation is measured.
    at : Time, Quantity or str
        Time of the burst at the highest channel, accurate to 0.1 s or, if `width` is given, to 3
        widths: a date and time, or a time after the start of the data.
    dm : float, str or Quantity
        Approximate dispersion measure, pc cm^-3.
    width : Quantity or str, optional
        Approximate width; by default, that of the best boxcar within 0.1 s of `at`.
    method : {"snr", "structure"}
        Criterion for the dispersion measure.
    tsys : Quantity or str, optional
        System temperature, K. Without it, no fluence is measured from spectra in recorded units.
    gain : Quantity or str, optional
        Gain of one polarisation, K/Jy; by default, that of the telescope's receiver, which requires
        `zenith_angle`.
    zenith_angle : Quantity or str, optional
        Zenith angle at which the gain of the telescope is evaluated.
    beam : int, optional
        Beam of the receiver; by default, that in the header.
    scale_error : float
        Relative error of the ratio of system temperature to gain, 0 to 10, which is added in
        quadrature to the error due to noise.
    constant : float or str, optional
        Dispersion constant, MHz^2 pc^-1 cm^3 s; by default, that of the spectra, or 1/2.41e-4.
    index : float
        The scattering time is proportional to frequency to the power ``-index``, 0 to 10.
    most_rm : float, optional
        Largest absolute value of the rotation measure to try, rad m^-2; by default, that which
        rotates the position angle by 0.87 rad across a channel in the middle of the band.
    coherent : int, optional
        Number of channels into which each channel of voltages is divided; the dispersion is removed
        coherently in each of them.

    Raises
    ------
    PlanError
        If the chain contains neither spectra nor voltages, or is shorter than the dispersion delay.
    UsageError
        If an argument is not allowed.
    DataError
        If there is no burst with an S/N of 5 or more near `at`, or no valid data.
    """
    if not 0 <= scale_error <= 10:
        raise UsageError(f"scale_error = {scale_error}; allowed: 0 to 10, such as 0.1")
    if not 0 <= index <= 10:
        raise UsageError(f"index = {index}; allowed: 0 to 10, such as 4 or 4.4")
    settings = {name: each if each is None or isinstance(each, (int, float)) else
                iso(each) if isinstance(each, Time) else str(each) for name, each in {
                    "at": at, "dm": dm, "width": width, "method": method, "tsys": tsys,
                    "gain": gain, "zenith_angle": zenith_angle, "beam": beam,
                    "scale_error": scale_error, "constant": constant, "index": index,
                    "most_rm": most_rm, "coherent": coherent}.items()}
    source = _detected(stream_of(chain), dm, coherent, constant)
    stream = total_power(source)
    gains = gain_of(stream, gain, zenith_angle, beam, tsys)
    burst, trials, value = _best(stream, seconds_of(stream, at), float(dm_of(dm)), width, method,
                                 constant)
    gaussian, scattered = (_shape(burst, tail, index) for tail in (False, True))
    flux = _flux(burst, scattered, tsys, gains, scale_error)
    polarization = _polarization(source, burst, value, constant, most_rm)
    made = _Parts(burst, trials, gaussian, scattered, flux, polarization)
    return replace(_measurement(source, made, value), settings=settings)


def _detected(stream: Stream, dm: Any, coherent: int | None, constant: Any) -> Stream:
    """Return the spectra of voltages, without dispersion in their channels; or spectra."""
    if not isinstance(stream, VoltageStream):
        if coherent is not None:
            raise UsageError(f"coherent = {coherent}: {stream.path} contains {stream.kind}; "
                             "allowed: with voltages")
        return stream
    if coherent is None:
        raise UsageError(f"{stream.path}: contains voltages; allowed: with coherent, the number of "
                         "channels in which dispersion is removed")
    made = DedisperseVoltages(stream, dm, n_chan=coherent, constant=constant)
    return Detect(made, "AABBCRCI" if stream.shape[1] == 2 else "I")


def find_burst(stream: SpectrumStream, at_s: float, dm: float, *, width: Any = None,
               constant: Any = None) -> Burst:
    """Read a burst near a time, at a resolution that suits its width.

    Parameters
    ----------
    stream : SpectrumStream
        Total intensity.
    at_s : float
        Time, seconds after the start.
    dm : float
    width : Quantity or str, optional
    constant : float or str, optional

    Raises
    ------
    DataError
        If there are no valid data.
    """
    rate = float(stream.header.sample_rate)
    if width is None:
        at_s, width_s = _looked_for(stream, at_s, dm, constant)
    else:
        width_s = number(width, "s", "width")
        if not 0 < width_s < 1000:
            raise UsageError(f"width = {width}; allowed: above 0 and below 1000 s")
    n_int = max(1, int(width_s * rate / _FINE))
    side = max(_WIDTHS * width_s, _LEAST_SIDE * n_int / rate)
    window = read_window(stream, at_s, dm, before_s=side, after_s=side, n_int=n_int,
                         constant=constant)
    return _normalised(window, width_s)


def _looked_for(stream: SpectrumStream, at_s: float, dm: float, constant: Any
                ) -> tuple[float, float]:
    """Return time and width of the best boxcar near a time."""
    rate = float(stream.header.sample_rate)
    side = max(3 * _LOOK_S, 512 / rate)
    n_int = max(1, math.ceil(2 * side * rate / 8192))
    n_freq = max(1, stream.shape[2] // _BANDS)
    window = read_window(stream, at_s, dm, before_s=side, after_s=side, n_int=n_int,
                         n_freq=n_freq, constant=constant)
    everywhere = np.ones(window.values.shape[1], bool)
    made = normalized(window.values[0], window.weights[0], everywhere)
    profile, share = made.z.sum(axis=1) / np.sqrt(len(made.good)), made.share.mean(axis=1)
    near = max(_LOOK_S, 64 * window.step_s)
    low, high = np.searchsorted(window.seconds, (-near, near))
    found = best_boxcar(profile, share, everywhere, within=(int(low), int(high)))
    begin = at_s + float(window.seconds[0]) - window.step_s / 2
    return begin + found.centre * window.step_s, found.width * window.step_s


def _normalised(window: BurstWindow, width_s: float) -> Burst:
    """Return the burst in a window, with its level and noise measured off it."""
    off = np.abs(window.seconds) > _APART * width_s
    if off.sum() < 2 * _LEAST_SIDE // 4:
        raise DataError(window.stream.path, "contains too few spectra beside the burst to "
                        "measure the noise")
    made = normalized(window.values[0], window.weights[0], off)
    bands = grouped(made, window.freq_mhz, _BANDS, window.step_s, window.constant,
                    float(window.freq_mhz[-1]))
    near = np.searchsorted(window.seconds, (-_APART * width_s, _APART * width_s))
    boxcar = best_boxcar(bands.profile(), bands.share, off, within=(int(near[0]), int(near[1])))
    return Burst(window, made, bands, off, boxcar)


def _best(stream: SpectrumStream, at_s: float, dm: float, width: Any, method: str, constant: Any
          ) -> tuple[Burst, DMFit, float]:
    """Return the burst at its best dispersion measure, the trials, and this measure."""
    burst = find_burst(stream, at_s, dm, width=width, constant=constant)
    for _ in range(_ROUNDS):
        trials = fit_dm(burst.bands, burst.off, burst.boxcar, method=method)
        if trials.boxcar.snr < _LEAST_SNR:
            raise DataError(stream.path, f"the highest S/N near {at_s:.6g} s at DM {dm:.6g} is "
                            f"{trials.boxcar.snr:.1f}; allowed: {_LEAST_SNR:g} or more")
        middle = burst.window.seconds[0] + (trials.boxcar.centre - 0.5) * burst.window.step_s
        at_s, dm = burst.window.at_s + float(middle), max(0.0, dm + trials.change)
        width_s = trials.boxcar.width * burst.window.step_s
        burst = find_burst(stream, at_s, dm, width=f"{width_s!r} s", constant=constant)
        if trials.is_inside:
            break
    return burst, trials, dm


def _shape(burst: Burst, scattered: bool, index: float) -> BurstFit:
    window, bands = burst.window, burst.bands
    rest = abs(window.dm - (window.header.coherent_dm or 0.0))  # that still smears the channels
    smear = 2 * window.constant * rest * window.channel_mhz / bands.freq_mhz**3
    rounding = float(1 / window.stream.header.sample_rate)
    return fit_shape(bands, window.seconds, burst.boxcar, scattered=scattered, smear_s=smear,
                     rounding_s=rounding, index=index)


def _on(burst: Burst, fit: BurstFit) -> NDArray[np.bool_]:
    """Return the samples of a burst: three sigma about it, and four time constants of its tail."""
    step, seconds = burst.window.step_s, burst.window.seconds
    sigma, tail = max(fit.fwhm_s / FWHM, step), 4 * (fit.tau_s or 0.0)
    on = (seconds > fit.centre_s - 3 * sigma - step / 2) & (
        seconds < fit.centre_s + 3 * sigma + tail + step / 2)
    on[burst.boxcar.start : burst.boxcar.start + burst.boxcar.width] = True
    return np.asarray(on)


def _flux(burst: Burst, fit: BurstFit, tsys: Any, gain: F8 | None, scale_error: float
          ) -> Fluence | None:
    window = burst.window
    basis = window.stream.polarization
    n_pol = basis.n_added(basis.names[0])
    jansky = jansky_per_sigma(
        burst.made, unit=window.stream.header.unit, n_pol=n_pol, step_s=window.step_s,
        channel_hz=window.channel_mhz * 1e6,
        tsys_k=None if tsys is None else number(tsys, "K", "tsys"), gain_k_jy=gain)
    if jansky is None:
        return None
    on = _on(burst, fit)
    return fluence(burst.made, jansky, on, burst.off & ~on, window.step_s, scale_error)[0]


def _polarization(source: Any, burst: Burst, dm: float, constant: Any, most_rm: float | None
                  ) -> BurstPolarization | None:
    """Return the polarisation; None if the spectra lack products for it."""
    basis, window = source.polarization, burst.window
    names = set(basis.names)
    if not (set("IQUV") <= names or (set(PRODUCTS["AABBCRCI"]) <= names
                                     and basis.kind != "unknown")):
        if most_rm is not None:
            raise PlanError(f"{source.path}: contains {', '.join(basis.names)}; a rotation measure "
                            "requires four products of known feeds")
        return None
    whole = read_again(window, source, dm, constant)
    values = np.moveaxis(whole.values, 1, 2)[np.newaxis]
    weights = np.moveaxis(whole.weights, 1, 2)[np.newaxis].astype(np.float64)
    iquv, weight = defined_stokes(values, weights, basis, source.path)
    data = np.where(np.isfinite(iquv[0]) & (weight[0] > 0), iquv[0], np.nan).astype(np.float64)
    on = np.zeros(data.shape[2], bool)
    on[burst.boxcar.start : burst.boxcar.start + burst.boxcar.width] = True
    return measure_polarization(data, whole.freq_mhz, on, burst.off,
                                channel_mhz=whole.channel_mhz, most_rm=most_rm)


@dataclass(frozen=True)
class _Parts:
    """What was measured."""

    burst: Burst
    trials: DMFit
    gaussian: BurstFit
    scattered: BurstFit
    flux: Fluence | None
    polarization: BurstPolarization | None


def _measurement(source: Any, made: _Parts, dm: float) -> BurstMeasurement:
    burst, window = made.burst, made.burst.window
    boxcar, freq, half = burst.boxcar, window.freq_mhz[burst.made.good], window.channel_mhz / 2
    fit = made.gaussian
    share = burst.bands.share[boxcar.start : boxcar.start + boxcar.width]
    found = BurstMeasurement(
        source.path, window.time(fit.centre_s), window.at_s + fit.centre_s, fit.centre_error_s,
        window.reference_mhz, dm, made.trials.error, made.trials, boxcar, burst.width_s,
        float(share.mean()), made.gaussian, made.scattered, made.flux,
        (float(freq[0]) - half, float(freq[-1]) + half), len(freq), made.polarization,
        window.header.dispersion_constant, _source=source)
    if not found.is_scattered:
        return found
    fit = made.scattered
    return replace(found, time=window.time(fit.centre_s), time_s=window.at_s + fit.centre_s,
                   time_error_s=fit.centre_error_s)
