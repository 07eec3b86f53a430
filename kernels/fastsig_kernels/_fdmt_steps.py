"""Steps of the fast dispersion measure transform, and rows in memory."""

from dataclasses import dataclass

import numpy as np

from ._fdmt_tree import MOST_PARTS
from ._order import LINE, address
from ._pages import aligned

#: Kinds of steps below the cut, see `_fdmt_loops`.
READ, ADD, LOAD, SAVE, CHANNELS = range(5)
#: Channels that are transposed together, of 8 bits if there are as many, and otherwise.
WIDE, GROUP = 64, 16


def up(n_byte: int) -> int:
    """Round a size up to whole cache lines."""
    return -(-n_byte // LINE) * LINE


class Scratch:
    """Memory in which programs work one after the other, in numbered pieces."""

    def __init__(self) -> None:
        self._pieces: list[np.ndarray] = []

    def piece(self, number: int, n_byte: int) -> np.ndarray:
        """Return the piece of a number, of this size or larger."""
        if number == len(self._pieces):
            self._pieces.append(aligned(0))
        if self._pieces[number].nbytes < n_byte:
            self._pieces[number] = aligned(n_byte)
        return self._pieces[number]


class Memory:
    """The memory of a program: pieces of its own for what it keeps, and a scratch."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._kept: list[np.ndarray] = []
        self._shared: list[np.ndarray] = []

    def sizes(self) -> dict[int, int]:
        """Return the size of each piece, in bytes, by its address."""
        return {address(piece): piece.nbytes for piece in (*self._kept, *self._shared)}

    def piece(self, n_byte: int) -> np.ndarray:
        """Return zeroed bytes that are kept, with a cache line after them."""
        self._kept.append(aligned(up(n_byte) + LINE))
        return self._kept[-1]

    def place(self, n_byte: int) -> int:
        """Return the address of bytes whose contents are lost when another program works."""
        self._shared.append(self._scratch.piece(len(self._shared), up(n_byte) + LINE))
        return address(self._shared[-1])


@dataclass
class Rows:
    """Rows in memory: address of the first sample of a block of the first row, bytes apart."""

    place: int
    step: int

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Return the addresses of rows."""
        return self.place + rows * self.step


@dataclass
class Ring:
    """Memory for neighbouring rows of a node, each of which overwrites the one `n` rows before.

    A row begins with the earliest of its samples that are needed, `before` bytes before the block.
    """

    rows: Rows
    n: int
    before: np.ndarray

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Return the addresses of the first samples of the block."""
        return self.rows.of(rows % self.n) + self.before[rows]


class Steps:
    """A list of steps, and of the additions of rows that they do."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, ...]] = []
        self._ops: list[np.ndarray] = []
        self._n = 0

    def step(self, *numbers: int) -> None:
        """List a step of up to 7 numbers."""
        self._steps.append((*numbers, *[0] * (7 - len(numbers))))

    def add(self, kind: int, out: np.ndarray, terms: list[np.ndarray], *numbers: int) -> None:
        """Add rows: addresses of results and of the terms, at most `MOST_PARTS`."""
        self.step(kind, self._n, self._n + len(out), len(terms), *numbers)
        unused = [np.zeros_like(out)] * (MOST_PARTS - len(terms))
        self._ops.append(np.stack([out, *terms, *unused], axis=1).astype(np.int64))
        self._n += len(out)

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps, and the operations: results and terms."""
        return (np.array(self._steps, np.int64).reshape(-1, 7),
                np.concatenate([np.empty((0, 1 + MOST_PARTS), np.int64), *self._ops]))
