"""Write simulated scans to files: those of each beam, the feed cabin's and the truth record."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from fastsig.errors import OutputError
from fastsig.io.files.positioned import write_from
from fastsig.io.files.safe import SafeOutput, check_output
from fastsig.simulate.ky import ky_name, ky_rows, write_ky
from fastsig.simulate.scan import FastScan
from fastsig.simulate.spectra_output import file_name, write_psrfits, write_spectral
from fastsig.simulate.values import scalar

__all__ = ["write_scan"]


def write_scan(
    scan: FastScan, folder: str | os.PathLike[str], *, ky_step: Any = Fraction(1, 5),
    n_bits: int = 8, n_block: int = 1024, file_rows: int | None = None, workers: int | None = 1,
    overwrite: bool = False, progress: Callable[[int], Any] | None = None,
) -> list[str]:
    """Write a scan to files with FAST's names, and its truth record, in a folder.

    The truth record is written to NAME_OBSERVING_truth.json.

    Parameters
    ----------
    scan : FastScan
        The scan to write.
    folder : path
        An existing folder.
    ky_step : value, s
        Time between the rows of the file of the feed cabin.
    n_bits, n_block : int
        For PSRFITS, as for `write_psrfits`.
    file_rows, workers, overwrite, progress
        As for `write_spectral`, for each beam.

    Returns
    -------
    list of str
        Names of the files: those of the beams in order, that of the feed cabin, and the truth
        record.

    Raises
    ------
    UsageError
        If a parameter is out of range, or the package XlsxWriter is missing.
    OutputError
        If a file exists or cannot be written.
    """
    folder = os.fspath(folder)
    if not os.path.isdir(folder):
        raise OutputError(folder, "is not a folder")
    step = scalar(ky_step, "s", "ky_step")
    ky_rows(scan.track, step)  # refuses a bad step before anything is written
    name = next(iter(scan.recordings.values())).header.source or ""
    cabin = os.path.join(folder, ky_name(name, scan.track))
    truth = os.path.join(folder, f"{name}_{scan.observing}_truth.json")
    _check_free(scan, [cabin, truth], folder, overwrite)
    write_ky(scan.track, cabin, step, overwrite=overwrite)
    common: dict[str, Any] = {"observing": scan.observing, "file_rows": file_rows,
                              "workers": workers, "overwrite": overwrite, "progress": progress}
    names = []
    for recording in scan.recordings.values():
        if scan.backend == "psrfits":
            names += write_psrfits(recording, folder, n_bits=n_bits, n_block=n_block, **common)
        else:
            names += write_spectral(recording, folder, mode=scan.mode, **common)
    text = json.dumps(scan.truth, indent=1, sort_keys=True, allow_nan=False) + "\n"
    with SafeOutput(truth, overwrite=overwrite) as output:
        write_from(output.descriptor, np.frombuffer(text.encode(), np.uint8), 0)
    return [*names, cabin, truth]


def _check_free(scan: FastScan, more: list[str], folder: str, overwrite: bool) -> None:
    """Refuse a scan if any of its files exists, before one is written."""
    firsts = [file_name(each, folder, scan.observing, scan.mode).replace("{file}", "0001")
              for each in scan.recordings.values()]
    for path in firsts + more:
        check_output(path, overwrite=overwrite)

