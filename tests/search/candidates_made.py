"""Candidates for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.time import Time, TimeDelta

from fastsig.search.bursts.candidates import Candidates

START = Time("2021-03-04T05:06:07.123456789", scale="utc")
META = {"threshold": 7.0, "n_dropped": 0, "n_event": 3,
        "stretches": [{"low_dm": 0.0, "step": 0.5, "n_dm": 200, "downsampling": 1},
                      {"low_dm": 100.0, "step": 1.0, "n_dm": 400, "downsampling": 2}],
        "provenance": {"inputs": []}}


def candidates(n: int = 3, meta: Any = META, **columns: Any) -> Candidates:
    """Candidates at 1 s, 2 s ..., each brighter than the one before."""
    seconds = 1.0 + np.arange(n)
    made = {
        "time": START + TimeDelta(seconds, format="sec"), "time_s": seconds,
        "dm": 100.0 + 10 * np.arange(n), "dm_error": np.full(n, 0.25), "width": np.full(n, 2e-3),
        "snr": 8.0 + np.arange(n), "valid_share": np.ones(n), "low_mhz": np.full(n, 1000.0),
        "high_mhz": np.full(n, 1500.0), "beam": np.full(n, 1), "ra": np.full(n, 123.5),
        "dec": np.full(n, -12.25), "n_member": 5 + np.arange(n), "dm_low": np.full(n, 99.0),
        "dm_high": np.full(n, 101.0), "first_row": 1000 + 1000 * np.arange(n),
        "last_row": 1001 + 1000 * np.arange(n), "downsampling": np.full(n, 1),
        "file": ["night_0001.fits"] * n}
    return Candidates({**made, **columns}, meta)
