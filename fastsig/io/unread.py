"""Descriptions of well-known files that fastsig does not read.

References
----------
LWA Software Library (``lsl.reader``): sizes of frames, magic number of the spectrometer. LOFAR TBB
design description: the header of a TBB frame. S. M. Ransom, PRESTO: prepfold.c and prepfold.h.
PSRCHIVE: timer.h. `your`: candidate.py, and the table of candidates that your_heimdall.py writes.
Heimdall: the columns of its table of candidates.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable

from fastsig.io.probe import Probe

__all__ = ["description"]

_LWA_SYNC, _LWA_SPECTRA = b"\xde\xc0\xde\x5c", b"\xde\xc0\xde\xc0"
_LWA_FRAMES = {1048: "TBN", 1224: "TBW", 6168: "TBF"}
_TBB_FRAME = 2140
_DATE = re.compile(rb"\d\d-\d\d-\d{4}")
_POLYCO = re.compile(r"\S+ +\d{1,2}-[A-Za-z]{3}-\d{2} +[\d.]+ +\d{5}\.\d+ ")
_DAYS = range(40_000, 100_000)
_HEIMDALL_WHOLE = (1, 3, 4, 6, 7, 8)  # columns of whole numbers: sample, width, trial, members ...
_YOUR_COLUMNS = {"snr", "stime", "width", "dm", "label"}
_YOUR_ATTRIBUTES = {"cand_id", "tcand", "dm", "snr"}


def description(probe: Probe) -> str | None:
    """Describe a file of a well-known kind; None for any other."""
    for words, test in _KNOWN.items():
        if test(probe):
            return words
    return _lwa_mode(probe)


def _begins(*marks: bytes) -> Callable[[Probe], bool]:
    return lambda probe: probe.head.startswith(marks)


def _lwa_mode(probe: Probe) -> str | None:
    """Describe an LWA recording of a mode other than DRX, by the length of its frames."""
    if not probe.head.startswith(_LWA_SYNC):
        return None
    size = os.path.getsize(probe.path)
    for length, mode in _LWA_FRAMES.items():
        if size == length or _at(probe, length, 4) == _LWA_SYNC:
            return f"an LWA recording of mode {mode}"
    return "an LWA recording of a mode other than DRX"


def _at(probe: Probe, offset: int, n: int) -> bytes:
    """Read `n` bytes at any offset of a file."""
    with open(probe.path, "rb") as file:
        file.seek(offset)
        return file.read(n)


def _is_tbb_frame(head: bytes) -> bool:
    """Whether a header states LOFAR's clock, and either 1024 samples or a number of channels."""
    if len(head) < 20 or head[3] not in (160, 200):
        return False
    samples, channels = struct.unpack_from("<HH", head, 16)
    return bool(samples == 1024 if channels == 0 else samples < 1024)


def _is_tbb(probe: Probe) -> bool:
    return _is_tbb_frame(probe.head) and _is_tbb_frame(_at(probe, _TBB_FRAME, 20))


def _is_old_tbb(probe: Probe) -> bool:
    """Whether a file is an HDF5 file of stations and dipoles, older than LOFAR's ICD 1."""
    return probe.is_hdf5 and any(re.fullmatch("(?i)station_?(cs|rs|[a-z]{2})?\\d{3}", name)
                                 for name in probe.root[1])


def _is_timer(probe: Probe) -> bool:
    """Whether a file is a Timer archive of PSRCHIVE: a date as text, the day as a 32-bit number."""
    head = probe.head
    return (len(head) > 116 and _DATE.match(head, 88) is not None
            and struct.unpack_from(">i", head, 112)[0] in _DAYS)


