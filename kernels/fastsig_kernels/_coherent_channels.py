"""Transforms of blocks of voltages to the dedispersed voltages of channels, and their memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._fft_rows import LONG, RowTransforms
from ._order import address
from ._pages import aligned
from ._split_rows import SplitRow, divided, parts_of
from .fft import FFTPlan
from .layout import Layout

_BATCH_BYTES = 2**21  # of channels that are transformed together


@dataclass(frozen=True)
class Chirps:
    """Factors of the channels' spectra: phases in stretches of `length` points, and a scale."""

    phases: np.ndarray
    length: int
    scale: np.float32


@dataclass(frozen=True)
class Blocks:
    """Blocks of voltages with `n_chan` channels of `n_point` points, some of which are kept."""

    n_chan: int
    n_point: int
    n_pol: int
    layout: Layout
    kept: slice
    chirps: Chirps

    @property
    def n_kept(self) -> int:
        """Number of samples of a channel."""
        return int(self.kept.stop - self.kept.start)

    @property
    def zero(self) -> int:
        """The number that stands for 0."""
        return 128 if self.layout.kind == "uint8" else 0

    def channels(self) -> "Channels | OneChannel":
        """Return an object that transforms blocks, with memory of its own."""
        return (OneChannel if self.n_chan == 1 and parts_of(self.n_point) else Channels)(self)


def specs_of(n_pol: int) -> tuple[Any, Any]:
    """Return the specs that multiply spectra by chirps: a full vector of points, and one point."""
    from ._simd import Spec, host_lanes

    return tuple(Spec(lanes=n, n_pol=n_pol) for n in (host_lanes(), 1))


