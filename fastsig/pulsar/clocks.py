"""Corrections of telescopes' clocks, from a folder of clock files of TEMPO and tempo2.

No package on PyPI has these files; without them, a telescope's clock is taken to be UTC, and
terrestrial time to be TT(TAI). That is usually right to 1 us, apart from a constant: TT(BIPM) is
27.7 us ahead of TT(TAI).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.errors import FormatError, MissingFileError

__all__ = ["Clocks"]

_TT_TAI_S = 32.184


@dataclass(frozen=True)
class ClockFile:
    """A clock file: name, format (tempo or tempo2), and what it leaves to subtract, s."""

    name: str
    format: str
    subtract_s: float = 0.0


class Clocks:
    """What to add to a telescope's times, s: its clock to UTC, and TT(TAI) to TT(BIPM).

    Parameters
    ----------
    folder : path or None
        Folder of the clock files; None for no corrections.
    files : sequence of ClockFile
        Files that the telescope and the par file require.

    Raises
    ------
    FormatError
        If one of the files is missing or cannot be read.
    """

    def __init__(self, folder: str | PathLike[str] | None, files: Sequence[ClockFile]) -> None:
        self.folder, self.wanted = folder, tuple(each.name for each in files)
        self._read = [] if folder is None else [
            (each, _clock_file(Path(folder) / each.name, each.format)) for each in files]

    def seconds(self, times: Time) -> NDArray[np.float64]:
        """Return the corrections at given times, s."""
        found = np.zeros(times.shape)
        for each, table in self._read:
            found += table.evaluate(times).to_value("s") - each.subtract_s
        return found

    def parameters(self) -> dict[str, Any]:
        """Return which files were used and on what dates they end, or what was not applied."""
        if not self._read:
            return {"clock": "UTC, TT(TAI)", "clock_files_not_applied": list(self.wanted)}
        return {"clock": {each.name: Time(table.last_correction_mjd(), format="mjd").iso[:10]
                          for each, table in self._read}}


def files_of(observatory: Any, clock: str | None) -> list[ClockFile]:
    """Return the files that PINT would use for an observatory, and for the CLK of a par file."""
    names = [each["name"] if isinstance(each, dict) else each
             for each in getattr(observatory, "clock_files", [])]
    found = [ClockFile(name, observatory.clock_fmt) for name in names]
    if getattr(observatory, "apply_gps2utc", True):
        found.append(ClockFile("gps2utc.clk", "tempo2"))
    if clock is not None and "BIPM" in clock:
        version = clock.partition("(")[2].rstrip(")").lower()
        found.append(ClockFile(f"tai2tt_{version}.clk", "tempo2", _TT_TAI_S))
    return found


def _clock_file(path: Path, kind: str) -> Any:
    from pint.observatory.clock_file import ClockFile as Reader

    if not path.is_file():
        raise MissingFileError(path)
    try:
        return Reader.read(str(path), format=kind)
    except Exception as error:  # whatever PINT's parser meets in a damaged file
        raise FormatError(path, f"is not a clock file of {kind}: {error}") from error
