"""What other programs make of files, each by its own rule: parsers that share nothing with fastsig.

They follow what the programs do, whether or not a definition asks for it: PRESTO 6 (psrfits.c,
sigproc_fb.c), sigpyproc (pfits.py), `your` (psrfits.py, pysigproc.py), digifil and TransientX by
default, which leave scales and offsets out, dspsr (VDIFFile.C, ASCIIObservation.C), turboSETI,
PSRCHIVE (FITSArchive.C and the functions that load its tables).
"""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.coordinates import Angle, SkyCoord
from astropy.io import fits


class Seen(NamedTuple):
    """What a program takes from a file of spectra."""

    n_spectra: int
    ra_deg: float
    dec_deg: float
    start_mjd: Fraction
    azimuth: float
    zenith: float
    data: np.ndarray


# Keywords and types that blimpy knows; a reader that meets another gives up.
_SIGPROC = dict.fromkeys(("telescope_id", "machine_id", "data_type", "barycentric", "pulsarcentric",
                          "nbits", "nsamples", "nchans", "nifs", "nbeams", "ibeam"), "<i") | (
    dict.fromkeys(("tstart", "tsamp", "fch1", "foff", "refdm", "period", "az_start", "za_start",
                   "src_raj", "src_dej"), "<d"))


def sigproc_header(path: Path) -> tuple[dict[str, Any], int]:
    """Keywords of a filterbank, of the types that SIGPROC has, and the byte at which data begin."""
    raw, at, found = path.read_bytes(), 0, {}

    def text() -> str:
        nonlocal at
        n = struct.unpack_from("<i", raw, at)[0]
        at += 4 + n
        return raw[at - n : at].decode()

    assert text() == "HEADER_START"
    while (key := text()) != "HEADER_END":
        if key in ("source_name", "rawdatafile"):
            found[key] = text()
        else:
            found[key] = struct.unpack_from(_SIGPROC[key], raw, at)[0]
            at += struct.calcsize(_SIGPROC[key])
    return found, at


def presto_count(path: Path) -> int:
    """Spectra of a filterbank as PRESTO counts them: it does not read nifs."""
    head, at = sigproc_header(path)
    return (path.stat().st_size - at) * 8 // (head["nbits"] * head["nchans"])


def presto_psrfits(path: Path) -> Seen:
    """PRESTO: all rows are full; whether scales and offsets apply the first row decides."""
    with fits.open(path) as file:
        head, cards, rows = file[0].header, file["SUBINT"].header, file["SUBINT"].data
        n_pol, n_chan, n_block = cards["NPOL"], cards["NCHAN"], cards["NSBLK"]
        scaled, shifted = (rows["DAT_SCL"][0] != 1).any(), (rows["DAT_OFFS"][0] != 0).any()
        data = []
        for row in rows:
            part = np.array(row["DATA"], "f4").reshape(n_block, n_pol, n_chan)
            part = part * (row["DAT_SCL"].reshape(n_pol, n_chan) if scaled else 1)
            data.append(part + (row["DAT_OFFS"].reshape(n_pol, n_chan) if shifted else 0))
        start = head["STT_IMJD"] + (head["STT_SMJD"] + Fraction(head["STT_OFFS"])) / 86400
        ra = Angle(head["RA"], "hourangle").deg  # a KeyError where PRESTO has no hours to read
        return Seen(cards["NAXIS2"] * n_block, float(ra), float(Angle(head["DEC"], "deg").deg),
                    start, float(rows["TEL_AZ"][0]), float(rows["TEL_ZEN"][0]),
                    np.concatenate(data))


def sigpyproc_psrfits(path: Path) -> Seen:
    """sigpyproc: rows as astropy shapes them are (NSBLK, NPOL, NCHAN), and SIGNINT is there."""
    with fits.open(path) as file:
        head, cards, rows = file[0].header, file["SUBINT"].header, file["SUBINT"].data
        at = SkyCoord(head["RA"], head["DEC"], unit=("hourangle", "deg"))
        assert cards["SIGNINT"] in (0, 1)
        data = []
        for row in rows:
            part = np.array(row["DATA"])
            assert part.shape == (cards["NSBLK"], cards["NPOL"], cards["NCHAN"]), part.shape
            shape = part.shape[1:]
            data.append(part.astype("f4") * row["DAT_SCL"].reshape(shape)
                        + row["DAT_OFFS"].reshape(shape))
        start = head["STT_IMJD"] + (head["STT_SMJD"] + Fraction(head["STT_OFFS"])) / 86400
        return Seen(cards["NSTOT"], at.ra.deg, at.dec.deg, start, float(rows["TEL_AZ"][0]),
                    float(rows["TEL_ZEN"][0]), np.concatenate(data)[: cards["NSTOT"]])


