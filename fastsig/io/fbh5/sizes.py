"""The chunks of FBH5 products, and their sizes on disk and in memory."""

from __future__ import annotations

import numpy as np

from fastsig.io.fbh5.codes import level_bytes, segment_rows

__all__ = ["WEIGHT_ROWS", "chunk_shape", "chunks_of", "estimate_bytes", "packed_ahead",
           "weight_chunks", "writer_bytes"]

WEIGHT_ROWS = 4096  # rows per chunk of weights that all channels share

_CHUNK_BYTES = 2**22
_MOST_AHEAD = 2**25  # bytes of buffers in addition to the one being filled


def chunk_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return chunks of about 4 MiB of float32: whole spectra, or a part of a large one."""
    n_time, n_product, n_chan = shape
    row = 4 * n_product * n_chan
    if row > 4 * _CHUNK_BYTES:
        return 1, 1, min(n_chan, _CHUNK_BYTES // 4)
    return max(1, min(n_time, _CHUNK_BYTES // row)), n_product, n_chan


def code_chunk_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return chunks of 8-bit products: whole segments, of about 2 MiB and at most 16 MiB."""
    n_time, n_product, n_chan = shape
    segment = segment_rows(shape)
    rows = segment * max(1, 2 * _CHUNK_BYTES // (4 * segment * n_product * n_chan))
    rows = max(1, min(n_time, rows))
    if rows * n_product * n_chan > 4 * _CHUNK_BYTES:
        return rows, 1, min(n_chan, 4 * _CHUNK_BYTES // rows)
    return rows, n_product, n_chan


def chunks_of(shape: tuple[int, ...], bits: int) -> tuple[int, int, int]:
    """Return the chunks of /data, whose rows are written together."""
    return chunk_shape(shape) if bits == 32 else code_chunk_shape(shape)


def weight_chunks(shape: tuple[int, ...], bits: int) -> tuple[int, int, int]:
    """Return the chunks of weights that differ between channels, for rows written together."""
    rows, _, n_chan = chunks = chunks_of(shape, bits)
    return chunks if bits == 32 else (rows, 1, min(n_chan, max(1, _CHUNK_BYTES // 4 // rows)))


def _padded(shape: tuple[int, ...], chunks: tuple[int, ...]) -> int:
    return int(np.prod([-(-n // chunk) * chunk for n, chunk in zip(shape, chunks, strict=True)]))


def estimate_bytes(shape: tuple[int, ...], weight_channels: int = 1, bits: int = 32) -> int:
    """Return an upper limit of the size on disk: uncompressed samples, weights, axes, records."""
    n_product, n_chan = shape[1:]
    chunks = chunks_of(shape, bits)
    rows = -(-shape[0] // chunks[0]) * chunks[0]
    data = bits // 8 * _padded(shape, chunks)
    if weight_channels > 1:
        data += 4 * _padded(shape, weight_chunks(shape, bits))
    if bits == 8:
        data += level_bytes(shape)
    return data + data // 64 + 4 * (rows + WEIGHT_ROWS) * (n_product + 2) + 16 * n_chan + 2**18


def packed_ahead(shape: tuple[int, ...], bits: int) -> int:
    """Return how many buffers are compressed while the next is filled: 2, or fewer large ones."""
    return min(2, _MOST_AHEAD // max(1, _buffer_bytes(shape, bits)))


def _buffer_bytes(shape: tuple[int, ...], bits: int) -> int:
    return 4 * chunks_of(shape, bits)[0] * shape[1] * shape[2]


def writer_bytes(shape: tuple[int, ...], weight_channels: int = 1, bits: int = 32) -> int:
    """Return the memory that a writer needs: buffers, and their compressed contents."""
    ahead, values = packed_ahead(shape, bits), _buffer_bytes(shape, bits) // 4
    wide = weight_channels > 1
    buffers = 4 * (1 + ahead) * values * (1 + wide)
    # Compressed: buffers ahead and one in progress. HDF5's own filters need as much, and a copy.
    packed = (2 + max(1, ahead)) * values * (bits // 8 + 4 * wide)
    codes = (1 + ahead) * values if bits == 8 else 0
    return buffers + packed + codes
