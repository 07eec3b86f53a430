"""Tiles of the search with drift: their size, and the transforms of each harmonic. NumPy only."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ._periodic_tables import JERK_STEP, harmonic_place, jerk_side, jerk_taps, templates

#: Points of transforms: the longest still stays in the second-level cache with all that it needs.
LENGTHS = (256, 512, 1024, 2048, 4096)
#: Passes over memory of a transform, in units of those of its butterflies of radix 2.
_PASSES = 4.0
#: Bins of a tile are a multiple of this many; a row of the highest harmonic has whole blocks.
_STEP = 64


@dataclass(frozen=True)
class Piece:
    """Bins of a row that one transform computes."""

    row: int
    first: int
    n_bin: int
    length: int


@dataclass(frozen=True)
class Tile:
    """The largest tile, and the pieces of all its rows.

    Parameters
    ----------
    n_bin : int
        Bins of the highest harmonic.
    sides : tuple of int
        Bins on each side of templates, of each row.
    pieces : tuple of Piece
        In the order of rows, which are those of harmonics 1 to n.
    """

    n_bin: int
    sides: tuple[int, ...]
    pieces: tuple[Piece, ...]


def drift_steps(n_z: int, n_harmonic: int) -> np.ndarray:
    """Return the drift (or jerk) of each harmonic for each of the highest, in steps."""
    return np.array([[harmonic_place(z, part, n_harmonic) for part in range(1, n_harmonic + 1)]
                     for z in range(n_z + 1)], np.int64)


@lru_cache(maxsize=8)
def best_tile(n_z: int, n_harmonic: int, n_side: int, n_bin: int, n_w: int = 0) -> Tile:
    """Return the tile that takes the least time for a bin, for spectra of `n_bin` bins."""
    steps = drift_steps(n_z, n_harmonic)[-1]
    jerks = JERK_STEP * drift_steps(n_w, n_harmonic)[-1]
    # Rows then begin at cache lines.
    sides = tuple(int(-(-(n_side + z + jerk_side(w)) // 8) * 8)
                  for z, w in zip(steps, jerks, strict=True))
    longest = LENGTHS[-1] if LENGTHS[-1] > 4 * sides[-1] else 2 ** int(8 * sides[-1]).bit_length()
    lengths = (*LENGTHS, longest) if longest > LENGTHS[-1] else LENGTHS
    most = min(lengths[-1] - 2 * sides[-1] - 1, -(-n_bin // _STEP) * _STEP)
    choices = range(_STEP, max(most, _STEP) // _STEP * _STEP + 1, _STEP)
    return min((_tile(n, steps, sides, lengths) for n in choices), key=lambda each: each[0])[1]


def _tile(n_bin: int, steps: np.ndarray, sides: tuple[int, ...], lengths: tuple[int, ...]
          ) -> tuple[float, Tile]:
    """Return the time for a bin, in any unit, and the tile of a size."""
    pieces: list[Piece] = []
    total = 0.0
    n_harmonic = len(steps)
    for row, (z, side) in enumerate(zip(steps, sides, strict=True)):
        # One more bin, since the last half bins are rounded up.
        needed = -(-n_bin * (row + 1) // n_harmonic) + 1
        cost, cut = _cut(needed, side, lengths)
        total += cost * (int(z) + 1)
        first = 0
        for length, n in cut:
            pieces.append(Piece(row, first, n, length))
            first += n
    return total / n_bin, Tile(n_bin, sides, tuple(pieces))


@lru_cache(maxsize=4096)
def _cut(needed: int, side: int, lengths: tuple[int, ...]) -> tuple[float, list[tuple[int, int]]]:
    """Return the least time for a number of bins, and lengths and bins of one or two pieces."""
    found: list[tuple[float, list[tuple[int, int]]]] = []
    for one in lengths:
        room = one - 2 * side
        if room >= needed:
            found.append((_cost(one), [(one, needed)]))
            continue
        found += [(_cost(one) + _cost(other), [(one, room), (other, needed - room)])
                  for other in lengths if room > 0 and other - 2 * side >= needed - room]
    return min(found)


def _cost(length: int) -> float:
    return length * (np.log2(length) + _PASSES)


class Templates:
    """Templates of drifts of 0, 2, 4... bins, at bins and half a bin above.

    Parameters
    ----------
    n_z : int
        Largest drift, in steps of 2 bins.
    n_side : int
        Bins on each side of those that a template crosses.
    """

    def __init__(self, n_z: int, n_side: int) -> None:
        self._side = side = n_side + n_z
        drift = 2.0 * np.arange(n_z + 1)
        whole = templates(drift, np.arange(-side, side + 1.0))
        between = templates(drift, np.arange(-side + 1.0, side + 1) - 0.5)
        #: Coefficients of bins from `-side` on, (n_z + 1, 2, 2 side + 1), 0 beyond a template.
        self.taps = np.zeros((n_z + 1, 2, 2 * side + 1), np.complex128)
        self.taps[:, 0], self.taps[:, 1, 1:] = whole, between
        bins, own = np.arange(-side, side + 1), n_side + np.arange(n_z + 1)[:, np.newaxis]
        self.taps[:, 0] *= np.abs(bins) <= own
        self.taps[:, 1] *= np.abs(bins - 0.5) < own
        size = 2 ** (4 * side + 2).bit_length()
        power = np.abs(np.fft.fft(self.taps, size)) ** 2
        # Of two coefficients d bins apart, the sum of products of one and the conjugate of the
        # other, with the signs of bins that alternate.
        self._pairs = np.fft.ifft(power)[..., : 2 * side + 1]
        self._pairs *= 1 - 2 * (np.arange(2 * side + 1) % 2)

    @property
    def nbytes(self) -> int:
        """Size of the tables, in bytes."""
        return self.taps.nbytes + self._pairs.nbytes

    def spectra(self, n_z: int, length: int) -> np.ndarray:
        """Return the transforms by which conjugates of spectra are multiplied.

        Returns
        -------
        ndarray, shape (n_z + 1, 2, length), complex128
            Up to a drift, at bins, and between them without the shift by half a bin.
        """
        made = np.zeros((n_z + 1, 2, length), np.complex128)
        reach = min(self._side, length // 2 - 1)
        own = slice(self._side - reach, self._side + reach + 1)
        made[..., np.arange(-reach, reach + 1) % length] = self.taps[: n_z + 1, :, own]
        made = np.fft.ifft(made, axis=-1, norm="forward")
        made[:, 1] *= np.exp(-1j * np.pi * np.arange(length) / length)
        return made.conj()

    def noise(self, lags: np.ndarray) -> np.ndarray:
        """Return the mean power of noise of each template, of each sign of drift.

        Returns
        -------
        ndarray, shape (2, n_z + 1, 2), float64
            For drifts above 0, and below.
        """
        n = min(len(lags), self._pairs.shape[-1])
        pairs, both = self._pairs[..., :n], np.where(np.arange(n) > 0, 2, 1)
        return np.stack([((each * lags[:n]).real * both).sum(axis=-1)
                         for each in (pairs, pairs.conj())])


def jerk_spectra(n_w: int, length: int) -> np.ndarray:
    """Return the transforms of templates of jerk, by which those of spectra are multiplied.

    Returns
    -------
    ndarray, shape (n_w + 1, length), complex128
        For jerks of 0, 20, 40... bins; the conjugates are those for the negative ones.
    """
    made = np.zeros((n_w + 1, length))
    for step in range(n_w + 1):
        side = jerk_side(JERK_STEP * step)
        if 2 * side < length:  # longer ones belong to longer transforms
            made[step, np.arange(-side, side + 1)] = jerk_taps(JERK_STEP * step)
    return np.fft.ifft(made, axis=-1, norm="forward")
