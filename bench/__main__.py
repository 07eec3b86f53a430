"""``python -m bench``: run the case table, print rates and ratios, save them as JSON."""

from __future__ import annotations

import argparse
import fnmatch
import logging
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import machine

machine.use_kernel_cache()
machine.one_thread()

from bench import (  # noqa: E402 - they are imported when numba and MKL have their settings
    burst_completeness,
    burst_pulses,
    burst_trials,
    drift_peer,
    drift_tones,
    drift_trials,
    fast_folding,
    folding_trials,
    live,
    live_beams,
    live_soak,
    live_trigger,
    peers,
    periodic_injections,
    periodic_trials,
    scaling,
    toa_accuracy,
    whole,
)
from bench import dispersion_accuracy as accuracy  # noqa: E402 - numba and MKL read them when
from bench.cases import CASES  # noqa: E402
from bench.timing import Case, Result, Scale, measure  # noqa: E402


class _Other(NamedTuple):
    """A table of its own: the function that makes it, what it contains, and its numbers."""

    run: Callable[..., object]
    about: str
    #: Options beside the common ones: name, default and help.
    numbers: tuple[tuple[str, Any, str], ...] = ()


OTHERS = {
    "scaling": _Other(scaling.run, "rate by channels, taps, threads and input format"),
    "accuracy": _Other(accuracy.run, "S/N of dispersed pulses against brute force"),
    "toas": _Other(toa_accuracy.run, "times of arrival of an hour, from spectra to PINT"),
    "trials": _Other(burst_trials.run, "false alarms of searches for bursts in noise"),
    "completeness": _Other(burst_completeness.run, "bursts that are found of a thousand"),
    "pulses": _Other(burst_pulses.run, "S/N of pulses in noise against exact boxcars"),
    "drift": _Other(drift_trials.run, "false alarms of searches for drifting carriers"),
    "tones": _Other(drift_tones.run, "drifting carriers that are found of a thousand"),
    "hits": _Other(drift_peer.run, "hits of turboSETI and of fastsig, one by one"),
    "periodic": _Other(periodic_trials.run, "false alarms of Fourier searches for pulsars"),
    "pulsars": _Other(periodic_injections.run, "periodic signals that are found of hundreds"),
    "ffa": _Other(fast_folding.run, "S/N of pulsars by fast folding beside riptide's"),
    "ffa-trials": _Other(folding_trials.run, "false alarms of fast folding"),
    "live": _Other(live.run, "rate at which packets are received and put into the ring"),
    "beams": _Other(live_beams.run, "a session of fastsig live: counts of packets, and spectra", (
        ("minutes", 10.0, "for how long packets are sent"),
        ("rate", 0.0, "part of the rate of the telescope; 0 looks for the fastest"),
        ("beams", 1, "number of beams"), ("folder", None, "folder of the spectra"))),
    "trigger": _Other(live_trigger.run, "how soon a live session reports and copies bursts", (
        ("bursts", 8, "number of bursts, one every three seconds"),
        ("folder", None, "folder of the copies"))),
    "soak": _Other(live_soak.run, "memory and open files of a long session of fastsig live", (
        ("minutes", 60.0, "for how long packets are sent"),
        ("rate", 0.1, "part of the rate of the telescope"),
        ("folder", None, "folder of the spectra"))),
}

