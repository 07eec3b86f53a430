"""Kills on a larger scale than the tests'; prints figures, is no test.

    python tests/batch/kills.py [N]

N tasks (300) of 50 ms to 0.4 s by two workers: once undisturbed, then with SIGKILL of a random
worker every 2 s and of the run itself five times. Every product must be there, verified, with the
bytes of the undisturbed run, and no temporary file.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "kernels"), str(ROOT / "tests")]

import batches  # noqa: E402 - found by the lines above

PERIOD = 2.0  # s between kills of workers
LIVES = 7.0  # s that a run is left alive


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
        rough = batches.recipe(folder / "rough", deeds)
        begun = time.monotonic()
        workers = parents = 0
        for _ in range(5):
            killed, died = disturbed(rough, plugin, rng, LIVES)
            workers, parents = workers + killed, parents + died
        killed, _ = disturbed(rough, plugin, rng, 1e9)
        batches.batch(rough, "-j", 2, plugin=plugin)
        print(f"{workers + killed} workers and {parents} runs killed: "
              f"{time.monotonic() - begun:.1f} s")
        made = batches.products(folder / "rough" / "out")
        same = made == batches.products(folder / "calm" / "out")
        parts = [path for path in made if path.endswith(".part")]
        batches.batch(rough, command="verify", plugin=plugin)
        print(f"{len(made)} products, {'all the same bytes' if same else 'DIFFERENT'}, "
              f"{len(parts)} temporary files, all verified")
        assert same and len(made) == n and not parts


def disturbed(recipe: Path, plugin: str, rng: random.Random, lives: float) -> tuple[int, int]:
    """Kill a run's workers, and the run after some time; how many of each were met."""
    process = batches.begin(recipe, "-j", 2, "--retries", 100, plugin=plugin)
    end, killed = time.monotonic() + lives, 0
    while process.poll() is None and time.monotonic() < end:
        time.sleep(PERIOD)
        workers = batches.children(process.pid)
        if workers and process.poll() is None:
            os.kill(rng.choice(workers), signal.SIGKILL)
            killed += 1
    alive = process.poll() is None
    if alive:
        process.kill()
    process.communicate()
    return killed, int(alive)


if __name__ == "__main__":
    main()
