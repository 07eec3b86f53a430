"""Facts of folded profiles, in words: those in the picture, and all of them for a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastsig.axes.time import iso
from fastsig.pulsar.profiles import Profiles

__all__ = ["all_facts", "facts"]


def facts(profiles: Profiles) -> dict[str, str]:
    """Return the facts that the picture and its page list, in words."""
    header = profiles.header
    low, high = (float(edge) / 1e6 for edge in header.require_channels(profiles.path).edges_hz)
    period, dm, kind = profiles.period, profiles.dm, header.polarization.kind
    place = None if header.ra_deg is None or header.dec_deg is None else (
        f"{header.ra_deg:.5f}, {header.dec_deg:+.5f} deg")
    known = {
        "path": profiles.path, "source": header.source, "position": place,
        "telescope": header.telescope, "receiver": header.receiver,
        "start (UTC)": iso(header.start_time), "duration": f"{profiles.duration:.6g} s",
        "band": f"{low:.6g} to {high:.6g} MHz",
        "shape": f"{profiles.n_subint} subint · {profiles.n_product} pol · {profiles.n_chan} chan "
                 f"· {profiles.n_bin} bins",
        "products": ", ".join(profiles.names) + (
            "" if kind == "unknown" else f" ({kind} feeds)") + (
            ", on the sky" if header.polarization.frame == "sky" else ""),
        "period": (f"{period:.12g} s in the middle of the scan" if np.isfinite(period)
                   else "not known"),
        "DM": None if dm is None else f"{dm:.9g} pc cm⁻³" + (
            ", removed here" if dm and not profiles.dedispersed and profiles.n_chan > 1
            and np.isfinite(profiles.periods).all() else ""),
        "RM": None if not profiles.rm else f"{profiles.rm:.6g} rad m⁻²",
        "with data": f"{100 * float((profiles.weights > 0).mean()):.4g} %",
    }
    return {key: value for key, value in known.items() if value}


def all_facts(profiles: Profiles) -> dict[str, str]:
    """Return the facts of the picture, and those for which it has no room."""
    header, basis = profiles.header, profiles.header.polarization
    reference, full = profiles.dispersion_reference_hz, set("QUV") <= set(profiles.names)
    polarized = profiles.n_product == 4
    known = {
        **facts(profiles), "backend": header.backend,
        "beam": None if header.beam is None else str(header.beam), "unit": header.unit,
        "sign of V": basis.handedness if polarized else None,
        "frame of Q and U": basis.frame if full else None,
        "differences of the feeds": (
            "removed" if basis.calibrated else "not removed") if polarized else None,
        "reference frequency": None if reference is None else f"{float(reference) / 1e6:.9g} MHz",
        "channels that were folded": None if profiles.folded_mhz is None else (
            f"{profiles.folded_mhz:.6g} MHz"),
        "DM removed within channels": None if header.coherent_dm is None else (
            f"{header.coherent_dm:.9g} pc cm⁻³"),
        "epochs": f"{iso(profiles.epochs[0])} to {iso(profiles.epochs[-1])}",
        "subintegration": f"{float(np.median(profiles.durations)):.6g} s",
        "polynomials of the phase": str(len(profiles.predictor)) if profiles.predictor else None,
        "par file": "\n".join(line.strip() for line in profiles.ephemeris.splitlines()),
        "history": "\n".join(" ".join(each).strip() for each in profiles.history),
        "inputs": "\n".join(_inputs(profiles.provenance)),
        "steps": "\n".join(_steps(profiles.provenance)),
    }
    return {key: value for key, value in known.items() if value}


def _inputs(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the files in a provenance, and of those that these were made from."""
    for each in record.get("inputs", ()):
        yield from (str(file.get("name")) for file in each.get("files", ()))
        yield from _inputs(each.get("made_by", {}))


def _steps(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the stages in a provenance with their parameters, the earliest first."""
    for each in record.get("inputs", ()):
        yield from _steps(each.get("made_by", {}))
    for stage in record.get("stages", ()):
        given = {key: value for key, value in stage.get("parameters", {}).items()
                 if value is not None}
        yield f"{stage.get('stage')}: " + ", ".join(
            f"{key} = {value}" for key, value in given.items())
    if "fold" in record:
        yield "fold: " + ", ".join(f"{key} = {value}" for key, value in record["fold"].items()
                                   if not isinstance(value, Mapping))
