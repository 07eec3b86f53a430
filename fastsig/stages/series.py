"""Series: one time series of the whole band, as the weighted mean of its channels."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.stages.dedisperse import DedisperseSpectra
from fastsig.stages.delay_sums import ChannelSums, DelayPlans, DelaySums, kind_of
from fastsig.stream import Block, SpectraStage, SpectrumStream, Stream
from fastsig.stream.header import Header

__all__ = ["FusedSeries", "Series"]


class Series(SpectraStage):
    r"""A time series: the mean of all channels, weighted by the weights of their values.

    .. math:: y_t = \sum_c w_{tc} x_{tc} / \sum_c w_{tc}

    The weight of the result is the mean weight of the channels. Nothing is subtracted, and channels
    are not normalised: those with a high level or a large noise dominate. The header states the
    number of channels as ``extra["channels"]``.

    Sums are those of a binary tree, which halves the band repeatedly, in float32. After
    `dedisperse`, both stages are done in one pass, which takes a few operations per sample, does
    not hold the aligned spectra in memory, and gives identical values.

    Parameters
    ----------
    source : SpectrumStream
        Spectra in any unit.

    Raises
    ------
    PlanError
        If the source contains no spectra.
    """

    name = "to_series"
    source: SpectrumStream

    def __init__(self, source: Stream) -> None:
        if not isinstance(source, SpectrumStream):
            raise PlanError(f"to_series requires spectra, not {source.kind}")
        header, n_chan = source.header, source.shape[2]
        axis = header.channels
        super().__init__(
            source, shape=(*source.shape[:2], 1), header=header.replace(
                n_sum=header.n_sum * n_chan, channels=axis.averaged(n_chan) if axis else None,
                extra={**header.extra, "channels": n_chan * _n_channels(header)}))
        self._set_up()

    def _set_up(self) -> None:
        self._sums = ChannelSums(self.source.shape[2])

    def _replace(self, *sources: Stream) -> None:
        super()._replace(*sources)
        self._set_up()

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis: 1."""
        return 1

    def all_valid(self) -> bool | None:
        """Same as for the source."""
        return self.source.all_valid()

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return means over the channels and their weights."""
        self._check_range(start, n)
        block = self.source.read_block(start, n)
        total, weight = np.empty((2, n, self.shape[1]), np.float32)
        for p in range(self.shape[1]):
            total[:, p], weight[:, p] = self._sums(
                block.data[:, p], np.broadcast_to(block.valid, block.data.shape)[:, p])
        return mean_block(total[:, :, np.newaxis], weight[:, :, np.newaxis],
                          self.source.shape[2], start)


def _n_channels(header: Header) -> int:
    """Return the number of channels in the only channel of a series, as PRESTO states it."""
    text = str(header.extra.get("channels", 1))
    return int(text) if text.isdigit() and header.channels and header.channels.n_chan == 1 else 1


class FusedSeries(Series):
    """The fused form of `DedisperseSpectra` and `Series`: the same bits in one pass."""

    stands_for = ("dedisperse", "to_series")
    #: Neighbouring blocks pass on the state of the sums, and read nothing twice.
    overlap = (0, 0)

    def __init__(self, source: Stream, dm: Any, *, ref: Any = None, constant: Any = None,
                 last: str = "keep") -> None:
        self._aligned = DedisperseSpectra(source, dm, ref=ref, constant=constant, last=last)
        self._made: list[DelayPlans] = []
        self._lock = threading.Lock()
        super().__init__(self._aligned)
        self.source = source  # type: ignore[assignment]
        self._set_up()

    @classmethod
    def fuse(cls, series: Series) -> Series:
        """Return the fused form of a series of dedispersed spectra, unless `dm` is negative."""
        aligned: Any = series.source
        if aligned.dm < 0:
            return series
        options = aligned.arguments()
        options.pop("allow_negative", None)
        return cls(aligned.source, **options)

    def _set_up(self) -> None:
        self._delayed: DelaySums | None = None

    @property
    def _plans(self) -> DelayPlans:
        """The plans of the kernel, made when they are needed first; copies share them."""
        if not self._made:
            aligned = self._aligned
            span = aligned.delays.span(float(aligned.dm), aligned.header.sample_rate)
            self._made.append(DelayPlans(aligned.delays.curve, np.array([span]), "exact",
                                         kind_of(self.source)))
        return self._made[0]

    def _run(self) -> DelaySums:
        with self._lock:
            if self._delayed is None:
                self._delayed = DelaySums(self.source, self._plans)
            return self._delayed

    @property
    def columns(self) -> Mapping[str, str]:
        """Those of the aligned spectra."""
        return self._aligned.columns

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return the columns of the aligned spectra."""
        return self._aligned.read_columns(start, n)

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the spectra that are summed in the given rows."""
        return self._aligned.needs(start, n)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` rows."""
        sums = self._run()
        return n * self.row_bytes + sums.work_bytes(n) + sums.held_bytes

    def all_valid(self) -> bool | None:
        """Same as for the aligned spectra."""
        return self._aligned.all_valid()

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return means over the channels and their weights."""
        self._check_range(start, n)
        total, weight = self._run().read(start, n)
        return mean_block(total, weight, self.source.shape[2], start)


def mean_block(total: NDArray[np.float32], weight: NDArray[np.float32], n_chan: int, start: int
               ) -> Block:
    """Return sums over channels as means (NaN where the weight is 0) and mean weights."""
    if weight.size and not any(weight.strides):  # one number
        one = weight.flat[0]
        data = total / one
        share = np.broadcast_to(one / np.float32(n_chan), total.shape)
    else:
        data = np.full_like(total, np.nan)
        np.divide(total, weight, out=data, where=weight > 0)
        share = weight / np.float32(n_chan)
    data.flags.writeable = False
    share.flags.writeable = False
    return Block(data, share, start, len(data))
