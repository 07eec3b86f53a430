"""Small pictures of many candidates: aligned spectra, profile, and S/N against time and DM."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FastsigError, UsageError
from fastsig.io.opening import open_stream
from fastsig.reductions.bursts.measurement import Burst, find_burst
from fastsig.reductions.bursts.window import seconds_of, total_power
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.findings import Findings
from fastsig.stream import SpectrumStream
from fastsig.view.burst import bow_tie, shown_samples

__all__ = ["SHAPE", "Recordings", "Thumbnails", "thumbnails_of"]

F8 = NDArray[np.float64]

#: Rows and columns of a small picture.
SHAPE = (48, 64)
_LEVELS = 15  # of a pixel, of 4 bits; 0 where there are no data
_DARK = -1 / 3  # S/N of the darkest level relative to that of the brightest


@dataclass
class Thumbnails:
    """Small pictures of candidates.

    Parameters
    ----------
    aligned, tie : ndarray, shape (candidate, 48, 64), uint8
        Aligned spectra, the lowest frequency first, and S/N against dispersion measure and time,
        in levels from 1 to 15; 0 where there are no data.
    profile : ndarray, shape (candidate, 64), uint8
        Profile, from its lowest to its highest value.
    ranges : ndarray, shape (candidate, 6), float64
        Lowest and highest value of the profile, half of the time axis in s, lowest and highest
        frequency in MHz, and half of the axis of dispersion measures.
    troubles : mapping
        Why a candidate has no picture, by its number.
    """

    aligned: NDArray[np.uint8]
    tie: NDArray[np.uint8]
    profile: NDArray[np.uint8]
    ranges: F8
    troubles: dict[int, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, n: int) -> Thumbnails:
        """Return pictures without data."""
        return cls(np.zeros((n, *SHAPE), np.uint8), np.zeros((n, *SHAPE), np.uint8),
                   np.zeros((n, SHAPE[1]), np.uint8), np.zeros((n, 6)))

    def draw(self, k: int, burst: Burst) -> None:
        """Fill the pictures of a candidate."""
        part, seconds = shown_samples(burst)
        bands = burst.bands.merged(SHAPE[0])
        image = _squeezed(bands.values[:, part] / np.sqrt(bands.counts)[:, np.newaxis], SHAPE[1])
        self.aligned[k] = _levels(_stretched(image, SHAPE[0]))
        snr, half_dm = bow_tie(burst, SHAPE[0])
        self.tie[k] = _levels(_averaged(snr, SHAPE[1]))
        profile = _squeezed(burst.bands.profile()[part][np.newaxis], SHAPE[1])[0]
        low, high = float(profile.min()), float(profile.max())
        self.profile[k] = np.rint(255 * (profile - low) / max(high - low, 1e-9))
        half = burst.window.channel_mhz / 2
        self.ranges[k] = (low, high, -float(seconds[0]), burst.window.freq_mhz[0] - half,
                          burst.window.freq_mhz[-1] + half, half_dm)


def _places(n: int, most: int) -> NDArray[np.int64]:
    """Return the first samples of `most` pixels; samples repeat if there are fewer."""
    return np.linspace(0, n, most, endpoint=False).astype(np.int64)


def _squeezed(values: F8, n: int) -> F8:
    """Return sums along the last axis over the samples of a pixel, in units of their noise."""
    firsts = _places(values.shape[-1], n)
    counts = np.maximum(np.diff(np.append(firsts, values.shape[-1])), 1)
    return np.asarray(np.add.reduceat(values, firsts, axis=-1) / np.sqrt(counts))


def _averaged(values: F8, n: int) -> F8:
    firsts = _places(values.shape[-1], n)
    return np.asarray(np.maximum.reduceat(values, firsts, axis=-1))


def _stretched(image: F8, n: int) -> F8:
    """Return an image with its rows repeated to `n`."""
    return image[np.arange(n) * len(image) // n]


def _levels(image: F8) -> NDArray[np.uint8]:
    top = max(4.0, float(np.percentile(image, 99.7)))
    share = (image / top - _DARK) / (1 - _DARK)
    return np.asarray(np.clip(1 + np.rint(share * (_LEVELS - 1)), 1, _LEVELS), np.uint8)


class Recordings:
    """The recordings in which signals were found, opened when they are needed.

    Parameters
    ----------
    places : iterable of path
        Files, and folders that contain them.
    findings : Findings
        With the names of the inputs of the search in their meta, so that a burst that begins in one
        file of a scan and ends in the next is whole.

    Raises
    ------
    UsageError
        If a place does not exist.
    """

    def __init__(self, places: Iterable[str | os.PathLike[str]], findings: Findings) -> None:
        self._paths: dict[str, str] = {}
        for place in places:
            for path in _files(os.fspath(place)):
                self._paths.setdefault(os.path.basename(path), path)
        self.scans = _scans(findings.meta)
        self._open: dict[tuple[str, ...], SpectrumStream] = {}

    def stream(self, name: str) -> SpectrumStream:
        """Return the intensity of the scan that contains a file.

        Raises
        ------
        UsageError
            If the file is not there.
        """
        if name not in self._paths:
            raise UsageError(f"{name} is not in the folders of the data")
        scan = next((each for each in self.scans if name in each
                     and all(file in self._paths for file in each)), (name,))
        if scan not in self._open:
            self._open[scan] = total_power(open_stream([self._paths[file] for file in scan]))
        return self._open[scan]


def _files(place: str) -> list[str]:
    if os.path.isdir(place):
        return sorted(entry.path for entry in os.scandir(place) if entry.is_file())
    if not os.path.exists(place):
        raise UsageError(f"{place}: there is no such file or folder")
    return [place]


def _scans(meta: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the names of the files of each search, from the provenance of tables."""
    found = []
    for search in [meta, *meta.get("searches", ())]:
        for item in search.get("provenance", {}).get("inputs", ()):
            files = item.get("files", ()) if isinstance(item, Mapping) else ()
            found.append(tuple(str(file["name"]) for file in files if "name" in file))
    return [each for each in found if each]


def thumbnails_of(candidates: Candidates, recordings: Recordings, most: int | None = None,
                  advance: Callable[[int], None] | None = None) -> Thumbnails:
    """Return small pictures of candidates, of the first `most` only if it is given.

    A candidate whose data are missing, or too short, has an entry in `troubles` instead.
    """
    n = len(candidates) if most is None else min(most, len(candidates))
    made = Thumbnails.empty(n)
    for k in range(n):
        try:
            stream = recordings.stream(str(candidates.values("file")[k]))
            width = f"{float(candidates.values('width')[k])!r} s"
            burst = find_burst(stream, seconds_of(stream, candidates["time"][k]),
                               float(candidates.values("dm")[k]), width=width)
            made.draw(k, burst)
        except FastsigError as error:
            made.troubles[k] = str(error)
        if advance is not None:
            advance(1)
    return made
