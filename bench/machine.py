"""Description of the machine, versions and commit of a measurement, and the file of its results."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
_PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "h5py")
PEERS = ("pyfftw", "mkl_fft", "mkl", "ducc0", "setigen", "baseband-tasks",
         "sigpyproc", "astropy")


def one_thread() -> None:
    """Limit libraries that would use all cores to one; call before they are imported."""
    for name in ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"


def use_kernel_cache() -> None:
    """Keep compiled kernels where the tests keep them; call before numba is imported."""
    os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".kernel-cache"))


def machine() -> dict[str, Any]:
    """Return the processor, memory and load of the machine."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return {
        "cpu": llvm.get_host_cpu_name(),
        "model": _model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "lanes": 16 if features.get("avx512f") else 8 if features.get("avx2") else 4,
        "load": os.getloadavg()[0],
    }


def _model() -> str | None:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return None
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return found[1] if found else None


def versions() -> dict[str, str | None]:
    """Return the versions of Python, the packages and fastsig, and the commit of the checkout."""
    from fastsig import __version__

    found: dict[str, str | None] = {"python": platform.python_version(), "fastsig": __version__}
    for name in (*_PACKAGES, *PEERS):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return {**found, "commit": commit()}


def commit() -> str | None:
    """Return the commit of the checkout, with ``-dirty`` if files differ; None without git."""
    command = ["git", "--no-optional-locks", "-C", str(ROOT), "describe", "--always", "--dirty",
               "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def start_record(
    *, quick: bool, pattern: str | None, repeats: int, kind: str = "cases"
) -> dict[str, Any]:
    """Return the head of a record; call before the cases run, so that the load excludes them."""
    return {
        "kind": kind,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "pattern": pattern,
        "repeats": repeats,
        "machine": machine(),
        "versions": versions(),
    }


def headline(record: dict[str, Any]) -> str:
    """Return one line on the machine and the versions."""
    host, found = record["machine"], record["versions"]
    text, _, dirty = (found["commit"] or "no git").partition("-")
    return (f"{host['cpu']}, {host['cores']} cores, {host['lanes']} lanes, load "
            f"{host['load']:.1f}; fastsig {found['fastsig']} ({text[:12]}{dirty and ', dirty'}), "
            f"numpy {found['numpy']}, scipy {found['scipy']}, numba {found['numba']}")


def file_name(record: dict[str, Any]) -> str:
    """Return ``<date>-<cpu>.json``; ``-whole`` and ``-scaling`` are tables other than the cases.

    ``-quick`` and ``-part`` mark incomplete runs.
    """
    marks = [record["kind"]] if record["kind"] != "cases" else []
    marks += [name for name, is_set in (("quick", record["quick"]), ("part", record["pattern"]))
              if is_set]
    cpu = re.sub(r"[^A-Za-z0-9_.]+", "-", record["machine"]["cpu"] or "unknown")
    return "-".join([record["date"][:10], cpu, *marks]) + ".json"


def save(record: dict[str, Any], cases: Iterable[dict[str, Any]], folder: Path = RESULTS) -> Path:
    """Write a record and its cases; one of the same day and processor is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(record)
    path.write_text(json.dumps({**record, "cases": list(cases)}, indent=1) + "\n")
    return path
