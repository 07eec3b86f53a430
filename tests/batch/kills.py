"""Kills on a larger scale than the tests'; prints figures, is no test.

    python tests/batch/kills.py [N]

N tasks (300) of 50 ms to 0.4 s: once undisturbed, then on each engine with SIGKILL of a random
worker every 2 s and of the run itself five times, on Dask of the scheduler once too. The run that
is given again at the end must leave every product there, verified, with the bytes of the
undisturbed run, and no temporary file.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "kernels"), str(ROOT / "tests")]

import batches  # noqa: E402 - found by the lines above
from clusters import Cluster  # noqa: E402

PERIOD = 2.0  # s between kills of workers
GLANCE = 0.05  # s between looks at what died and what is done
LONGEST = 300.0  # s, after which a run counts as stalled
WORKERS = 4  # of Dask; one that is new takes some seconds to come


def main() -> None:
    """Run it."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    rng = random.Random(3)
    deeds = {f"n{number:04d}": {"rows": rng.randrange(10**4, 10**6), "sleep": 0.3 * rng.random()}
             for number in range(n)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plugin = batches.install(folder / "plugin")
        calm = batches.recipe(folder / "calm", deeds)
        begun = time.monotonic()
        batches.batch(calm, "-j", 2, plugin=plugin)
        print(f"undisturbed: {time.monotonic() - begun:.1f} s")
        expected = batches.products(folder / "calm" / "out")
        assert len(expected) == n
        for engine, victims in (("local", ["runs"] * 5),
                                ("dask", ["runs", "runs", "scheduler", "runs", "runs", "runs"])):
            rough = Rough(batches.recipe(folder / engine, deeds), plugin, rng, engine == "dask")
            begun = time.monotonic()
            try:
                rough.live(victims, n)
            finally:
                rough.close()
            killed = ", ".join(f"{count} {what}" for what, count in rough.killed.items())
            print(f"{engine}: {time.monotonic() - begun:.1f} s; killed: {killed}")
            out = folder / engine / "out"
            made = batches.products(out)
            left = [path for path in out.rglob("*") if path.suffix in (".part", ".reserve")]
            batches.batch(rough.recipe, command="verify", plugin=plugin)
            same = "all the same bytes" if made == expected else "DIFFERENT"
            print(f"{len(made)} products, {same}, {len(left)} temporary files, all verified")
            assert made == expected and not left
            assert all(rough.killed[what] == victims.count(what) for what in victims)


class Rough:
    """Runs of a recipe that are killed, with their workers, on this machine or on Dask."""

    def __init__(self, recipe: Path, plugin: str, rng: random.Random, dask: bool) -> None:
        self.recipe, self.killed = recipe, Counter[str]()
        self._plugin, self._rng = plugin, rng
        self._clusters: list[Cluster] = []
        self._options: tuple[Any, ...] = ("-j", 2)
        if dask:
            self._start()

    def _start(self) -> None:
        """Start a cluster; what is left of the one before has to end by itself."""
        folder = self.recipe.parent / f"cluster{len(self._clusters)}"
        folder.mkdir()
        self._clusters.append(Cluster(folder, self._plugin))
        self._clusters[-1].renew(WORKERS)
        self._options = ("--dask-scheduler", self._clusters[-1].file)

    def live(self, victims: list[str], n: int) -> None:
        """Kill each victim when a further share of n tasks is done; then let all be done."""
        for number, victim in enumerate(victims, 1):
            self._run(victim, n * number // (len(victims) + 1))
        self._run("", n + 1)
        batches.batch(self.recipe, *self._options, plugin=self._plugin)

    def _run(self, victim: str, n_done: int) -> None:
        """One run that loses workers, until so many products are there."""
        run = batches.begin(self.recipe, *self._options, "--retries", 100, plugin=self._plugin)
        begun = due = time.monotonic()
        while run.poll() is None and len(list(self.recipe.parent.glob("out/*.h5"))) < n_done:
            assert time.monotonic() - begun < LONGEST, "the run stalls"
            time.sleep(GLANCE)
            for cluster in self._clusters[-1:]:
                cluster.renew(WORKERS)
            if time.monotonic() > due + PERIOD:
                due += PERIOD
                self._kill_worker(run.pid)
        if victim and run.poll() is None:
            self.killed[victim] += 1
            (run if victim == "runs" else self._clusters[-1].scheduler).kill()
        _, errors = run.communicate(timeout=60)
        assert "Traceback" not in errors, errors
        if victim == "scheduler":
            assert run.returncode == 1 and "is lost" in errors, errors
            self._start()

    def _kill_worker(self, run: int) -> None:
        """Of Dask either its worker or the process that this does a task in."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended at this moment
            process, kind = self._any_worker(run)
            os.kill(process, signal.SIGKILL)
            self.killed[kind] += 1

    def _any_worker(self, run: int) -> tuple[int, str]:
        dask = [each.pid for cluster in self._clusters[-1:] for each in cluster.workers]
        found = dict.fromkeys(dask, "Dask workers") | {
            child: "worker processes" for each in dask or [run] for child in batches.children(each)
            if b"fastsig.batch.engines.worker" in Path(f"/proc/{child}/cmdline").read_bytes()}
        if not found:
            raise ProcessLookupError("no worker is there now")
        return self._rng.choice(list(found.items()))

    def close(self) -> None:
        """End what is left of the clusters."""
        for cluster in self._clusters:
            cluster.close()


if __name__ == "__main__":
    main()
