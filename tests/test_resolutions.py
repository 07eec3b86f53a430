"""Several products of one read: each as if made alone, and nothing read twice."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import begin, fastsig, limiting
from streams import MemoryVoltages, header, lose_packets, noise, write_native
from waiting import wait_for_files

import fastsig as fs
from fastsig.chain import spectra
from fastsig.run import fitting
from fastsig.run import plan as plan_module
from fastsig.run.engine import execute
from fastsig.run.products import plan_products, products, write_many
from fastsig.stream import kept

N = 400_000


class Spied(MemoryVoltages):
    """Voltages that count what is read of them, and can be told to fail."""

    def __init__(self, *args: Any, fails_at: int | None = None) -> None:
        super().__init__(*args)
        self.bytes_read, self._fails_at = 0, fails_at
        self._count = threading.Lock()

    def _read(self, start: int, n: int, out: np.ndarray) -> Any:
        with self._count:
            self.bytes_read += n * self.row_bytes
        if self._fails_at is not None and start + n > self._fails_at:
            raise fs.DataError(self.path, f"cannot read from {start}")
        return super()._read(start, n, out)


@pytest.fixture(scope="module")
def voltages() -> tuple[np.ndarray, Any]:
    rng = np.random.default_rng(3)
    return noise(rng, N), lose_packets(rng, N, 0.05, 4096)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units and pages of some kilobytes, so that a small stream has many."""
    monkeypatch.setattr(fitting, "_UNIT_BYTES", 40_000)
    monkeypatch.setattr(kept, "_PAGE_BYTES", 10_007)


# n_chan, n_int: whole rows, long integrations in segments, and spectra longer than the others' rows
CASES = [((16, 10), (256, 3)), ((16, 1), (32, 300), (1024, 5)), ((64, 4), (4096, 1), (16, 1000))]


def chains_of(stream: Any, case: Any) -> list[Any]:
    return [spectra(stream, n_chan, n_int=n_int, products="AABB").stream for n_chan, n_int in case]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("case", CASES)
