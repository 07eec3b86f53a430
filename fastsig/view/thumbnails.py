"""Small pictures of many findings: images in a few levels, and curves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FastsigError, UsageError
from fastsig.io.opening import open_stream
from fastsig.reductions.intensity import intensity_of
from fastsig.search.findings import Findings
from fastsig.stream import SpectrumStream, spectra_of

__all__ = ["SHAPE", "Recordings", "Thumbnails", "highest", "squeezed", "stretched",
           "thumbnails_of"]

F8 = NDArray[np.float64]

#: Rows and columns of a small image; a curve has as many points as an image has columns.
SHAPE = (48, 64)
_LEVELS = 15  # of a pixel, of 4 bits; 0 where there are no data
_DARK = -1 / 3  # value of the darkest level relative to that of the brightest


class _Panel(Protocol):
    """A picture of a page: an image or a curve."""

    @property
    def kind(self) -> str: ...


@dataclass
class Thumbnails:
    """Small pictures of findings.

    Parameters
    ----------
    kinds : tuple of {"image", "curve"}
        The pictures of a finding, from top to bottom.
    images : ndarray, shape (finding, image, 48, 64), uint8
        Images in levels from 1 to 15, the lowest row first; 0 where there are no data.
    curves : ndarray, shape (finding, curve, 64), uint8
        Curves, from their lowest to their highest value.
    limits : ndarray, shape (finding, curve, 2), float64
        Lowest and highest value of each curve.
    captions : list
        For each finding and each picture, the texts below it, from left to right; may be none.
    troubles : mapping
        Why a finding has no picture, by its number.
    """

    kinds: tuple[str, ...]
    images: NDArray[np.uint8]
    curves: NDArray[np.uint8]
    limits: F8
    captions: list[list[tuple[str, ...]]]
    troubles: dict[int, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, n: int, panels: Sequence[_Panel]) -> Thumbnails:
        """Return pictures of `n` findings without data."""
        kinds = tuple(each.kind for each in panels)
        n_curve = kinds.count("curve")
        return cls(kinds, np.zeros((n, kinds.count("image"), *SHAPE), np.uint8),
                   np.zeros((n, n_curve, SHAPE[1]), np.uint8), np.zeros((n, n_curve, 2)),
                   [[()] * len(kinds) for _ in range(n)])

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, k: int, panel: int, values: F8, *captions: str) -> None:
        """Fill a picture of a finding.

        Parameters
        ----------
        k, panel : int
            Numbers of the finding and of the picture.
        values : ndarray, shape (48, 64) or (64,)
            The image, in units of its noise, or the curve; not finite where there are no data.
        captions : str
            Texts below the picture, from left to right.
        """
        place = self.kinds[:panel].count(self.kinds[panel])
        self.captions[k][panel] = captions
        if self.kinds[panel] == "image":
            self.images[k, place] = _levels(values)
            return
        curve = np.where(np.isfinite(values), values, 0)
        low, high = float(curve.min()), float(curve.max())
        self.curves[k, place] = np.rint(255 * (curve - low) / max(high - low, 1e-9))
        self.limits[k, place] = low, high

    def rounded_limits(self) -> list[list[list[float]]]:
        """Return the limits with six digits."""
        return [[[float(f"{each:.6g}") for each in pair] for pair in row] for row in self.limits]


def _places(n: int, most: int) -> NDArray[np.int64]:
    """Return the first samples of `most` pixels; samples repeat if there are fewer."""
    return np.linspace(0, n, most, endpoint=False).astype(np.int64)


def squeezed(values: F8, n: int) -> F8:
    """Return `n` pixels along the last axis: sums of samples, in units of their noise."""
    firsts = _places(values.shape[-1], n)
    counts = np.maximum(np.diff(np.append(firsts, values.shape[-1])), 1)
    return np.asarray(np.add.reduceat(values, firsts, axis=-1) / np.sqrt(counts))


def highest(values: F8, n: int) -> F8:
    """Return `n` pixels along the last axis: the highest of their samples."""
    return np.asarray(np.maximum.reduceat(values, _places(values.shape[-1], n), axis=-1))


def stretched(image: F8, n: int) -> F8:
    """Return an image with its rows repeated to `n`."""
    return image[np.arange(n) * len(image) // n]


def _levels(image: F8) -> NDArray[np.uint8]:
    known = np.isfinite(image)
    top = max(4.0, float(np.percentile(image[known], 99.7))) if known.any() else 1.0
    share = (np.where(known, image, 0) / top - _DARK) / (1 - _DARK)
    found = np.clip(1 + np.rint(share * (_LEVELS - 1)), 1, _LEVELS)
    return np.asarray(np.where(known, found, 0), np.uint8)


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
            opened = open_stream([self._paths[file] for file in scan])
            self._open[scan] = intensity_of(spectra_of(opened))
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


def thumbnails_of(
    findings: Findings, panels: Sequence[_Panel], recordings: Recordings,
    draw: Callable[[Thumbnails, int, SpectrumStream], None], most: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> Thumbnails:
    """Return small pictures of findings, of the first `most` only if it is given.

    Parameters
    ----------
    findings : Findings
        With a column `file`.
    panels : sequence
        The pictures of a page, each with its `kind`.
    recordings : Recordings
    draw : callable
        Draws the pictures of a finding, given the pictures, its number and its spectra. If it
        raises a `FastsigError`, as for data that are missing or too short, the finding has an
        entry in `troubles` instead.
    most : int, optional
    advance : callable, optional
        Called with 1 after each finding.
    """
    n = len(findings) if most is None else min(most, len(findings))
    made = Thumbnails.empty(n, panels)
    for k in range(n):
        try:
            draw(made, k, recordings.stream(str(findings.values("file")[k])))
        except FastsigError as error:
            made.troubles[k] = str(error)
        if advance is not None:
            advance(1)
    return made
