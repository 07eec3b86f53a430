"""What a batch costs beside its tasks; prints figures, is no test.

    python tests/batch/overhead.py [N]

N short tasks (300): by two workers, by a Python loop on each of two processes with the same calls
and so the same fsyncs, and by one worker. Counted from the first call, once all processes are up.
Then the time to read and report 10,000 finished records. Keep the machine idle.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "kernels"), str(ROOT / "tests")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:3])

LOOP = """
import json, os, sys, time
from fastsig.batch.engines import worker
from fastsig.work import threads
threads.limit_processors(1)
worker._load(["cut"])
from fastsig.cli.main import run
calls = json.load(sys.stdin)
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.001)
begun = time.time()
for call in calls:
    assert run(call) == 0
print(begun, time.time(), flush=True)
os._exit(0)
"""


def inputs(folder: Path, n: int) -> Path:
    """A recipe that copies n recordings of 800 kB, some 20 ms each."""
    import numpy as np
    from streams import header, noise, write_native

    (folder / "in").mkdir()
    data = noise(np.random.default_rng(1), 400_000)
    for number in range(n):
        write_native(folder / "in" / f"{number:04d}.h5", data, header())
    (folder / "r.toml").write_text(
        'version = 1\n[inputs]\nfiles = ["in/*.h5"]\n[output]\nfolder = "out"\n'
        '[[step]]\ncommand = "cut"\noutput = "{stem}.cut.h5"\n')
    return folder / "r.toml"


def by_batch(recipe: Path, workers: int) -> tuple[float, float]:
    """Seconds from the first task to the last record, and mean seconds of a task."""
    from fastsig.batch.api import Recipe
    from fastsig.batch.ledger.records import read_records
    from fastsig.batch.running.run import run

    told = Recipe.read(recipe)
    summary = run(told.tasks(), told.output, workers=workers, warm=False)
    assert summary.code == 0, summary
    records = list(read_records(told.output))
    # both up: the later of the workers' first tasks
    begun = min(record.at for record in records)
    done = [record for record in records if record.state == "done"]
    return (max(record.at for record in done) - begun,
            sum(record.seconds for record in done) / len(done))


def by_loops(recipe: Path, n_processes: int) -> float:
    """Seconds of the same calls in a loop on each of some processes."""
    import json

    from fastsig.batch.api import Recipe

    told = Recipe.read(recipe)
    os.makedirs(told.output)
    calls = [[step.command, "--workers", "1", *step.argv] for task in told.tasks()
             for step in task.steps]
    go = recipe.parent / "go"
    go.unlink(missing_ok=True)
    processes = [subprocess.Popen([sys.executable, "-c", LOOP, str(go)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                 for _ in range(n_processes)]
    for number, process in enumerate(processes):
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(calls[number::n_processes]))
        process.stdin.close()
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    go.touch()
    spans = [tuple(map(float, process.stdout.readline().split())) for process in processes]
    for process in processes:
        process.wait()
    return max(end for _, end in spans) - min(begin for begin, _ in spans)


def reading(folder: Path, n: int) -> tuple[float, float]:
    """Seconds to read n finished records, and to tell all of them with their products looked at."""
    from fastsig.batch.ledger.journal import Ledger
    from fastsig.batch.ledger.records import Record
    from fastsig.batch.ledger.status import status
    from fastsig.batch.tasks.model import Step, Task

    out = folder / "many"
    out.mkdir()
    tasks = []
    with Ledger(str(out)) as ledger:
        ledger.begin(n)
        for number in range(n):
            name = f"{number:05d}.h5"
            (out / name).write_text("x")
            told = os.stat(out / name)
            task = Task(f"{number:064x}", f"n{number}", (), (Step("cut", (), (name,)),), str(out))
            tasks.append(task)
            ledger.append(Record(task.id, "running", task.name, 1, outputs=((name, -1, -1),)),
                          durable=False)
            ledger.append(Record(task.id, "done", task.name, 1, outputs=(
                (name, told.st_size, told.st_mtime_ns),)), durable=False)
    begun = time.perf_counter()
    Ledger(str(out))
    read = time.perf_counter()
    assert status(tasks, out).counts == {"done": n}
    return read - begun, time.perf_counter() - read


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = inputs(folder, n)
        times = {}
        for what, work in (("loops", lambda: by_loops(recipe, 2)),
                           ("batch", lambda: by_batch(recipe, 2)),
                           ("loops again", lambda: by_loops(recipe, 2)),
                           ("batch again", lambda: by_batch(recipe, 2)),
                           ("one worker", lambda: by_batch(recipe, 1)),
                           ("one loop", lambda: by_loops(recipe, 1))):
            times[what] = work()
            subprocess.run(["rm", "-rf", str(folder / "out")], check=True)
        for what, told in times.items():
            seconds, each = told if isinstance(told, tuple) else (told, 0.0)
            print(f"{what:<12} {seconds:7.2f} s"
                  + (f"  {1e3 * each:.1f} ms a task" if each else ""))
        best = min(times["batch"][0], times["batch again"][0])
        loops = min(times["loops"], times["loops again"])
        print(f"batch / loops {best / loops:.2f} (at most 1.5)")
        print(f"two workers / one {times['one worker'][0] / best:.2f} (at least 1.8); "
              f"two loops / one {times['one loop'] / loops:.2f}")
        read, told = reading(folder, 10_000)
        print(f"10,000 records read in {read:.2f} s, told in {told:.2f} s (about 3 s together)")


if __name__ == "__main__":
    main()
