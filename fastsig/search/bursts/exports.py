"""Candidates as the tables of PRESTO, heimdall and TransientX."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import mjd_and_seconds
from fastsig.errors import UsageError
from fastsig.pulsar.toas import mjd_text
from fastsig.search.bursts.candidates import Candidates

__all__ = ["EXPORTS", "heimdall_text", "singlepulse_text", "transientx_text"]


def singlepulse_text(candidates: Candidates) -> str:
    """Return the text of a PRESTO .singlepulse file, in order of time.

    The columns are the DM, sigma, time (s after the start), sample at the centre, and width in
    samples. A sample is a recorded spectrum.
    """
    lines = ["# DM      Sigma      Time (s)     Sample    Downfact"]
    for k in _by_time(candidates):
        first, last = (int(candidates.values(name)[k]) for name in ("first_row", "last_row"))
        lines.append(f"{candidates.values('dm')[k]:7.2f} {candidates.values('snr')[k]:7.2f} "
                     f"{candidates.values('time_s')[k]:13.6f} {(first + last + 1) // 2:10d}   "
                     f"{last - first + 1:3d}")
    return "\n".join(lines) + "\n"


def heimdall_text(candidates: Candidates) -> str:
    """Return the text of a heimdall .cand file, in order of time.

    The columns are the S/N, the sample at the centre, its time (s), the logarithm to base 2 of the
    width in samples, the number of the dispersion measure in the plan, the dispersion measure, the
    number of members, and the first and the last sample.

    Raises
    ------
    UsageError
        If the meta contains no plan of dispersion measures.
    """
    plan, lines = _plan_dms(candidates), []
    for k in _by_time(candidates):
        first, last = (int(candidates.values(name)[k]) for name in ("first_row", "last_row"))
        dm = float(candidates.values("dm")[k])
        cells = (f"{candidates.values('snr')[k]:.5g}", (first + last + 1) // 2,
                 f"{candidates.values('time_s')[k]:.9g}", round(np.log2(last - first + 1)),
                 int(np.abs(plan - dm).argmin()), f"{dm:.6g}",
                 int(candidates.values("n_member")[k]), first, last)
        lines.append("\t".join(map(str, cells)))
    return "".join(f"{line}\n" for line in lines)


def transientx_text(candidates: Candidates) -> str:
    """Return the text of a TransientX .cands file, in order of time.

    The columns are the beam, number, time (MJD, UTC, at the highest channel), dispersion measure,
    width (ms), S/N, lowest and highest frequency (MHz), name of a picture ("none"), number of the
    plan (1), and file.
    """
    lines = []
    for number, k in enumerate(_by_time(candidates), 1):
        day, seconds = mjd_and_seconds(candidates["time"][k])
        cells = (int(candidates.values("beam")[k]), number, mjd_text(day, seconds),
                 f"{candidates.values('dm')[k]:.4f}", f"{1e3 * candidates.values('width')[k]:.6g}",
                 f"{candidates.values('snr')[k]:.3f}", f"{candidates.values('low_mhz')[k]:.6f}",
                 f"{candidates.values('high_mhz')[k]:.6f}", "none", 1,
                 candidates.values("file")[k])
        lines.append("\t".join(map(str, cells)))
    return "".join(f"{line}\n" for line in lines)


def _by_time(candidates: Candidates) -> NDArray[np.int64]:
    return np.lexsort((candidates.values("dm"), candidates.values("time_s")))


def _plan_dms(candidates: Candidates) -> NDArray[np.float64]:
    """Return all dispersion measures of the plan, ascending."""
    try:
        return np.concatenate([each["low_dm"] + each["step"] * np.arange(each["n_dm"])
                               for each in candidates.meta["stretches"]])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError("the table has no plan of dispersion measures, whose numbers heimdall's "
                         "format contains; allowed: the table of one search") from error


#: Functions that return the text of a table, by the name of its format.
EXPORTS: dict[str, Callable[[Candidates], str]] = {
    "singlepulse": singlepulse_text, "heimdall": heimdall_text, "transientx": transientx_text}
