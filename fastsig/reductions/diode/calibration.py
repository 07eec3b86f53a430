"""Calibration of a scan with its noise diode, which is found and measured first."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.units import exact
from fastsig.calibration.diode.cycle import DiodeCycle
from fastsig.calibration.diode.gain import DiodeModel
from fastsig.calibration.diode.search import find_cycle
from fastsig.calibration.diode.solution import DiodeSolution, pairs_of
from fastsig.calibration.diode.step_profile import unevenness
from fastsig.calibration.radiometer import n_eff
from fastsig.calibration.stokes import MuellerTable
from fastsig.errors import (
    DataError,
    DoubtWarning,
    FastsigWarning,
    PlanError,
    UsageError,
    users_line,
)
from fastsig.io.files.provenance import file_record
from fastsig.reductions.diode import options
from fastsig.reductions.diode.evidence import Evidence, check_cycles
from fastsig.reductions.diode.measurement import DiodePowers, DiodeSpectra, TotalPower, gain_of
from fastsig.reductions.diode.scale_noise import scale_noise
from fastsig.reductions.diode.shape import diode_shape, smoothed_over
from fastsig.run.engine import Progress, run
from fastsig.run.flag_shares import run_watched
from fastsig.stages.calibrate import Calibrate
from fastsig.stages.flux import Flux
from fastsig.stages.locate import Locate
from fastsig.stages.stokes import Stokes
from fastsig.stream import SpectrumStream, Stream, stream_of
from fastsig.work.shown import Shown

__all__ = ["DiodeMeasurement", "calibrated", "check", "described", "solve"]

F8 = NDArray[np.float64]

_MIDDLE = 0.8  # fraction of the band over which system temperatures and noise are medians


@dataclass(frozen=True, repr=False)
class DiodeMeasurement(Shown):
    """The noise diode as measured in a scan.

    Parameters
    ----------
    cycle : DiodeCycle
        Times at which the diode is on.
    model : DiodeModel
        The gain over time for each polarisation.
    measured : DiodePowers
        Spectra with the diode on and off.
    shape, shape_error : ndarray, shape (product, chan)
        Power of the diode in recorded units at gain 1, smoothed, and its standard error.
    tcal : ndarray, shape (pol, chan), K
        Temperature of the diode.
    solution : DiodeSolution
        The solution that calibrates the scan.
    frequency : ndarray, shape (chan,), MHz
        Channel centres.
    tsys : tuple of float
        System temperature with the diode off, K, for each polarisation: the median over the middle
        80 % of the band.
    noise_ratio : tuple of float
        Measured scatter between neighbouring spectra, divided by that predicted by the radiometer
        equation, for each polarisation.
    noise_samples : float
        Number of independent samples in a value: channel width times integration time times n_eff
        times the number of polarisations that the first product combines.
    """

    cycle: DiodeCycle
    model: DiodeModel
    measured: DiodePowers
    shape: F8
    shape_error: F8
    tcal: F8
    solution: DiodeSolution
    frequency: F8
    tsys: tuple[float, ...]
    noise_ratio: tuple[float, ...]
    noise_samples: float

    def summary(self) -> list[str]:
        """Return lines that describe the result to the user."""
        bad = int(self.model.bad.sum())
        tsys = ", ".join(f"{value:.4g} K" for value in self.tsys)
        ratio = ", ".join(f"{value:.3f}" for value in self.noise_ratio)
        return [
            f"noise diode: {self.cycle}{f' ({self.cycle.mode})' if self.cycle.mode else ''}, "
            f"{self.cycle.significance:.3g} sigma; {len(self.model.bad)} cycles, {bad} left out",
            f"temperature with the diode off: {tsys}; "
            f"noise relative to the radiometer equation: {ratio}",
        ]


def solve(stream: Stream, tcal: Any, *, diode: Any = None, guard: Any = 0, gain_time: Any = "60s",
          smooth: Any = None, phase: bool = False, beam: int | None = None,
          workers: int | None = None, memory: int | None = None,
          progress: Progress | None = None) -> DiodeMeasurement:
    """Return timing and spectrum of the noise diode, and the gain, from two passes over a scan.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra in the units of the recorder, with AA and BB (and, if recorded, CR and CI), with AA
        alone, or with I alone.
    tcal : Quantity, str, or path
        Temperature of the diode: one value, one value per polarisation (``"1.1K,1.2K"``), or
        tables that `fastsig.telescopes.tcal` reads.
    diode : DiodeSchedule, mapping or str, optional
        Schedule of the diode, such as ``"mode=pulsar"`` or ``"period=2s,on=1s,first=0s"``, which is
        checked against the data. By default, the schedule in the header is checked in the same way;
        if it disagrees with the data, or if there is none, the schedule found in the data is used.
    guard : value, s
        Maximum error of the times at which the diode is switched.
    gain_time : value, s
        Largest interval between the knots of the gain, which is modelled as piecewise linear in
        time.
    smooth : value, Hz, optional
        Width over which the spectrum of the diode is smoothed by fitting local straight lines; 0
        for no smoothing. The default is 5 MHz, as in HiFAST, but at most 1/32 of the band. Where
        the lines do not follow the spectrum within the noise, the residuals are smoothed too, and
        are added to the lines.
    phase : bool
        Whether the phase of the diode is removed from CR + i CI; the signal of the diode is assumed
        to be injected at 45 degrees to both receptors.
    beam : int, optional
        Beam for which temperatures are read from the tables; by default, that in the header.
    workers : int, optional
        Number of threads; by default, as many as the process may use.
    memory : int, optional
        Maximum number of bytes that the process may use.
    progress : callable, optional
        Called with the name of a pass, the number of input rows processed since the last call, and
        the number of rows in the pass.

    Raises
    ------
    DataError
        If no diode is found, if it is on all the time, or if it disagrees with `diode`. Without a
        schedule, also if the diode is detected in fewer than half of the channels or in only one
        cycle, if its power is negative in more than a quarter of the channels or changes
        gradually, or if the noise is far above that of the radiometer equation.
    PlanError, UsageError
        If the spectra cannot be calibrated, if a parameter is not allowed, or if `memory` is too
        small.
    """
    stream = stream_of(stream)
    if not isinstance(stream, SpectrumStream):
        raise PlanError(f"{stream.path}: contains {stream.kind}; allowed: spectra")
    if stream.header.unit is not None:
        raise PlanError(f"{stream.path}: is in {stream.header.unit}: calibrated already")
    axis = stream.header.require_channels(stream.path)
    pairs = pairs_of(stream.polarization.names, stream.path)
    n_pol = 1 + max(b for _, b in pairs)
    edge = options.seconds(guard, "guard", least=True)
    steady = options.seconds(gain_time, "gain_time", least=False)
    over = options.smoothing(smooth, axis)
    if phase and len(pairs) != 4:
        raise UsageError(f"{stream.path}: phase needs CR and CI; here are "
                         f"{', '.join(stream.polarization.names)}")
    kelvin = options.temperatures(tcal, stream, n_pol, beam)
    passes: dict[str, Any] = {"workers": workers, "memory": memory, "progress": progress}
    power, weight, step = run_watched([TotalPower(stream)], **passes)[0]
    cycle, given = _cycle(stream, power, weight, step, diode)
    independent = n_eff(stream.header)
    samples = float(axis.step_hz / stream.header.sample_rate) * independent
    samples *= stream.polarization.n_added(stream.polarization.names[0])
    bands = axis.n_chan / power.shape[2] * float(step * stream.header.sample_rate)
    model, counting = gain_of(
        power, weight, step, cycle, gain_s=float(steady), guard=edge,
        n_average=samples * bands, path=stream.path)
    check_cycles(cycle, int((~model.bad).sum()), given=given, path=stream.path)
    if model.bad.sum() > len(model.bad) / 2:
        warnings.warn(f"{stream.path}: {int(model.bad.sum())} of {len(model.bad)} cycles of the "
                      "noise diode are left out", DoubtWarning, stacklevel=users_line())
    found = run([DiodeSpectra(stream, cycle, counting, guard=edge)], **passes)[0]
    width, wide = (options.channels(each, axis) for each in (over, options.band_width(over, axis)))
    gain = np.nanmean(model.gain[~model.bad], axis=0)
    shape, error = diode_shape(found, gain, pairs, samples, width, wide)
    as_usual = over >= options.smoothing(None, axis)
    over_wide = (shape, error) if as_usual else diode_shape(found, gain, pairs, samples, wide, wide)
    uneven = 0.0 if cycle.mode or given else unevenness(power, weight, step, cycle)
    _evidence(found, over_wide, (shape, error), pairs, samples, uneven).check(
        cycle, given=given, path=stream.path)
    spread = smoothed_over(found, gain, pairs, samples, error)
    return _found(stream, cycle, model, found, shape, error, spread, kelvin, pairs, samples, phase,
                  {"gain_s": str(gain_time), "smooth_hz": str(over), "tcal": _recorded(tcal),
                   "n_eff": round(independent, 9)})


def _recorded(tcal: Any) -> Any:
    """Return temperatures as text, or records of the table files."""
    each = tcal if isinstance(tcal, (list, tuple)) else [tcal]
    if not all(isinstance(one, (str, os.PathLike)) and os.path.exists(one) for one in each):
        return str(tcal)
    paths = [os.path.join(one, name) for one in each if os.path.isdir(one)
             for name in sorted(os.listdir(one))] + [one for one in each if os.path.isfile(one)]
    return [file_record(path) for path in paths if os.path.isfile(path)]


def _cycle(stream: SpectrumStream, power: F8, weight: F8, step: Fraction, diode: Any
           ) -> tuple[DiodeCycle, bool]:
    """Return the diode's cycle, and whether the user or the header states the same cycle."""
    schedule = options.schedule(diode, stream)
    hint = stream.header.diode if schedule is None else schedule
    cycle = find_cycle(power, weight, step_s=step, hint=hint,
                       hint_from="header" if schedule is None else "user", path=stream.path)
    given = hint is not None and _is_that(cycle, hint)
    if not given:
        check_cycles(cycle, cycle.n_cycle, given=False, path=stream.path)
    return cycle, given


