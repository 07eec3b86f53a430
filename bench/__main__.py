"""``python -m bench``: run the case table, print rates and ratios, keep them as JSON."""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import machine

machine.use_kernel_cache()

from bench.cases import CASES  # noqa: E402 - numba reads the variable when it is imported
from bench.timing import Case, Result, Scale, measure  # noqa: E402

_ROW = "{:<15} {:>10} {:>20}  {:>6}  {}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    cases = select(options.case)
    if not cases:
        print(f"bench: no case matches {options.case!r}; see --list", file=sys.stderr)
        return 2
    if options.list:
        for case in cases:
            print(f"{case.name:<15} {case.about}")
        return 0
    run(cases, quick=options.quick, pattern=options.case, keep=not options.no_save)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--case", metavar="PATTERN", help="only cases of this name; * and ? match")
    parser.add_argument("--quick", action="store_true", help="small sizes, once: no figures")
    parser.add_argument("--list", action="store_true", help="list the cases and run none")
    parser.add_argument("--no-save", action="store_true", help="write no JSON")
    return parser


def select(pattern: str | None) -> list[Case]:
    """The cases whose name matches a shell pattern; all without one."""
    return [case for case in CASES if pattern is None or fnmatch.fnmatchcase(case.name, pattern)]


def run(cases: Sequence[Case], *, quick: bool, pattern: str | None, keep: bool) -> list[Result]:
    """Measure cases, print a line for each yardstick, and save the record."""
    results = []
    with tempfile.TemporaryDirectory(prefix="fastsig-bench-") as folder:
        scale = Scale(quick, Path(folder))
        record = machine.start_record(quick=quick, pattern=pattern, repeats=scale.repeats)
        print(headline(record))
        print(_ROW.format("case", "best", "rate", "ratio", "yardstick"))
        for case in cases:
            results.append(measure(case, scale))
            print("\n".join(lines(results[-1])), flush=True)
    if keep:
        path = machine.save(record, [result.record() for result in results])
        print(f"wrote {path}", file=sys.stderr)
    return results


def headline(record: dict) -> str:
    """One line on the machine and the versions."""
    host, found = record["machine"], record["versions"]
    commit, _, dirty = (found["commit"] or "no git").partition("-")
    return (f"{host['cpu']}, {host['cores']} cores, {host['lanes']} lanes, load "
            f"{host['load']:.1f}; fastsig {found['fastsig']} ({commit[:12]}{dirty and ', dirty'}), "
            f"numpy {found['numpy']}, scipy {found['scipy']}, numba {found['numba']}")


def lines(result: Result) -> list[str]:
    """The table's lines of a case: one a yardstick."""
    best = f"{result.call.best * 1e3:.4g} ms"
    rate = f"{result.rate:.4g} {result.case.unit}/s"
    first = (result.case.name, best, rate)
    rows = []
    for name, ratio in result.ratios().items():
        rows.append(_ROW.format(*first, f"{ratio:.2f}", name))
        first = ("", "", "")
    return rows


if __name__ == "__main__":
    sys.exit(main())