class Channels:
    """Channels whose spectra are multiplied by chirps, and transformed back, in batches."""

    def __init__(self, blocks: Blocks) -> None:
        from ._simd import host_lanes

        self._blocks, self._specs = blocks, specs_of(blocks.n_pol)
        n_pol, n_point = blocks.n_pol, blocks.n_point
        points, real = n_point * blocks.n_chan, not blocks.layout.is_complex
        self._forward = FFTPlan(2 * points if real else points, direction="forward",
                                kind="real" if real else "complex", dtype="complex64")
        self._back = FFTPlan(n_point, kind="complex", direction="inverse", dtype="complex64")
        core = self._forward._core
        #: Long transforms read the samples as they are.
        self._long: RowTransforms | None = core if core and core.takes_numbers else None
        lanes, length = host_lanes(), blocks.chirps.length
        self._mirrored = (self._long is not None and real and blocks.n_chan % 2 == 0
                          and n_point // 2 % length == 0 and length % lanes == 0)
        self._batch = max(1, min(blocks.n_chan, _BATCH_BYTES // (8 * n_point)))
        if self._mirrored:
            self._batch = max(2, self._batch // 2 * 2)
        self._stretches = aligned(8 * n_pol * (2 * length + lanes))
        n_in, kind = self._forward.input_shape
        self._row = aligned(0 if self._long else n_in * kind.itemsize).view(kind)
        # Spectra of both polarisations, on cache lines.
        n_out = -(-self._forward.output_shape[0] // 8) * 8
        self._spectra = aligned(8 * n_pol * n_out).view(np.complex64).reshape(
            n_pol, n_out)[:, : self._forward.output_shape[0]]
        self._parts = aligned(8 * n_pol * self._batch * n_point).view(
            np.complex64).reshape(n_pol, self._batch, n_point)

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes."""
        arrays = self._row, self._spectra, self._stretches, self._parts
        return (sum(each.nbytes for each in arrays) + self._forward.memory_bytes
                + self._back.memory_bytes)

    def batches(self, held: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Yield dedispersed voltages of some channels of a block, and the first of these channels.

        Channels are in the order of their frequency in the voltages. The memory of the results is
        used again for the next channels.
        """
        for pol in range(len(held)):
            self._transform(held, pol)
        n_chan = self._blocks.n_chan
        if self._mirrored:
            step = self._batch // 2
            for first in range(0, n_chan // 2, step):
                both = self._mirrored_channels(first, min(first + step, n_chan // 2))
                n = both.shape[1] // 2
                yield both[:, :n], first
                yield both[:, n:], n_chan - first - n
            return
        for first in range(0, n_chan, self._batch):
            yield self._channels(first, min(first + self._batch, n_chan)), first

    def _transform(self, held: np.ndarray, pol: int) -> None:
        """Transform the samples of a polarisation; long real ones without the last step."""
        layout, zero = self._blocks.layout, self._blocks.zero
        if self._long is not None:
            self._long.run_numbers(held[pol], layout.kind, self._spectra[pol])
            if not layout.is_complex and not self._mirrored:
                self._long.join(self._spectra[pol])
            return
        row = self._row.view(np.float32)
        row[:] = held[pol].reshape(-1)
        if zero:
            row -= zero
        self._forward.process(self._row, out=self._spectra[pol])

    def _channels(self, first: int, stop: int) -> np.ndarray:
        """Return the dedispersed voltages of some channels, in the order of their frequency."""
        from ._coherent_loops import channel_spectra_nb

        chirps, half = self._blocks.chirps, self._blocks.n_point // 2
        total = 2 * half * self._blocks.n_chan
        shift = total // 2 if self._blocks.layout.is_complex else 0
        parts = self._parts[:, : stop - first]
        channel_spectra_nb(*self._specs, half, total, shift, first, stop, address(self._spectra),
                           self._spectra.strides[0], chirps.length, chirps.phases, chirps.scale,
                           address(parts), parts.strides[0])
        return self._voltages_of(parts)

    def _mirrored_channels(self, first: int, stop: int) -> np.ndarray:
        """Return the voltages of channels in the band's lower half, and of their mirror images.

        The last step of the transform of a real signal needs both.
        """
        from ._coherent_loops import mirrored_spectra_nb

        assert self._long is not None
        blocks, chirps = self._blocks, self._blocks.chirps
        parts = self._parts[:, : 2 * (stop - first)]
        spec, fine, coarse = self._long.real_step
        mirrored_spectra_nb(self._specs[0], spec, blocks.n_pol, blocks.n_point // 2, blocks.n_chan,
                            first, stop, address(self._spectra), self._spectra.strides[0],
                            chirps.length, chirps.phases, chirps.scale, fine, coarse,
                            address(parts), parts.strides[0], address(self._stretches))
        return self._voltages_of(parts)

    def _voltages_of(self, parts: np.ndarray) -> np.ndarray:
        """Transform spectra of channels back, in place, and leave out both ends."""
        for each in parts:
            self._back.process(each, out=each)
        return parts[..., self._blocks.kept]

    def compile(self) -> None:
        """Compile the transforms; all other code has been compiled for shorter blocks."""
        if self._long is None:
            self._forward.compile()
        self._back.compile()

    @property
    def compiled_points(self) -> int:
        """Points of the whole band in blocks that use the same code."""
        return LONG if self._long is not None else 64 * min(self._blocks.n_chan, 2)


class OneChannel:
    """One channel whose transforms are so long that their memory matters.

    The spectrum of a polarisation is multiplied by the chirp and transformed back in place.
    """

    def __init__(self, blocks: Blocks) -> None:
        self._blocks, self._specs = blocks, specs_of(1)
        self._row = SplitRow(blocks.n_point, real=not blocks.layout.is_complex)
        self._voltages = aligned(8 * blocks.n_pol * blocks.n_kept).view(np.complex64).reshape(
            blocks.n_pol, 1, blocks.n_kept)

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes."""
        return self._row.memory_bytes + self._voltages.nbytes

    def batches(self, held: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Yield the dedispersed voltages of the channel, and 0."""
        for numbers, out in zip(held, self._voltages, strict=True):
            self._row.forward(numbers, self._blocks.zero)
            self._multiply()
            self._row.inverse(self._blocks.kept.start, out[0])
        yield self._voltages, 0

    def _multiply(self) -> None:
        """Multiply the spectrum by the chirp, with the middle of the channel at zero frequency."""
        from ._coherent_loops import channel_spectra_nb

        if not self._blocks.layout.is_complex:
            self._row.exchange()
        chirps, n = self._blocks.chirps, self._blocks.n_point
        place = address(self._row.spectrum)
        # With this shift, halves remain in their places.
        channel_spectra_nb(*self._specs, n // 2, n, n // 2, 0, 1, place, 0, chirps.length,
                           chirps.phases, np.float32(chirps.scale / self._row.n_part), place, 0)

    def compile(self) -> None:
        """Compile the transforms; all other code has been compiled for shorter blocks."""
        self._row.compile()

    @property
    def compiled_points(self) -> int:
        """Points of a short block that uses the same code."""
        return next(n for n in divided(self._blocks.n_point) if parts_of(n) == self._row.n_part)
