"""Files of a recipe, and the recordings that they make."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from fastsig.batch.tasks.input_files import FileStamp, find
from fastsig.batch.tasks.recordings import gather


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def found(folder: Path, *names: str, products: str = "") -> list[str]:
    search = find(names, str(folder), products)
    assert not search.wrong, search.wrong
    return [os.path.relpath(each.path, folder) for each in search.files]


def wrong(folder: Path, *names: str) -> list[str]:
    return [why for _, _, why in find(names, str(folder)).wrong]


def test_names_patterns_folders_and_lists(tmp_path: Path) -> None:
    touch(tmp_path, "a.h5", "n/b.h5", "n/deep/c.h5", "n/[x].h5", "lists/d.h5")
    (tmp_path / "lists" / "night.txt").write_text("# of tonight\n\nd.h5\n../n/*.h5\n")
    assert found(tmp_path, "a.h5", "n/*.h5", "a.h5") == ["a.h5", "n/[x].h5", "n/b.h5"]
    assert found(tmp_path, "n") == ["n/[x].h5", "n/b.h5", "n/deep/c.h5"]
    assert found(tmp_path, "n/**/*.h5")[-1] == "n/deep/c.h5"
    assert found(tmp_path, "n/[x].h5") == ["n/[x].h5"]
    assert found(tmp_path, "@lists/night.txt") == ["lists/d.h5", "n/[x].h5", "n/b.h5"]


def test_hidden_and_temporary_files_are_none(tmp_path: Path) -> None:
    touch(tmp_path, "n/a.h5", "n/.b.h5.host-1-ab.part", "n/.hidden/c.h5")
    assert found(tmp_path, "n", "n/*", "n/**/*.h5") == ["n/a.h5"]
    assert wrong(tmp_path, "n/.*", "n/.b.h5.host-1-ab.part") == [
        "hidden; allowed: visible files"] * 2


def test_what_is_not_there_is_told_with_what_is_near(tmp_path: Path) -> None:
    touch(tmp_path, "night/obs.h5")
    (tmp_path / "night" / "loop").symlink_to("nowhere")
    assert wrong(tmp_path, "night/obs.h4") == ["no such file; did you mean obs.h5?"]
    assert wrong(tmp_path, "nigth/*.h5") == ["no such folder; did you mean night?"]
    assert wrong(tmp_path, "night/*.raw") == [f"no file matches in {tmp_path}/night"]
    assert wrong(tmp_path, "night/loop") == ["a broken link"]
    (tmp_path / "l.txt").write_text("night/zz.raw\n")
    assert find(["@l.txt", "@m.txt"], str(tmp_path)).wrong == [
        (0, "@l.txt: night/zz.raw", f"no such file in {tmp_path}/night"),
        (1, "@m.txt", "No such file or directory; did you mean l.txt?")]


def test_what_lies_in_the_output_folder_is_no_input_by_a_wider_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "a.h5", "out/b.h5")
    out = str(tmp_path / "out")
    assert found(tmp_path, "**/*.h5", products=out) == ["a.h5"]
    assert found(tmp_path, "out/*.h5", products=out) == ["out/b.h5"]


def test_a_digital_rf_folder_is_one_recording(tmp_path: Path) -> None:
    touch(tmp_path, "rf/ch0/drf_properties.h5", "rf/ch0/2020/rf@1.h5")
    search = find(["r*"], str(tmp_path))
    assert [each.path for each in search.files] == [f"{tmp_path}/rf"]
    assert search.files[0].size == 2


def files(*names: str) -> list[FileStamp]:
    return [FileStamp(f"/n/{name}", 10, 0) for name in names]


def test_scans_are_grouped_by_their_numbers() -> None:
    made = gather(files("x.0001.raw", "x.0000.raw", "y.0000.raw", "z.h5", "src_0001.fits",
                        "src_0002.fits", "x.0000.dada"), "scan")
    assert [(each.stem, [file.path[3:] for file in each.files]) for each in made] == [
        ("x", ["x.0000.raw", "x.0001.raw"]), ("y", ["y.0000.raw"]), ("z", ["z.h5"]),
        ("src", ["src_0001.fits", "src_0002.fits"]), ("x", ["x.0000.dada"])]
    dada = gather(files("2020-04-28-14:34:24_0000000000004096.000000.dada",
                        "2020-04-28-14:34:24_0000000000000000.000000.dada"), "scan")
    assert len(dada) == 1 and dada[0].files[0].path.endswith("0000.000000.dada")
    assert [each.stem for each in gather(files("x.0000.raw", "x.0001.raw"), "file")] == [
        "x.0000", "x.0001"]


def test_files_of_fast_are_grouped_by_beam_and_band() -> None:
    made = gather(files("N2020_3_arcdrift-M01_W_0001.fits", "N2020_3_arcdrift-M01_W_0002.fits",
                        "N2020_3_arcdrift-M02_W_0001.fits", "N2020_3_arcdrift-M01_N_0001.fits",
                        "B0531+21_tracking-M01_0001.fits"), "fast")
    assert [len(each.files) for each in made] == [2, 1, 1, 1]
    assert made[0].stem == "N2020_3_arcdrift-M01_W"
    assert made[0].fields == {"project": "N2020_3", "mode": "arcdrift", "beam": "M01",
                              "band": "W", "chunk": "0001"}
    assert made[3].fields["project"] == "B0531+21" and made[3].fields["band"] == ""


def test_names_that_do_not_fit_and_missing_numbers_are_told() -> None:
    other, gap = gather(files("note.fits", "P_onoff-M01_W_0001.fits", "P_onoff-M01_W_0004.fits"),
                        "fast")
    assert "not named as FAST's files are" in other.refused
    assert gap.notes == ("P_onoff-M01_W: 2 of its files missing, from number 0002 on",)


def test_ten_thousand_files_take_seconds(tmp_path: Path) -> None:
    from fastsig.batch import Recipe

    for index in range(10_000):
        (tmp_path / f"f{index:05d}.h5").touch()
    recipe = Recipe({"version": 1, "inputs": {"files": ["*.h5"]}, "output": {"folder": "out"},
                     "step": [{"command": "spectra", "n_chan": [64, 128],
                               "output": "{parent}/{stem}.{n_chan}.h5"},
                              {"command": "view", "output": "{parent}/{stem}.{n_chan}.png"}]},
                    folder=tmp_path)
    begun = time.process_time()
    tasks = recipe.tasks()
    # 1.5 s on the machine that it was written on; the bound leaves room for slower ones.
    assert len(tasks) == 10_000 and time.process_time() - begun < 10
    assert len({task.id for task in tasks}) == 10_000


def test_a_folder_that_may_not_be_read_is_told(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "n/a.h5", "n/shut/b.h5")
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if path.endswith("shut"):  # root may read everything
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    search = find(["n"], str(tmp_path))
    assert [each.path for each in search.files] == [f"{tmp_path}/n/a.h5"]
    assert search.wrong == [(0, "n", f"{tmp_path}/n/shut: Permission denied")]
