"""S/N as turboSETI defines it, and tables of hits in the format of turboSETI.

References
----------
J. E. Enriquez et al., ApJ 849 (2017) 104: turboSETI.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.coordinates import Angle
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.search.drift.hits import Hits

__all__ = ["dat_text", "fields_of", "parse_dat", "trimmed_noise"]

_RULE = "# --------------------------\n"
_HEAD = "# -------------------------- o --------------------------\n"
_COLUMNS = ("Top_Hit_#", "Drift_Rate", "SNR", "Uncorrected_Frequency", "Corrected_Frequency",
            "Index", "freq_start", "freq_end", "SEFD", "SEFD_freq", "Coarse_Channel_Number",
            "Full_number_of_hits")
_NAMES = "# " + " \t".join(_COLUMNS) + " \t\n"
_TRIM = 0.05  # share of the sums that is left out at either end


def trimmed_noise(total: NDArray[Any]) -> tuple[float, float]:
    """Return the median and standard deviation of the middle 90 % of the sums of a coarse channel.

    For Gaussian noise, this standard deviation is 0.79 of the true one, so that the S/N is 1.27
    times as high.
    """
    ordered = np.sort(total[np.isfinite(total)])
    middle = ordered[int(len(ordered) * _TRIM) : int(len(ordered) * (1 - _TRIM))]
    if not middle.size:
        return np.nan, np.nan
    return float(np.median(middle)), float(middle.std(dtype=np.float64))


def dat_text(hits: Hits) -> str:
    """Return hits as the text of a .dat file of turboSETI, in order of frequency.

    The S/N is that of turboSETI if the hits contain it; a hit that has none, because its track
    leaves the coarse channel, has that of fastsig. The frequencies that delimit a hit are
    those of its boxcar from the first spectrum to the last.

    Raises
    ------
    UsageError
        If the hits come from several searches, which have different headers, or from a .dat
        file, so that the channels of the band are not known.
    """
    meta = hits.meta
    if "channel_hz" not in meta:
        raise UsageError("these hits are of several searches; allowed in a .dat file: the hits "
                         "of one search")
    if "n_chan" not in meta:
        raise UsageError("these hits were read from a .dat file; allowed in a .dat file: the hits "
                         "of one search by fastsig")
    order = np.argsort(hits.values("frequency"), kind="stable")
    snr = hits.values("snr")
    if "snr_turboseti" in hits:
        theirs = hits.values("snr_turboseti")
        snr = np.where(np.isfinite(theirs), theirs, snr)
    span_s = (meta["n_spectrum"] - 1) * meta["sample_s"]
    per_coarse = meta["n_chan"] // (meta["n_coarse"] or 1)
    lines = [_header(hits)]
    for number, k in enumerate(order, 1):
        at = hits.values("frequency")[k]
        half, moved = hits.values("width")[k] / 2e6, hits.values("drift")[k] * span_s / 1e6
        low, high = min(at, at + moved) - half, max(at, at + moved) + half
        lines.append("\t".join((
            f"{number:06d}", f"{hits.values('drift')[k]:10.6f}", f"{snr[k]:10.6f}",
            f"{at:14.6f}", f"{at:14.6f}", f"{hits.values('channel')[k] % per_coarse:d}",
            f"{high:14.6f}", f"{low:14.6f}", "0.0", f"{0:14.6f}",
            f"{max(0, hits.values('coarse_channel')[k]):d}", f"{len(hits):d}")) + "\t\n")
    return "".join(lines)


def _header(hits: Hits) -> str:
    meta = hits.meta
    name = str(hits.values("file")[0]) if len(hits) else meta.get("file", "")
    source = str(hits.values("source")[0]) if len(hits) else meta.get("source", "")
    place = ""
    if len(hits) and np.isfinite(hits.values("ra")[0]):
        ra, dec = (Angle(hits.values(axis)[0], "deg") for axis in ("ra", "dec"))
        place = (f"\tRA: {ra.to_string('hour', precision=3)}"
                 f"\tDEC: {dec.to_string('deg', precision=3)}")
    start = Time(meta["start"], scale="utc")
    fastest = max(map(abs, meta["drift_hz_s"]))
    return (f"{_HEAD}# File ID: {name} \n{_HEAD}# Source:{source}\n"
            f"# MJD: {start.mjd:18.12f}{place}\n"
            f"# DELTAT: {meta['sample_s']:10.6f}\tDELTAF(Hz): {meta['channel_hz']:10.6f}"
            f"\tmax_drift_rate: {fastest:10.6f}"
            f"\tobs_length: {meta['n_spectrum'] * meta['sample_s']:10.6f}\n{_RULE}"
            f"{_NAMES}{_RULE}")


def parse_dat(text: str) -> Hits:
    """Return the hits of a .dat file of turboSETI; its S/N is in both columns of S/N.

    The channels are -1: the file counts them within coarse channels and does not state how wide
    these are.

    Raises
    ------
    UsageError
        If the text is not such a file.
    """
    fields = fields_of(text)
    rows = [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]
    if any(len(row) != len(_COLUMNS) for row in rows):
        raise UsageError(f"a row does not have {len(_COLUMNS)} columns")
    try:
        values = np.array(rows, np.float64).reshape(-1, len(_COLUMNS))
        step, sample, length = (float(fields[name]) for name in
                                ("DELTAF(Hz)", "DELTAT", "obs_length"))
        start = Time(float(fields["MJD"]), format="mjd", scale="utc")
        limit = float(fields["max_drift_rate"])
    except (KeyError, ValueError) as error:
        raise UsageError(f"a value is missing or not a number: {error}") from error
    if not (step and sample > 0 and np.isfinite((step, sample, length, limit)).all()
            and sample <= length <= 1e9 * sample and np.isfinite(values).all()):
        raise UsageError("a value is not finite, or a step is 0")
    n, n_spectrum = len(values), round(length / sample)
    ra, dec = (_angle(fields.get(name), unit) for name, unit in (("RA", "hour"), ("DEC", "deg")))
    middle = Time(np.full(n, start.jd1), np.full(n, start.jd2 + sample / 2 / 86400), format="jd",
                  scale="utc")
    return Hits({
        "time": middle, "frequency": values[:, 3], "drift": values[:, 1], "snr": values[:, 2],
        "snr_turboseti": values[:, 2], "width": np.full(n, abs(step)), "excess": np.full(n, np.nan),
        "valid_share": np.ones(n), "channel": np.full(n, -1),
        "coarse_channel": values[:, 10].astype(np.int64), "product": ["I"] * n,
        "beam": np.full(n, -1), "ra": np.full(n, ra), "dec": np.full(n, dec),
        "source": [fields.get("Source", "")] * n, "first_row": np.zeros(n, np.int64),
        "last_row": np.full(n, n_spectrum - 1), "file": [fields.get("File ID", "")] * n,
    }, {"channel_hz": abs(step), "sample_s": sample, "n_spectrum": n_spectrum,
        "drift_hz_s": [-limit, limit], "start": start.isot, "program": "turboSETI"}).sorted()


def fields_of(text: str) -> dict[str, str]:
    """Return the values of the header of a .dat file, with the names as keys."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("#") and ":" in line:
            for part in line.lstrip("# ").split("\t"):
                name, _, value = part.partition(":")
                found[name.strip()] = value.strip()
    return found


def _angle(text: str | None, unit: str) -> float:
    try:
        return float(Angle(text, unit).deg) if text else np.nan
    except ValueError:
        return np.nan
