"""What is known of the recorded files, held against what fastsig reads: ``truths.py [--json]``.

A row a file of voltages or spectra, or a set of files that are one recording; where a file is
refused, its row says so. The truths were found without fastsig: by `MANIFEST.tsv`, by other
packages, or by a few lines of NumPy on the bytes. Ends with 1 where something differs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import truths_spectra_rows
import truths_voltages
from truths_table import Check, folder, print_table

#: Rows of the table: voltages, then spectra.
TRUTHS: tuple[Any, ...] = (*truths_voltages.TRUTHS, *truths_spectra_rows.TRUTHS)

#: What else the folder holds, and why it is no row: patterns of names, the first that fits counts.
LEFT_OUT = {
    "README.md": "about the files",
    "MANIFEST.tsv": "about the files",
    "dspsr_polyco/*header.dada": "DADA headers of a benchmark, without samples",
    "pint/*": "pulsars' parameters and times of arrival",
    "presto_prepfold/*.events": "times of photons",
    "psrsigsim/*.npy": "a profile", "*.par": "a pulsar's parameters",
    "dspsr_polyco/*polyco*": "pulse phases", "baseband_tasks/*polyco.dat": "pulse phases",
    "*.polycos": "pulse phases", "pulsarbat/timing.dat": "pulse phases",
    "*.bestprof": "PRESTO's text about a fold",
    "pulseportraiture/*.tim": "times of arrival",
    "pulseportraiture/*.gmodel": "a model of a profile",
    "fast_*": "tables of calibration", "turbo_seti/*": "a table of hits",
}


def check(truth: Any, paths: Sequence[Path]) -> list[Check]:
    """Every quantity of a recording, as expected and as found in its files."""
    found: list[Check] = truth.checks(paths)
    return found


def unaccounted(where: Path) -> list[str]:
    """Files of the folder that belong to no row and are not left out."""
    names = {name for truth in TRUTHS for name in truth.files.split()}
    names |= {name for truth in TRUTHS for name in getattr(truth, "beside", "").split()}
    rest = []
    for path in sorted(where.rglob("*")):
        name = path.relative_to(where).as_posix()
        held = any(name == each or name.startswith(f"{each}/") for each in names)
        # The raw files of a TBB dump lie beside it.
        held |= name.endswith("_tbb.raw") and any(each.endswith("_tbb.h5") for each in names)
        if path.is_file() and not held and not any(fnmatch(name, each) for each in LEFT_OUT):
            rest.append(name)
    return rest


def main(arguments: Sequence[str] | None = None) -> int:
    """Print all rows; 1 where one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    as_json = parser.parse_args(arguments).json
    where, rows = folder(), []
    for truth in TRUTHS:
        paths = [where / name for name in truth.files.split()]
        missing = [str(path) for path in paths if not path.exists()]
        checks = [Check("file", "is there", f"{name} is missing", False) for name in missing]
        rows.append((truth, checks or check(truth, paths)))
    rest = unaccounted(where)
    if as_json:
        print(json.dumps([_record(*row) for row in rows], indent=1))
    else:
        print_table(rows)
        for pattern, reason in LEFT_OUT.items():
            print(f"left out: {pattern:28} {reason}")
        for name in rest:
            print(f"neither a row nor left out: {name}")
    return int(bool(rest) or not all(each.ok for _, checks in rows for each in checks))


def _record(truth: Any, checks: Sequence[Check]) -> dict[str, Any]:
    return {"file": truth.name, "format": truth.format, "source": truth.source,
            "ok": all(each.ok for each in checks), "checks": [each._asdict() for each in checks]}


if __name__ == "__main__":
    sys.exit(main())
