"""Candidates: the product of a search for bursts, as a table with a row for each candidate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsig.search.bursts.columns import COLUMNS, OPTIONAL
from fastsig.search.findings import Findings

__all__ = ["Candidates"]


class Candidates(Findings):
    """Burst candidates, the brightest first.

    ``candidates["dm"]`` is a column, with its unit; ``candidates[:10]`` and ``candidates[mask]``
    are subsets of the candidates.

    Parameters
    ----------
    columns : mapping
        Values of the columns of `fastsig.search.bursts.columns`, with the names as keys. Values are
        a `Time`, arrays of numbers in the unit of the column, or arrays of text.
    meta : mapping
        How the candidates were found, in types that JSON can store: threshold, plan, widths,
        expected false alarms and more.

    Raises
    ------
    UsageError
        If a column is missing or not known, or lengths differ.
    """

    required, optional, rows_are = COLUMNS, OPTIONAL, "candidates"
    writer = "candidate_files:write_candidates"

    def order(self) -> NDArray[np.int64]:
        """Return the row numbers, the brightest first, then by time."""
        times = self._columns["time"].tai
        return np.lexsort((self.values("dm"), times.jd2, times.jd1, -self.values("snr")))

    def described(self, row: int) -> tuple[str, str]:
        """Return the time and the properties of a candidate as text for readers."""
        return self._columns["time"][row].isot, (
            f"DM {self.values('dm')[row]:.2f}, S/N {self.values('snr')[row]:.1f}, "
            f"width {1e3 * self.values('width')[row]:.3g} ms")
