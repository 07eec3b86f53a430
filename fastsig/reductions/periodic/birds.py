"""Birds of a search for pulsars: from files, from tables of beams, and found at DM 0."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FormatError, PlanError, unreadable
from fastsig.reductions.periodic.request import Request
from fastsig.run.pulsar_files import read_pulsars
from fastsig.search.pulsars import birds
from fastsig.search.pulsars.candidates import PulsarCandidates
from fastsig.search.pulsars.engine import Read, varies
from fastsig.search.pulsars.fourier import CANDIDATE, FourierSearch, snr_of
from fastsig.search.pulsars.sift import TOLERANCE

__all__ = ["FIND", "birds_of", "found_at_zero_dm"]

F8 = NDArray[np.float64]

#: Given instead of the name of a file: birds are sought in the series of DM 0.
FIND = "find"
#: Harmonics that are summed if the search of all series has none.
_HARMONICS = 8
_MOST_BYTES = 2**24


def birds_of(names: Sequence[str | os.PathLike[str]]) -> F8:
    """Return the ranges of frequencies in files, Hz; the name `FIND` is ignored.

    A file is a table of `search beams`, whose rows with the verdict ``interference`` are used, or
    text with a line for each bird: its frequency and full width in Hz and, if it has harmonics,
    their number, as in the zaplists of PRESTO. Text after ``#`` is a comment.

    Raises
    ------
    FormatError, DataError
        If a file cannot be read or is not one of these.
    """
    paths = [os.fspath(each) for each in names if each != FIND]
    return birds.merged(*(_of_table(read_pulsars(path)) if path.endswith(".ecsv") else
                          _of_text(path) for path in paths))


def _of_table(found: PulsarCandidates) -> F8:
    if "verdict" in found:
        found = found[found.values("verdict") == "interference"]
    return birds.of_frequencies(found.values("frequency"), found.values("fdot"),
                                np.maximum(found.values("n_harmonic"), 1),
                                found.values("r") / found.values("frequency"),
                                found.values("fddot") if "fddot" in found else 0.0)


def _of_text(path: str) -> F8:
    try:
        with open(path, encoding="latin-1") as file:
            lines = file.read(_MOST_BYTES).splitlines()
    except OSError as error:
        raise unreadable(path, error) from error
    rows = [(number, line.partition("#")[0].split()) for number, line in enumerate(lines, 1)]
    return birds.merged(*(_of_line(path, number, parts) for number, parts in rows if parts))


def _of_line(path: str, number: int, parts: list[str]) -> F8:
    try:
        frequency, width = (float(each) for each in parts[:2])
        n_harmonic = int(parts[2]) if len(parts) > 2 else 1
        if not (0 < frequency < np.inf and 0 < width < np.inf and 1 <= n_harmonic <= 10**6
                and len(parts) <= 3):
            raise ValueError("not above 0")
    except ValueError as error:
        raise FormatError(path, f"line {number}: {' '.join(parts)!r}; allowed: a frequency and a "
                          "width in Hz, and a number of harmonics") from error
    return birds.lines(frequency, width, n_harmonic)


def found_at_zero_dm(request: Request, read: Read) -> F8:
    """Return the ranges of periodic signals of the series of DM 0.

    A signal is not among them if its S/N is higher by more than 1 (the noise of an S/N) at one of
    about ten other dispersion measures, each about twice the previous one, because the S/N of a
    pulsar increases towards its own dispersion measure.

    Raises
    ------
    PlanError
        If DM 0 is not among the dispersion measures.
    """
    places = [(float(dm), stretch, row) for stretch, each in enumerate(request.trials)
              for row, dm in enumerate(each.dms)]
    if not places or places[0][0] != 0:
        raise PlanError(f"--birds {FIND}: the lowest dispersion measure is {places[0][0]:g}; "
                        "allowed: 0")
    found = _candidates(request, read, *places[0][1:])
    for at in 2 ** np.arange((len(places) - 1).bit_length()):
        if not len(found):
            break
        other = _candidates(request, read, *places[int(at)][1:])
        found = found[~_stronger(found, other)]
    return birds.of_frequencies(found["frequency"], found["fdot"], found["n_harmonic"],
                                found["r"] / np.maximum(found["frequency"], 1e-12))


def _candidates(request: Request, read: Read, stretch: int, row: int) -> NDArray[Any]:
    """Return the candidates of a Fourier search without drift of one series."""
    trials, settings = request.trials[stretch], request.settings
    search = FourierSearch(trials.n_sample, trials.sample_s, threshold=settings.threshold,
                           n_harmonic=settings.n_harmonic or _HARMONICS)
    series, weight = read(stretch, row)
    return search.process(series, weight, settings.zapped) if varies(series, weight) else (
        np.empty(0, CANDIDATE))


def _stronger(found: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which candidates have a higher S/N among others."""
    duration = found["r"] / found["frequency"]
    near = np.abs(found["frequency"][:, np.newaxis] - other["frequency"]) * duration[
        :, np.newaxis] <= TOLERANCE
    own, others = (snr_of(each["power"], each["n_valid"]) for each in (found, other))
    more = others > own[:, np.newaxis] + 1
    return np.asarray((near & more).any(axis=1))
