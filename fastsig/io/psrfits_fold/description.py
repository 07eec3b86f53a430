"""The description of profiles for ``fastsig info``."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsig.axes.time import iso
from fastsig.pulsar.profiles import Profiles

__all__ = ["describe"]


def describe(profiles: Profiles, format_name: str) -> dict[str, Any]:
    """Return the fields of ``fastsig info --json`` for profiles."""
    header = profiles.header
    axis = header.require_channels(profiles.path)
    reference = profiles.dispersion_reference_hz
    known = np.isfinite(profiles.period)
    return {
        "path": profiles.path, "format": format_name, "kind": profiles.kind,
        "n_time": profiles.n_subint, "n_pol": profiles.n_product, "n_chan": profiles.n_chan,
        "n_bin": profiles.n_bin, "n_bits": header.n_bits, "complex": False,
        "sample_rate_hz": None,
        "tsamp_s": float(profiles.durations.mean()), "start_time": iso(header.start_time),
        "duration_s": profiles.duration,
        "frequency_mhz": [float(edge / 10**6) for edge in axis.edges_hz],
        "polarization": list(profiles.names), "feed": header.polarization.kind,
        "frame": header.polarization.frame, "calibrated": header.polarization.calibrated,
        "telescope": header.telescope, "receiver": header.receiver, "backend": header.backend,
        "beam": header.beam, "source": header.source, "unit": header.unit,
        "ra_deg": header.ra_deg, "dec_deg": header.dec_deg,
        "period_s": profiles.period if known else None, "dm": profiles.dm,
        "dedispersed": profiles.dedispersed,
        "dm_reference_mhz": "infinity" if reference is None else float(reference / 10**6),
        "rm": profiles.rm, "rm_removed": profiles.rm_removed,
        "n_polyco": len(profiles.predictor), "has_parameters": bool(profiles.ephemeris),
        "valid_fraction": float((profiles.weights > 0).mean()),
    }
