"""``python -m bench scaling``: how the rate depends on channels, taps, threads and format."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench import machine
from bench.data import N_CHAN, N_TAP, Fused, InThreads, layout_of
from bench.timing import Scale, Timing, in_turn

CHANNELS = tuple(4**i for i in range(3, 11))
TAPS = (1, 4, 8, 16, 32)
BITS = (1, 2, 4, 8, 16, 32)
THREADS = (1, 2)
_ROUNDS = 5
_BYTES = 2**25


def run(*, quick: bool, keep: bool) -> list[dict[str, Any]]:
    """Measure every cell, print two tables in Markdown, and save the record."""
    cells = []
    with tempfile.TemporaryDirectory(prefix="fastsig-bench-") as folder:
        scale = Scale(quick, Path(folder), _ROUNDS)
        record = machine.start_record(
            quick=quick, pattern=None, repeats=scale.repeats, kind="scaling")
        print(machine.headline(record))
        for n_chan, n_tap, n_bits in wanted(quick=quick):
            cells.append(cell(scale, n_chan, n_tap, n_bits))
            print(cells[-1], file=sys.stderr, flush=True)
    print("\n".join(by_channels(cells)), "\n".join(by_bits(cells)), sep="\n\n")
    if keep:
        print(f"wrote {machine.save(record, cells)}", file=sys.stderr)
    return cells


def wanted(*, quick: bool) -> list[tuple[int, int, int]]:
    """Return channels, taps and bits of every cell."""
    channels, taps, bits = (CHANNELS[2:4], TAPS[1:3], BITS[1:2]) if quick else (
        CHANNELS, TAPS, BITS)
    return [*((n, t, 8) for n in channels for t in taps),
            *((N_CHAN, N_TAP, b) for b in bits if b != 8)]


def cell(scale: Scale, n_chan: int, n_tap: int, n_bits: int) -> dict[str, Any]:
    """Measure the rates of a spectrometer in one thread and in two, in turn."""
    one = Fused(scale, n_chan, layout_of(n_bits), n_tap=n_tap, n_byte=_BYTES * n_bits // 8)
    two = InThreads(one)
    calls: dict[int, Fused | InThreads] = dict(zip(THREADS, (one, two), strict=True))
    try:
        seconds = in_turn(calls, scale.repeats)
    finally:
        two.close()
    rates = {str(n): Timing(tuple(seconds[n]), call.work).rate for n, call in calls.items()}
    return {"n_chan": n_chan, "n_tap": n_tap, "bits": n_bits, "rate": rates}


def by_channels(cells: Iterable[dict[str, Any]]) -> list[str]:
    """Return the table of rates of 8-bit samples by channels and taps, one thread / two."""
    found = {(each["n_chan"], each["n_tap"]): _both(each) for each in cells if each["bits"] == 8}
    taps = sorted({tap for _, tap in found})
    head = ["channels", *(f"{tap} taps" for tap in taps)]
    return _table(head, ([str(n), *(found.get((n, tap), "") for tap in taps)]
                         for n in sorted({n for n, _ in found})))


def by_bits(cells: Iterable[dict[str, Any]]) -> list[str]:
    """Return the table of rates by the format of samples, for 4096 channels and 8 taps."""
    chosen = [each for each in cells if (each["n_chan"], each["n_tap"]) == (N_CHAN, N_TAP)]
    names = {32: "float32"}
    return _table(
        ["bits", "MS/s, one thread / two"],
        ([names.get(each["bits"], str(each["bits"])), _both(each)]
         for each in sorted(chosen, key=lambda each: each["bits"])),
    )


def _both(each: dict[str, Any]) -> str:
    return " / ".join(f"{each['rate'][str(n)]:.0f}" for n in THREADS)


def _table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
