"""Aligned spectra and series of the band against float64 twins, however they are read."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import astropy.units as u
import h5py
import numpy as np
import pytest
from dispersed import AXIS, N, chain, head, shifts, twin, values
from streams import CountedSpectra, MemorySpectra
from thorough import thorough
from verb_examples import RowWeights

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.time import elapsed
from fastsig.run import fitting
from fastsig.run.fusing import fuse
from fastsig.stages import delay_sums
from fastsig.stages.series import FusedSeries
from fastsig.stream import Block

EXAMPLE: dict[str, Any] = {"dm": 1}

@pytest.mark.parametrize("dm", [0, 0.5, 3, 12.5])
def test_each_channel_is_shifted_by_its_delay(dm: float) -> None:
    made = chain().dedisperse(dm)
    found = made.read()
    expected = twin(values(), shifts(dm))
    np.testing.assert_array_equal(found.values, expected)
    np.testing.assert_array_equal(np.broadcast_to(found.weight, expected.shape),
                                  np.isfinite(expected))
    assert made.stream.overlap == (0, shifts(dm)[0])
    assert made.header.dm == dm and made.header.start_time == chain().start_time


def test_weights_are_shifted_with_the_values() -> None:
    data = values(lost=0)
    made = chain(data, RowWeights).dedisperse(3)
    weight = np.broadcast_to((np.arange(N) % 3 / 2)[:, None, None], data.shape)
    expected = np.nan_to_num(twin(np.where(weight > 0, weight, np.nan), shifts(3)))
    np.testing.assert_array_equal(made.read().weight, expected)


def test_a_negative_measure_restores_what_was_removed() -> None:
    there = chain().dedisperse(3)
    back = there.dedisperse(-3, allow_negative=True)
    assert back.header.dm == 0 and back.stream.overlap == (shifts(3)[0], 0)
    data, most = back.read().values, shifts(3)[0]
    np.testing.assert_array_equal(data[most:], values()[most:])


def test_times_are_those_at_the_reference_frequency() -> None:
    plain, top = chain(), (AXIS.first_hz + 23 * AXIS.step_hz) / 10**6
    for ref, mhz in (("infinity", None), ("300MHz", 300), (500 * u.MHz, 500)):
        made = plain.dedisperse(12.5, ref=ref)
        beyond = Fraction(0) if mhz is None else 1 / Fraction(mhz) ** 2
        late = Fraction(25, 2) / Fraction("2.41e-4") * (beyond - 1 / top**2)
        assert abs(elapsed(plain.start_time, made.start_time) - late) < Fraction(1, 10**11)
        np.testing.assert_array_equal(made.read().values, plain.dedisperse(12.5).read().values)
        assert made.header.dm_reference_hz == (None if mhz is None else mhz * 10**6)


@pytest.mark.parametrize(("first", "second"), [("top", None), ("infinity", None),
                                               ("top", "infinity"), ("300MHz", "500MHz")])
def test_a_second_measure_is_added(first: str, second: str | None) -> None:
    twice = chain().dedisperse(2, ref=first).dedisperse(4.5, ref=second)
    once = chain().dedisperse(6.5, ref=first if second is None else second)
    assert twice.header.dm == 6.5 and twice.header.dm_reference_hz == once.header.dm_reference_hz
    assert abs(elapsed(twice.start_time, once.start_time)) < Fraction(1, 10**11)
    np.testing.assert_array_equal(twice.stream.shift, shifts(4.5))
    with pytest.raises(fs.UsageError, match="allowed: 4149.37759, with which"):
        chain().dedisperse(2).dedisperse(1, constant=4148.808)


def test_the_constant_is_stated() -> None:
    made = chain().dedisperse(12, constant="4148.808")
    assert made.header.dispersion_constant == Fraction("4148.808")
    assert made.stream.parameters()["constant"] == "518601/125"
    assert "4149" not in str(made.stream.parameters())


@pytest.mark.parametrize(("dm", "message"), [
    (-1, "dm = -1; allowed: 0 to 1000000"), (np.nan, "dm = nan"), (1e9, "allowed: 0 to 1000000"),
    (5000, "dm = 5000 delays the lowest channel by .* spectra; allowed: less than the length of "
     "the data, 700 spectra"), ("5 s", "dm"), (None, "dm"),
    (1j, "dm = 1j is not a dispersion measure")])
def test_measures_that_are_refused(dm: Any, message: str) -> None:
    with pytest.raises(fs.UsageError, match=message):
        chain().dedisperse(dm)


def test_a_reference_with_a_start_time_that_is_no_date_is_refused() -> None:
    with pytest.raises(fs.UsageError, match="ref = 1Hz with a dispersion measure of 12 changes the "
                                            "start time by 4.98e.16 s; allowed: up to 1e.09 s"):
        chain().dedisperse(12, ref="1Hz")


def test_spectra_that_are_refused() -> None:
    one = MemorySpectra(values()[:, :, :1], head(AXIS.averaged(24)))
    with pytest.raises(fs.UsageError, match="memory: has one channel"):
        fs.Chain(one).dedisperse(1)
    unknown = MemorySpectra(values(), head().replace(channels=None))
    with pytest.raises(fs.FormatError, match="does not state its sky frequency"):
        fs.Chain(unknown).dedisperse(1)
    low = ChannelAxis(Fraction(0), Fraction(10**6), 24)
    with pytest.raises(fs.UsageError, match="above 0"):
        fs.Chain(MemorySpectra(values(), head(low))).dedisperse(1)


def test_spectra_without_the_lower_channels_can_be_dropped() -> None:
    made = chain(values(lost=0)).dedisperse(12.5, last="drop")
    whole = chain(values(lost=0)).dedisperse(12.5)
    n = N - shifts(12.5)[0]
    assert made.shape == (n, 2, 24) and np.isfinite(made.read().values).all()
    np.testing.assert_array_equal(made.read().values, whole.read(0, n).values)
    series, all_rows = made.to_series().read(), whole.to_series().read(0, n)
    np.testing.assert_array_equal(series.values, all_rows.values)
    assert (series.weight == 1).all()
    for last, dm in (("drop", -1), ("trim", 1)):
        with pytest.raises(fs.UsageError, match="last = "):
            chain().dedisperse(dm, last=last, allow_negative=True)


# Series of the band.

def series(data: np.ndarray, weight: np.ndarray | None = None) -> tuple[Any, Any]:
    """Weighted means over the channels, and mean weights, in float64."""
    weight = np.isfinite(data).astype(float) if weight is None else weight
    total = (np.nan_to_num(data.astype(np.float64)) * weight).sum(axis=2)
    with np.errstate(invalid="ignore"):
        return total / weight.sum(axis=2), weight.mean(axis=2)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("lost", [0, 0.05])
def test_a_series_is_the_weighted_mean_of_the_channels(fused: bool, lost: float) -> None:
    made: Any = chain(values(lost=lost)).dedisperse(12.5).to_series()
    stream = fuse(made.stream) if fused else made.stream
    assert isinstance(stream, FusedSeries) == fused
    block = stream.read_block(0, N)
    mean, weight = series(twin(values(lost=lost), shifts(12.5)))
    np.testing.assert_allclose(block.data[:, :, 0], mean, rtol=3e-7)
    np.testing.assert_allclose(block.valid[:, :, 0], weight, rtol=1e-7)
    assert made.header.dm == 12.5 and made.shape == (N, 2, 1)
    assert made.header.channels.edges_hz == AXIS.edges_hz


@pytest.mark.parametrize("made", [MemorySpectra, RowWeights])
def test_series_have_the_same_bits_fused_or_not_and_in_any_pieces(
        made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delay_sums, "_RUN_BYTES", 20_000)
    source = chain(values(lost=0.05 if made is MemorySpectra else 0), made)
    plain = source.dedisperse(7.7).to_series().stream
    whole = plain.read_block(0, N)
    stream = fuse(plain)
    for start, stop in ((0, 100), (100, 101), (101, 350), (90, 99), (350, N), (600, 650), (5, 5)):
        block = stream.read_block(start, stop - start)
        np.testing.assert_array_equal(block.data, whole.data[start:stop])
        np.testing.assert_array_equal(block.valid, whole.valid[start:stop])


def test_weights_that_become_fractions_later() -> None:
    """Counting valid samples gives way to sums of weights, without another result."""
    class Later(RowWeights):
        def _values(self, start: int, n: int) -> Any:
            rows = np.arange(start, start + n)
            weight = np.where(rows < 300, rows % 2, 0.25)[:, None, None]
            return self.spectra[start : start + n].copy(), weight.astype(np.float32)

    plain = chain(values(lost=0), Later).dedisperse(7.7).to_series().stream
    whole, stream = plain.read_block(0, N), fuse(plain)
    for start in range(0, N, 50):
        block: Block = stream.read_block(start, 50)
        np.testing.assert_array_equal(block.data, whole.data[start : start + 50])
        np.testing.assert_array_equal(block.valid, whole.valid[start : start + 50])


def test_a_series_reads_each_row_once_in_a_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                ) -> None:
    monkeypatch.setattr(fitting, "_UNIT_BYTES", 40_000)
    source = CountedSpectra(values(6000), head())
    made = fs.Chain(source).dedisperse(12.5).to_series()
    made.write(tmp_path / "fused.h5", workers=1)
    assert source.rows_read == 6000
    made.write(tmp_path / "plain.h5", workers=2, fused=False)
    made.write(tmp_path / "threads.h5", workers=3)
    found = [(tmp_path / f"{name}.h5").read_bytes() for name in ("fused", "plain", "threads")]
    assert found[0] == found[1] == found[2]


def test_a_block_that_fails_leaves_the_others_right() -> None:
    class Failing(MemorySpectra):
        fails = False

        def read_block(self, start: int, n: int, out: Any = None) -> Block:
            if self.fails:
                raise fs.DataError("memory", "lost")
            return super().read_block(start, n, out)

    made: Any = chain(values(), Failing)
    plain = made.dedisperse(7.7).to_series().stream
    whole, stream = plain.read_block(0, N), fuse(plain)
    stream.read_block(0, 100)
    made.stream.fails = True
    with pytest.raises(fs.DataError):
        stream.read_block(100, 100)
    made.stream.fails = False
    np.testing.assert_array_equal(stream.read_block(100, 100).data, whole.data[100:200])


@pytest.mark.parametrize("last", ["keep", "drop"])
def test_columns_are_those_of_the_highest_channel(last: str, tmp_path: Path) -> None:
    class WithColumn(MemorySpectra):
        @property
        def columns(self) -> dict[str, str]:
            return {"az_deg": "deg"}

        def read_columns(self, start: int, n: int) -> dict[str, np.ndarray]:
            return {"az_deg": np.arange(start, start + n) / 4}

    made = chain(values(), WithColumn).dedisperse(12.5, last=last).to_series()
    for fused in (False, True):
        made.write(tmp_path / f"{fused}.h5", fused=fused)
        with fs.open(tmp_path / f"{fused}.h5") as again:
            column = again.stream.read_columns(5, 3)["az_deg"]
        np.testing.assert_array_equal(column, [1.25, 1.5, 1.75])


def test_a_series_of_one_channel_is_that_channel() -> None:
    one = fs.Chain(MemorySpectra(values()[:, :, :1], head(AXIS.averaged(24)))).to_series().read()
    np.testing.assert_array_equal(one.values, values()[:, :, :1])


# Before and after other stages.

def test_before_and_after_selections_and_integration() -> None:
    plain, expected = chain(), twin(values(), shifts(12.5))
    cut = plain[100:, "400MHz":]  # type: ignore[misc]
    axis = cut.header.channels
    np.testing.assert_array_equal(
        cut.dedisperse(12.5).read().values, twin(values()[100:, :, -axis.n_chan:],
                                                 shifts(12.5, axis)))
    after = plain.dedisperse(12.5)[100:200, 3:9, "BB"]
    np.testing.assert_array_equal(after.read().values, expected[100:200, 1:2, 3:9])
    assert after.header.dm == 12.5
    integrated = plain.dedisperse(12.5).integrate(n_int=10, n_freq=4).read()
    groups = np.nan_to_num(expected).reshape(70, 10, 2, 6, 4).sum(axis=(1, 4))
    counts = np.isfinite(expected).reshape(70, 10, 2, 6, 4).sum(axis=(1, 4))
    there = counts > 0
    np.testing.assert_allclose(integrated.values[there], groups[there] / counts[there], rtol=1e-6)
    np.testing.assert_allclose(integrated.weight, counts / 40, rtol=1e-6)


def test_the_same_bytes_fused_or_not(tmp_path: Path) -> None:
    plain = chain()
    for number, made in enumerate((
            plain.flag(clip=4, n_segment=100).dedisperse(12.5).integrate(n_int=8),
            plain.dedisperse(12.5).flag(clip=4, n_segment=100),
            plain.flag(clip=4, n_segment=100).dedisperse(12.5).to_series(),
            plain.integrate(n_int=2).dedisperse(30).to_series().integrate(n_int=3),
            plain.dedisperse(12.5)[50:600].to_series())):
        paths = [tmp_path / f"{number}{fused}.h5" for fused in (True, False)]
        for path, fused in zip(paths, (True, False), strict=True):
            made.write(path, fused=fused)
        assert paths[0].read_bytes() == paths[1].read_bytes()


STEPS: dict[str, Any] = {
    "dedisperse": lambda made: made.dedisperse(12.5),
    "integrate": lambda made: made.integrate(n_int=3),
    "cut": lambda made: made[20 * u.ms : 600 * u.ms, "391MHz":"409MHz"],  # type: ignore[misc]
    "flag": lambda made: made.flag(clip=4, n_segment=50),
}


ORDERS = [pytest.param(order, marks=[thorough] * (number % 5 > 0), id=" ".join(order))
          for number, order in enumerate(permutations(STEPS))]


@pytest.mark.parametrize("order", ORDERS)
def test_any_order_of_stages_gives_the_same_bytes_fused_or_not(
        order: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_UNIT_BYTES", 20_000)  # several units
    made: Any = chain()
    for name in order:
        made = STEPS[name](made)
    for each, name in ((made, "spectra"), (made.to_series(), "series")):
        each.write(tmp_path / f"{name}.h5", workers=3)
        each.write(tmp_path / f"{name}_apart.h5", workers=1, fused=False)
        fused, apart = ((tmp_path / f"{name}{end}.h5").read_bytes() for end in ("", "_apart"))
        assert fused == apart
        with fs.open(tmp_path / f"{name}.h5") as again:
            stages = [one["stage"] for one in again.stream.provenance["stages"]]
            assert again.header.dm == 12.5
            np.testing.assert_array_equal(again.read().values, each.read().values)
        assert stages[:4] == [{"cut": "select"}.get(name, name) for name in order]
    is_last = order[-1] == "dedisperse"
    assert isinstance(fuse(made.to_series().stream), FusedSeries) == is_last


def test_the_product_states_measure_constant_and_reference(tmp_path: Path) -> None:
    chain().dedisperse(12.5, ref="infinity").write(tmp_path / "a.h5")
    with fs.open(tmp_path / "a.h5") as again:
        assert (again.header.dm, again.header.dm_reference_hz) == (12.5, None)
        assert again.header.dispersion_constant == 1 / Fraction("2.41e-4")
        stage = again.stream.provenance["stages"][-1]
    with h5py.File(tmp_path / "a.h5") as file:
        attributes = file["data"].attrs
        assert attributes["refdm"] == 12.5 and np.isinf(attributes["dm_reference_mhz"])
        assert attributes["dispersion_constant"] == pytest.approx(1 / 2.41e-4)
    assert stage["stage"] == "dedisperse" and stage["parameters"]["dm"] == 12.5
    assert stage["parameters"]["reference_hz"] == "infinity"
