"""Three engines, one outcome; prints figures, is no test of CI's, which runs it small.

    python tests/batch/engines.py [N]

N recordings (300) of four formats, one in twenty of them corrupt, one unreadable, two with one
name: done by local workers, by a Dask cluster of two processes and as three shards, each in a
folder of its own. Run as root, the work is done without root's privileges over files, so that the
unreadable one keeps it out; the user stays, as the interpreter may lie where others cannot go.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "kernels"), str(ROOT / "tests")]

FORMATS = {"native": "h5", "guppi": "raw", "dada": "dada", "vdif": "vdif"}
UNPRIVILEGED = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
RECIPE = """version = 1
[inputs]
files = ["../in/**/*.*"]
set = { frequency = "440MHz" } # VDIF does not tell it
[output]
folder = "out"
[[step]]
command = "spectra"
n_chan = [26, 50] # no vector code, which would be compiled for each format
n_int = 8
products = "I"
output = "{stem}.{n_chan}.h5"
"""


class Outcome(NamedTuple):
    """What an engine left: sums of products, state and cause of each task by its first input."""

    sums: dict[str, str]
    states: dict[str, tuple[str, str]]
    codes: list[int]
    seconds: float
    report: str


def inputs(folder: Path, n: int) -> None:
    """Recordings of four formats."""
    import numpy as np
    from streams import header, noise, write_native

    import fastsig as fs

    folder.mkdir(parents=True)
    for number in range(n - 2):
        kind = list(FORMATS)[number % len(FORMATS)]
        path = folder / f"r{number:03d}.{FORMATS[kind]}"
        data = noise(np.random.default_rng(number), 20_000)
        if kind == "native":
            write_native(path, data, header())
        elif kind == "guppi":  # complex: a sample of the project's, the end of which differs
            shutil.copyfile(ROOT / "data/samples/frb_coarse_16MHz.0000.raw", path)
            with open(path, "r+b") as file:
                file.seek(-2000, os.SEEK_END)
                file.write(data.tobytes()[:2000])
        else:
            write_native(folder / "whole.h5", data, header())
            fs.open(folder / "whole.h5").write(path, to=kind, lossy=True)
            (folder / "whole.h5").unlink()
        if number % 20 == 3 + number // 20 % 4:  # of each format some
            spoil(path)
    for name in ("a", "b"):  # two of one name
        (folder / name).mkdir()
        write_native(folder / name / "twin.h5", data, header())
    (folder / "r000.h5").chmod(0)


def spoil(path: Path) -> None:
    """Overwrite the header, as a disk that lost it does."""
    with open(path, "r+b") as file:
        file.write(b"\xa5" * 4096)


def run(folder: Path, ways: list[list[str]], name: str) -> Outcome:
    """One engine, in its own folder; several `ways` are shards, at the same time."""
    from cli import CODE, environment

    here = folder / name
    here.mkdir()
    (here / "r.toml").write_text(RECIPE)
    words = UNPRIVILEGED if os.getuid() == 0 else []
    words = [*words, sys.executable, "-c", CODE, "batch", "run", "-c", str(here / "r.toml"),
             "--no-plan", "--no-warmup", "--no-node-cache"]
    begun = time.monotonic()
    processes = [subprocess.Popen([*words, *way], env=environment(), text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) for way in ways]
    told = [process.communicate()[1] for process in processes]
    seconds = time.monotonic() - begun
    for text in told:
        assert "Traceback" not in text, text
    return outcome(here, [process.returncode for process in processes], seconds, told)


def outcome(folder: Path, codes: list[int], seconds: float, told: list[str]) -> Outcome:
    """What lies in the folder and in its ledger."""
    from fastsig.batch.api import Recipe

    recipe = Recipe.read(folder / "r.toml")
    rows = recipe.status().rows
    assert rows, told
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((folder / "out").iterdir())
            if path.is_file() and path.name != "report.html"}
    states = {os.path.relpath(row.inputs[0], folder): (row.state, row.error) for row in rows}
    page = folder / "out" / "report.html"
    return Outcome(sums, states, codes, seconds, page.read_text() if page.exists() else "")


def engines(folder: Path, n: int, n_shard: int = 3) -> dict[str, Outcome]:
    """The outcome of each engine on n recordings."""
    inputs(folder / "in", n)
    shards = [["-j", "1", "--shard", f"{k}/{n_shard}"] for k in range(1, n_shard + 1)]
    return {
        "local": run(folder, [["-j", "2"]], "local"),
        "dask": run(folder, [["-j", "2", "--dask-scheduler", "local"]], "dask"),
        "shards": run(folder, shards, "shards")}


def check(found: dict[str, Outcome]) -> None:
    """The same products, states and causes; each failure in the page with its cause."""
    from html import unescape

    first = found["local"]
    assert first.sums and set(first.codes) == {1}
    for each in found.values():
        assert each.sums == first.sums
        assert _apart(each) == _apart(first)
        assert set(each.codes) <= {0, 1} and 1 in each.codes
        rows = re.findall("<tr data-state=([a-z-]+)>(.*?)</tr>", each.report, re.DOTALL)
        assert Counter(state for state, _ in rows) == Counter(
            state for state, _ in each.states.values())
        causes = [unescape(re.sub("<[^>]*>", "", text)) for state, text in rows if state != "done"]
        for state, error in each.states.values():
            assert state == "done" or any(error in cause for cause in causes), error


def _apart(found: Outcome) -> dict[str, tuple[str, str]]:
    """States and causes, without the folders of the engine."""
    return {name: (state, re.sub(r"/\S*/", "", error))
            for name, (state, error) in found.states.items()}


def main() -> None:
    """Do it and print what came."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault("NUMBA_CACHE_DIR", tempfile.gettempdir() + "/fastsig-engines-cache")
        found = engines(Path(name), n)
        for engine, each in found.items():
            counts = Counter(state for state, _ in each.states.values())
            print(f"{engine:7}{len(each.sums)} products, exit {each.codes}, "
                  f"{', '.join(f'{k} {state}' for state, k in sorted(counts.items()))}, "
                  f"report {len(each.report) / 1e6:.2f} MB, {each.seconds:.1f} s")
        check(found)
        total = hashlib.sha256(repr(found["local"].sums).encode()).hexdigest()
        print(f"all products the same by sha256 ({total[:16]} of all), states and causes too")
        for name, (state, error) in sorted(found["local"].states.items()):
            if state != "done":
                print(f"  {state:9}{name}: {error[:150]}")


if __name__ == "__main__":
    main()
