"""The process of a trial: runs the steps of a task on the first seconds of its inputs.

It reads a request from standard input, and writes its measurements to a file after each run, so
that the parent may end it at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any

import click

_SMALL = 2**22  # bytes of inputs up to which they are processed in full
_WHOLE = 2**29  # the same for inputs that cannot be shortened


class _Trial:
    """Runs of one task, whose products are all made in a separate folder."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.steps = request["steps"]
        self.inputs, self.size = request["inputs"], request["size"]
        self.words, self.folder = request["words"], request["folder"]
        self.warm, self.most = bool(request["warm"]), int(request["most"])
        self.result: dict[str, Any] = {"runs": [], "error": "", "code": 0}

    def save(self) -> None:
        path = os.path.join(self.folder, "result.json")
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(self.result, file)
        os.replace(f"{path}.new", path)

    def run(self) -> None:
        """Run once to load or compile the kernels; then make a short and a long run."""
        duration = self._duration() if self.size > _SMALL else None
        if duration is None and self.size > _WHOLE:
            self.result["error"] = "its inputs are large, and cannot be shortened"
            return
        most = min(1.0, self.most / max(1, self.size))
        shares = [1.0] if duration is None else [most / 4, most]
        # If a run fails, it may be too short for a product, or the steps are wrong.
        if not self._once(shares[0], duration) and not (
                shares.pop(0) and shares and self._once(shares[0], duration)):
            return
        self.result.update(runs=[], error="", code=0)
        if not self.warm:
            for share in shares:
                self._once(share, duration)

    def _duration(self) -> float | None:
        """Return the duration of the recording in seconds; None if its files are not a stream."""
        from fastsig.chain import open_chain
        from fastsig.cli.common import parse_overrides

        pairs = [word[6:] for word in self.steps[0]["argv"] if word.startswith("--set=")]
        try:
            with open_chain(self.inputs, **parse_overrides(tuple(pairs))) as source:
                return float(source.shape[0] / source.header.sample_rate)
        except Exception:
            return None

    def _once(self, share: float, duration: float | None) -> bool:
        """Run all steps on a share of the inputs; record an error and return False if one fails."""
        span = None if share == 1 or duration is None else share * duration
        inputs = self.inputs
        try:
            if span is not None and not self._takes_span():
                inputs, span = [self._cut(span)], None
            begun, sizes = time.perf_counter(), []
            for step in self.steps:
                self._call(step["command"], _words(step["argv"], self.inputs, inputs, span))
                sizes.append(sum(map(_size, step["outputs"])))
        except BaseException as error:
            self.result.update(error=_text(error), code=_code(error))
            self.save()
            return False
        from fastsig.work.memory import peak_bytes

        self.result["runs"].append({
            "bytes_in": share * self.size, "seconds": time.perf_counter() - begun,
            "bytes_out": sizes, "peak_bytes": peak_bytes()})
        self.save()
        return True

    def _takes_span(self) -> bool:
        from fastsig.batch.recipe.vocabulary import vocabulary

        first = [step for step in self.steps if step["first"]]
        return all(vocabulary(step["command"]).offers("tstop") and not any(
            word.startswith(("--tstart=", "--tstop=")) for word in step["argv"]) for step in first)

    def _cut(self, span: float) -> str:
        """Write the first seconds of the inputs, in their format if possible; return the path."""
        path = os.path.join(self.folder, "shortened.cut")
        pairs = [word for word in self.steps[0]["argv"] if word.startswith("--set=")]
        self._call("cut", [f"--tstop={span:.9f}s", "--lossy", *pairs, "--output", path,
                           *self.inputs])
        return path

    def _call(self, name: str, argv: Sequence[str]) -> None:
        from fastsig.batch.recipe.vocabulary import vocabulary

        words = vocabulary(name)
        more = ["--overwrite", "--quiet"]
        for option, value in self.words.items():
            more += [f"--{option}={value}"] if words.offers(option) else []
        words.command.main([*more, *argv], prog_name=f"fastsig {name}", standalone_mode=False)


def _words(argv: Sequence[str], inputs: Sequence[str], given: Sequence[str], span: float | None
           ) -> list[str]:
    """Return the words of a step with other inputs instead of the recordings, and with the span."""
    n = len(inputs)
    if list(argv[-n:]) != list(inputs):
        return list(argv)
    return [*([] if span is None else [f"--tstop={span:.9f}s"]), *argv[:-n], *given]


def _size(path: str) -> int:
    from fastsig.io.files.scan import scan_files

    paths = scan_files("[0-9]*".join(path.split("{file}"))) if "{file}" in path else [path]
    return sum(map(os.path.getsize, paths))


def _text(error: BaseException) -> str:
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    return " ".join(text.split()) or type(error).__name__


def _code(error: BaseException) -> int:
    from fastsig.errors import InputError, OutputError, UsageError

    kinds: tuple[tuple[type[BaseException], int], ...] = (
        (UsageError, 2), (click.ClickException, 2), (InputError, 3), (OutputError, 4))
    return next((code for kind, code in kinds if isinstance(error, kind)), 70)


def main() -> None:
    """Run the request on standard input."""
    warnings.simplefilter("ignore")
    trial = _Trial(json.load(sys.stdin))
    with contextlib.redirect_stdout(sys.stderr):
        trial.run()
    trial.save()
    sys.stderr.flush()
    os._exit(0)  # a normal exit may crash after a writer failed


if __name__ == "__main__":
    main()
