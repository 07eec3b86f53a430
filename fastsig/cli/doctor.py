"""``fastsig doctor``: check this machine and environment."""

from __future__ import annotations

import os
import platform
import sys

import click

from fastsig.cli import common
from fastsig.work.counted import counted

#: What fastsig requires, with llvmlite, which numba requires in a certain version.
_PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "astropy", "astropy-iers-data", "h5py",
             "hdf5plugin", "matplotlib", "click", "rich")


@click.command()
@common.json_option
@common.debug_option
def doctor(as_json: bool, debug: bool) -> int:
    """Check the installation, the processor and the time tables.

    The command reports the versions of fastsig and its dependencies, the processor, the kernel
    cache, and the dates until which the tables of Earth rotation and leap seconds are valid.
    """
    report: dict[str, object] = {}
    missing = []
    for part in (_versions, _hdf5, _processor, _machine, _places, _kernels, _tables):
        try:
            report |= part()
        except ImportError as error:  # what a part needs may be what is wrong
            missing.append(_told(error))
    problems = list(dict.fromkeys([*_problems(report), *missing]))
    if as_json:
        common.print_json({**report, "problems": problems})
    else:
        for key, value in report.items():
            click.echo(f"{key:<18} {value}")
        for problem in problems:
            click.echo(f"problem            {problem}")
        click.echo(counted(len(problems), "problem") if problems else "all is well")
    return int(bool(problems))


def _versions() -> dict[str, object]:
    from importlib.metadata import PackageNotFoundError, version

    from fastsig._version import __version__

    found: dict[str, object] = {"fastsig": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def _hdf5() -> dict[str, object]:
    import h5py

    return {"hdf5": h5py.version.hdf5_version}


def _processor() -> dict[str, object]:
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    lanes = 16 if features.get("avx512f") else 8 if features.get("avx2") else 4
    return {"cpu": llvm.get_host_cpu_name(), "float32 lanes": lanes}


def _machine() -> dict[str, object]:
    return {"cores": len(os.sched_getaffinity(0)),
            "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB"}


def _places() -> dict[str, object]:
    cache = os.environ.get("NUMBA_CACHE_DIR") or "beside the kernels, or in the user's cache"
    return {"executable": sys.executable, "numba cache": cache}


def _kernels() -> dict[str, object]:
    from fastsig.cli.warming import GROUPS, missing_groups

    missing = missing_groups()
    compiled = "no" if len(missing) == len(GROUPS) else "yes" if not missing else (
        f"in part: nothing for {', '.join(missing)}; fastsig warmup compiles these")
    return {"kernels compiled": compiled}


def _tables() -> dict[str, object]:
    from astropy.time import Time
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        table = iers.IERS_B.open() if not hasattr(iers, "IERS_Auto") else iers.IERS_Auto.open()
        last = Time(float(table["MJD"][-1].value), format="mjd")
        leap = iers.LeapSeconds.auto_open().expires
    return {"earth rotation to": last.isot[:10], "leap seconds to": leap.isot[:10]}


def _told(error: ImportError) -> str:
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return str(error)  # a library of a package cannot be loaded
    return f"{error.name.replace('_', '-')} is not installed"


def _problems(report: dict[str, object]) -> list[str]:
    problems = [f"{name} is not installed" for name, value in report.items() if value == "missing"]
    if str(report.get("leap seconds to", _today())) < _today():
        problems.append("the table of leap seconds is out of date: update astropy-iers-data")
    return problems


def _today() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).date().isoformat()