_ROW = "{:<17} {:>10} {:>20} {:>7}  {}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    cases = select(options.case)
    if not cases:
        print(f"bench: no case matches {options.case!r}; see --list", file=sys.stderr)
        return 2
    if options.list:
        for case in cases:
            print(f"{case.name:<17} {case.about}")
        return 0
    try:
        _run(options, cases)
    except peers.PeerMissingError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace, cases: Sequence[Case]) -> None:
    keep = not options.no_save
    if options.what == "whole":
        whole.run(whole.size(options.small), whole.size(options.large), options.dir,
                  rounds=options.rounds, keep=keep)
    elif options.what:
        other = OTHERS[options.what]
        numbers = {name: getattr(options, name) for name, _, _ in other.numbers}
        other.run(quick=options.quick, keep=keep, **numbers)
    else:
        run(cases, quick=options.quick, pattern=options.case, keep=keep)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--case", metavar="PATTERN,...",
                        help="run only cases of these names; * and ? match")
    parser.add_argument("--quick", action="store_true",
                        help="run small sizes once; the figures mean nothing")
    parser.add_argument("--list", action="store_true", help="list the cases and run none")
    parser.add_argument("--no-save", action="store_true", help="write no JSON")
    others = parser.add_subparsers(dest="what", title="other tables")
    each = others.add_parser("whole", help="time the command fastsig spectra on long files")
    each.add_argument("--small", default="2GB", help="size of the short file (2GB)")
    each.add_argument("--large", default="8GB", help="size of the long file (8GB)")
    each.add_argument("--rounds", type=int, default=3, help="how often each file is timed (3)")
    each.add_argument("--dir", type=Path, default=None,
                      help="folder for both files, which are deleted at the end (a temporary one)")
    each.add_argument("--no-save", action="store_true", default=argparse.SUPPRESS)
    for name, (_, about, numbers) in OTHERS.items():
        other = others.add_parser(name, help=about)
        for number, usual, what in numbers:
            other.add_argument(f"--{number}", default=usual, help=f"{what} ({usual})",
                               type=Path if usual is None else type(usual))
        for option in ("--quick", "--no-save"):
            other.add_argument(option, action="store_true", default=argparse.SUPPRESS)
    return parser


def select(pattern: str | None) -> list[Case]:
    """Return the cases whose names match one of some shell patterns, which commas separate."""
    patterns = ["*"] if pattern is None else pattern.split(",")
    return [case for case in CASES
            if any(fnmatch.fnmatchcase(case.name, each) for each in patterns)]


def run(cases: Sequence[Case], *, quick: bool, pattern: str | None, keep: bool) -> list[Result]:
    """Measure cases, print each with its yardsticks and marks, and save the record."""
    peers.require()
    # Importing setigen enables the log messages of all packages.
    logging.getLogger("fastsig").setLevel(logging.WARNING)
    results = []
    with tempfile.TemporaryDirectory(prefix="fastsig-bench-") as folder:
        scale = Scale(quick, Path(folder))
        record = machine.start_record(quick=quick, pattern=pattern, repeats=scale.repeats)
        print(machine.headline(record))
        print(_ROW.format("case", "best", "rate", "ratio", ""))
        for case in cases:
            results.append(measure(case, scale))
            print("\n".join(lines(results[-1], quick=quick)), flush=True)
    print("\n".join(verdict(results, quick=quick)), file=sys.stderr)
    if keep:
        path = machine.save(record, [result.record() for result in results])
        print(f"wrote {path}", file=sys.stderr)
    return results


def lines(result: Result, *, quick: bool = False) -> list[str]:
    """Return the lines of a case in the table: its own, and one for each yardstick and mark."""
    unit = result.case.unit

    def row(name: str, ms: float, rate: float, ratio: str, text: str) -> str:
        return _ROW.format(name, f"{ms:.4g} ms", f"{rate:.4g} {unit}/s", ratio, text)

    rows = [row(result.case.name, result.call.best * 1e3, result.rate, "", "fastsig")]
    ratios = result.ratios()
    for name, timing in result.yardsticks.items():
        rows.append(row("", timing.best * 1e3, timing.rate, f"{ratios[name]:.2f}", name))
    rows += [_ROW.format("", "", "", "", f"{name}: {why.upper()}")
             for name, why in result.missing.items()]
    if not quick:
        rows += [f"    mark {mark['mark']}: {', '.join(f'{f:.4g}' for f in mark['found'])}"
                 f" - {'met' if mark['met'] else 'MISSED'}" for mark in result.marks()]
    return rows


def verdict(results: Sequence[Result], *, quick: bool) -> list[str]:
    """Return lines on missing yardsticks and on the number of marks that were met."""
    missing = {name: why for result in results for name, why in result.missing.items()}
    rows = [f"bench: {name} is {why}: its column is empty" for name, why in missing.items()]
    if not quick:
        met = [mark["met"] for result in results for mark in result.marks()]
        rows.append(f"marks met: {sum(met)} of {len(met)}")
    return rows


if __name__ == "__main__":
    sys.exit(main())
