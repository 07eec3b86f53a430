"""Folding of a chain of spectra into the profiles of a pulsar."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from os.path import exists
from typing import Any

from fastsig.axes.units import exact
from fastsig.errors import UsageError
from fastsig.pulsar.predictors import Predictor
from fastsig.pulsar.profiles import Profiles
from fastsig.reductions.folding.calibrated import calibrated_spectra, check_options
from fastsig.reductions.folding.channel_phases import ChannelPhases
from fastsig.reductions.folding.ephemerides import with_ephemerides
from fastsig.reductions.folding.predictors import constant_period, is_par, of_file
from fastsig.reductions.folding.sink import Fold
from fastsig.run.flag_shares import run_watched
from fastsig.stages.dedisperse import Dedisperse
from fastsig.stream import Stream, spectra_of
from fastsig.work.arguments import shown

__all__ = ["aligned_for_turns", "fold", "folds_of"]


def fold(chain: Any, predictor: Any = None, *, period: Any = None, pdot: Any = None,
         acceleration: Any = None, dm: Any = None, n_bin: int | None = None,
         n_chan: int | None = None, subint: Any = "10s", single: bool = False,
         constant: Any = None, tcal: Any = None, diode: Any = None, beam: int | None = None,
         gain: Any = None, workers: int | None = None, memory: int | None = None) -> Profiles:
    """Return the profiles of a pulsar, folded from spectra.

    Channels are aligned at the centre of the band, or at the frequency to which the times of
    dedispersed spectra refer. Every sample is added to the bin that contains the phase at the
    centre of the sample in time and in frequency.

    Parameters
    ----------
    chain : Chain or stream
        Spectra with known frequencies.
    predictor : Predictor or path, optional
        Predictor of the phase of the pulsar, such as `fastsig.pulsar.polyco.Polyco`; path of a file
        of polycos; or path of an ephemeris (.par), which requires PINT. The ephemeris and its
        position are stored in the profiles.
    period : Quantity or str, optional
        Period at the telescope, at the start of the data, such as ``"0.7s"``, instead of a
        predictor.
    pdot : float, optional
        Derivative of the period.
    acceleration : Quantity or str, optional
        Acceleration along the line of sight, such as ``"20m/s2"``, positive towards the observer.
    dm : float, str or Quantity, optional
        Dispersion measure, pc cm^-3; by default, that of the predictor, or that which was removed
        from the spectra, between channels or within channels. If none is known, channels are not
        aligned.
    n_bin : int, optional
        Number of bins in a period; by default, the largest power of two up to 256 that does not
        exceed the number of samples in a period.
    n_chan : int, optional
        Number of channels of the profiles, a divisor of the number of channels of the spectra; by
        default, the largest divisor that does not exceed 128.
    subint : Quantity or str, optional
        Duration of a subintegration; None makes a single subintegration.
    single : bool
        Whether each complete period is a subintegration. Channels are then first dedispersed to the
        nearest sample.
    constant : float, optional
        Dispersion constant, MHz^2 pc^-1 cm^3 s; by default, that in the header, or 1/2.41e-4.
    tcal : Quantity, str or path, optional
        Temperature of the noise diode, as for `measure_diode`. If it is given, the diode is
        measured and the spectra are calibrated before they are folded. The profiles are then in K,
        and are free of the differences in gain and phase between the receptors. The diode's signal
        must be injected at 45 degrees to both receptors.
    diode, beam : optional
        As for `measure_diode`.
    gain : Quantity or str, optional
        Gain of one polarisation, K/Jy, for Stokes parameters in Jy; allowed only with `tcal`.
    workers, memory : int, optional
        As for `fastsig.run.engine.run`.

    Returns
    -------
    Profiles

    Raises
    ------
    UsageError
        If an argument is not allowed, if neither or both of `predictor` and `period` are given, if
        the period is shorter than two samples, or if the predictor does not cover the data.
    PlanError
        If the chain does not contain spectra with known frequencies, or `single` is not possible.
    """
    stream = spectra_of(chain)
    if (predictor is None) == (period is None):
        raise UsageError("give either a predictor or a period")
    check_options(tcal, diode=diode, beam=beam, gain=gain)
    if tcal is not None:
        stream, _ = calibrated_spectra(stream, tcal, diode=diode, beam=beam, gain=gain,
                                       workers=workers, memory=memory)
    pars: list[str | PathLike[str]] = []
    if predictor is None:
        predictor = constant_period(stream, period, pdot, acceleration, dm)
    elif pdot is not None or acceleration is not None:
        raise UsageError("pdot and acceleration belong to a period; allowed: without a predictor")
    elif _is_time(predictor):
        raise UsageError(f"predictor = {shown(predictor)} is a time; allowed: for a constant "
                         f"period, period={shown(predictor)}")
    elif isinstance(predictor, str | PathLike):
        pars = [predictor] if is_par(predictor) else []
        predictor = of_file(stream, predictor, dm)
    elif not hasattr(predictor, "phase"):
        raise UsageError(f"predictor = {predictor!r}; allowed: a predictor, an ephemeris (.par), "
                         "or a file of polycos")
    made = aligned_for_turns(stream, [predictor], dm, constant) if single else stream
    found = folds_of(made, [predictor], workers=workers, memory=memory, dm=dm, n_bin=n_bin,
                     n_chan=n_chan, subint=subint, single=single, constant=constant)
    return with_ephemerides(found, pars)[0]


def _is_time(predictor: Any) -> bool:
    """Return whether a time was given, and not a predictor or a file."""
    if isinstance(predictor, PathLike) or (isinstance(predictor, str) and exists(predictor)):
        return False
    try:
        return exact(predictor, "s", "predictor") > 0
    except UsageError:
        return False


def folds_of(chain: Any, predictors: Sequence[Predictor], *, workers: int | None = None,
             memory: int | None = None, progress: Any = None, **options: Any) -> list[Profiles]:
    """Fold spectra with several predictors in one pass; the options are those of `Fold`."""
    sink = Fold(spectra_of(chain), predictors, **options)
    found: list[Profiles] = run_watched([sink], workers=workers, memory=memory,
                                        progress=progress)[0]
    return found


def aligned_for_turns(stream: Stream, predictors: Sequence[Predictor], dm: Any = None,
                      constant: Any = None) -> Stream:
    """Return a stream with aligned channels: each turn is in the same rows of all channels."""
    phases = ChannelPhases(stream, predictors[0], dm, constant)
    if not phases.shifted:
        return stream
    return Dedisperse(stream, phases.dm, constant=constant, last="drop")
