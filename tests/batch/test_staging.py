"""Tasks on a scratch disk: the same bytes, nothing left behind, changes and full disks told."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from pathlib import Path

import batches
import pytest
from batches import recipe, states

from fastsig.batch.engines import staging
from fastsig.batch.engines.staging import Stage, StagingError, sweep
from fastsig.batch.ledger.folder import host_name
from fastsig.batch.ledger.status import status
from fastsig.batch.recipe.model import Limits
from fastsig.batch.running.run import run
from fastsig.batch.tasks.model import Step, Task
from fastsig.errors import OutputError, UsageError

SAMPLES = Path(__file__).resolve().parent.parent.parent / "data" / "samples"
RECIPE = """version = 1
[inputs]
files = ["in/*"]
group = "scan"
[output]
folder = "out"
[[step]]
command = "spectra"
n_chan = [26, 50] # no vector code, which would be compiled
n_int = 64
output = "sub/{stem}.{n_chan}.h5"
keep = false
[[step]]
command = "cut"
tstop = "2ms"
output = "{stem}.{n_chan}.h5"
"""


def sums(folder: Path) -> dict[str, str]:
    """Hash of each visible file."""
    return {os.path.relpath(path, folder): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*") if path.is_file() and ".fastsig-batch" not in path.parts}


def task_of(folder: Path, *names: str) -> Task:
    """A task that is only staged."""
    return Task("id", "t", tuple(str(folder / name) for name in names),
                (Step("cut", ("--output", str(folder / "out/x.h5"), str(folder / names[0])),
                      ("x.h5",)),), str(folder / "out"))


def test_products_and_provenance_are_the_same(tmp_path: Path) -> None:
    """A scan of two files, a step that is not kept, folders: the same bytes."""
    made, scratch = [], tmp_path / "scratch"
    scratch.mkdir()
    for name in ("plain", "staged"):
        (tmp_path / name / "in").mkdir(parents=True)
        for number in (0, 1):
            shutil.copy2(SAMPLES / f"frb_coarse_16MHz.000{number}.raw", tmp_path / name / "in")
        (tmp_path / name / "r.toml").write_text(RECIPE)
        tasks = batches.tasks(tmp_path / name / "r.toml")
        summary = run(tasks, tasks[0].folder, workers=1, warm=False,
                      scratch=str(scratch) if name == "staged" else None)
        assert summary.counts == {"done": 1}, status(tasks, tasks[0].folder).rows
        made.append(sums(tmp_path / name / "out"))
        assert run(tasks, tasks[0].folder, warm=False).n_before == 1
    assert made[0] == made[1] and set(made[0]) == {
        f"frb_coarse_16MHz.{n}.h5" for n in (26, 50)}
    assert os.listdir(scratch) == []
    log = next((tmp_path / "staged/out/.fastsig-batch/logs").iterdir()).read_text()
    assert f"# staged in {scratch}/fastsig-stage-" in log


def test_nothing_is_left_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure, kill, hang; errors name the input itself. What a dead process left is removed."""
    batches.install(tmp_path / "plugin")
    monkeypatch.syspath_prepend(tmp_path / "plugin")
    scratch = tmp_path / "scratch"
    dead = scratch / f"fastsig-stage-{host_name()}-999999999-abcd"
    other = scratch / "fastsig-stage-elsewhere-1-abcd"
    for folder in (dead, other):
        folder.mkdir(parents=True)
        (folder / "x").touch()
    path = recipe(tmp_path, {"bad": {"rows": -1}, "dies": {"die": signal.SIGKILL},
                             "fine": {}, "hangs": {"hang": 1}})
    tasks = batches.tasks(path)
    (tmp_path / "in" / "gone.try").touch()
    summary = run(tasks, tasks[0].folder, workers=1, warm=False, scratch=str(scratch),
                  limits=Limits(time=2.0, retries=0))
    assert summary.counts == {"failed": 1, "poison": 1, "done": 1, "timeout": 1}
    assert os.listdir(scratch) == [other.name]
    row = status(tasks, tasks[0].folder).rows[0]
    assert "rows" in row.error or "negative" in row.error
    assert "fastsig-stage" not in row.error and row.step == "cut"
    assert states(path)["fine"] == "done"
    with pytest.raises(UsageError, match="no such folder"):
        run(tasks, tasks[0].folder, scratch=str(tmp_path / "none"))
    with pytest.raises(UsageError, match="lies in the output folder"):
        run(tasks, tasks[0].folder, scratch=tasks[0].folder)


