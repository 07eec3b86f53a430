"""Profiles as a table: a row for each subintegration, channel and bin."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from fastsig.axes.time import iso
from fastsig.pulsar.profile_data import ProfileData

if TYPE_CHECKING:
    from astropy.table import QTable

__all__ = ["profile_table"]

_DESCRIPTIONS = {
    "subint": "number of the subintegration", "channel": "number of the channel",
    "bin": "number of the bin", "phase": "phase of the centre of the bin, turns",
    "frequency": "centre of the channel",
}


def profile_table(profiles: ProfileData) -> QTable:
    """Return the table of `Profiles.to_table`.

    ``meta`` contains the header, and lists with a value for each subintegration: epoch (day, and
    seconds of the day as text), duration and period.
    """
    from astropy.table import QTable  # takes as long to import as everything else together

    n_subint, _, n_chan, n_bin = profiles.shape
    table = QTable(meta=_meta(profiles))
    places = np.indices((n_subint, n_chan, n_bin), dtype=np.int32).reshape(3, -1)
    for name, numbers in zip(("subint", "channel", "bin"), places, strict=True):
        table[name] = numbers
    table["frequency"] = profiles.frequency[places[1]]
    table["phase"] = profiles.phase[places[2]] << u.one
    weight = profiles.weight
    for k, name in enumerate(profiles.names):
        table[name] = profiles.data[:, k].reshape(-1) << profiles.unit
        table[name].info.description = f"mean of product {name}"
        table[f"weight_{name}"] = weight[:, k].reshape(-1) << u.one
        table[f"weight_{name}"].info.description = f"weight of product {name}"
    for name, text in _DESCRIPTIONS.items():
        table[name].info.description = text
    return table


def _meta(profiles: ProfileData) -> dict[str, Any]:
    header, basis = profiles.header, profiles.header.polarization
    axis = header.require_channels(profiles.path)
    known = {
        "source": header.source, "telescope": header.telescope, "receiver": header.receiver,
        "backend": header.backend, "beam": header.beam,
        "ra_deg": header.ra_deg, "dec_deg": header.dec_deg,
        "start_time": iso(header.start_time), "sample_rate_hz": str(header.sample_rate),
        "channel_hz": [str(axis.first_hz), str(axis.step_hz)],
        "dispersion_constant": str(header.dispersion_constant),
        "reference_mhz": profiles.reference_mhz, "n_bin": profiles.n_bin, "dm": profiles.dm,
        "dedispersed": profiles.dedispersed, "dm_reference_mhz": _mhz(
            profiles.dispersion_reference_hz), "rm": profiles.rm,
        "folded_mhz": profiles.folded_mhz, "coherent_dm": header.coherent_dm,
        "rm_removed": profiles.rm_removed, "feed": basis.kind, "handedness": basis.handedness,
        "sign_q": basis.sign_q, "sign_v": basis.sign_v, "frame": basis.frame,
        "calibrated": basis.calibrated, "n_recorded": basis.n_recorded,
        "epochs": [[day, _text(seconds)] for day, seconds in profiles.exact_epochs()],
        "durations_s": [float(each) for each in profiles.durations],
        "periods_s": [float(each) for each in profiles.periods],
    }
    return {key: value for key, value in known.items() if value is not None}


def _mhz(value: Fraction | None) -> float | str:
    return "infinity" if value is None else float(value / 10**6)


def _text(seconds: Fraction) -> str:
    """Return seconds as decimal text, rounded to 1e-15 s."""
    whole, rest = divmod(round(seconds * 10**15), 10**15)
    return f"{whole}.{rest:015d}"
