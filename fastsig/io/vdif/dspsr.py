"""The header file that dspsr reads to open a VDIF file: lines of KEY VALUE.

References
----------
dspsr, VDIFFile.C and ASCIIObservation.C: INSTRUMENT is VDIF, DATAFILE names the file of frames, in
which channels are polarisations; FREQ and BW are in MHz, TSAMP in microseconds.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from fastsig.errors import PlanError
from fastsig.io.files.cards import decimal_text, hms_text, is_plain
from fastsig.io.voltages.writing import Recording

__all__ = ["dspsr_header"]

_SIZE = 4096  # bytes that dspsr reads
_LONGEST = 63  # characters of a value


def dspsr_header(recording: Recording, names: Sequence[str], n_bits: int) -> bytes:
    """Return the header, padded to the length that dspsr reads.

    Raises
    ------
    PlanError
        If dspsr cannot read such voltages: with several channels, without a frequency, in several
        files, or in a file with blanks in its name.
    """
    header, path = recording.header, recording.path
    axis, data = header.channels, os.path.basename(names[0])
    wrong = next((text for bad, text in (
        (len(names) > 1, f"{len(names)} files; dspsr's header describes one"),
        (recording.n_chan > 1, f"{recording.n_chan} channels; dspsr takes the channels of VDIF for "
         "polarisations"),
        (recording.shape[1] > 2, f"{recording.shape[1]} polarisations; dspsr accepts 1 or 2"),
        (axis is None, "its sky frequency is not known; give --set frequency=440MHz"),
        (not is_plain(data, 255) or " " in data, f"dspsr cannot read the name {data!r}"),
    ) if bad), None)
    if wrong or axis is None:
        raise PlanError(f"{path}: {wrong}")
    lower, upper = axis.edges_hz
    sign = 1 if header.sideband == "upper" else -1
    known = header.ra_deg is not None and header.dec_deg is not None
    values: dict[str, object] = {
        "HDR_VERSION": "1.0", "INSTRUMENT": "VDIF", "DATAFILE": data, "MODE": "PSR",
        "TELESCOPE": _word(header.telescope), "RECEIVER": _word(header.receiver),
        "SOURCE": _word(header.source),
        "RA": hms_text((header.ra_deg or 0) if known else 0, 15),
        "DEC": hms_text((header.dec_deg or 0) if known else 0, 1),
        "FREQ": decimal_text((lower + upper) / 2 / 10**6),
        "BW": decimal_text(sign * (upper - lower) / 10**6), "NCHAN": 1,
        "NPOL": recording.shape[1], "NBIT": n_bits, "NDIM": recording.parts,
        "TSAMP": decimal_text(10**6 / header.sample_rate),
        "BASIS": {"linear": "Linear", "circular": "Circular"}.get(header.polarization.kind)}
    text = "".join(f"{key} {value}\n" for key, value in values.items() if value is not None)
    return text.encode("ascii").ljust(_SIZE, b"\0")


def _word(text: str | None) -> str:
    """Return a text without blanks, as dspsr reads values; "unknown" if there is none."""
    word = "_".join((text or "").split())
    return word if is_plain(word, _LONGEST) else "unknown"
