"""An SDFITS file as GBT writes it, small, for `same_products.py`: ``products_sdfits.py PATH``."""

from __future__ import annotations

import sys

import numpy as np
from astropy.io import fits

N_CHAN, STEP_HZ, CENTER_HZ, DIODE_K = 512, 11444.09, 1411.0e6, 1.5


def main(path: str) -> None:
    """A pair of scans, on a source and off it, of two polarisations with the diode on and off."""
    rng = np.random.default_rng(152)
    x = np.linspace(-1, 1, N_CHAN)
    rows = []
    for scan in (152, 153):
        for turn in range(5):
            start = f"2021-02-10T07:{38 + 2 * (scan - 152)}:{10 * turn:05.2f}"
            for pol in (0, 1):
                for cal in "TF":
                    kelvin = 18 + pol + (scan == 152) * np.exp(-100 * x**2) + (cal == "T") * DIODE_K
                    values = 1e6 * kelvin * (1 - 0.5 * x**6) * (1 + rng.normal(0, 1e-3, N_CHAN))
                    rows.append((scan, start, pol, cal, values))
    table = fits.BinTableHDU.from_columns(columns(rows), name="SINGLE DISH")
    table.header["TELESCOP"] = "NRAO_GBT"
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)


def columns(rows: list[tuple]) -> list[fits.Column]:
    """The columns of the table."""
    same = {
        "OBJECT": ("32A", "GALAXY"), "OBSMODE": ("32A", "OnOff:PSWITCHON:TPWCAL"),
        "DURATION": ("D", 5.0), "EXPOSURE": ("D", 4.9), "TCAL": ("D", DIODE_K),
        "CTYPE1": ("8A", "FREQ-OBS"), "CRVAL1": ("D", CENTER_HZ),
        "CRPIX1": ("D", N_CHAN // 2 + 1.0), "CDELT1": ("D", -STEP_HZ), "CTYPE2": ("4A", "RA"),
        "CRVAL2": ("D", 138.5), "CTYPE3": ("4A", "DEC"), "CRVAL3": ("D", 40.1),
        "PROCSIZE": ("I", 2), "SIG": ("A", "T"), "IFNUM": ("I", 0), "FDNUM": ("I", 0)}
    other = {
        "SCAN": ("J", [row[0] for row in rows]), "DATE-OBS": ("22A", [row[1] for row in rows]),
        "PROCSEQN": ("I", [row[0] - 151 for row in rows]),
        "PLNUM": ("I", [row[2] for row in rows]), "CRVAL4": ("I", [-5 - row[2] for row in rows]),
        "CAL": ("A", [row[3] for row in rows]),
        "DATA": (f"{N_CHAN}E", np.array([row[4] for row in rows], np.float32))}
    return [*(fits.Column(name, form, array=[value] * len(rows))
              for name, (form, value) in same.items()),
            *(fits.Column(name, form, array=values) for name, (form, values) in other.items())]


if __name__ == "__main__":
    main(sys.argv[1])
