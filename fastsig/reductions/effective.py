"""How many independent samples the values of spectra are means of, by how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from fastsig_kernels import Channelizer, frame_correlation

from fastsig.io.provenance import chain_record
from fastsig.stream import Stream

__all__ = ["n_eff"]


def n_eff(stream: Stream) -> float:
    """Independent samples of a value over channel width times integration.

    Frames of a polyphase bank share samples, so that their powers are correlated. With the
    correlation rho of frames l apart it is ``oversample / (1 + 2 sum rho_l)``: 0.969 of 8 taps.
    It is 1 for spectra of other makers, whose banks are not known.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra that the project made of voltages, or others.
    """
    bank = next((stage["parameters"] for stage in _stages(stream)
                 if stage.get("stage") == "channelize"), None)
    if bank is None:
        return 1.0
    ratio = Fraction(str(bank.get("oversample", "1")))
    # The correlation hardly depends on the number of channels; this many fit every ratio.
    made = Channelizer(64 * ratio.numerator, n_tap=int(bank["n_tap"]), window=str(bank["window"]),
                       oversample=ratio)
    rho = frame_correlation(made.taps, made.hop)
    return float(ratio) / (1 + 2 * float(rho.sum()))


def _stages(stream: Stream) -> Sequence[Mapping[str, Any]]:
    """Stages of a chain, those that made its file first."""
    root = stream
    while root.inputs():
        root = root.inputs()[0]
    record = getattr(root, "provenance", None)
    before = record.get("stages", []) if isinstance(record, Mapping) else []
    return [*before, *chain_record(stream)]
