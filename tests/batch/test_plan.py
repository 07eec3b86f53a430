"""The plan before the work: what it foretells is what is used, and what cannot fit is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cli import environment, fastsig

from fastsig.batch import Recipe, Task, plan
from fastsig.batch.planning import kinds, trials
from fastsig.batch.planning import plan as planning
from fastsig.errors import OutputError, PlanError, UsageError

SPECTRA = {"command": "spectra", "n_chan": [256, 1024], "n_int": 16, "products": "IQUV",
           "output": "{stem}.{n_chan}.h5"}
RUN = """
import json, sys
from fastsig.batch.recipe.vocabulary import vocabulary
from fastsig.work.memory import peak_bytes
for words in json.loads(sys.argv[1]):  # one after the other, as in a worker process
    vocabulary("spectra").command.main(words, standalone_mode=False)
print(peak_bytes())
"""


def tasks(folder: Path, *steps: dict[str, Any], **inputs: Any) -> list[Task]:
    made = Recipe({"version": 1, "inputs": {"files": "in/*", **inputs},
                   "output": {"folder": "out"}, "step": list(steps)}, folder=folder)
    assert made.problems == ()
    return made.tasks()


@pytest.fixture
def recordings(tmp_path: Path, samples: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name in "ab":
        shutil.copy(samples / "frb_carrier_16MHz.h5", tmp_path / "in" / f"{name}.h5")
    return tmp_path


def test_memory_and_sizes_are_within_a_fifth_of_what_is_used(recordings: Path) -> None:
    todo = tasks(recordings, SPECTRA)
    before = sorted(os.walk(recordings))
    planned = plan(todo, processes=2, threads=1, memory=10**9)
    assert sorted(os.walk(recordings)) == before
    (recordings / "out").mkdir()
    calls = [["--workers=1", "--memory=1GB", "--quiet", *task.steps[0].argv] for task in todo]
    done = subprocess.run([sys.executable, "-c", RUN, json.dumps(calls)], env=environment(),
                          capture_output=True, text=True, check=True)
    used = sum(path.stat().st_size for path in (recordings / "out").iterdir())
    assert planned.bytes_out == pytest.approx(used, rel=0.2)
    assert planned.memory == pytest.approx(int(done.stdout), rel=0.2)
    assert planned.bytes_in == sum(path.stat().st_size for path in (recordings / "in").iterdir())
    assert planned.seconds is not None and 0 < planned.seconds < 60
    assert planned.refusal() is None and (planned.n_task, planned.n_product) == (2, 4)
    assert "by the commands' own plan and by a trial on all 8.01 MB" in planned.summary()
    assert json.loads(json.dumps(planned.to_json()))["bytes_needed"] == planned.bytes_needed


def test_a_limit_below_the_floor_is_refused_before_the_start(recordings: Path) -> None:
    planned = plan(tasks(recordings, SPECTRA), threads=1, memory=50 * 10**6)
    with pytest.raises(PlanError, match="below the floor of this plan"):
        planned.check()
    assert "cannot run: " in planned.summary() and "below the floor" in planned.to_json()["refusal"]
    assert not (recordings / "out").exists()


def test_what_only_the_command_knows_is_told_by_the_plan(recordings: Path) -> None:
    planned = plan(tasks(recordings, {**SPECTRA, "window": "hammock"}))
    with pytest.raises(PlanError, match="hammock"):
        planned.check()


def test_command_lines_of_a_task_make_what_it_says(tmp_path: Path, samples: Path) -> None:
    """Files in numbers, a product that steps after it take, options with files."""
    (tmp_path / "in").mkdir()
    for name in ("frb_coarse_16MHz.0000.raw", "frb_coarse_16MHz.0001.raw"):
        shutil.copy(samples / name, tmp_path / "in")
    task, = tasks(
        tmp_path, {"command": "convert", "to": "dada", "output": "{stem}.{file}.dada",
                   "file_size": "500kB", "lossy": True, "keep": False},
        {"command": "spectra", "n_chan": 4, "n_tap": 1, "window": "none", "n_int": 64,
         "output": "s/{stem}.{n_chan}.h5", "set": {"feed": "linear"}},
        {"command": "baseline", "method": "polynomial", "order": 1, "picture": "{stem}.png",
         "keep": "{stem}.kept.h5", "output": "{stem}.flat.h5"}, group="scan")
    planned = trials.ask_commands(task, {"workers": "1", "memory": "1000000000"})
    assert planned.error == "" and planned.memory is not None and 10**8 < planned.memory < 10**9
    trial = trials.try_task(task, 1_330_000, {"workers": "1", "memory": "1000000000"})
    assert trial.error == "" and len(trial.runs) == 1
    (tmp_path / "out" / "s").mkdir(parents=True)
    used = []
    for step in task.steps:
        fastsig(step.command, *step.argv, cwd=tmp_path)
        found = [path for name in step.outputs
                 for path in (tmp_path / "out").glob(name.replace("{file}", "[0-9]*"))]
        assert found and len(found) >= len(step.outputs)
        used.append(sum(path.stat().st_size for path in found))
    assert len(list((tmp_path / "out").glob("*.dada"))) == 4
    assert planned.bytes_out[0] == pytest.approx(used[0], rel=0.01)
    assert trial.runs[0].bytes_out == pytest.approx(used, rel=0.01)


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


class FakeTrials:
    """Answers of the commands, by the names of the inputs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int = 10**9) -> None:
        self.asked: list[str] = []
        monkeypatch.setattr(kinds.trials, "ask_commands", self.ask)
        monkeypatch.setattr(kinds.trials, "try_task", self.run)
        monkeypatch.setattr(planning.shutil, "disk_usage", lambda folder: _Usage(free, 0, free))

    def ask(self, task: Task, words: Any) -> trials.Stated:
        self.asked.append(task.name)
        if "bad" in task.name:
            return trials.Stated({}, None, "not a file of a known format", 3)
        return trials.Stated({0: 1000}, 10**8)

    def run(self, task: Task, size: int, words: Any, bytes_out: int) -> trials.Trial:
        return trials.Trial((trials.Run(size / 4, 1.0, (100, 50), 10**8),
                             trials.Run(size, 2.5, (400, 50), 2 * 10**8)))


