"""Pulsar candidates: the table of a search for periodic signals, with a row for each signal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsig.search.findings import Findings
from fastsig.search.pulsars.columns import COLUMNS, OPTIONAL

__all__ = ["PulsarCandidates"]


class PulsarCandidates(Findings):
    """Periodic signals, the most significant first.

    ``found["period"]`` is a column, with its unit; ``found[:10]`` and ``found[mask]`` are subsets
    of the candidates.

    Parameters
    ----------
    columns : mapping
        Values of the columns of `fastsig.search.pulsars.columns`, with the names as keys.
    meta : mapping
        How the candidates were found, in types that JSON can store: threshold, dispersion
        measures, ranges of both searches, numbers of trials and more.

    Raises
    ------
    UsageError
        If a column is missing or not known, or lengths differ.
    """

    required, optional, rows_are = COLUMNS, OPTIONAL, "pulsar candidates"
    writer = "pulsar_files:write_pulsars"

    def order(self) -> NDArray[np.int64]:
        """Return the row numbers, the most significant first, then by period."""
        return np.lexsort((self.values("dm"), self.values("period"), -self.values("sigma")))

    def described(self, row: int) -> tuple[str, str]:
        """Return the period and the properties of a candidate as text for readers."""
        name = self.values("name")[row] if "name" in self else ""
        return f"{self.values('period')[row]:.9g} s", (
            f"DM {self.values('dm')[row]:.2f}, {self.values('sigma')[row]:.1f} sigma, "
            f"S/N {self.values('snr')[row]:.1f}, {self.values('method')[row]}"
            + (f", {name}" if name else ""))
