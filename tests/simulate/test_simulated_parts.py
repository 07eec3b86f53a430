"""Parts, workers, losses, quantisation and the files themselves."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from math import erfc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsig.axes import validity
from fastsig.errors import OutputError, UsageError
from fastsig.io.opening import open_stream
from fastsig.products.info import info
from fastsig.simulate import (
    Burst,
    Carrier,
    Diode,
    FastVoltage,
    Line,
    Loss,
    Pulsar,
    RfiBurst,
    Source,
    fast_voltage,
)

ALL: dict[str, Any] = {
    "fstart": "1404MHz", "bandwidth": "16MHz", "seed": 5,
    "diode": Diode("high", 100_000, 30_000, 17), "source": Source("6K", "1K", "-2K", "3K"),
    "line": Line("30K", "20km/s", velocity="200km/s"),
    "pulsar": Pulsar("3ms", 30, peak="40K", linear=0.5, angle="20deg", circular=0.2),
    "burst": Burst("4ms", "0.3ms", 60, peak="50K"),
    "carriers": [Carrier("1406MHz", 0.2, "1MHz/s", "30deg"), Carrier("1412MHz", 0.1)],
    "rfi": [RfiBurst("8ms", "1ms", "1415MHz", "1416MHz", "100K")],
    "loss": Loss(0.05, "X:10-20+Y:0"),
}


@pytest.fixture(scope="module")
def recording() -> FastVoltage:
    """Make a recording with one of everything, longer than a segment."""
    return FastVoltage(duration="20ms", **ALL)


@pytest.fixture(scope="module")
def whole(recording: FastVoltage) -> np.ndarray:
    """All of its samples."""
    return recording.generate(0, recording.n_time)[0]


PARTS = [(0, 1), (262_143, 2), (262_144, 1000), (4_095, 300_000), (639_999, 1)]


@pytest.mark.parametrize(("start", "n"), PARTS)
def test_any_part_has_the_same_bytes(
    recording: FastVoltage, whole: np.ndarray, start: int, n: int
) -> None:
    data, valid = recording.generate(start, n)
    _, full = recording.generate(0, recording.n_time)
    np.testing.assert_array_equal(data, whole[start : start + n])
    for part, all_spans in zip(valid, full, strict=True):
        np.testing.assert_array_equal(part, validity.clip(all_spans, start, start + n))


@pytest.mark.parametrize("workers", [1, 3])
def test_file_is_the_same_for_any_number_of_workers(
    tmp_path: Path, whole: np.ndarray, workers: int
) -> None:
    path, counted = tmp_path / "a.h5", []
    report = fast_voltage(path, duration="20ms", workers=workers, progress=counted.append, **ALL)
    stream = open_stream(path)
    block = stream.read_block(0, stream.shape[0])
    np.testing.assert_array_equal(block.data, whole)
    stream.verify()
    stream.close()
    assert sum(counted) == whole.nbytes
    assert report.n_time == len(whole)
    lost = [len(whole) - validity.count(spans) for spans in block.valid]
    assert report.n_lost == tuple(lost)
    reference = tmp_path / "b.h5"
    fast_voltage(reference, duration="20ms", workers=2, **ALL)
    assert digest(path) == digest(reference)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_seed_decides_the_noise() -> None:
    first, second, again = (
        FastVoltage(duration="10us", seed=seed).generate(0, 10_000)[0] for seed in (1, 2, 1))
    np.testing.assert_array_equal(first, again)
    share = (first == second).mean()
    assert share < 0.05


def test_neighbouring_segments_are_not_correlated() -> None:
    x = FastVoltage(duration="1ms", bandpass="flat").generate(0, 2**19)[0].astype(float)
    first, second = x[: 2**18, 0], x[2**18 :, 0]
    for lag in (-1, 0, 1, 4096, 8192):
        found = np.mean(first * np.roll(second, lag)) / 400
        assert abs(found) < 5 / 2**9


def test_no_samples_are_no_samples(recording: FastVoltage) -> None:
    data, valid = recording.generate(5, 0)
    assert data.shape == (0, 2)
    assert [len(spans) for spans in valid] == [0, 0]


def test_samples_outside_are_refused(recording: FastVoltage) -> None:
    for start, n in ((-1, 5), (recording.n_time, 1), (0, recording.n_time + 1), (3, -1)):
        with pytest.raises(UsageError, match="outside"):
            recording.generate(start, n)


def test_lost_packets_are_zero_and_outside_the_valid_spans() -> None:
    loss = Loss(0.1, (("X", 100, 130), ("Y", 7, 7)))
    made = FastVoltage(duration="5ms", loss=loss, level=5000)
    data, valid = made.generate(0, made.n_time)
    firsts = np.arange(0, made.n_time, 4096)
    for pol, (forced, spans) in enumerate(zip((range(100, 131), [7]), valid, strict=True)):
        inside = np.zeros(made.n_time, bool)
        for low, high in spans:
            inside[low:high] = True
            assert low % 4096 == 0
            assert high % 4096 == 0 or high == made.n_time
        assert not data[~inside, pol].any()
        assert (data[inside, pol] != 0).mean() > 0.999  # such a gain leaves next to no zero
        lost = ~np.logical_or.reduceat(inside, firsts)
        assert lost[list(forced)].all()
        others = np.delete(lost, list(forced))
        error = np.sqrt(0.1 * 0.9 / len(others))
        assert abs(others.mean() - 0.1) < 5 * error


def test_losses_of_the_polarisations_are_independent() -> None:
    made = FastVoltage(duration="1000s", loss=Loss(0.2))
    start = 4096 * 10**8
    x, y = (made._valid(pol, start, 4096 * 40_000) for pol in range(2))
    n = 40_000
    for spans, share in ((x, 0.8), (y, 0.8), (validity.intersect(x, y), 0.64)):
        kept = validity.count(spans) / 4096 / n
        assert abs(kept - share) < 5 * np.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize("level", [50, 90])
def test_clipping_and_its_share(level: int, tmp_path: Path) -> None:
    report = fast_voltage(tmp_path / "a.h5", duration="4ms", fstart="1404MHz", bandwidth="16MHz",
                          bandpass="flat", level=level)
    stream = open_stream(tmp_path / "a.h5")
    data = stream.read_block(0, stream.shape[0]).data
    stream.close()
    assert (data.min(), data.max()) == (-128, 127)
    told = stream.truth["quantisation"]["clipped_share_xy_expected"]
    scale = level * 2**0.5
    expected = (erfc(127.5 / scale) + erfc(128.5 / scale)) / 2
    assert told == pytest.approx([expected, expected])
    error = np.sqrt(expected / report.n_time)
    for count in report.n_clipped:
        assert abs(count / report.n_time - expected) < 5 * error


def test_samples_are_rounded_to_the_nearest() -> None:
    made = FastVoltage(duration="1ms", level=3)
    data = made.generate(0, made.n_time)[0]
    signal = np.zeros((2, made.n_time), np.float32)
    made._layers[0].add(signal, 0)
    np.testing.assert_array_equal(data.T, np.rint(signal))
    assert np.var(data) == pytest.approx(9 + 1 / 12, rel=0.01)


def test_header_and_truth_are_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    fast_voltage(path, duration="9ms", sideband="lower", start_time="2025-05-06T07:08:09.1", **ALL)
    stream = open_stream(path)
    told = stream.truth
    stream.close()
    fields = info(path)
    assert (fields["telescope"], fields["beam"], fields["source"]) == ("FAST", 1, "SIMULATED")
    assert fields["start_time"] == "2025-05-06T07:08:09.100000000"
    assert fields["frequency_mhz"] == [1404.0, 1420.0]
    assert (fields["sideband"], fields["n_bits"], fields["n_time"]) == ("lower", 8, 288_000)
    assert stream.header.sample_rate == 32_000_000
    assert told == json.loads(json.dumps(FastVoltage(
        duration="9ms", sideband="lower", **ALL).truth))
    assert set(told["components"]) == set(ALL) - {"fstart", "bandwidth", "seed"}
    assert told["components"]["loss"]["packets"] == [["X", 10, 20], ["Y", 0, 0]]
    constant = told["components"]["pulsar"]["dispersion_constant_mhz2_cm3_s_pc"]
    assert Fraction(constant) == 1 / Fraction("0.000241")


def test_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="overwrite"):
        fast_voltage(path, duration="1us")
    assert path.read_bytes() == b"mine"
    fast_voltage(path, duration="1us", overwrite=True)
    assert info(path)["n_time"] == 1000


def test_a_failing_callback_leaves_nothing(tmp_path: Path) -> None:
    def fail(n: int) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fast_voltage(tmp_path / "a.h5", duration="2ms", workers=2, progress=fail)
    assert not list(tmp_path.iterdir())