def test_a_living_process_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"x")
    with Stage(task_of(tmp_path, "a.h5"), str(tmp_path)) as stage:
        assert sweep(str(tmp_path)) == [] and os.path.isdir(stage.folder)
        assert os.stat(stage.folder).st_mode & 0o777 == 0o700
    assert not os.path.exists(stage.folder)
    link = tmp_path / f"fastsig-stage-{host_name()}-1-ab"
    link.symlink_to(tmp_path / "a.h5")
    assert sweep(str(tmp_path)) == [] and link.is_symlink()


def test_what_lies_beside_is_staged_too(tmp_path: Path) -> None:
    """A header of PRESTO, raw files of HDF5, a folder with all in it; times stay."""
    for name in ("a.dat", "a.inf", "drf/ch/drf_properties.h5", "drf/ch/t/rf@1.h5", "b.dat",
                 "c.fft", "c.inf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    os.utime(tmp_path / "a.dat", ns=(1, 12345))
    with Stage(task_of(tmp_path, "a.dat", "drf"), str(tmp_path)) as stage:
        staged = stage.fetch()
        assert [os.path.basename(path) for path in staged.inputs] == ["a.dat", "drf"]
        assert os.stat(staged.inputs[0]).st_mtime_ns == 12345
        inside = sorted(os.path.relpath(path, f"{stage.folder}/in/0")
                        for path in map(str, Path(stage.folder, "in").rglob("*"))
                        if os.path.isfile(path))
        assert inside == ["a.dat", "a.inf", "drf/ch/drf_properties.h5", "drf/ch/t/rf@1.h5"]
        assert staged.steps[0].argv == (
            "--output", f"{stage.output}/x.h5", f"{stage.folder}/in/0/a.dat")
    with Stage(task_of(tmp_path, "c.fft"), str(tmp_path)) as stage:
        staged = stage.fetch()
        assert os.path.isfile(staged.inputs[0].replace(".fft", ".inf"))


def test_a_lofar_file_comes_with_its_raw_file(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    stage = Stage(task_of(tmp_path, "l.h5"), str(tmp_path))
    (tmp_path / "l.raw").write_bytes(bytes(64))
    with h5py.File(tmp_path / "l.h5", "w") as file:
        file.create_dataset("x", (64,), "u1", external=[("l.raw", 0, 64)])
    found = [str(tmp_path / "l.h5"), str(tmp_path / "l.raw"), "/elsewhere/m.raw"]
    stage._named = lambda path: found  # type: ignore[method-assign] # as streams of LOFAR do
    assert stage._beside(str(tmp_path / "l.h5")) == [(str(tmp_path / "l.raw"), "l.raw")]


def test_an_input_that_changes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.h5").write_bytes(b"x" * 100)
    whole = staging.copy

    def growing(*args: object) -> object:
        with open(tmp_path / "a.h5", "ab") as file:
            file.write(b"y")
        return whole(*args)  # type: ignore[arg-type]

    with Stage(task_of(tmp_path, "a.h5"), str(tmp_path)) as stage:
        monkeypatch.setattr(staging, "copy", growing)
        with pytest.raises(StagingError, match="changed while it was copied.*100 bytes, then 101"):
            stage.fetch()
    monkeypatch.setattr(staging, "copy", whole)
    monkeypatch.setattr(staging, "digest_of", lambda descriptor: b"other")
    with Stage(task_of(tmp_path, "a.h5"), str(tmp_path)) as stage, pytest.raises(
            StagingError, match="differs from what was written"):
        stage.fetch()


def test_a_full_scratch_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = shutil.disk_usage(tmp_path).free + 2**33
    with open(tmp_path / "a.h5", "wb") as file:
        file.truncate(size)
    with Stage(task_of(tmp_path, "a.h5"), str(tmp_path)) as stage:
        with pytest.raises(StagingError, match=f"too small: {size} bytes") as caught:
            stage.fetch()
        line = stage.renamed(f"{stage.output}/x.h5: cannot be written: No space left on device")
    assert caught.value.state == "disk-full"
    assert line == (f"scratch {tmp_path} is full: {tmp_path}/out/x.h5: cannot be written: "
                    "No space left on device")


def test_products_come_all_or_none(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"x")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "y.h5").write_bytes(b"mine")
    with Stage(task_of(tmp_path, "a.h5"), str(tmp_path)) as stage:
        staged = stage.fetch()
        for name in ("x.h5", "x.inf", "y.h5"):
            Path(stage.output, name).write_text(name)
        with pytest.raises(OutputError, match="exists"):
            stage.deliver(staged, overwrite=False)
        assert os.listdir(tmp_path / "out") == ["y.h5"]
        stage.deliver(staged, overwrite=True)
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {
        "x.h5": "x.h5", "x.inf": "x.inf", "y.h5": "y.h5"}
