"""PSRFITS files made with astropy and NumPy alone: nothing of the reader under test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

TBIN = 0.000196608
N_BLOCK = 8


def packed(codes: np.ndarray, n_bits: int) -> np.ndarray:
    """Codes as bytes, the first in the highest bits; 16 bits as big-endian integers."""
    flat = codes.reshape(-1)
    if n_bits == 16:
        return flat.astype(">i2")
    if n_bits == 32:
        return flat.astype(">f4")
    if n_bits == 8:
        return flat.astype(np.uint8)
    bits = (flat.astype(np.int64)[:, None] >> np.arange(n_bits - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8))


def tables(shape: tuple[int, ...], n_row: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Scales and offsets that differ by row, polarisation and channel."""
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.5, 4, (n_row, *shape)).astype("f4")
    return scale, rng.normal(0, 50, (n_row, *shape)).astype("f4")


def frequencies(n_chan: int, *, descending: bool = False) -> np.ndarray:
    """Centres of channels of 0.5 MHz from 1400 MHz on."""
    freq = 1400 + 0.5 * np.arange(n_chan)
    return freq[::-1].copy() if descending else freq


def made(
    path: Path, codes: np.ndarray, n_bits: int = 8, *, n_block: int = N_BLOCK,
    scale: np.ndarray | None = None, offset: np.ndarray | None = None,
    weight: np.ndarray | None = None, freq: np.ndarray | None = None, freq_form: str = "D",
    first_row: int = 0, rows: list[int] | None = None, pol_type: str | None = None,
    tsubint: float | None = None, centers: Any = None, primary: dict[str, Any] | None = None,
    subint: dict[str, Any] | None = None, without: tuple[str, ...] = (),
    forms: dict[str, str] | None = None, dim: str | None = None, tbin: float = TBIN,
) -> Path:
    """Write codes (time, pol, chan), channels in the order of the file, in rows of `n_block`.

    `rows` are the places of the rows in time, from `first_row` on; one after the other by default.
    """
    n_time, n_pol, n_chan = codes.shape
    n_row = n_time // n_block
    places = np.arange(n_row) if rows is None else np.array(rows)
    scale = np.ones((n_row, n_pol, n_chan), "f4") if scale is None else scale
    offset = np.zeros((n_row, n_pol, n_chan), "f4") if offset is None else offset
    weight = np.ones((n_row, n_chan), "f4") if weight is None else weight
    freq = frequencies(n_chan) if freq is None else freq
    length = n_block * tbin
    if centers is None:
        centers = (first_row + places + 0.5) * length
    data = np.stack([packed(codes[i * n_block : (i + 1) * n_block], n_bits)
                     for i in range(n_row)]) if n_row else np.empty((0, 1), "u1")
    letter = {16: "I", 32: "E"}.get(n_bits, "B")
    shape = dim or f"(1,{n_chan * min(n_bits, 8) // 8 if n_bits < 8 else n_chan},{n_pol},{n_block})"
    columns = {
        "TSUBINT": ("1D", np.full(n_row, length if tsubint is None else tsubint)),
        "OFFS_SUB": ("1D", np.asarray(centers, "f8")),
        "DAT_FREQ": (f"{n_chan}{freq_form}", np.tile(freq, (n_row, 1))),
        "DAT_WTS": (f"{n_chan}E", weight),
        "DAT_OFFS": (f"{n_chan * n_pol}E", offset.reshape(n_row, -1)),
        "DAT_SCL": (f"{n_chan * n_pol}E", scale.reshape(n_row, -1)),
        "DATA": (f"{data.shape[1]}{letter}", data),
    }
    built = [
        fits.Column(name=name, format=(forms or {}).get(name, form), array=array,
                    **({"dim": shape} if name == "DATA" and _fits_dim(shape, data) else {}))
        for name, (form, array) in columns.items() if name not in without
    ]
    table = fits.BinTableHDU.from_columns(built, name="SUBINT", nrows=n_row)
    head = {
        "FITSTYPE": "PSRFITS", "HDRVER": "5.4", "TELESCOP": "FAST", "FRONTEND": "19BEAM",
        "BACKEND": "ROACH", "FD_POLN": "LIN", "OBS_MODE": "SEARCH", "OBSFREQ": 1450.0,
        "OBSBW": 0.5 * n_chan, "OBSNCHAN": n_chan, "SRC_NAME": "J0000+0000", "IBEAM": "3",
        "RA": "05:34:31.973", "DEC": "-22:00:52.06", "STT_IMJD": 59000, "STT_SMJD": 43200,
        "STT_OFFS": 0.25, **(primary or {}),
    }
    cards = {
        "INT_TYPE": "TIME", "NPOL": n_pol,
        "POL_TYPE": pol_type or {1: "AA+BB", 2: "AABB", 4: "AABBCRCI"}.get(n_pol, "X"),
        "TBIN": tbin, "NBIN": 1, "NBITS": n_bits, "NCH_STRT": 0, "NCHAN": n_chan,
        "CHAN_BW": float(freq[1] - freq[0]) if n_chan > 1 else 0.5, "NSBLK": n_block,
        "NSUBOFFS": first_row, "ZERO_OFF": 0.0, "SIGNINT": 0, **(subint or {}),
    }
    unit = fits.PrimaryHDU()
    for header, values in ((unit.header, head), (table.header, cards)):
        for key, value in values.items():
            if value is not None:
                header[key] = value
    fits.HDUList([unit, table]).writeto(path, overwrite=True)
    return path


def _fits_dim(dim: str, data: np.ndarray) -> bool:
    """Whether astropy would take a TDIM: it refuses one that does not multiply up."""
    return int(np.prod([int(n) for n in dim.strip("()").split(",")])) == data.shape[1]


def values(
    codes: np.ndarray, scale: np.ndarray, offset: np.ndarray, *, zero: float = 0.0,
    n_block: int = N_BLOCK,
) -> np.ndarray:
    """The formula of the definition in float32."""
    each = np.repeat(np.arange(len(scale)), n_block)
    return (codes.astype("f4") - np.float32(zero)) * scale[each] + offset[each]


def codes_of(n_bits: int, shape: tuple[int, ...], seed: int = 3) -> np.ndarray:
    """Random codes."""
    rng = np.random.default_rng(seed)
    if n_bits == 16:
        return rng.integers(-(2**15), 2**15, shape)
    return rng.integers(0, 2**n_bits, shape)
