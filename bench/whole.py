"""``python -m bench whole``: the command on long files, compared with its kernel alone.

The time per sample is the slope of the wall time between two files, so that starting, importing
and compiling cancel. The files are in the page cache.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import machine
from bench.data import MEGA, N_CHAN, N_TAP, Fused, InThreads
from bench.timing import Scale, timed
from fastsig.chain import open_chain
from fastsig.io.native.writer import NativeWriter

WORKERS = 2
N_INT = 122  # 1 ms at 1 GS/s
#: Marks: least ratio of the slope's rate to the kernel's, and most memory at the peak.
LEAST_RATIO, MOST_BYTES = 1 / 1.15, 10**9

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_TILE = "8ms"
_POLL_S = 0.02


@dataclass(frozen=True)
class Run:
    """One run of the command: wall time, s, and peak memory, bytes."""

    seconds: float
    peak_bytes: int


def size(text: str) -> int:
    """Return the bytes of a size such as 2GB."""
    found = re.fullmatch(r"([0-9.]+) *([KMG]?B?)", text.upper())
    if not found or found[2] not in _UNITS:
        raise SystemExit(f"bench: no such size {text!r}; allowed: e.g. 500MB, 2GB")
    return int(float(found[1]) * _UNITS[found[2]])


def run(small: int, large: int, folder: Path | None, *, rounds: int, keep: bool) -> dict[str, Any]:
    """Make both files, time the command on each and the kernel in turn, and save the record."""
    if small >= large:
        raise SystemExit("bench: --small must be below --large")
    record = machine.start_record(quick=False, pattern=None, repeats=rounds, kind="whole")
    print(machine.headline(record))
    with tempfile.TemporaryDirectory(prefix="fastsig-bench-", dir=folder) as place:
        found = measure(Path(place), (small, large), rounds)
    print("\n".join(lines(found)))
    if keep:
        print(f"wrote {machine.save(record, [found])}", file=sys.stderr)
    return found


def measure(folder: Path, sizes: Sequence[int], rounds: int) -> dict[str, Any]:
    """Time the command on files of these sizes and the kernel, in turn."""
    tile = _simulate(folder)
    files = [_tiled(tile, folder / f"voltages-{n}.h5", n) for n in sizes]
    kernel = InThreads(Fused(Scale(False, folder), n_pol=2, products="IQUV", n_int=N_INT), WORKERS)
    runs: list[list[Run]] = [[] for _ in files]
    kernel_s = []
    for i in range(rounds + 1):
        for each, path in zip(runs, files, strict=True):
            _to_cache(path)
            each.append(command(path, folder / "spectra.h5"))
            # A round of the kernel is short: several are timed for each run of the command.
            kernel_s += [timed(kernel) for _ in range(5)]
        if i == 0:
            runs, kernel_s = [[] for _ in files], []
    kernel.close()
    samples = [open_chain(path).shape[0] * 2 / MEGA for path in files]
    return summary(sizes, samples, runs, kernel.work, kernel_s)


def summary(sizes: Sequence[int], samples: Sequence[float], runs: Sequence[Sequence[Run]],
            kernel_work: float, kernel_s: Sequence[float]) -> dict[str, Any]:
    """Return rates, in MS/s of both polarisations, and whether they meet the marks."""
    best = [min(each.seconds for each in of_file) for of_file in runs]
    slope = (samples[1] - samples[0]) / (best[1] - best[0])
    kernel = kernel_work / min(kernel_s)
    peak = max(each.peak_bytes for of_file in runs for each in of_file)
    return {
        "name": "whole", "unit": "MS", "bytes": list(sizes), "samples": list(samples),
        "seconds": [[each.seconds for each in of_file] for of_file in runs], "best_s": best,
        "slope_rate": slope, "kernel_rate": kernel, "ratio": slope / kernel, "peak_bytes": peak,
        "marks": [
            {"mark": "slope at most 1.15 x the kernel's time", "found": [kernel / slope],
             "met": slope / kernel >= LEAST_RATIO},
            {"mark": "below 1e9 bytes", "found": [peak], "met": peak < MOST_BYTES},
        ],
    }


def lines(found: dict[str, Any]) -> list[str]:
    """Return the result of `summary` in words."""
    rows = [f"{n / 1e9:.3g} GB: {best:.2f} s, {samples / best:.0f} MS/s with start-up"
            for n, best, samples in zip(found["bytes"], found["best_s"], found["samples"],
                                        strict=True)]
    rows += [f"slope: {found['slope_rate']:.0f} MS/s; kernel alone, {WORKERS} threads: "
             f"{found['kernel_rate']:.0f} MS/s"]
    return rows + [f"    mark {mark['mark']}: {mark['found'][0]:.4g}"
                   f" - {'met' if mark['met'] else 'MISSED'}" for mark in found["marks"]]


def _fastsig(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "fastsig", *arguments]


def _environment() -> dict[str, str]:
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path}


def _simulate(folder: Path) -> Path:
    path = folder / "tile.h5"
    subprocess.run(
        _fastsig("simulate", "fast-voltage", "-o", str(path), "--duration", _TILE, "-q"),
        check=True, env=_environment(),
    )
    return path


def _tiled(tile: Path, path: Path, n_byte: int) -> Path:
    """Write a file of two polarisations with the simulated samples, repeated."""
    source = open_chain(tile)
    block = source.stream.read_block(0, source.shape[0])
    n = n_byte // 2
    with NativeWriter(path, source.header, n) as writer:
        for start in range(0, n, block.n):
            writer.append(block.data[: min(block.n, n - start)])
    source.close()
    return path


def _to_cache(path: Path) -> None:
    """Read a file once; warn if it cannot stay in the cache."""
    if path.stat().st_size > _bytes_in("/proc/meminfo", "MemAvailable"):
        print(f"bench: {path.name} is larger than the free memory: the disk counts too",
              file=sys.stderr)
    buffer = bytearray(2**24)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def command(path: Path, product: Path) -> Run:
    """Run ``fastsig spectra``, and measure its time and memory."""
    arguments = _fastsig(
        "spectra", str(path), "-o", str(product), "--overwrite", "--n-chan", str(N_CHAN),
        "--n-tap", str(N_TAP), "--products", "IQUV", "--integrate", "1ms", "-j", str(WORKERS),
        "-q",
    )
    begin = time.perf_counter()
    child = subprocess.Popen(arguments, env=_environment())
    peak = 0
    while child.poll() is None:
        peak = max(peak, _peak_bytes(child.pid))
        time.sleep(_POLL_S)
    seconds = time.perf_counter() - begin
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, arguments)
    return Run(seconds, peak)


def _peak_bytes(process: int) -> int:
    """Return the peak memory of a process so far.

    The resource usage that wait4 returns is not used, as it begins with the parent's memory.
    """
    return _bytes_in(f"/proc/{process}/status", "VmHWM")


def _bytes_in(path: str, name: str) -> int:
    """Return a size in a file of the system's kernel; 0 if there is none."""
    try:
        found = re.search(rf"{name}:\s*(\d+) kB", Path(path).read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
