"""Fold-mode PSRFITS files made with astropy and NumPy alone: nothing of the reader under test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

F0, DAY, SECOND, FRACTION = 81.3, 58000, 3600, 0.25
N = (3, 2, 4, 16)
COEFF = (0.125, -0.03, 2e-5)


def codes(shape: tuple[int, ...] = N) -> np.ndarray:
    """Codes that differ by subintegration, product, channel and bin."""
    return np.random.default_rng(5).integers(-32768, 32768, shape).astype(">i2")


def tables(shape: tuple[int, ...] = N) -> tuple[np.ndarray, np.ndarray]:
    """Scales and offsets by subintegration, product and channel."""
    rng = np.random.default_rng(6)
    return (rng.uniform(0.5, 2, shape[:3]).astype("f4"), rng.normal(0, 9, shape[:3]).astype("f4"))


def values(shape: tuple[int, ...] = N) -> np.ndarray:
    """The values of `codes` with the scales and offsets of `tables`."""
    scale, offset = tables(shape)
    return codes(shape).astype("f4") * scale[..., None] + offset[..., None]


def polyco(mjd: float = 58000.0625, **changes: Any) -> dict[str, Any]:
    """A row of POLYCO."""
    return {"NSPAN": 60, "NCOEF": len(COEFF), "NPBLK": 1, "NSITE": "k", "REF_FREQ": 1250.0,
            "PRED_PHS": 0.0, "REF_MJD": mjd, "REF_PHS": 0.5, "REF_F0": F0, "LGFITERR": -7.0,
            "COEFF": COEFF, **changes}


def polyco_unit(rows: list[dict[str, Any]], **other: str) -> fits.BinTableHDU:
    """The table POLYCO, with other formats of some columns."""
    forms = {"NSITE": "8A", "COEFF": f"{len(COEFF)}D", **dict.fromkeys(
        ("NSPAN", "NCOEF", "NPBLK"), "1I"), **other}
    return fits.BinTableHDU.from_columns(
        [fits.Column(name=name, format=forms.get(name, "1D"),
                     array=np.array([row[name] for row in rows])) for name in rows[0]],
        name="POLYCO")


def history_unit(**last: Any) -> fits.BinTableHDU:
    """The table HISTORY of two steps."""
    known = {"DEDISP": 0, "RM_CORR": 0, "CTR_FREQ": 1250.0, "DM": 0.0, "RM": 0.0, **last}
    forms = {"DEDISP": "1I", "RM_CORR": "1I"}
    columns = [fits.Column(name="DATE_PRO", format="24A", array=["2020", "2021"]),
               fits.Column(name="PROC_CMD", format="80A", array=["dspsr", "pam -D"])]
    columns += [fits.Column(name=name, format=forms.get(name, "1D"), array=np.array([0, value]))
                for name, value in known.items()]
    return fits.BinTableHDU.from_columns(columns, name="HISTORY")


def folded(path: Path, shape: tuple[int, ...] = N, *, freq: Any = None, weight: Any = None,
           primary: dict[str, Any] | None = None, subint: dict[str, Any] | None = None,
           period: Any = None, offsets: Any = None, units: Any = (), without: tuple[str, ...] = (),
           dim: str | None = None, data: np.ndarray | None = None) -> Path:
    """Write profiles (subint, pol, chan, bin), channels in the order of the file."""
    n_subint, n_pol, n_chan, n_bin = shape
    freq = 1100 + 100.0 * np.arange(n_chan) if freq is None else np.asarray(freq)
    weight = np.ones((n_subint, n_chan)) if weight is None else weight
    scale, offset = tables(shape)
    data = codes(shape) if data is None else data
    columns = {
        "TSUBINT": ("1D", np.full(n_subint, 10.0)),
        "OFFS_SUB": ("1D", 5 + 10.0 * np.arange(n_subint) if offsets is None else offsets),
        **({} if period is None else {"PERIOD": ("1D", np.full(n_subint, period))}),
        "DAT_FREQ": (f"{n_chan}D", np.tile(freq, (n_subint, 1))),
        "DAT_WTS": (f"{n_chan}E", weight),
        "DAT_OFFS": (f"{n_pol * n_chan}E", offset.reshape(n_subint, -1)),
        "DAT_SCL": (f"{n_pol * n_chan}E", scale.reshape(n_subint, -1)),
        "DATA": (f"{n_pol * n_chan * n_bin}I", data.reshape(n_subint, -1)),
    }
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name=name, format=form, array=array) for name, (form, array) in
         columns.items() if name not in without], name="SUBINT")
    table.header.update({
        "INT_TYPE": "TIME", "SCALE": "FluxDen", "NPOL": n_pol, "POL_TYPE": {
            1: "AA+BB", 2: "AABB", 4: "AABBCRCI"}[n_pol], "NBIN": n_bin, "NCHAN": n_chan,
        "CHAN_BW": float(freq[1] - freq[0]) if n_chan > 1 else 100.0, "DM": 30.0, "RM": 7.5,
        "TBIN": 0.0001, "EPOCHS": "VALID", **(subint or {})})
    number = list(table.columns.names).index("DATA") + 1 if "DATA" in table.columns.names else 0
    if number:
        table.header[f"TDIM{number}"] = dim or f"({n_bin},{n_chan},{n_pol})"
    head = fits.PrimaryHDU()
    head.header.update({
        "FITSTYPE": "PSRFITS", "HDRVER": "5.4", "OBS_MODE": "PSR", "TELESCOP": "FAST",
        "FRONTEND": "L", "BACKEND": "ROACH", "FD_POLN": "LIN", "SRC_NAME": "J0000+00",
        "RA": "00:50:00.0", "DEC": "-03:15:00.0", "OBSFREQ": 1250.0, "OBSBW": 400.0,
        "STT_IMJD": DAY, "STT_SMJD": SECOND, "STT_OFFS": FRACTION, "ANT_X": "*",
        **(primary or {})})
    fits.HDUList([head, *units, table]).writeto(path, overwrite=True)
    return path
