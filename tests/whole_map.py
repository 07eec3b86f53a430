"""``python tests/whole_map.py [DURATION]``: figures of simulated drift scans mapped, 1200s each.

The tests make the same of shorter ones.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "reductions")]

from test_whole_map import (  # noqa: E402 - found by the line before
    POINTS,
    Cube,
    fit_point,
    line_offset,
    make_cube,
    mass_ratio,
    noise_ratio,
)


def main(duration: str = "1200s") -> None:
    """Make the cube and print what is measured in it."""
    with tempfile.TemporaryDirectory(prefix="fastsig-map-") as name:
        folder = Path(name)
        measured = Cube(make_cube(folder, duration))
        for ra, dec, flux in POINTS:
            found, east, north, snr = fit_point(measured, ra, dec)
            print(f"source of {flux} Jy: S/N {snr:.0f}, off by {np.hypot(east, north):.2f} arcsec, "
                  f"flux {found / flux - 1:+.2%}")
        error, width = line_offset(measured)
        print(f"bright line: {error:+.1f} m/s, width {width - 1:+.2%}")
        noise = noise_ratio(measured, folder)
        print(f"noise relative to the radiometer equation: {noise - 1:+.2%}")
        print(f"mass of the disk: {mass_ratio(measured) - 1:+.2%}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
