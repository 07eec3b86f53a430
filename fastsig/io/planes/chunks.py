"""Chunks of the files of DM-time planes, and their size: what is needed before one is written."""

from __future__ import annotations

__all__ = ["CHUNK_DMS", "SEGMENT", "plane_bytes"]

#: Times of a chunk.
SEGMENT = 4096
#: Dispersion measures of a chunk, which is then 4 MiB.
CHUNK_DMS = 256


def plane_bytes(shape: tuple[int, ...]) -> int:
    """Return the largest size of a file, in bytes."""
    n_time, n_product, n_dm = shape
    times = -(-n_time // SEGMENT) * SEGMENT if n_time > SEGMENT else n_time
    dms = -(-n_dm // CHUNK_DMS) * CHUNK_DMS if n_dm > CHUNK_DMS else n_dm
    return 8 * times * dms * n_product + 8 * (n_time + n_dm) + 2**20
