"""Small recordings of every format of spectra, and what makes a stream of them sound.

Makers are as in `hostile_voltages`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_FEW = ("UTOBS", "EXPOSURE", "NCHAN", "FREQ", "CHAN_BW", "DURATION", "CRVAL1", "CRPIX1", "CDELT1",
        "CRVAL4", "SCAN", "TSUBINT", "OFFS_SUB")


def _sigproc(home: Path, n_bits: int, n_if: int = 1, **changes: Any) -> Any:
    from test_sigproc import STANDARD, random_codes, write

    codes, heads = random_codes(80, n_bits, n_if), {}
    n = 2 if n_bits == 8 else 1
    for i in range(n):
        path = write(home / f"{i}.fil", codes[40 * i : 40 * (i + 1)], nbits=n_bits,
                     tstart=STANDARD["tstart"] + 40 * i * STANDARD["tsamp"] / 86400, **changes)
        heads[path.name] = [(0, path.read_bytes().index(b"HEADER_END") + 10)]
    return sorted(heads), heads, "keywords", {}


def _presto(home: Path, pairs: Any = (), **changes: Any) -> Any:
    from test_presto import inf, write

    write(home, text=inf(pairs, **changes))
    size = (home / "made.inf").stat().st_size
    return ["made.dat"], {"made.inf": [(0, size)]}, "inf", {}


def spans(path: Path, n_row: int = 2) -> list[tuple[int, int]]:
    """Headers of a FITS file, and the numbers of a few columns in the first rows."""
    from astropy.io import fits

    found, numbers = [], []
    with fits.open(path) as file:
        for unit in file:
            where = unit.fileinfo()
            found.append((where["hdrLoc"], where["datLoc"]))
            if unit.name not in ("SUBINT", "SINGLE DISH"):
                continue
            for name, (kind, at, *_) in unit.columns.dtype.fields.items():
                numbers += [(begin, begin + kind.itemsize) for row in range(n_row)
                            for begin in [where["datLoc"] + row * unit.header["NAXIS1"] + at]
                            if name in _FEW and row < unit.header["NAXIS2"]]
    return [*found[::-1], *numbers]  # those of the table first


def _psrfits(home: Path, n_bits: int, n_file: int = 1, n_chan: int = 16, **more: Any) -> Any:
    from psrfits_made import N_BLOCK, codes_of, made

    codes, heads = codes_of(n_bits, (4 * N_BLOCK * n_file, 2, n_chan)), {}
    for i in range(n_file):
        path = made(home / f"{i}.fits", codes[4 * N_BLOCK * i : 4 * N_BLOCK * (i + 1)] | 1, n_bits,
                    first_row=4 * i, **more)
        heads[path.name] = spans(path)
    return sorted(heads), heads, "fits", {}


def _psrfits_floats(home: Path) -> Any:
    from psrfits_made import N_BLOCK, frequencies, made

    data = np.random.default_rng(1).normal(size=(4 * N_BLOCK, 4, 16)).astype("f4")
    path = made(home / "0.fits", data, 32, freq=frequencies(16, descending=True), rows=[0, 1, 3, 4],
                without=("DAT_WTS",))
    return ["0.fits"], {"0.fits": spans(path)}, "fits", {}


def _fast_spectral(home: Path, n_file: int) -> Any:
    from test_fast_spectral import spectra, utobs, write

    data, heads = spectra(6 * n_file, 16), {}
    for i in range(n_file):
        path = write(home / f"N_tracking-M07_W_000{i}.fits", data[6 * i : 6 * (i + 1)],
                     utobs(np.arange(6 * i, 6 * i + 6)))
        heads[path.name] = spans(path)
    return sorted(heads), heads, "fits", {}


def _sdfits(home: Path, **given: Any) -> Any:
    from test_sdfits import at, spectra, table, write

    states = [{**at(row), "CAL": cal} for row in range(4) for cal in ("TF" if given else "F")]
    more = [table([at(9)], spectra(1, 24))] if given else []
    path = write(home / "s.fits", states, spectra(len(states)), *more)
    return ["s.fits"], {"s.fits": spans(path)}, "fits", given


def _hifast(home: Path, linked: bool) -> Any:
    import h5py
    from test_hifast import group, write

    values = group(n_row=8, n_chan=12)
    write(home / "a-M05_W.hdf5", values, frame="LSRK")
    heads: dict[str, Any] = {"a-M05_W.hdf5": []}
    if not linked:
        return ["a-M05_W.hdf5"], heads, "hdf5", {}
    write(home / "b-M05_W.hdf5", values | {"Ta": None}, frame="LSRK")
    with h5py.File(home / "b-M05_W.hdf5", "r+") as file:
        file["S/Ta"] = h5py.ExternalLink("a-M05_W.hdf5", "/S/Ta")
    return ["b-M05_W.hdf5"], {**heads, "b-M05_W.hdf5": []}, "hdf5", {"rfi": "weight"}


MAKERS: dict[str, list[tuple[str, Callable[[Path], Any]]]] = {
    "sigproc": [("two files", lambda home: _sigproc(home, 8)),
                ("2 bits", lambda home: _sigproc(home, 2, 2, foff=0.5)),
                ("floats", lambda home: _sigproc(home, 32, 1, ibeam=3, nsamples=80))],
    "presto": [("whole", _presto),
               ("breaks", lambda home: _presto(home, [(0, 20), (30, 50), (63, 63)], Any_breaks=1))],
    "psrfits": [("two files", lambda home: _psrfits(home, 8, 2)),
                ("4 bits", lambda home: _psrfits(home, 4, subint={"NSTOT": 30})),
                ("floats, a gap", _psrfits_floats)],
    "fast_spectral": [("a file", lambda home: _fast_spectral(home, 1)),
                      ("two files", lambda home: _fast_spectral(home, 2))],
    "sdfits": [("one state", _sdfits), ("picked", lambda home: _sdfits(home, cal="T", table="1"))],
    "hifast": [("a file", lambda home: _hifast(home, False)),
               ("linked", lambda home: _hifast(home, True))],
}


def load_kernels(name: str) -> None:
    """Load what damaged headers may ask for: other bits than the whole file has.

    Where kernels are not in the cache they are compiled, which takes longer than a file may.
    """
    from fastsig_kernels import apply_scales, unpack, widen

    one = np.ones((1, 1), np.float32)
    orders = {"sigproc": ("lsb", "msb"), "psrfits": ("msb",)}.get(name, ())
    for order in orders:
        for n_bits in (1, 2, 4):
            unpack(np.zeros(1, np.uint8), n_bits, order=order)
    for kind in ("u1", "i1", "i2", "f4") if orders else ():
        codes = np.zeros((1, 1, 1), kind)
        if name == "psrfits":
            apply_scales(codes, one, one)
        elif kind in ("u1", "i1"):
            widen(codes)


def wrong_block(stream: Any, block: Any, start: int, n: int) -> str:
    """What is wrong with spectra: shapes, weights, where they are NaN."""
    data, shape, weight = block.data, (n, *stream.shape[1:]), block.valid
    if data.shape != shape or data.dtype != np.float32:
        return f"wrong shape: {data.shape} of {data.dtype}, not {shape} of float32"
    if weight.dtype != np.float32 or weight.ndim != 3 or len(weight) != n or (
            weight.shape[2] not in (1, shape[2])):
        return f"wrong shape: weights {weight.shape} of {weight.dtype}"
    if not ((weight >= 0) & (weight <= 1)).all():
        return "wrong shape: weights are not in 0 to 1"
    if not (np.isfinite(data) == (np.broadcast_to(weight, shape) > 0)).all():
        return "wrong shape: weights do not tell what is NaN"
    return ""


def wrong_parts(stream: Any, n: int) -> str:
    """What is wrong with sums and bands, held against the first `n` spectra."""
    block = stream.read_block(0, n)
    sums = stream.read_sums(0, n)
    wanted = np.where(block.valid > 0, block.data, 0) * np.float64(1) * block.valid
    if not np.array_equal(sums.total, wanted) or sums.weight.shape[2] != stream.weight_channels:
        return f"wrong shape: sums of {sums.total.shape}, weights {sums.weight.shape}"
    if not hasattr(stream, "band"):
        return ""
    low, high = stream.shape[2] // 3, stream.shape[2] // 3 + 1
    part = stream.band(low, high).read_block(0, n)
    if not np.array_equal(part.data, block.data[:, :, low:high], equal_nan=True):
        return "wrong shape: a band is not that of the whole"
    return ""
