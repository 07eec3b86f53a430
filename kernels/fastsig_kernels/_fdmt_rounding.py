"""Tracks of a tree in whole samples that deviate least from the exact delays.

A node has rows for delays across the node on a grid, and each row is the sum of one row of each
part, with a shift. If the row and the shift were each rounded separately, errors would add up from
level to level. Here they are chosen together, from the last level to the first: of the rows near
the exact delay, and of the shifts, those are used for which the sum over all channels of the
squared deviation is least, including the errors within the parts. Only the deviation from a
constant counts, so that the constant is chosen too.

A track depends only on its own delay, not on the other delays.
"""

from dataclasses import dataclass, field

import numpy as np

from ._fdmt_tree import Node, height_of, none, parts_of

#: Constants that are tried for each row, in samples.
_CONSTANTS = np.arange(8) / 8
#: Rows of a part that are tried, counted from the last one below the exact delay.
_NEAR = np.arange(-1, 3)
#: Weight of the constant itself, which is an error of the time, relative to deviations from it.
_TIME = 0.1


def tree(curve: np.ndarray, delays: np.ndarray, grid: int) -> tuple[Node, np.ndarray]:
    """Return the root of a tree, and the rms deviation of each track apart from a constant.

    Parameters
    ----------
    curve : ndarray, shape (n_chan,), float64
        Delay of each channel for a delay of 1, in ascending order.
    delays : ndarray, shape (n_row,), float64
        Delays of the rows, in samples.
    grid : int
        Delays across nodes are multiples of ``1 / grid`` samples.
    """
    root = _Draft((0, len(curve), height_of(len(curve))), curve, delays, grid)
    square = root.off_square / root.n_chan - (root.off / root.n_chan) ** 2
    return root.node(np.arange(len(delays))), np.sqrt(np.maximum(square, 0))


class _Draft:
    """A node with rows for all delays that may be of use.

    Parameters
    ----------
    place : (int, int, int)
        First channel, end and height, as of `Node`.
    curve : ndarray
        As of `tree`.
    delays : ndarray, shape (n_row,), float64
        Delays of the whole curve to which the rows belong.
    grid : int
    """

    def __init__(self, place: tuple[int, int, int], curve: np.ndarray, delays: np.ndarray,
                 grid: int) -> None:
        self._place, self.delays, self.n_chan = place, delays, place[1] - place[0]
        # Sums over the channels: of the curve, backwards from the last one, and of its square;
        # for each row, of deviations, of their squares, and of their products with the curve.
        ahead = curve[place[1] - 1] - curve[place[0] : place[1]]
        self.curve, self.square = float(ahead.sum()), float((ahead * ahead).sum())
        self.off, self.off_square, self.off_curve = np.zeros((3, len(delays)))
        self._parts: list[_Part] = []
        if self.n_chan > 1:
            self._parts = [_part(each, curve, delays, grid, curve[place[1] - 1])
                           for each in parts_of(*place)]
            self._choose()

    def _choose(self) -> None:
        """Choose rows and shifts of the parts for each row."""
        *others, last = self._parts
        found = [last.best(self.delays, np.array([[-np.inf]]))]
        least = found[0][2]
        found = [each.best(self.delays, least) for each in others] + found
        cost = sum(each[0] for each in found) + (_TIME * self.n_chan) * (_CONSTANTS - least) ** 2
        best = np.arange(len(self.delays)), cost.argmin(axis=1)
        for part, (_, rows, shift) in zip(self._parts, found, strict=True):
            part.rows, part.shift = rows[best], (shift - least)[best].astype(np.int64)
            self._take(part)

    def _take(self, part: "_Part") -> None:
        """Add the deviations of a part to those of the rows."""
        of, rows = part.draft, part.rows
        slope, move = self.delays - of.delays[rows], part.shift - self.delays * part.late
        off, off_curve = of.off[rows], of.off_curve[rows]
        moved = off - slope * of.curve
        self.off += (total := moved + of.n_chan * move)
        self.off_square += of.off_square[rows] + slope * (slope * of.square - 2 * off_curve) + (
            move * (moved + total))
        self.off_curve += off_curve - slope * of.square + move * of.curve + part.late * total

    def node(self, rows: np.ndarray) -> Node:
        """Return the node with some of the rows, and with the rows of its parts that they need."""
        made = Node(*self._place, len(rows))
        for part in self._parts:
            made.add(*part.node(rows))
        return made


@dataclass
class _Part:
    """A part of a node.

    `near` are its rows near the exact delay of each row of the node, and `late` is the curve from
    its last channel to that of the node. `rows` and `shift` are chosen later.
    """

    draft: _Draft
    near: np.ndarray
    late: float
    rows: np.ndarray = field(default_factory=none)
    shift: np.ndarray = field(default_factory=none)

    def best(self, delays: np.ndarray, least: np.ndarray
             ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the sum of squares, the row and the shift that are best for each constant.

        Arrays are (n_row, n_constant). Shifts are `least` or more.
        """
        of, near, n = self.draft, self.near, self.draft.n_chan
        wanted = delays[:, np.newaxis] * self.late + _CONSTANTS
        if n == 1:
            shift = np.maximum(np.floor(wanted + 0.5), least)
            return (shift - wanted) ** 2, np.zeros(shift.shape, np.int64), shift
        slope = delays[:, np.newaxis] - of.delays[near]
        moved = of.off[near] - slope * of.curve
        fixed = of.off_square[near] + slope * (slope * of.square - 2 * of.off_curve[near])
        # The axes of these are row, near row and constant.
        moved, fixed, wanted = (moved[:, :, np.newaxis], fixed[:, :, np.newaxis],
                                wanted[:, np.newaxis])
        shift = np.maximum(np.floor(wanted - moved / n + 0.5), least[:, np.newaxis])
        move = shift - wanted
        cost = fixed + move * (2 * moved + n * move)
        best = cost.argmin(axis=1)
        at = np.arange(len(near))[:, np.newaxis], best, np.arange(len(_CONSTANTS))
        return cost[at], near[at[0], best], shift[at]

    def node(self, rows: np.ndarray) -> tuple[Node, np.ndarray, np.ndarray]:
        """Return a node of the rows that `rows` need; and, for each of these, its row and shift."""
        needed, index = np.unique(self.rows[rows], return_inverse=True)
        return self.draft.node(needed), index, self.shift[rows]


def _part(place: tuple[int, int, int], curve: np.ndarray, delays: np.ndarray, grid: int,
          end: float) -> _Part:
    """Return a part of a node whose last channel is at the `end` of the curve."""
    start, stop, _ = place
    late = float(end - curve[stop - 1])
    if stop - start == 1:
        return _Part(_Draft(place, curve, np.zeros(1), grid), np.zeros((0, 1), np.int64), late)
    step = 1 / ((curve[stop - 1] - curve[start]) * grid)
    near = np.maximum(np.floor(delays / step)[:, np.newaxis] + _NEAR, 0)
    found, index = np.unique(near, return_inverse=True)
    return _Part(_Draft(place, curve, found * step, grid), index.reshape(near.shape), late)
