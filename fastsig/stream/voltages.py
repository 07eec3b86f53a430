"""VoltageStream: samples of one or more polarisations, with the spans that are valid."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.stream.base import Block, Stream

__all__ = ["VoltageStream"]


class VoltageStream(Stream):
    """Voltages; a format implements only `_read`.

    Real integer samples are returned as recorded, complex samples as complex64.
    """

    kind = "voltage"

    #: Whether floating-point samples may be NaN or infinite: False if integers are decoded.
    may_have_nan = True

    #: Values of real or imaginary parts, if they are not the integers of `header.n_bits`.
    levels: tuple[float, ...] | None = None

    @abstractmethod
    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        """Fill `out` with rows and return the valid spans of each polarisation."""

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in memory."""
        return int(np.prod(self.shape[1:])) * self.dtype.itemsize

    @property
    def n_pol(self) -> int:
        """Number of polarisations."""
        return self.shape[1]

    def empty(self, n: int) -> NDArray[Any]:
        """Return a buffer for `n` rows in which every polarisation is contiguous."""
        first = np.empty((self.shape[1], n, *self.shape[2:]), self.dtype)
        return first.swapaxes(0, 1)

    def as_recorded(self) -> VoltageStream:
        """Return the same voltages with samples as recorded, if the format supports it.

        Samples are then pairs of integers on a last axis, or codes packed in bytes, which take a
        quarter of the memory or less; kernels convert them in registers.
        """
        return self

    def narrowed(self, first: int, stop: int) -> VoltageStream | None:
        """Return only channels `first` to ``stop - 1``, if the format can read them separately."""
        return None

    @property
    def layout(self) -> dict[str, Any]:
        """Layout of samples in the memory of `empty`: parameters of `fastsig_kernels.Layout`."""
        kind = "float32" if self.dtype.kind == "c" else self.dtype.name
        return {"kind": kind, "is_complex": self.header.is_complex}

    #: Rows can be read from multiples of this number.
    row_step = 1

    #: The value that represents no signal.
    zero = 0

    #: Whether invalid samples in blocks are replaced by no signal.
    blanked = True

    def valid_fraction(self) -> float | None:
        """Return the fraction of valid samples if known from headers alone; otherwise None."""
        return None

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """Return valid spans of each polarisation if known from headers alone; otherwise None."""
        return None

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return rows and valid spans; non-finite samples are invalid and invalid samples are 0.

        If `out` is given, of shape (n, pol[, chan]) and this stream's dtype, it receives the rows.
        """
        self._check_range(start, n)
        data = self.empty(n) if out is None else out[:n]
        spans = list(self._read(start, n, data))
        for pol, valid in enumerate(spans):
            samples = data[:, pol]
            if self.may_have_nan and self.dtype.kind in "fc":
                finite = np.isfinite(samples)
                mask = finite if finite.ndim == 1 else finite.all(axis=1)
                if not mask.all():
                    valid = validity.intersect(valid, validity.from_mask(mask, start))
            validity.zero_invalid(samples, valid, start, self.zero)
            spans[pol] = valid
        view = data.view()
        view.flags.writeable = False
        return Block(view, tuple(spans), start, n)