def _is_that(cycle: DiodeCycle, hint: DiodeSchedule) -> bool:
    stated = DiodeCycle.of_schedule(hint)
    return (cycle.period, cycle.on, cycle.phase) == (stated.period, stated.on, stated.phase)


def _evidence(found: DiodePowers, shape: tuple[F8, F8], narrow: tuple[F8, F8], pairs: Any,
              samples: float, uneven: float) -> Evidence:
    powers = [index for index, (a, b) in enumerate(pairs) if a == b]
    return Evidence(shape[0][powers], shape[1][powers],
                    (narrow[0][powers], narrow[1][powers]), found.off[powers],
                    _noise_ratio(found, powers, samples), uneven)


def _noise_ratio(found: DiodePowers, powers: list[int], samples: float) -> tuple[float, ...]:
    """Return measured over predicted scatter of neighbouring spectra for each polarisation.

    The radiometer formula predicts the scatter.
    """
    middle = _middle(found.scatter.shape[1])
    return _medians(np.sqrt(found.scatter[powers][:, middle] * samples))


def _found(stream: SpectrumStream, cycle: DiodeCycle, model: DiodeModel, found: DiodePowers,
           shape: F8, error: F8, over: F8, tcal: F8, pairs: Any, samples: float, phase: bool,
           facts: Mapping[str, Any]) -> DiodeMeasurement:
    powers = [index for index, (a, b) in enumerate(pairs) if a == b]
    with np.errstate(invalid="ignore", divide="ignore"):
        each = np.where(shape[powers] > 3 * error[powers], tcal / shape[powers], np.nan)
    kelvin = np.stack([np.sqrt(each[a] * each[b]) for a, b in pairs])
    _check_channels(each, tcal, stream.path)
    diode, turn = kelvin * shape, None
    if phase:
        turn = np.arctan2(diode[3], diode[2])
        turn = np.where(np.isfinite(turn), turn, 0.0)
        diode[2], diode[3] = np.hypot(diode[2], diode[3]), 0.0
    axis = stream.header.require_channels(stream.path)
    tsys = _medians((found.level[powers] * kelvin[powers])[:, _middle(stream.shape[2])])
    ratio = _noise_ratio(found, powers, samples)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = _medians((error / shape)[powers].reshape(1, -1))[0]
    record: dict[str, Any] = {
        **facts, "period_s": str(cycle.period), "on_s": str(cycle.on),
        "phase_s": str(cycle.phase), "mode": cycle.mode, "cycles": len(model.bad),
        "cycles_left_out": int(model.bad.sum()), "phase_corrected": phase,
        "tsys_k": [_json(value) for value in tsys],
        # Relative standard errors of the scale; averaging does not reduce them.
        "scale_error": {"gain": _json(float(np.median(model.knot_error))),
                        "shape": _json(spread)},
        "radiometer": {"bandwidth_hz": float(axis.step_hz),
                       "integration_s": float(1 / stream.header.sample_rate),
                       "measured_over_expected": [_json(value) for value in ratio]},
    }
    record["radiometer"]["n_eff"] = record.pop("n_eff")
    excess = np.where(np.isfinite(ratio), ratio, 1.0)  # the noise is known better than n_eff
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction, channels, added = (
            np.array(_medians(each[:, _middle(stream.shape[2])]))
            for each in ((error / shape)[powers], over[powers], tcal))
    noise = scale_noise(
        stream.polarization.names, pairs, fraction=excess * fraction, channels=channels,
        level=np.array(tsys), diode=added, share=float(cycle.on / cycle.period),
        samples=samples * stream.shape[0] / excess**2, step_hz=float(axis.step_hz))
    solution = DiodeSolution(cycle, stream.polarization.names, model.knots_s, model.knot_gain,
                             kelvin, diode, turn, model.knot_error, record, noise,
                             stream.start_time, axis)
    return DiodeMeasurement(cycle, model, found, shape, error, tcal, solution, axis.centers.value,
                            tsys, ratio, samples)


