"""Calibration of spectra to kelvin or jansky with the noise diode, before they are folded.

The differences in gain and phase between the feeds are removed, so that profiles of four products
yield the Stokes parameters of the pulsar in the frame of the receiver.
"""

from __future__ import annotations

from typing import Any

from fastsig.errors import UsageError
from fastsig.reductions.diode.calibration import DiodeMeasurement, calibrated, check, solve
from fastsig.stream import SpectrumStream, Stream, spectra_of

__all__ = ["calibrated_spectra", "check_options", "expected_spectra"]


def check_options(tcal: Any, **others: Any) -> None:
    """Refuse options of the calibration without `tcal`.

    Raises
    ------
    UsageError
        If one of `others` is given without `tcal`.
    """
    idle = [name for name, value in others.items() if value is not None]
    if tcal is None and idle:
        raise UsageError(f"{', '.join(idle)}: no effect without tcal; allowed: with tcal")


def calibrated_spectra(stream: Stream, tcal: Any, *, diode: Any = None, beam: int | None = None,
                       gain: Any = None, **passes: Any
                       ) -> tuple[SpectrumStream, DiodeMeasurement]:
    """Return the spectra of a scan calibrated with its noise diode, and the measured diode.

    The diode's signal is assumed to be injected at 45 degrees to both receptors, so that its CR + i
    CI is real, and is subtracted from spectra in which it is on.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra in the units of the recorder.
    tcal, diode, beam
        As for `fastsig.reductions.diode.calibration.solve`.
    gain : Quantity or str, optional
        Gain of one polarisation, K/Jy. The spectra are then Stokes parameters in Jy: I, Q, U, V of
        four products, and I of AA and BB.
    **passes
        ``workers``, ``memory``, ``progress``: as for `solve`.

    Raises
    ------
    DataError, PlanError, UsageError
        As `solve`.
    """
    spectra = spectra_of(stream)
    steps = _steps(spectra, beam, gain)
    check(spectra, **steps)
    found = solve(spectra, tcal, diode=diode, beam=beam,
                  phase=len(spectra.polarization.names) == 4, **passes)
    made = calibrated(spectra, found, **steps)
    made.header = made.header.replace(diode=found.cycle.schedule())
    return made, found


def expected_spectra(stream: Stream, *, beam: int | None = None, gain: Any = None
                     ) -> SpectrumStream | None:
    """Return spectra with the header of the calibrated ones; None if they cannot be calibrated."""
    spectra = spectra_of(stream)
    return check(spectra, **_steps(spectra, beam, gain))


def _steps(stream: SpectrumStream, beam: int | None, gain: Any) -> dict[str, Any]:
    """Return the steps of `fastsig.reductions.diode.calibration.calibrated`."""
    stokes = {("AA", "BB", "CR", "CI"): "IQUV", ("AA", "BB"): "I"}.get(stream.polarization.names)
    return {"beam": beam, "gain": gain, "stokes": None if gain is None else stokes}