def write(folder: Path, sizes: dict[str, int]) -> None:
    (folder / "in").mkdir()
    for name, size in sizes.items():
        (folder / "in" / name).write_bytes(bytes(size))


STEPS = ({"command": "convert", "output": "{stem}.dada"},
         {"command": "view", "output": "{stem}.png", "keep": False})


def test_a_kind_is_scaled_from_one_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.h5": 1000, "b.h5": 1000, "c.h5": 600})
    fake = FakeTrials(monkeypatch)
    planned = plan(tasks(tmp_path, *STEPS), processes=3)
    assert len(fake.asked) == 1 and len(planned.kinds) == 1
    assert planned.bytes_out == 2 * 400 + 240  # 100 at a quarter, 400 at all: 0.4 a byte
    assert planned.bytes_needed == 1040 + 3 * 50
    assert planned.seconds == pytest.approx((2.5 + 2.5 + 1.7) / 3)  # 0.5 s, and 2 ms a byte
    assert planned.memory == 2 * 10**8
    recorded = plan(tasks(tmp_path, *STEPS), recorded=[(1000, 10.0)] * 5)
    assert recorded.seconds == pytest.approx(26) and "5 done before" in recorded.summary()


def test_a_bad_file_does_not_speak_for_its_kind(tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.h5": 600, "bad.h5": 601, "c.h5": 602})
    fake = FakeTrials(monkeypatch)
    planned = plan(tasks(tmp_path, *STEPS))
    assert fake.asked == ["bad", "a"]
    assert planned.kinds[0].example == "a" and planned.refusal() is None


def test_a_full_disk_is_told_before_the_start(tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.h5": 1000})
    FakeTrials(monkeypatch, free=300)
    planned = plan(tasks(tmp_path, *STEPS))
    with pytest.raises(OutputError, match="about 450 bytes are needed, 300 are free"):
        planned.check()


def test_a_task_above_its_limit_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.h5": 1000})
    FakeTrials(monkeypatch)
    with pytest.raises(PlanError, match="needs about 200 MB; its limit is 150 MB"):
        plan(tasks(tmp_path, *STEPS), memory=150 * 10**6).check()


def test_tasks_that_do_not_fit_side_by_side_are_told(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.h5": 1000, "b.h5": 1000, "c.h5": 1000})
    FakeTrials(monkeypatch)
    todo = tasks(tmp_path, *STEPS)
    with pytest.raises(PlanError, match="2 tasks at once need about 400 MB, the machine has 300"):
        plan(todo, processes=2, machine_bytes=3 * 10**8).check()
    plan(todo, processes=1, machine_bytes=3 * 10**8).check()
    plan(todo, processes=1000, machine_bytes=0).check()
    assert plan(todo).machine_bytes > 10**8


def test_refused_tasks_are_counted_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.h5": 1000, "b.h5": 10, "b.fil": 10})
    FakeTrials(monkeypatch)
    planned = plan(tasks(tmp_path, *STEPS))
    assert (planned.n_task, planned.n_product) == (1, 1)
    assert [name for name, _ in planned.refused] == [
        "b", "b"]
    assert planned.bytes_in == 1000 and "add {name}" in planned.summary()


def test_many_kinds_ask_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {f"f{n}.h5": 2**n for n in range(12)})
    fake = FakeTrials(monkeypatch)
    planned = plan(tasks(tmp_path, *STEPS))
    assert len(fake.asked) == 4 and len(planned.kinds) == 12 and planned.bytes_in == 2**12 - 1


def test_an_input_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"a.h5": 100})
    planned = plan(tasks(tmp_path, {"command": "view", "output": "{stem}.png"}))
    assert planned.refusal() is None and planned.kinds[0].code == 3
    assert planned.bytes_out is None and planned.seconds is None and "unknown" in planned.summary()


