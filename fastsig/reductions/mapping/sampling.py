"""How densely the spectra of a map sample the sky, measured by its response to point sources."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastsig.reductions.mapping.pixels import Kernel

__all__ = ["point_source_error", "vectors"]

F8 = NDArray[np.float64]

_MOST_DISTANCES = 2**24  # between trial sources and spectra
_LEAST_TRIALS, _MOST_TRIALS = 9, 101


def vectors(ra: F8, dec: F8) -> F8:
    """Return unit vectors, shape (n, 3), of positions in degrees."""
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def point_source_error(ra: F8, dec: F8, kernel: Kernel, beam_deg: float) -> float:
    """Return the relative error of the peak of a point source on a track; 0 is dense sampling.

    A map computes ``sum K B / sum K`` over the spectra around a source, with the kernel K and the
    telescope's beam B. The scale of Jy/beam and the width of the effective beam assume the ratio
    of the integrals. Where tracks are too far apart the sums contain no spectra far from the
    source, and its peak is too high. The ratio does not change at the edge of a map.

    Parameters
    ----------
    ra, dec : ndarray, shape (n,), float64, deg
        Positions of the spectra; about a hundred of them, evenly spaced, are the trial sources.
    kernel : Kernel
    beam_deg : float
        Full width at half maximum of the telescope's beam.

    Returns
    -------
    float
        Median over the trial sources, e.g. 0.12 if the peak is 12 % too high.
    """
    places = vectors(ra, dec)
    n = min(len(places), max(_LEAST_TRIALS, min(_MOST_TRIALS, _MOST_DISTANCES // len(places))))
    trials = np.linspace(0, len(places) - 1, n).astype(int)
    return float(np.median([_response(places, places[i], kernel, beam_deg) for i in trials])
                 * kernel.scale(beam_deg) - 1)


def _response(places: F8, source: F8, kernel: Kernel, beam_deg: float) -> float:
    """Return ``sum K B / sum K`` at a source."""
    limit = 2 * math.sin(math.radians(kernel.radius_deg) / 2)
    square = ((places - source) ** 2).sum(axis=1)
    square = square[square <= limit**2] * math.degrees(1) ** 2  # a chord is an arc here
    weight = np.exp(-4 * math.log(2) * square / kernel.fwhm_deg**2)
    beam = np.exp(-4 * math.log(2) * square / beam_deg**2)
    return float((weight * beam).sum() / weight.sum())
