"""Pulsar candidates as the tables of PRESTO and riptide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.search.pulsars.candidates import PulsarCandidates

__all__ = ["EXPORTS", "accel_text", "check_accel", "riptide_text"]

_TITLES = (("", "Cand"), ("", "Sigma"), ("Summed", "Power"), ("Coherent", "Power"),
           ("Num", "Harm"), ("Period", "(ms)"), ("Frequency", "(Hz)"), ("FFT 'r'", "(bin)"),
           ("Freq Deriv", "(Hz/s)"), ("FFT 'z'", "(bins)"), ("Accel", "(m/s^2)"), ("", "Notes"))
_WIDTHS = (4, 5, 6, 8, 4, 16, 15, 15, 15, 11, 15, 20)


def accel_text(candidates: PulsarCandidates) -> str:
    """Return the text of PRESTO's ACCEL files: the candidates of the Fourier search.

    Columns: number, sigma, summed power, number of harmonics, period, frequency, Fourier bin,
    derivative of the frequency, its drift in bins, acceleration, and as notes the dispersion
    measure, which PRESTO reads from the name of the file. Coherent powers are not known, and are
    written as 0. Then follow the two lines of the .inf file from which PRESTO computes the
    duration T. As in PRESTO, the frequency f is the mean over T, and the bin and the drift are f T
    and f' T^2, whatever the length of the transform was.

    Raises
    ------
    UsageError
        If the meta lacks the length of the series, or the candidates are of segments.
    """
    check_accel(in_segments="segment" in candidates)
    n_time, sample_s = _series_of(candidates)
    lines = [_line([each[k] for each in _TITLES]) for k in (0, 1)]
    lines.append("-" * len(lines[-1]))
    rows = np.flatnonzero(candidates.values("method") == "fourier")
    lines += [_line(_cells(candidates, int(k), number, n_time * sample_s), left=True)
              for number, k in enumerate(rows, 1)]
    about = (("Number of bins in the time series", f"{n_time}"),
             ("Width of each time series bin (sec)", f"{sample_s:.15g}"))
    return "\n".join([*lines, "", "", *(f" {label:<39}=  {value}" for label, value in about), ""])


def check_accel(*, in_segments: bool) -> None:
    """Raise `UsageError` if candidates are of segments, whose lengths differ from the series'."""
    if in_segments:
        raise UsageError("candidates of segments: ACCEL files state one length for all candidates; "
                         "allowed: .ecsv and .csv")


def _series_of(candidates: PulsarCandidates) -> tuple[int, float]:
    try:
        return int(candidates.meta["n_time"]), float(candidates.meta["sample_s"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError("the table states no length of the series, which ACCEL files contain; "
                         "allowed: the table of one search") from error


def _line(cells: Sequence[str], *, left: bool = False) -> str:
    """Return cells in columns; PRESTO recognises rows by a number at the beginning."""
    padded = [f"{cell:<{width}}" if left and not k else f"{cell:^{width}}"
              for k, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True))]
    return "  ".join(padded).rstrip()


def _cells(candidates: PulsarCandidates, k: int, number: int, duration_s: float) -> list[str]:
    value = {name: candidates.values(name)[k] for name in candidates.names if name != "epoch"}
    error, change = value["frequency_error"], value.get("fddot", 0.0)
    drift = value["fdot"] + change * duration_s / 2
    mean = value["frequency"] + (value["fdot"] / 2 + change * duration_s / 6) * duration_s
    return [f"{number}", f"{value['sigma']:.2f}", f"{value['power']:.2f}", "0.00",
            f"{value['n_harmonic']}",
            _with_error(1e3 / mean, 1e3 * error / mean**2), _with_error(mean, error),
            f"{mean * duration_s:.3f}", f"{drift:.4e}", f"{drift * duration_s**2:.2f}",
            f"{value['acceleration']:.4g}", f"DM={value['dm']:.4g}"]


def _with_error(value: float, error: float) -> str:
    """Return a value with one digit of its error, that of the last digit, in parentheses."""
    if not (np.isfinite(error) and error > 0):
        return f"{value:.9g}"
    digits = max(0, -int(f"{error:.0e}".split("e")[1]))  # of the rounded error: 0.00099996 is 0.001
    return f"{value:.{digits}f}({min(9, max(1, round(error * 10**digits)))})"


def riptide_text(candidates: PulsarCandidates) -> str:
    """Return the text of riptide's candidates.csv: the candidates of fast folding.

    Columns: period (s), frequency (Hz), dispersion measure, width (bins of the profile), duty cycle
    and S/N. Bins are those of the mean number of bins that the meta states.

    Raises
    ------
    UsageError
        If the meta lacks the numbers of bins.
    """
    rows = np.flatnonzero(candidates.values("method") == "ffa")
    n_bin = _bins_of(candidates)
    cells: list[NDArray[Any]] = [candidates.values(name)[rows]
                                 for name in ("period", "frequency", "dm", "duty", "snr")]
    lines = ["period,freq,dm,width,ducy,snr"]
    lines += [f"{period:.9f},{frequency:.9f},{dm:.9f},{max(1, round(duty * n_bin))},{duty:.9f},"
              f"{snr:.9f}" for period, frequency, dm, duty, snr in zip(*cells, strict=True)]
    return "\n".join([*lines, ""])


def _bins_of(candidates: PulsarCandidates) -> float:
    try:
        return float(np.mean([float(each) for each in candidates.meta["ffa"]["n_bin"]]))
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError("the table states no number of bins of fast folding, which riptide's "
                         "format contains; allowed: the table of one search by fast folding"
                         ) from error


#: Functions that return the text of a table, by the name of its format.
EXPORTS: dict[str, Callable[[PulsarCandidates], str]] = {"accel": accel_text,
                                                         "riptide": riptide_text}
