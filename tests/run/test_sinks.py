"""Sinks: several on one pass give what each gives alone, and the file is read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stages_made import Delayed
from streams import CountedSpectra, MemorySpectra, MemoryVoltages, header, lose_packets, noise
from test_resolutions import Spied

import fastsig as fs
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.chain import spectra
from fastsig.run import fitting, keeping
from fastsig.run.engine import execute, run
from fastsig.run.flag_shares import ShareCounter
from fastsig.run.lanes import sharing, whole_steps
from fastsig.run.plan import plan
from fastsig.run.products import products
from fastsig.stages.baseline import Baseline
from fastsig.stages.flag import Flag
from fastsig.stream import Aligned, Block, Sink, Stream, kept
from fastsig.view import baseline_rows, flag_pixels

N = 200_000


class Total(Sink):
    """The sum of all samples, in segments: what the company of others may not change."""

    name = "sum"
    segment = 37

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self.total, self.starts, self.lengths = np.float32(0), [], []

    def partial(self, block: Block) -> Any:
        return block.start, block.n, np.float32(np.nansum(block.data, dtype=np.float32))

    def merge(self, part: Any) -> None:
        start, n, total = part
        self.starts.append(start)
        self.lengths.append(n)
        self.total += total

    def finish(self, n_rows: int) -> Any:
        assert self.starts == list(range(0, n_rows, self.segment))
        assert set(self.lengths[:-1]) == {self.segment} and sum(self.lengths) == n_rows
        return self.total


class Smoothed(Sink):
    """A mean that forgets: state that is carried from row to row."""

    name = "smooth"
    ordered = True

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self.state = np.zeros(stream.shape[1:])
        self.row = 0

    def merge(self, part: Block) -> None:
        assert part.start == self.row
        self.row += part.n
        for row in np.nan_to_num(part.data):
            self.state = 0.9 * self.state + row

    def finish(self, n_rows: int) -> Any:
        assert self.row == n_rows
        return self.state


class Scatter(Sink):
    """The mean in a first pass, the mean square about it in a second."""

    name = "scatter"
    segment = 64

    def __init__(self, stream: Stream, mean: float | None = None) -> None:
        super().__init__(stream)
        self.mean, self.sum, self.count = mean, 0.0, 0

    def partial(self, block: Block) -> Any:
        values = block.data[np.isfinite(block.data)].astype(np.float64)
        values = values if self.mean is None else (values - self.mean) ** 2
        return values.sum(), values.size

    def merge(self, part: Any) -> None:
        self.sum += part[0]
        self.count += part[1]

    def finish(self, n_rows: int) -> float:
        return self.sum / self.count

    def then(self, result: float) -> Any:
        return () if self.mean is not None else (Scatter(self.stream, result),)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_UNIT_BYTES", 40_000)
    monkeypatch.setattr(kept, "_PAGE_BYTES", 10_007)


def source() -> Spied:
    rng = np.random.default_rng(3)
    return Spied(noise(rng, N), header(), lose_packets(rng, N, 0.05, 4096))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("workers", [1, 3])
def test_three_sinks_read_the_file_once(workers: int, tmp_path: Path) -> None:
    def sinks(voltages: Any, folder: Path) -> list[Sink]:
        folder.mkdir()
        chains = [spectra(voltages, 16, n_int=n_int, products="AABB").stream for n_int in (10, 10)]
        chains.append(spectra(voltages, 64, n_int=3, products="AABB").stream)
        return [*products(chains[:1], [folder / "x.h5"]), Total(chains[1]), Smoothed(chains[2]),
                ShareCounter(chains[0])]

    voltages = source()
    together = run(sinks(voltages, tmp_path / "a"), workers=workers)
    assert voltages.bytes_read <= N * voltages.row_bytes
    alone = [run([sink])[0] for sink in sinks(source(), tmp_path / "b")]
    assert (tmp_path / "a" / "x.h5").read_bytes() == (tmp_path / "b" / "x.h5").read_bytes()
    assert together[1].tobytes() == alone[1].tobytes()
    np.testing.assert_array_equal(together[2], alone[2])
    np.testing.assert_array_equal(together[3].time, alone[3].time)


def many_rows(n: int = 6000) -> CountedSpectra:
    data = np.random.default_rng(4).normal(100, 1, (n, 1, 16)).astype(np.float32)
    return CountedSpectra(data, header(1000, n_chan=16).replace(
        polarization=PolBasis("linear", PRODUCTS["I"]), n_bits=32))


@pytest.mark.usefixtures("small")
def test_pictures_ride_with_what_is_written(tmp_path: Path) -> None:
    """Flags and baselines are drawn from the pass that writes: the file is read once."""
    source = many_rows()
    after = Flag(source, sum_threshold=0)
    seen = run([*products([after], [tmp_path / "x.h5"]), *flag_pixels(source, after)])[1:]
    assert source.rows_read == source.shape[0]
    assert len(seen) == 4  # pixels before and after, and the fractions
    for stream, cells in zip((source, after), seen[:2], strict=True):
        np.testing.assert_array_equal(cells.values, run(flag_pixels(stream, stream))[0].values)
    source = many_rows()
    stage = Baseline(source, "polynomial")
    left, removed = stage.kept()
    made = products([left, removed], [tmp_path / "left.h5", tmp_path / "removed.h5"])
    rows = run([*made, baseline_rows(left.source)])[-1]
    assert source.rows_read == source.shape[0]
    assert (rows.start, rows.n) == ((6000 - 256) // 2, 256)
    expected = [block.data for block in stage.both(rows.start, rows.n)]
    np.testing.assert_array_equal(rows.data, np.concatenate(expected, axis=1))


@pytest.mark.usefixtures("small")
def test_a_sink_asks_for_a_second_pass() -> None:
    voltages = source()
    chain = spectra(voltages, 16, n_int=5).stream
    calls: list[str] = []
    scatter, total = run([Scatter(chain), Total(chain)], workers=2,
                         progress=lambda name, n, total: calls.append(name))
    data = chain.read_block(0, chain.shape[0]).data
    finite = data[np.isfinite(data)].astype(np.float64)
    assert scatter == pytest.approx(finite.var(), rel=1e-9)
    assert total == pytest.approx(np.float64(finite.sum()), rel=1e-4)
    assert list(dict.fromkeys(calls)) == ["scatter and sum", "scatter"]


class Coincident(Sink):
    """Rows in which both of two aligned beams are valid, and the sum of their product."""

    name = "coincidence"

    def __init__(self, stream: Aligned) -> None:
        super().__init__(stream)
        self.rows, self.sum = 0, 0.0

    def partial(self, block: Block) -> Any:
        one, two = block.data
        both = (block.valid[0] > 0).all(axis=(1, 2)) & (block.valid[1] > 0).all(axis=(1, 2))
        return int(both.sum()), float((one[both] * two[both]).sum(dtype=np.float64))

    def merge(self, part: Any) -> None:
        self.rows += part[0]
        self.sum += part[1]

    def finish(self, n_rows: int) -> tuple[int, int, float]:
        return n_rows, self.rows, self.sum


def beams(late: int = 7) -> tuple[MemorySpectra, MemorySpectra]:
    rng = np.random.default_rng(1)
    about = header(1000, n_chan=4).replace(polarization=PolBasis("linear", PRODUCTS["I"]),
                                           n_bits=32)
    one, two = (rng.normal(10, 1, (n, 1, 4)).astype(np.float32) for n in (500, 450))
    first = MemorySpectra(one, about)
    return first, MemorySpectra(two, about.later(first.time_of(late), late / about.sample_rate))


@pytest.mark.usefixtures("small")
def test_aligned_beams() -> None:
    one, two = beams()
    pair = Aligned([one, two], ["M01", "M02"])
    assert pair.shape[0] == 500 and pair.offsets == (0, 7)
    n_rows, rows, total = run([Coincident(pair)], workers=2)[0]
    assert (n_rows, rows) == (500, 450)
    assert total == pytest.approx(
        float((one.spectra[7:457] * two.spectra).sum(dtype=np.float64)), rel=1e-12)
    block = pair.read_block(3, 10)
    assert np.isnan(block.data[1][:4]).all() and (block.valid[1][:4] == 0).all()
    np.testing.assert_array_equal(block.data[1][4:], two.spectra[:6])


def test_aligned_stages_and_voltages_lacking_rows() -> None:
    rng = np.random.default_rng(2)
    about = header()
    one = MemoryVoltages(noise(rng, 300), about)
    two = MemoryVoltages(noise(rng, 100), about.later(one.time_of(50), 50 / about.sample_rate))
    pair = Aligned([one, two])
    block = pair.read_block(0, 300)
    assert block.valid[1][0].tolist() == [[50, 150]] and block.valid[0][0].tolist() == [[0, 300]]
    np.testing.assert_array_equal(block.data[1][50:150], two.samples)


def test_aligned_refuses() -> None:
    one, two = beams()
    other = MemorySpectra(two.spectra, two.header.replace(sample_rate=two.header.sample_rate + 1))
    with pytest.raises(fs.PlanError, match="equal rates"):
        Aligned([one, other])
    late = one.header.sample_rate * 4
    between = MemorySpectra(two.spectra, one.header.later(
        one.start_time + 0.25 / float(one.header.sample_rate) * one.sample_rate.unit**-1, 1 / late))
    with pytest.raises(fs.PlanError, match="whole rows"):
        Aligned([one, between])
    with pytest.raises(fs.PlanError, match="throughout"):
        Aligned([one, source()])
    for names in (["a"], ["a", "a"]):
        with pytest.raises(fs.UsageError, match="a name for each"):
            Aligned([one, two], names)
    with pytest.raises(fs.UsageError, match="1 or more"):
        Aligned([])


def test_an_error_leaves_no_product_and_names_the_rows(tmp_path: Path) -> None:
    class Failing(Total):
        segment = None

        def merge(self, part: Any) -> None:
            raise fs.DataError("x", "cannot be merged")

    chain = spectra(source(), 16, n_int=10).stream
    with pytest.raises(fs.DataError, match="cannot be merged"):
        run([*products([chain], [tmp_path / "x.h5"]), Failing(chain)])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(fs.UsageError, match="1 or more"):
        run([])


class Ordered(Total):
    """Notes which file each part comes from."""

    def __init__(self, stream: Stream, number: int, parts: list[int]) -> None:
        super().__init__(stream)
        self.number, self.parts = number, parts

    def merge(self, part: Any) -> None:
        super().merge(part)
        self.parts.append(self.number)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("workers", [1, 3])
def test_files_are_read_one_after_the_other(workers: int) -> None:
    """Chains on one file run side by side; what one file kept is given back before the next."""
    files = [many_rows() for _ in range(4)]
    parts: list[int] = []
    sinks = [Ordered(file, number, parts) for number, file in enumerate(files)]
    more = [Ordered(Delayed(files[number], 300, 0), number, parts) for number in (2, 0)]
    run([*sinks, *more], workers=workers)
    assert parts == sorted(parts) and set(parts) == {0, 1, 2, 3}
    assert [file.rows_read for file in files] == [6000] * 4
    delayed = [Delayed(file, 300, 0) for file in files]
    one, all_of_them = (plan([Total(stream) for stream in streams], workers=workers)
                        for streams in (delayed[:1], delayed))
    assert one.kept_bytes > 0 and all_of_them.kept_bytes == 2 * one.kept_bytes
    assert all_of_them.shares() == one.shares() * 4 and not all_of_them.reads_again
    execute(all_of_them)
    assert [keeper.pages.loads > 0 for keeper in all_of_them.keepers] == [True] * 4


def test_thousands_of_files_are_planned_in_no_time() -> None:
    """Effort grows with their number, not with its square."""
    def comparisons(n: int) -> int:
        count = 0

        def equal(*_: Any) -> bool:
            nonlocal count
            count += 1
            return False

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keeping, "_is_equal", equal)
            files = [many_rows(1) for _ in range(n)]
            ready = plan([Total(Delayed(file, 0, 0)) for file in files], workers=1)
        assert len(ready.lanes) == n and sharing(ready.lanes) == [[each] for each in range(n)]
        return count

    assert comparisons(200) <= 2 * comparisons(100)


def test_aligned_files_are_read_together() -> None:
    one, two = beams()
    other = many_rows(500)
    ready = plan([Total(one), Total(other), Total(two), Coincident(Aligned([one, two]))])
    assert sharing(ready.lanes) == [[0, 2, 3], [1]]


def test_streams_without_an_end_are_read_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    live = [many_rows(500) for _ in range(2)]
    ready = plan([Total(each) for each in (live[0], many_rows(500), live[1])])
    assert sharing(ready.lanes) == [[0], [1], [2]]
    monkeypatch.setattr(CountedSpectra, "endless", property(lambda self: self in live))
    assert sharing(ready.lanes) == [[0, 2], [1]]


@pytest.mark.parametrize("step, align, rows, expected", [
    (1, 64, 10, 64), (1, 64, 1000, 64), (37, 1, 10, 37), (32, 64, 10, 64), (37, 64, 100, 37),
    (37, 64, 3000, 37 * 64)])
def test_units_are_whole_segments(step: int, align: int, rows: int, expected: int) -> None:
    """What streams do best with makes no unit long that sinks want in segments."""
    assert whole_steps(step, align, rows) == expected