def _is_prepfold(probe: Probe) -> bool:
    """Whether a file has twelve numbers, the first seven being sizes, then texts with lengths."""
    for order in "<>":
        if len(probe.head) < 64:
            return False
        sizes = struct.unpack_from(f"{order}7i", probe.head)
        length = struct.unpack_from(f"{order}i", probe.head, 48)[0]
        if (all(1 <= size < 2**24 for size in sizes[1:]) and 0 <= sizes[0] < 2**24
                and 0 < length < 1024 and probe.head[52 : 52 + length].isascii()
                and probe.head[52 : 52 + length].decode("ascii").isprintable()):
            return True
    return False


def _first_line(probe: Probe) -> str:
    line = probe.head.splitlines()[0] if probe.head else b""
    return line.decode("ascii", "replace")


def _is_heimdall(probe: Probe) -> bool:
    """Whether lines have 9 to 14 numbers, with whole numbers in the columns of counts."""
    parts = _first_line(probe).split()
    if not 9 <= len(parts) <= 14 or not all(parts[i].isdigit() for i in _HEIMDALL_WHOLE):
        return False
    try:
        return all(float(parts[i]) >= 0 for i in (0, 2, 5))
    except ValueError:
        return False


def _is_your_table(probe: Probe) -> bool:
    return set(_first_line(probe).split(",")) >= _YOUR_COLUMNS


def _is_your_candidate(probe: Probe) -> bool:
    return probe.is_hdf5 and (probe.root[0].keys() >= _YOUR_ATTRIBUTES
                              or "data_freq_time" in probe.root[1])


def _is_measurement_set(probe: Probe) -> bool:
    return probe.is_folder and os.path.exists(os.path.join(probe.path, "table.dat"))


def _is_polyco(probe: Probe) -> bool:
    return _POLYCO.match(_first_line(probe)) is not None


def _is_bestprof(probe: Probe) -> bool:
    return probe.head.startswith(b"# Input file") and b"# Candidate" in probe.head[:400]


def _is_ephemeris(probe: Probe) -> bool:
    keys = {line.split()[0] for line in probe.head.upper().splitlines() if line.split()}
    return len(keys & {b"PSR", b"PSRJ", b"F0", b"P0", b"PEPOCH", b"DM", b"RAJ", b"ELONG"}) >= 3


#: Descriptions of files, and the test for each.
_KNOWN: dict[str, Callable[[Probe], bool]] = {
    "a file of spectra of the LWA's DR spectrometer (drspec)": _begins(_LWA_SPECTRA),
    "a file of raw frames of LOFAR's transient buffers (TBB, before HDF5)": _is_tbb,
    "a file of LOFAR TBB voltages in an HDF5 layout older than ICD 1": _is_old_tbb,
    "an archive of folded profiles in PSRCHIVE's Timer format": _is_timer,
    "a file of folded profiles of PRESTO's prepfold (.pfd)": _is_prepfold,
    "a table of candidates from heimdall": _is_heimdall,
    "a table of candidates from your": _is_your_table,
    "a candidate file of your (HDF5)": _is_your_candidate,
    "a list of single pulses of PRESTO (.singlepulse)":
        lambda probe: probe.head.startswith(b"# DM ") and b"Sigma" in probe.head[:80],
    "a Measurement Set or another table of casacore": _is_measurement_set,
    "a folded profile of PRESTO (.bestprof)": _is_bestprof,
    "a pulsar's timing model (.par)": _is_ephemeris,
    "a table of a pulsar's phase from TEMPO (polyco)": _is_polyco,
    "a NumPy array": _begins(b"\x93NUMPY"),
    "a compressed file": _begins(b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"),
    "an archive of files (ZIP, or NumPy's .npz)": _begins(b"PK\x03\x04"),
    "a file of captured packets (pcap)": _begins(b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4",
                                       b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a"),
    "a picture or page": _begins(b"\x89PNG", b"%PDF", b"%!PS", b"<!DOCTYPE", b"<html"),
    "text in JSON": lambda probe: re.match(rb"\s*[{\[]\s*[\"\[{\d\]}-]", probe.head) is not None,
}
