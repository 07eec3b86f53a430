"""Pulsar candidates for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.time import Time

from fastsig.search.pulsars.candidates import PulsarCandidates

START = Time("2021-03-04T05:06:07.123456789", scale="utc")
META = {"n_time": 2**20, "sample_s": 64e-6, "threshold": 6.0, "ffa": {"n_bin": [240, 258]},
        "provenance": {"inputs": []}}


def pulsars(n: int = 3, **columns: Any) -> PulsarCandidates:
    """Candidates with periods of 0.1 s, 0.2 s ..., each more significant than the one before."""
    period = 0.1 * np.arange(1, n + 1)
    length = META["n_time"] * META["sample_s"]
    made = {
        "period": period, "frequency": 1 / period, "frequency_error": np.full(n, 1e-4),
        "fdot": np.full(n, 1e-5), "acceleration": np.full(n, -3.0),
        "dm": 30.0 + 10 * np.arange(n), "sigma": 7.0 + np.arange(n), "snr": 9.0 + np.arange(n),
        "power": 50.0 + np.arange(n), "n_harmonic": np.full(n, 8), "r": length / period,
        "z": np.full(n, 2.0), "width": np.full(n, np.nan), "duty": np.full(n, 0.05),
        "method": (["fourier", "ffa"] * n)[:n], "n_member": 5 + np.arange(n),
        "dm_low": np.full(n, 29.0), "dm_high": np.full(n, 31.0),
        "epoch": Time([START.isot] * n, scale="utc") if n else START[np.newaxis][:0],
        "beam": np.full(n, 1), "ra": np.full(n, 123.5), "dec": np.full(n, -12.25),
        "file": ["night_0001.fits"] * n}
    return PulsarCandidates({**made, **columns}, META)