def plain_psrfits(path: Path) -> np.ndarray:
    """digifil and TransientX by default: the codes of all rows, NSTOT or not, without scales."""
    with fits.open(path) as file:
        cards, rows = file["SUBINT"].header, file["SUBINT"].data
        return np.concatenate([np.array(row["DATA"], "f4").reshape(
            cards["NSBLK"], cards["NPOL"], cards["NCHAN"]) for row in rows])


def dspsr_vdif(header: Path) -> tuple[dict[str, str], np.ndarray]:
    """dspsr: the header file, and 8-bit samples (time, polarisation[, part]) of all its frames.

    The channels of the first frame are polarisations; threads are not looked at.
    """
    raw = header.read_bytes()[:4096].partition(b"\0")[0].decode()
    keys = dict(line.split(None, 1) for line in raw.splitlines())
    assert keys["INSTRUMENT"] == "VDIF"
    for key in ("TELESCOPE", "SOURCE", "FREQ", "BW", "TSAMP"):
        assert len(keys[key].split()) == 1, key
    data = (header.parent / keys["DATAFILE"]).read_bytes()
    words = struct.unpack_from("<8I", data)
    size, n_pol, n_bit = (words[2] & 0xFFFFFF) * 8, 1 << (words[2] >> 24 & 31), 1 + (
        words[3] >> 26 & 31)
    assert n_bit == int(keys["NBIT"]) == 8 and n_pol == int(keys["NPOL"])
    assert len(data) % size == 0
    frames = np.frombuffer(data, np.uint8).reshape(-1, size)[:, 32:]
    samples = frames.reshape(-1, n_pol, int(keys["NDIM"])).astype(np.int16) - 128
    return keys, samples


# Cards that dspsr's GUPPIBlockFile.C wants of every block.
_GUPPI = ("NBITS", "OBSBW", "OBSFREQ", "OBSNCHAN", "NPOL", "PKTFMT", "TBIN", "STT_IMJD", "STT_SMJD",
          "STT_OFFS", "PKTIDX", "PKTSIZE", "TELESCOP", "SRC_NAME", "OVERLAP", "BLOCSIZE", "BACKEND",
          "FD_POLN", "RA_STR", "DEC_STR", "FRONTEND")


def dspsr_guppi(path: Path) -> list[dict[str, str]]:
    """dspsr: the headers of all blocks, of which there are two at least."""
    raw, at, found = path.read_bytes(), 0, []
    while at < len(raw):
        cards: dict[str, str] = {}
        while not (card := raw[at : at + 80].decode()).startswith("END "):
            cards[card[:8].strip()] = card[9:].strip().strip("'").strip()
            at += 80
        assert all(cards.get(key) for key in _GUPPI), cards
        found.append(cards)
        at += 80 + int(cards["BLOCSIZE"])
    assert len(found) >= 2 and found[1]["BLOCSIZE"] == found[0]["BLOCSIZE"]
    return found


def dspsr_dada(path: Path) -> dict[str, str]:
    """dspsr: what DADAFile.C and ASCIIObservation.C require of a DADA header, a word each."""
    raw = path.read_bytes()[:4096].partition(b"\0")[0].decode()
    keys = dict(line.split(None, 1) for line in raw.splitlines())
    for key in ("HDR_VERSION", "INSTRUMENT", "TELESCOPE", "SOURCE", "FREQ", "BW", "NPOL", "NBIT",
                "TSAMP", "UTC_START", "OBS_OFFSET"):
        assert keys.get(key, "").strip(), key
    return keys