def test_one_bad_file_leaves_the_sums_of_the_others(tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.h5": 900, "bad.h5": 10**5, **{f"f{n}.h5": 2**n for n in range(10, 15)}})
    FakeTrials(monkeypatch)
    planned = plan(tasks(tmp_path, *STEPS))  # f10 to f12 are scaled from others
    text = planned.summary()
    good = [kind for kind in planned.kinds if kind.example != "bad"]
    assert len(good) == len(planned.kinds) - 1
    assert planned.bytes_out == sum(kind.bytes_out or 0 for kind in good) > 1000
    assert planned.seconds is not None and planned.memory == 2 * 10**8
    assert "unknown" not in text.split("\n  ")[0]
    assert "not in write, memory and time: bad" in text
    assert "bad: not a file of a known format" in text and planned.refusal() is None


def test_no_tasks_is_wrong_use() -> None:
    with pytest.raises(UsageError):
        plan([])


@pytest.mark.parametrize(("command", "options"), [
    ("flag", {}), ("baseline", {"method": "polynomial"}), ("cut", {"tstop": "0.1s"})])
def test_commands_tell_their_bytes_and_memory(command: str, options: dict[str, Any],
                                              tmp_path: Path, samples: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(samples / "SIMPSR_tracking-M01_0001.fits", tmp_path / "in")
    task, = tasks(tmp_path, {"command": command, "output": "{stem}.h5", **options})
    planned = trials.ask_commands(task, {"workers": "1"})
    assert planned.error == "" and planned.memory is not None and planned.memory > 10**8
    assert 10**4 < planned.bytes_out[0] < 10**7
