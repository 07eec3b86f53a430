"""Hits: the product of a search for drifting carriers, as a table with a row for each carrier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsig.search.findings import Column, Findings

__all__ = ["COLUMNS", "OPTIONAL", "Hits"]

#: Columns of every table, in their order.
COLUMNS: dict[str, Column] = {
    "time": Column("time", None, "UTC of the centre of the first spectrum"),
    "frequency": Column("f8", "MHz", "frequency at the centre of the first spectrum", 9),
    "drift": Column("f8", "Hz / s", "drift rate", 6),
    "snr": Column("f8", "", "sum of sample / level - 1 over the boxcar that follows the drift, "
                            "divided by the noise", 3),
    "width": Column("f8", "Hz", "width of the boxcar", 6),
    "excess": Column("f8", "", "mean power in the boxcar above the level, divided by the level", 6),
    "valid_share": Column("f8", "", "fraction of the samples of the boxcar that were valid", 4),
    "channel": Column("i8", None, "channel that contains the frequency, counted from the lowest; "
                                  "-1 if it is not known"),
    "coarse_channel": Column("i4", None, "coarse channel, counted from the lowest; -1 if coarse "
                                         "channels are not known"),
    "product": Column("U", None, "polarisation product"),
    "beam": Column("i4", None, "number of the beam; -1 if it is not known"),
    "ra": Column("f8", "deg", "right ascension of the beam, ICRS; nan if it is not known", 7),
    "dec": Column("f8", "deg", "declination of the beam, ICRS; nan if it is not known", 7),
    "source": Column("U", None, "name of the source"),
    "first_row": Column("i8", None, "first spectrum that was searched"),
    "last_row": Column("i8", None, "last spectrum that was searched"),
    "file": Column("U", None, "name of the file that contains first_row"),
}

#: Columns that some tables have, after the others.
OPTIONAL: dict[str, Column] = {
    "snr_turboseti": Column("f8", "", "S/N as turboSETI defines it: relative to the median and the "
                                      "standard deviation of the middle 90 % of the sums of a "
                                      "coarse channel without drift", 3),
    "event": Column("i4", None, "number of the event in a cadence"),
    "scan": Column("i4", None, "number of the scan in the cadence, from 1"),
    "verdict": Column("U", None, "accepted, doubtful or interference, after a comparison of scans "
                                 "or beams"),
    "reason": Column("U", None, "reason for the verdict"),
    "n_beam": Column("i4", None, "number of beams in which the signal was found"),
    "beams": Column("U", None, "beams in which the signal was found, each with its S/N"),
    "east": Column("f8", "arcmin", "estimated offset to the east from the telescope's position"),
    "north": Column("f8", "arcmin", "estimated offset to the north from the telescope's position"),
    "east_error": Column("f8", "arcmin", "standard error of the offset to the east"),
    "north_error": Column("f8", "arcmin", "standard error of the offset to the north"),
    "signal_ra": Column("f8", "deg", "estimated right ascension of the carrier, ICRS; nan if the "
                                     "position of the beam is not known"),
    "signal_dec": Column("f8", "deg", "estimated declination of the carrier, ICRS"),
    "chance": Column("f8", "", "probability that a hit of another beam agrees by chance"),
}


class Hits(Findings):
    """Drifting carriers, the strongest first.

    ``hits["drift"]`` is a column, with its unit; ``hits[:10]`` and ``hits[mask]`` are subsets of
    the hits.

    Parameters
    ----------
    columns : mapping
        Values of the columns of `fastsig.search.drift.hits`, with the names as keys.
    meta : mapping
        How the hits were found, in types that JSON can store: threshold, drift rates, losses and
        more.

    Raises
    ------
    UsageError
        If a column is missing or not known, or lengths differ.
    """

    required, optional, rows_are = COLUMNS, OPTIONAL, "hits"
    writer = "hit_files:write_hits"

    @property
    def threshold(self) -> float | None:
        """Lowest S/N that the search reports; None if it is not known.

        Tables of turboSETI do not state it; the lowest S/N in the table takes its place.
        """
        stated = self.meta.get("threshold")
        if stated is not None:
            return float(stated)
        return float(self.values("snr").min()) if len(self) else None

    def order(self) -> NDArray[np.int64]:
        """Return the row numbers, the strongest first, then by frequency."""
        return np.lexsort((self.values("drift"), self.values("frequency"), -self.values("snr")))

    def described(self, row: int) -> tuple[str, str]:
        """Return the frequency and the properties of a hit as text for readers."""
        return f"{self.values('frequency')[row]:.6f} MHz", (
            f"{self.values('drift')[row]:+.4f} Hz/s, S/N {self.values('snr')[row]:.1f}, "
            f"width {self.values('width')[row]:.3g} Hz")