def _check_channels(kelvin: F8, tcal: F8, path: str) -> None:
    """Warn about channels that cannot be calibrated; raise if none can be."""
    known = np.asarray(np.isfinite(kelvin).all(axis=0))
    if not known.any():
        raise DataError(path, "no channel shows the noise diode")
    lost = int((~known).sum())
    if lost:
        table = int((~np.isfinite(tcal).all(axis=0)).sum())
        why = f"; in {table} of them its temperature is not known" if table else ""
        warnings.warn(f"{path}: {lost} of {len(known)} channels, where the noise diode is not "
                      f"seen, have weight 0{why}", FastsigWarning, stacklevel=users_line())


def _json(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


def _medians(values: F8) -> tuple[float, ...]:
    """Return the median of the finite values of each row; NaN if there are none."""
    return tuple(float(np.median(row[np.isfinite(row)])) if np.isfinite(row).any() else np.nan
                 for row in values)


def _middle(n_chan: int) -> slice:
    rim = round(n_chan * (1 - _MIDDLE) / 2)
    return slice(rim, n_chan - rim)


def calibrated(
    stream: Stream, found: DiodeMeasurement | DiodeSolution, *, on: str = "subtract",
    guard: Any = 0,
    stokes: str | None = None, sign_q: int = 1, sign_v: int = 1, feed_angle: Any = None,
    ky: str | None = None, refraction: Any = None, beam: int | None = None, flux: bool = False,
    zenith_angle: Any = None, gain: Any = None, mueller: str | None = None,
) -> SpectrumStream:
    """Return the calibrated spectra of a scan, in K or Jy, after any further steps requested.

    Parameters
    ----------
    stream : SpectrumStream
        The scan in which `found` was measured.
    on, guard
        As in `fastsig.stages.calibrate.Calibrate`.
    stokes : {"I", "IQUV", "V"}, optional
        Stokes parameters to compute instead of AA, BB, CR and CI.
    sign_q, sign_v, feed_angle
        As in `fastsig.stages.stokes.Stokes`.
    ky : path, optional
        Table of FAST's feed cabin, from which positions are added as columns.
    refraction : str or Refraction, optional
        Pressure in hPa, temperature in degrees C, relative humidity and wavelength, such as
        ``"925,15,0.8,0.3m"``; ``"none"`` for no refraction. By default, the values stated by `ky`,
        or the values that HiFAST uses for FAST if `ky` states none.
    beam : int, optional
        Number of the beam; by default, that in the header.
    flux : bool
        Whether to convert to flux densities with the telescope's gain.
    zenith_angle : Quantity or str, optional
        Zenith angle, if `ky` does not state it.
    gain : Quantity or str, optional
        Gain of one polarisation, K/Jy, instead of the known gain of the telescope.
    mueller : path, optional
        Table of Mueller matrices, as `fastsig.calibration.stokes.MuellerTable.read` reads it.
    """
    _check_steps(stokes, sign_q, sign_v, feed_angle, ky, refraction, flux, zenith_angle, gain,
                 mueller)
    stream = stream_of(stream)
    stated = stream.header.beam
    if beam is not None and stated not in (None, beam):
        warnings.warn(f"{stream.path}: the header states beam {stated}; beam {beam} is used",
                      DoubtWarning, stacklevel=users_line())
    solution = found if isinstance(found, DiodeSolution) else found.solution
    out: SpectrumStream = Calibrate(stream, solution, on=on, guard=exact(guard, "s", "guard"))
    if ky is not None:
        from fastsig.io.fast.ky import read

        out = Locate(out, read(ky), beam=beam, refraction=refraction, record=file_record(ky))
    elif beam is not None:
        out.header = out.header.replace(beam=beam)
    if stokes is not None:
        out = Stokes(out, stokes, sign_q=sign_q, sign_v=sign_v, feed_angle=feed_angle,
                     mueller=None if mueller is None else MuellerTable.read(mueller),
                     record=None if mueller is None else file_record(mueller))
    if gain is not None:
        out = Flux(out, gain=gain)
    elif flux:
        from fastsig import telescopes

        receiver = telescopes.get(out.header.telescope or "FAST").receiver()
        out = Flux(out, receiver, zenith_angle=zenith_angle)
    return out


def described(stream: Stream) -> list[str]:
    """Return lines of text that describe the steps of `calibrated` that use values from files."""
    found: Any = stream_of(stream)
    while found is not None and not isinstance(found, Locate):
        found = getattr(found, "source", None)
    if found is None:
        return []
    air = found.air
    return ["positions: without refraction" if air is None else
            f"positions: refraction of {air.pressure_hpa:g} hPa, {air.temperature_c:g} C, humidity "
            f"{air.humidity:g}, at {air.wavelength_m:g} m"]


def _check_steps(stokes: str | None, sign_q: int, sign_v: int, feed_angle: Any, ky: Any,
                 refraction: Any, flux: bool, zenith_angle: Any, gain: Any,
                 mueller: Any) -> None:
    """Refuse options that would have no effect."""
    idle = [text for text, is_idle in (
        ("sign_q or sign_v without Stokes parameters",
         stokes is None and (sign_q, sign_v) != (1, 1)),
        ("feed_angle without stokes IQUV", feed_angle is not None and stokes != "IQUV"),
        ("mueller without stokes IQUV", mueller is not None and stokes != "IQUV"),
        ("refraction without a track (ky)", refraction is not None and ky is None),
        ("zenith_angle without flux", zenith_angle is not None and not flux),
    ) if is_idle]
    if gain is not None and flux:
        raise UsageError("gain with flux, which uses the telescope's known gain; allowed: one of "
                         "them")
    if idle:
        raise UsageError(f"{'; '.join(idle)}: has no effect; allowed: both together, or neither")


def check(stream: Stream, **steps: Any) -> SpectrumStream | None:
    """Raise the errors of `calibrated` before anything is measured; the options are the same.

    The returned stream has the header and the columns of the calibrated stream. If `stream` does
    not contain uncalibrated spectra, which `solve` requires, None is returned.
    """
    stream = stream_of(stream)
    if not isinstance(stream, SpectrumStream) or stream.header.unit is not None:
        return None
    names = stream.polarization.names
    pairs_of(names, stream.path)
    rows = 1 / stream.header.sample_rate
    ones = np.ones(stream.shape[1:])
    return calibrated(stream, DiodeSolution(
        DiodeCycle(2 * rows, rows, Fraction(0)), names, np.zeros(1), np.ones((1, 2)), ones, ones),
        **steps)
