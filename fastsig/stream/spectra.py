"""SpectrumStream: mean spectra with their weights, and the sums from which they are computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastsig.errors import PlanError
from fastsig.stream.base import Block, Stream, stream_of
from fastsig.stream.coded import CodedBlock
from fastsig.stream.header import Header

__all__ = ["Codes", "SpectrumStream", "Sums", "means", "spectra_of", "sums"]

_RUN_BYTES = 2**21  # size of the rows that are added at a time: they stay in the cache


@dataclass(frozen=True)
class Sums:
    """The additive form of spectra: mean = total / weight, regardless of the number of terms.

    Parameters
    ----------
    total : ndarray, shape (n, product, chan), float32 or float64
        Sums over valid contributions; 0 where there are none.
    weight : ndarray, shape (n, product, 1 or chan), float64
        Sums of the weights of the contributions, at most ``header.n_sum`` of the stream.
    """

    total: NDArray[Any]
    weight: NDArray[np.float64]


class Codes(NamedTuple):
    """The smallest and the largest value of a stream in which all values are integers."""

    low: int
    high: int


class SpectrumStream(Stream):
    """Spectra; a stage or a format implements `read_block`, or `read_sums` if it sums spectra."""

    kind = "spectra"
    sum_dtype: Any = np.float64

    #: Whether `group_sums` adds any number of rows in float64, so that long sums need no segments.
    sums_any_length: bool = False

    #: Smallest number of rows in a sum for a test of spectral kurtosis; None if not available.
    least_flagged: int | None = None

    def __init__(
        self, header: Header, shape: tuple[int, ...], dtype: DTypeLike, path: str
    ) -> None:
        own = type(self)
        if (own.read_block is SpectrumStream.read_block
                and own.read_sums is SpectrumStream.read_sums):
            raise TypeError(f"{own.__name__} has neither read_block nor read_sums")
        super().__init__(header, shape, dtype, path)

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis: 1, or the number of channels."""
        return 1

    def narrowed(self, first: int, stop: int) -> SpectrumStream | None:
        """Return only channels `first` to ``stop - 1``, if they can be computed separately."""
        return None

    @property
    def channel_run(self) -> int:
        """Number of neighbouring channels that take no longer to read together than one of them."""
        return self.shape[2]

    @property
    def columns(self) -> Mapping[str, str]:
        """Names and units of the further quantities of each row that `read_columns` returns."""
        return {}

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return the columns of rows `start` to ``start + n - 1``, (n,), at the middle of rows."""
        return {}

    def codes(self) -> Codes | None:
        """Return the range of values if all are integers; None if the header does not state it."""
        return None

    @property
    def coded(self) -> bool:
        """Whether there is one product whose values are 8-bit codes, which `read_coded` returns."""
        return False

    def read_coded(self, start: int, n: int) -> CodedBlock:
        """Return the rows of `read_block` as codes, if `coded`."""
        raise NotImplementedError

    def all_valid(self) -> bool | None:
        """Return whether all weights are 1; None if everything must be read to know it."""
        return None

    @property
    def row_bytes(self) -> int:
        """Bytes of one spectrum in memory, including its sums."""
        return int(np.prod(self.shape[1:]) * (4 + np.dtype(self.sum_dtype).itemsize))

    @property
    def run_rows(self) -> int:
        """Number of rows that are read at a time and added."""
        return max(1, _RUN_BYTES // max(1, self.row_bytes))

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return mean spectra (NaN where the weight is 0) and weights, both float32."""
        return means(self.read_sums(start, n), self.header.n_sum, start)

    def read_sums(self, start: int, n: int) -> Sums:
        """Return rows in their additive form, `total` in this stream's `sum_dtype`."""
        block = self.checked(self.read_block(start, n))
        return sums(block, self.header.n_sum, self.weight_channels)

    def checked(self, block: Block) -> Block:
        """Return a block, after a check that it has as many weights as the stream states.

        Raises
        ------
        PlanError
            If the numbers differ, which is a fault of the stage or format.
        """
        if block.n and block.valid.shape[2] not in (1, self.weight_channels):
            raise PlanError(f"{self.path}: {getattr(self, 'name', '') or self.format_name} returns "
                            f"weights of {block.valid.shape[2]} channels; its weight_channels "
                            f"states {self.weight_channels}")
        return block

    def check_flag(self, sigma: float) -> None:
        """Refuse thresholds that are not possible for spectral kurtosis.

        Raises
        ------
        PlanError
            If the spectra have no spectral kurtosis.
        UsageError
            If the threshold is not allowed.
        """
        raise PlanError("spectral kurtosis needs frames: detect and integrate in one chain")

    def group_sums(self, start: int, n: int, n_each: int, flag_sigma: float | None = None
                   ) -> Sums:
        """Return sums of every `n_each` of `n` rows, in order; the last sum may have fewer.

        Parameters
        ----------
        start, n, n_each : int
            First row, number of rows, and number of rows in a sum.
        flag_sigma : float, optional
            Leave out channels with a spectral kurtosis that differs from that of noise by more than
            this many standard deviations in a group.

        Returns
        -------
        Sums
            Shape (ceil(n / n_each), product, chan), `total` in `sum_dtype`.
        """
        from fastsig_kernels import accumulate_groups

        self._check_range(start, n)
        if flag_sigma is not None:
            self.check_flag(flag_sigma)
        groups, wide = -(-n // n_each), self.weight_channels
        total = np.zeros((groups, *self.shape[1:]), self.sum_dtype)
        weight = np.zeros((groups, self.shape[1], wide))
        for first in range(start, start + n, self.run_rows):
            rows = self.read_sums(first, min(self.run_rows, start + n - first))
            accumulate_groups(rows.total.astype(total.dtype, copy=False), rows.weight, total,
                              weight, n_each, first - start)
        return Sums(total, weight)

    def group_bytes(self, n: int, flag_sigma: float | None = None) -> int:
        """Memory that a thread needs for `group_sums` of `n` rows, without the result."""
        return self.work_bytes(min(self.run_rows, n))


def spectra_of(what: Any) -> SpectrumStream:
    """Return the stream of spectra of a chain, or a stream of spectra itself.

    Raises
    ------
    UsageError
        If the argument is neither a chain nor a stream.
    PlanError
        If the argument contains something other than spectra.
    """
    stream = stream_of(what)
    if not isinstance(stream, SpectrumStream):
        raise PlanError(f"{stream.path}: contains {stream.kind}; allowed: spectra")
    return stream


def means(rows: Sums, n_sum: int, start: int) -> Block:
    """Return sums as float32 means (NaN where the weight is 0) and weights in [0, 1]."""
    if rows.weight.shape[2] == 1:
        from fastsig_kernels import normalize

        data, weights = normalize(rows.total, np.ascontiguousarray(rows.weight[:, :, 0]), n_sum)
        weight = weights[:, :, np.newaxis]
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            data = np.where(rows.weight > 0, rows.total / rows.weight, np.nan).astype(np.float32)
        weight = (rows.weight / n_sum).astype(np.float32)
    data.flags.writeable = False
    weight.flags.writeable = False
    return Block(data, weight, start, len(data))


def sums(block: Block, n_sum: int, weight_channels: int) -> Sums:
    """Return the additive form of a block of mean spectra, float64: the inverse of `means`."""
    weight = block.valid * np.float64(n_sum)
    weight = np.broadcast_to(weight, (block.n, block.data.shape[1], weight_channels))
    total = np.multiply(block.data, weight, dtype=np.float64)
    if weight.size and not weight.min() > 0:
        np.copyto(total, 0, where=~(weight > 0))
    return Sums(total, weight)