class Archive(NamedTuple):
    """What PSRCHIVE takes from a fold-mode file.

    Epochs are exact: the day, and seconds of the day. Periods are those of POLYCO at the epochs.
    """

    data: np.ndarray
    weights: np.ndarray
    state: str
    basis: str
    epochs: list[tuple[int, Fraction]]
    durations: list[float]
    periods: list[float | None]
    frequency: np.ndarray
    center_mhz: float
    bandwidth_mhz: float
    dm: float
    rm: float
    dedispersed: bool
    source: str
    telescope: str
    ra_deg: float
    dec_deg: float


_STATES = {"INTEN": "Intensity", "AA+BB": "Intensity", "STOKE": "Stokes", "AABB": "PPQQ",
           "AABBCRCI": "Coherence"}


def psrchive_archive(path: Path) -> Archive:
    """PSRCHIVE: a KeyError or AssertionError where it would refuse the file or take it wrongly."""
    with fits.open(path) as file:
        head, table = file[0].header, file["SUBINT"]
        major, _, minor = head["HDRVER"].partition(".")
        assert major.isdigit() and minor.isdigit() and head["FITSTYPE"].strip() == "PSRFITS"
        assert head["OBS_MODE"] in ("PSR", "CAL", "LEVCAL", "PCM", "SEARCH")
        cards, rows = table.header, table.data
        shape = cards["NAXIS2"], cards["NPOL"], cards["NCHAN"], cards["NBIN"]
        assert cards["INT_TYPE"] == "TIME" and cards["EPOCHS"] == "VALID"
        assert abs(cards["CHAN_BW"] * shape[2] - head["OBSBW"]) < 1e-9 * abs(head["OBSBW"])
        assert abs(np.mean(rows["DAT_FREQ"]) - head["OBSFREQ"]) < 1e-9 * head["OBSFREQ"]
        data = _psrchive_values(table, shape)
        day, second = head["STT_IMJD"], Fraction(head["STT_SMJD"]) + Fraction(head["STT_OFFS"])
        epochs = [(day, second + Fraction(float(each))) for each in rows["OFFS_SUB"]]
        last = file["HISTORY"].data[-1] if "HISTORY" in file else None
        assert last is None or (last["NCHAN"], last["NPOL"]) == (shape[2], shape[1])
        at = SkyCoord(head["STT_CRD1"], head["STT_CRD2"], unit=("hourangle", "deg"))
        assert head["COORD_MD"] == "J2000"
        return Archive(
            data, np.array(rows["DAT_WTS"]).reshape(shape[0], shape[2]),
            _STATES[cards["POL_TYPE"]], head["FD_POLN"], epochs, rows["TSUBINT"].tolist(),
            _psrchive_periods(file, rows, epochs), rows["DAT_FREQ"][0],
            cards.get("REFFREQ", None if last is None else last["CTR_FREQ"]), head["OBSBW"],
            cards["DM"], cards["RM"], last is not None and bool(last["DEDISP"]),
            head["SRC_NAME"], head["TELESCOP"], at.ra.deg, at.dec.deg)


def _psrchive_values(table: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Integers of 16 bits in the order bin, channel, polarisation; scale, then offset, float32."""
    column = table.columns["DATA"]
    assert column.format.endswith("I") and column.dim == f"({shape[3]},{shape[2]},{shape[1]})"
    scale, offset = (np.array(table.data[name], "f4").reshape(*shape[:3], 1)
                     for name in ("DAT_SCL", "DAT_OFFS"))
    return np.array(table.data["DATA"], "f4").reshape(shape) * scale + offset


def _psrchive_periods(file: Any, rows: Any, epochs: list[tuple[int, Fraction]]
                      ) -> list[float | None]:
    """By the row of POLYCO that is nearest, else from a column PERIOD, else None."""
    if "POLYCO" not in file:
        return rows["PERIOD"].tolist() if "PERIOD" in rows.names else [None] * len(rows)
    out: list[float | None] = []
    for day, seconds in epochs:
        row = min(file["POLYCO"].data, key=lambda each: abs(
            (day - each["REF_MJD"]) * 86400 + float(seconds)))
        dt = float((day - Fraction(float(row["REF_MJD"]))) * 1440 + seconds / 60)
        assert abs(dt) <= row["NSPAN"] / 2 and row["NCOEF"] <= len(row["COEFF"])
        slope = sum(k * row["COEFF"][k] * dt ** (k - 1) for k in range(1, row["NCOEF"]))
        out.append(1 / (row["REF_F0"] + slope / 60))
    return out