def test_each_as_if_alone_and_read_once(
    case: Any, workers: int, voltages: Any, tmp_path: Path
) -> None:
    source = Spied(voltages[0], header(), voltages[1])
    streams = chains_of(source, case)
    paths = [tmp_path / f"{n_chan}.h5" for n_chan, _ in case]
    made = []
    plan = plan_products(products(streams, paths), workers=workers)
    keeper, = plan.keepers
    execute(plan, progress=lambda name, n, total: made.append((name, n, total)))
    assert sum(n for _, n, _ in made) == N * len(case)  # input rows, of each product
    assert {(name, total) for name, _, total in made} == {("write", N * len(case))}
    used = [(s.shape[0] - 1, s) for s in (stream.source.source for stream in streams)]
    last = max(sum(bank.needs(row, 1)) for row, bank in used)
    page = keeper.page_rows
    assert source.bytes_read == min(-(-last // page) * page, N) * source.row_bytes
    assert plan.kept_bytes > 0 and not keeper.pages._made
    alone = MemoryVoltages(voltages[0], header(), voltages[1])
    for stream, path in zip(chains_of(alone, case), paths, strict=True):
        fs.Chain(stream).write(tmp_path / "alone.h5", overwrite=True)
        assert path.read_bytes() == (tmp_path / "alone.h5").read_bytes()


@pytest.mark.usefixtures("small")
def test_little_memory_reads_again_and_gives_the_same(
    voltages: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "resident_bytes", lambda: 10**8)  # in both plans
    source = Spied(voltages[0], header(), voltages[1])
    streams = chains_of(source, CASES[2])
    paths = [tmp_path / f"{index}.h5" for index in range(3)]
    plan = plan_products(products(streams, paths, overwrite=True), workers=2)
    tight = plan_products(products(streams, paths), workers=2, memory=plan.floor + 20_000)
    assert tight.kept_bytes < plan.kept_bytes and tight.reads_again and not plan.reads_again
    assert "read again for lack of memory" in tight.explain()
    assert tight.memory <= plan.floor + 20_000
    execute(tight)
    assert source.bytes_read > 1.2 * N * source.row_bytes
    expected = [path.read_bytes() for path in paths]
    execute(plan)
    assert [path.read_bytes() for path in paths] == expected


@pytest.mark.usefixtures("small")
def test_pieces_kept_are_bounded(voltages: Any) -> None:
    source = Spied(voltages[0], header(), voltages[1])
    keeper = kept.keep(source)
    keeper.hold(3 * keeper.page_bytes)
    whole = source.read_block(0, N)
    rng = np.random.default_rng(1)
    for start in (0, 1, *rng.integers(0, N - 50_000, 20).tolist(), N - 50_000):
        block, expected = keeper.read_block(start, 50_000), source.read_block(start, 50_000)
        np.testing.assert_array_equal(block.data, whole.data[start : start + 50_000])
        for found, spans in zip(block.valid, expected.valid, strict=True):
            np.testing.assert_array_equal(found, spans)
        assert len(keeper.pages._made) <= 3
    with pytest.raises(ValueError, match="read-only"):
        block.data[0] = 1


def test_invalid_floats_are_the_same_shared() -> None:
    data = np.ones((5000, 1), np.float32)
    data[[7, 8, 900, 4999]] = np.nan
    source = MemoryVoltages(data, header(n_pol=1, n_bits=32))
    keeper = kept.keep(source, 8)
    block, expected = keeper.read_block(3, 4997), source.read_block(3, 4997)
    np.testing.assert_array_equal(block.data, expected.data)
    np.testing.assert_array_equal(block.valid[0], expected.valid[0])


@pytest.mark.usefixtures("small")
def test_a_failure_leaves_no_product(voltages: Any, tmp_path: Path) -> None:
    source = Spied(voltages[0], header(), voltages[1], fails_at=300_000)
    streams = chains_of(source, CASES[0])
    with pytest.raises(fs.DataError, match="cannot read from"):
        write_many(streams, [tmp_path / "a.h5", tmp_path / "b.h5"], workers=2)
    assert os.listdir(tmp_path) == []
    (tmp_path / "b.h5").write_text("precious")
    with pytest.raises(fs.OutputError, match="exists"):
        write_many(streams, [tmp_path / "a.h5", tmp_path / "b.h5"])
    assert os.listdir(tmp_path) == ["b.h5"]


def test_refusals(voltages: Any, tmp_path: Path) -> None:
    source = MemoryVoltages(voltages[0], header())
    one = chains_of(source, CASES[0])
    names = [tmp_path / "a.h5", tmp_path / "b.h5"]
    with pytest.raises(fs.UsageError, match="allowed"):
        write_many([], [])
    for paths in (names[:1], [names[0], tmp_path / "." / "a.h5"]):
        with pytest.raises(fs.UsageError, match="allowed"):
            write_many(one, paths)
    assert os.listdir(tmp_path) == []


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("resolutions") / "v.h5"
    return write_native(path, noise(np.random.default_rng(2), 2_000_000), header())


OPTIONS = ("--products", "AABB", "--integrate", "4ms", "--tstart", "10ms")


def test_command_line(recording: Path, tmp_path: Path) -> None:
    words = ("spectra", recording, "--n-chan", "64,2048", *OPTIONS)
    done = fastsig(*words, "-o", "x.{n_chan}.h5", "--json", cwd=tmp_path)
    records = json.loads(done.stdout)
    assert [record["output"] for record in records] == ["x.64.h5", "x.2048.h5"]
    assert [record["shape"][2] for record in records] == [64, 2048]
    for n_chan in (64, 2048):
        alone = ("spectra", recording, "--n-chan", n_chan, *OPTIONS, "-o", "alone.{n_chan}.h5")
        assert json.loads(fastsig(*alone, "--json", cwd=tmp_path).stdout)["shape"][2] == n_chan
        product = tmp_path / f"x.{n_chan}.h5"
        assert product.read_bytes() == (tmp_path / f"alone.{n_chan}.h5").read_bytes()
    before = sorted(os.listdir(tmp_path))
    told = fastsig(*words, "-o", "y.{n_chan}.h5", "--dry-run", "--explain", cwd=tmp_path).stdout
    for text in ("Spectrometer", "would write y.", "KeptVoltages"):
        assert told.count(text) == 2
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("n_chan, output, text", [
    ("64,128", "x.h5", "{n_chan}"), ("64,64", "x.{n_chan}.h5", "twice"),
    ("64,", "x.{n_chan}.h5", "not numbers"), ("a", "x.h5", "not numbers"),
    ("64,33", "x.{n_chan}.h5", "even number"),
])
def test_wrong_use(n_chan: str, output: str, text: str, recording: Path, tmp_path: Path) -> None:
    done = fastsig("spectra", recording, "-o", output, "--n-chan", n_chan, code=2, cwd=tmp_path)
    assert text in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_nothing_of_any(recording: Path, tmp_path: Path) -> None:
    unreserved = "import os; os.posix_fallocate = lambda *a: None\n" + limiting(2**20)
    done = fastsig("spectra", recording, "-o", tmp_path / "x.{n_chan}.h5", "--n-chan", "64,128",
                   "--compression", "none", code=4, before=unreserved)
    assert "cannot be written" in done.stderr
    assert os.listdir(tmp_path) == []


def test_an_interrupt_leaves_nothing_of_any(recording: Path, tmp_path: Path) -> None:
    process = begin("spectra", recording, "-o", tmp_path / "x.{n_chan}.h5", "--n-chan", "64,128",
                    "--compression", "none")
    wait_for_files(tmp_path, process, 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert os.listdir(tmp_path) == []
