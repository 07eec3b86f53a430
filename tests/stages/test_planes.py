"""DM-time planes against series of single dispersion measures, and sums along stated tracks."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from dispersed import AXIS, N, chain, head, values
from streams import CountedSpectra, MemorySpectra
from verb_examples import RowWeights

import fastsig as fs
from fastsig.io.planes import writer as plane_writer
from fastsig.run import fitting, plane_file
from fastsig.stages import delay_sums, planes
from fastsig.stages.planes import dms_of
from fastsig.stream import Codes

EXAMPLE: dict[str, Any] = {"dms": "0:2:0.5"}


@pytest.mark.parametrize(("given", "found"), [
    ("0:2:0.5", [0, 0.5, 1, 1.5, 2]), ("1:2:0.3", [1, 1.3, 1.6, 1.9]), ([3, 4.5], [3, 4.5]),
    (475, [475]), ("475", [475]), (np.arange(3.0), [0, 1, 2]),
    (SimpleNamespace(dms=np.array([1.0, 2])), [1, 2]), ("0:0.3:0.1", [0, 0.1, 0.2, 0.3])])
def test_lists_of_measures(given: Any, found: Any) -> None:
    assert dms_of(given).tolist() == found


@pytest.mark.parametrize("given", [
    "", "0:1", "1:0:1", "0:1:0", "0:1:-1", "0:1e6:1e-3", [], [2, 1], [1, 1], [np.nan], [-1, 1],
    [[1, 2]], "0:nan:1", None, "0:1e9:1"])
def test_lists_that_are_refused(given: Any) -> None:
    with pytest.raises(fs.UsageError, match="dms"):
        dms_of(given)


@pytest.mark.parametrize("made", [MemorySpectra, RowWeights])
def test_exact_tracks_give_the_bits_of_single_measures(made: Any) -> None:
    source = chain(values(lost=0.05 if made is MemorySpectra else 0), made)
    found = source.planes([0, 2, 7.7]).read()
    for k, dm in enumerate((0, 2, 7.7)):
        single = source.dedisperse(dm).to_series().read()
        np.testing.assert_array_equal(found.values[:, :, k], single.values[:, :, 0])
        np.testing.assert_array_equal(found.valid[:, :, k], single.weight[:, :, 0])


def test_sums_are_those_along_the_tracks_of_the_tree() -> None:
    data = values()
    stream: Any = chain(data).planes("0:12:0.4").stream
    assert stream.track == "sample" and stream.shape == (N, 2, 31)
    block, plans = stream.read_block(0, N), stream._plans
    tracks = plans.take(1, "float32")[0].channel_delays()
    for k in (0, 7, 30):
        total, weight = np.zeros((2, N, 2))
        for c in range(24):
            rows = np.arange(N) + plans.offsets[k] - tracks[k, c]
            there = (rows >= 0) & (rows < N)
            part = data[rows[there], :, c]
            total[there] += np.nan_to_num(part)
            weight[there] += np.isfinite(part)
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(block.data[:, :, k], total / weight, rtol=1e-6)
        np.testing.assert_allclose(block.valid[:, :, k], weight / 24, rtol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-128, 127), (0, 65535)])
@pytest.mark.parametrize("lost", [0, 0.05])
def test_codes_give_the_same_bits_as_floats(low: int, high: int, lost: float) -> None:
    class Coded(MemorySpectra):
        def codes(self) -> Codes:
            return Codes(low, high)

    data = np.random.default_rng(4).integers(low, high + 1, (N, 1, 24)).astype(np.float32)
    data[np.random.default_rng(5).random(data.shape) < lost] = np.nan
    coded, floats = chain(data, Coded), chain(data)
    assert delay_sums.kind_of(coded.stream) == {  # type: ignore[arg-type]
        255: "uint8", 127: "int8", 65535: "float32"}[high]
    for one, other in ((coded.planes("0:12:0.4"), floats.planes("0:12:0.4")),
                       (coded.dedisperse(7.7).to_series(), floats.dedisperse(7.7).to_series())):
        found, expected = one.read(), other.read()
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_array_equal(found.valid, expected.valid)


def test_flagged_codes_are_summed_as_codes() -> None:
    class Coded(MemorySpectra):
        def codes(self) -> Codes:
            return Codes(0, 255)

    data = np.random.default_rng(4).normal(100, 5, (N, 1, 24)).round().astype(np.float32)
    data[50:60, :, 5], data[::70, :, 9] = 250, 250
    found, expected = (chain(data, made).flag(clip=4, n_segment=100) for made in (
        Coded, MemorySpectra))
    assert delay_sums.kind_of(found.stream) == "uint8"  # type: ignore[arg-type]
    assert (found.read().weight == 0).any()
    for dms in ("0:12:0.4", [7.7]):
        one, other = found.planes(dms).read(), expected.planes(dms).read()
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.valid, other.valid)


def test_a_pulse_is_at_its_measure_and_time() -> None:
    shift = chain().dedisperse(8).stream.shift
    data = np.random.default_rng(5).normal(10, 1, (N, 1, 24))
    data[150 + shift, 0, np.arange(24)] += 8
    for track in ("sample", "half", "exact"):
        plane = chain(data).planes("0:12:0.4", track=track)
        found = plane.read().values[:600, 0]
        row, place = np.unravel_index(found.argmax(), found.shape)
        assert abs(row - 150) <= 1 and plane.stream.dms[place] == 8


@pytest.mark.parametrize("track", ["sample", "exact"])
def test_any_rows_in_any_order_are_those_of_the_whole(
        track: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delay_sums, "_MANY", 3)
    monkeypatch.setattr(delay_sums, "_MANY_ROWS", 13)
    monkeypatch.setattr(delay_sums, "_RUN_BYTES", 1)
    chain_: Any = chain().planes("0:12:1.5", track=track)
    whole = chain_.stream.read_block(0, N)
    stream = chain().planes("0:12:1.5", track=track).stream
    for start, stop in ((0, 100), (100, 101), (101, 350), (90, 99), (350, N), (1, 3), (650, 700)):
        block = stream.read_block(start, stop - start)
        np.testing.assert_array_equal(block.data, whole.data[start:stop])
        np.testing.assert_array_equal(block.valid, whole.valid[start:stop])


def test_losses_far_apart_have_their_weights() -> None:
    """Between them all samples are valid, and weights are not computed."""
    data = values(lost=0)
    data[[5, 300, 301, 690], :, [0, 23, 11, 4]] = np.nan
    stream: Any = chain(data).planes([0, 2, 7.7]).stream
    for start in range(0, N, 20):
        block = stream.read_block(start, 20)
        for k, dm in enumerate((0, 2, 7.7)):
            single: Any = chain(data).dedisperse(dm).to_series().stream.read_block(start, 20)
            np.testing.assert_array_equal(block.valid[:, :, k], single.valid[:, :, 0])
            np.testing.assert_array_equal(block.data[:, :, k], single.data[:, :, 0])


def test_the_file_of_a_plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_UNIT_BYTES", 30_000)
    monkeypatch.setattr(plane_writer, "SEGMENT", 128)
    monkeypatch.setattr(plane_file.PlaneFile, "segment", 128)
    source = CountedSpectra(values(), head())
    made: Any = fs.Chain(source).planes("0:12:0.4")
    product = made.write(tmp_path / "a.h5", workers=1)
    assert source.rows_read == N and product.files == [str(tmp_path / "a.h5")]
    made.write(tmp_path / "b.h5", workers=3, fused=False)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    block = made.read()
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["data"][()], np.moveaxis(block.values, 0, 2))
        np.testing.assert_array_equal(file["weights"][()], np.moveaxis(block.valid, 0, 2))
        np.testing.assert_array_equal(file["dm"][()], made.stream.dms)
        assert file["dm"].dtype == np.float64 and file["time"][1] == 1e-3
        attributes = dict(file["data"].attrs)
        record = json.loads(file["provenance"][()].tobytes())
    assert attributes["reference_mhz"] == float(AXIS.centers.value[-1])
    assert attributes["dispersion_constant"] == pytest.approx(1 / 2.41e-4)
    assert record["stages"][-1]["stage"] == "planes"
    assert record["stages"][-1]["parameters"]["track"] == "sample"


def test_measures_are_added_to_what_was_removed() -> None:
    aligned = chain().dedisperse(5, ref="infinity")
    stream: Any = aligned.planes([0, 2.5]).stream
    assert stream.dms.tolist() == [5, 7.5] and stream.header.dm is None
    assert stream.header.start_time == chain().start_time  # that of the highest channel


def test_what_is_refused(tmp_path: Path) -> None:
    for call, message in (
            (lambda: chain().planes("0:5000:1000"), "dm = 5000 delays the lowest channel by"),
            (lambda: chain().planes([1], track="tree"), "track = 'tree'; allowed: sample, half"),
            (lambda: chain().to_series().planes([1]), "has one channel"),
            (lambda: chain().planes(SimpleNamespace(dms=[1.0], sample_s=0.004)),
             r"spectra of 0.004 s, not 0.001 s; integrate\(n_int=4\) makes them"),
            (lambda: chain().planes([1]).write(tmp_path / "a.fil"), "planes are written as HDF5"),
            (lambda: chain().planes([1]).integrate(n_int=2), "requires spectra, not planes"),
            (lambda: chain().planes([1]).planes([1]), "planes requires spectra, not planes")):
        with pytest.raises(fs.UsageError, match=message):
            call()  # type: ignore[no-untyped-call]


def test_stretches_have_a_band_and_a_constant() -> None:
    plan = fs.dm_plan(chain(), (0, 2), constant=4148.808)
    found = chain().planes(plan)
    assert found.header.dispersion_constant == Fraction("4148.808")
    with pytest.raises(fs.UsageError, match="the plan is for 24 channels at .*, not 12 at"):
        chain()[:, :12].planes(plan)


def test_data_have_weights() -> None:
    found = chain(values(lost=0)).planes([0, 12]).read()
    assert found.weight.shape == found.shape and found.weight[0].min() == 1
    assert found.weight[-1, 0, 1] < 1
    with pytest.raises(fs.UsageError, match=r"be drawn: allowed: chain.planes\(...\).plot"):
        found.plot()


def test_a_limit_of_memory_is_checked_before_trees_are_made(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: Any = chain().planes(np.arange(0, 20, 0.5))
    assert 0 < planned.stream.least_held_bytes < planned.stream.held_bytes
    again = chain().planes(np.arange(0, 20, 0.5))
    monkeypatch.setattr(delay_sums, "_plan", None)  # making a plan would fail
    with pytest.raises(fs.UsageError, match="memory=.1MB. is below the floor of this plan, .*MB "
                                            "or more"):
        again.write(tmp_path / "a.h5", memory=10**6)
    assert not list(tmp_path.iterdir())


def test_sums_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = chain().planes(np.arange(0, 20, 0.5))
    monkeypatch.setattr(planes, "available_bytes", lambda: 10**4)
    with pytest.raises(fs.UsageError, match="sums for 40 dispersion measures up to 19.5 hold .* GB "
                                            "or more, and 1e-05 GB are available; allowed: fewer"):
        planned.read()
