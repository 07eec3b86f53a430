"""Folding: rows of samples added to the bins of their phases, for one or many ephemerides."""

from typing import Any

import numpy as np

from . import _check
from ._plan import Plan

__all__ = ["Folder", "phase_pieces"]

_DTYPES = ("uint8", "int8", "uint16", "int16", "float32")
_MOST_BINS = 2**16
_MOST_EPHEMERIDES = 2**12
_MOST_SLOTS = 2**24
_MOST_PIECE = 2**16  # rounding of a bend then changes a phase by 6e-11 turn at most
_MOST_TURNS = 2**62
_TURN = 2**64


class Folder(Plan):
    """Plan that folds spectra: it adds each row to the bin of its phase, for each ephemeris.

    ``out[e, b] = sum over the rows t in bin b of w[t] x[t]``. A row with a phase of p turns is in
    bin ``floor(n_bin p)``. Phases are integers in units of 2^-64 turn, modulo a turn.

    Parameters
    ----------
    n_bin : int
        Number of bins in a turn.
    n_chan, n_product, n_ephemeris : int
        Number of channels, of products and of ephemerides.
    dtype : {"uint8", "int8", "uint16", "int16", "float32"}
        Type of the samples.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Notes
    -----
    *Numbers.* Sums are float64. Those of integers are exact up to 2^53 if all weights are 0 or 1;
    other sums are accumulated in the order of the rows. With ``add=True``, a stream that is divided
    into calls in any way gives the same bits. NaN spreads to the sums that include it, unless its
    weight is 0.

    *Memory.* `memory_bytes` does not depend on the number of rows. The GIL is released. Only one
    thread may use a plan at a time. Plans can be pickled and copied, and have no state.
    """

    def __init__(
        self,
        n_bin: int,
        n_chan: int,
        *,
        n_product: int = 1,
        n_ephemeris: int = 1,
        dtype: str = "uint8",
    ) -> None:
        self._n_bin = _check.count("n_bin", n_bin, maximum=_MOST_BINS)
        self._n_chan = _check.count("n_chan", n_chan, maximum=2**31)
        self._n_product = _check.count("n_product", n_product, maximum=2**16)
        self._n_ephemeris = _check.count("n_ephemeris", n_ephemeris, maximum=_MOST_EPHEMERIDES)
        if self._n_bin * self._n_ephemeris > _MOST_SLOTS:
            raise ValueError(f"n_ephemeris: found {n_ephemeris} with {n_bin} bins each, allowed "
                             f"{_MOST_SLOTS} bins in all")
        self._dtype = np.dtype(_check.choice("dtype", dtype, _DTYPES))
        self._own_state()

    def _own_state(self) -> None:
        # Work spaces, made by the first call that needs them, with their loops.
        self._tiles: Any = None
        self._groups: Any = None

    @property
    def n_bin(self) -> int:
        """Number of bins in a turn."""
        return self._n_bin

    @property
    def memory_bytes(self) -> int:
        """Size of the work space, in bytes; the first calls allocate most of it."""
        bins = 16 * self._n_bin * self._n_ephemeris
        return bins + sum(each.memory_bytes for each in (self._tiles, self._groups) if each)

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        n_chan = 81  # tiles of all widths
        plan = Folder(8, n_chan, dtype=self._dtype.name)
        x, phase = np.zeros((1, 1, n_chan), self._dtype), np.zeros((1, 1, 3), np.uint64)
        half, ones = np.full((1, 1, 1), 0.5, np.float32), np.ones((1, 1, n_chan), np.float32)
        for weight in (None, half, ones):
            for offset in (None, np.zeros((1, n_chan), np.uint64)):
                plan.process(x, phase, 1, offset=offset, weight=weight)

    def process(self, x: np.ndarray, phase: np.ndarray, piece: int, *,
                offset: np.ndarray | None = None, weight: np.ndarray | None = None,
                add: bool = False, out: np.ndarray | None = None,
                out_weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Fold rows.

        Parameters
        ----------
        x : ndarray, shape (n_time, n_product, n_chan), any unit
            Rows, in the plan's dtype; copied if the last axis is not contiguous.
        phase : ndarray, shape (n_ephemeris, n_piece, 3), uint64, 2^-64 turn
            Start, step and bend of each piece, as from `phase_pieces`: row j of a piece has the
            phase ``start + j step + (j (j - 1) / 2) bend``, modulo a turn.
        piece : int
            Number of rows in a piece; the last one may have fewer.
        offset : ndarray, shape (n_ephemeris, n_chan), uint64, 2^-64 turn, optional
            Value that is added to the phase in each channel, to align channels with different
            delays.
        weight : ndarray, shape (n_time, 1 or n_product, 1 or n_chan), float32, optional
            Weights, 1 by default. Samples whose weight is not above 0 are left out.
        add : bool
            Whether to add to the contents of `out` and `out_weight`.
        out : ndarray, shape (n_ephemeris, n_bin, n_product, n_chan), float64, optional
            Receives the sums; C-contiguous.
        out_weight : ndarray, float64, optional
            Receives the sums of weights; C-contiguous. The shape is (n_ephemeris, n_bin, 1, 1),
            with n_product instead of 1 if `weight` has it, and n_chan instead of 1 if `weight` has
            it or `offset` is given.

        Returns
        -------
        sums, weights : ndarray
            `out` and `out_weight`, or new arrays. Their ratio is the mean profile; it is NaN in
            bins that received nothing.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type, dtype or shape; nothing is then changed.
        RuntimeError
            If another call is in progress.
        """
        with self._alone():
            piece = _check.count("piece", piece, maximum=_MOST_PIECE)
            self._check_inputs(x, phase, piece, offset, weight)
            shape, shape_weight = self._shapes(weight, offset)
            inputs = x, phase, offset, weight
            if _check.flag("add", add) and (out is None or out_weight is None):
                raise ValueError("add: found True without out and out_weight, allowed with both")
            out = self._target("out", out, shape, *inputs, out_weight)
            out_weight = self._target("out_weight", out_weight, shape_weight, *inputs, out)
            if len(x):
                self._fold(x, np.array(phase, order="C"), piece, offset, weight, out, out_weight,
                           add)
            elif not add:
                out.fill(0)
                out_weight.fill(0)
        return out, out_weight

    def _check_inputs(self, x: np.ndarray, phase: np.ndarray, piece: int, offset: Any,
                      weight: Any) -> None:
        _check.array("x", x, (self._dtype,), 3)
        _check.shape("x", x, (len(x), self._n_product, self._n_chan))
        _check.array("phase", phase, ("uint64",), 3)
        _check.shape("phase", phase, (self._n_ephemeris, -(-len(x) // piece), 3))
        if offset is not None:
            _check.array("offset", offset, ("uint64",), 2)
            _check.shape("offset", offset, (self._n_ephemeris, self._n_chan))
        if weight is not None:
            _check.array("weight", weight, ("float32",), 3)
            wide = tuple(n if found == n else 1 for found, n in zip(
                weight.shape[1:], (self._n_product, self._n_chan), strict=True))
            _check.shape("weight", weight, (len(x), *wide))

    def _shapes(self, weight: np.ndarray | None, offset: np.ndarray | None
                ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shapes of the sums and of the sums of weights."""
        n_product, n_chan = (1, 1) if weight is None else weight.shape[1:]
        if offset is not None:
            n_chan = self._n_chan
        bins = self._n_ephemeris, self._n_bin
        return (*bins, self._n_product, self._n_chan), (*bins, n_product, n_chan)

    def _target(self, name: str, out: np.ndarray | None, shape: tuple[int, ...], *others: Any
                ) -> np.ndarray:
        out = _check.output(name, out, shape, "float64", *others)
        _check.c_contiguous(name, out)
        return out

    def _fold(self, x: np.ndarray, phase: np.ndarray, piece: int, offset: np.ndarray | None,
              weight: np.ndarray | None, out: np.ndarray, out_weight: np.ndarray,
              add: bool) -> None:
        from ._folding_groups import Groups
        from ._folding_tiles import Tiles

        if x.strides[2] != x.itemsize:
            x = np.ascontiguousarray(x)
        if offset is None:
            if self._tiles is None:
                self._tiles = Tiles(self._dtype, self._n_ephemeris, self._n_bin)
            self._tiles.fold(x, phase, piece, weight, out, out_weight, add=add)
            return
        if self._groups is None:
            self._groups = Groups(self._dtype, self._n_ephemeris, self._n_bin)
        self._groups.fold(x, phase, piece, offset, weight, out, out_weight, add=add)


def phase_pieces(turns: np.ndarray, fraction: np.ndarray, piece: int) -> np.ndarray:
    """Return the pieces of a phase in the form that `Folder.process` needs.

    Each piece is the parabola through three phases.

    Parameters
    ----------
    turns : ndarray, shape (..., 3), int64, turns
        Whole turns at rows 0, ``piece / 2`` and `piece` of each piece.
    fraction : ndarray, shape (..., 3), float64, turns
        The rest of the phases, between -1 and 1.
    piece : int
        Number of rows in a piece.

    Returns
    -------
    ndarray, shape (..., 3), uint64, 2^-64 turn
        Start, step and bend.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype, shape or value.

    Notes
    -----
    Rounding changes phases by less than 1e-10 turn.
    """
    _check.plain("turns", turns)
    _check.array("turns", turns, ("int64",), turns.ndim)
    _check.array("fraction", fraction, ("float64",), turns.ndim)
    _check.shape("turns", turns, (*turns.shape[:-1], 3))
    _check.shape("fraction", fraction, turns.shape)
    piece = _check.count("piece", piece, maximum=_MOST_PIECE)
    if not (np.abs(fraction) <= 1).all():
        raise ValueError("fraction: found values beyond -1 to 1 or NaN, allowed -1 to 1")
    if turns.size and (turns.max() >= _MOST_TURNS or turns.min() <= -_MOST_TURNS):
        raise ValueError(f"turns: found values beyond +-{_MOST_TURNS}")
    rows = zip(turns.reshape(-1, 3).tolist(), fraction.reshape(-1, 3).tolist(), strict=True)
    found = [_pieces_of(*row, piece) for row in rows]
    return np.array(found, np.uint64).reshape(turns.shape)


def _pieces_of(turns: list[int], fraction: list[float], piece: int) -> tuple[int, int, int]:
    """Return start, step and bend of one piece."""
    first, middle, last = ((n << 64) + int(f * _TURN) for n, f in zip(turns, fraction, strict=True))
    bend = (4 * (last - 2 * middle + first) * 2 + piece**2) // (2 * piece**2)
    step = (2 * (last - first) - bend * piece * (piece - 1) + piece) // (2 * piece)
    return first % _TURN, step % _TURN, bend % _TURN
