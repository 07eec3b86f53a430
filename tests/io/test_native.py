"""The native voltage file: round trips, versions, truncation, flipped bytes."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest
from fuzz import flips, outcomes, payload_of, truncations
from streams import header, lose_packets, noise, write_native

import fastsig as fs
from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.time import elapsed, parse_time
from fastsig.io.native import reader as native
from fastsig.io.native.writer import NativeWriter


@pytest.mark.parametrize("n_bits", [8, 16, 32])
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("n_chan", [1, 3])
@pytest.mark.parametrize("n_pol", [1, 2])
def test_round_trip(
    n_bits: int, is_complex: bool, n_chan: int, n_pol: int, tmp_path: Path,
    rng: np.random.Generator,
) -> None:
    head = header(Fraction(200, 3), is_complex=is_complex, n_bits=n_bits, n_chan=n_chan,
                  n_pol=n_pol, sideband="lower")
    head = head.replace(diode=DiodeSchedule(100, 50, 7), extra={"OBSERVER": "å", "LIST": [1, 2]})
    shape = (5001, n_pol, *([n_chan] if n_chan > 1 else []), *([2] if is_complex else []))
    dtype = {8: np.int8, 16: np.int16, 32: np.float32}[n_bits]
    data = rng.normal(0, 40, shape).astype(dtype)
    valid = tuple(np.array([[0, 40 + pol], [100, 5001]]) for pol in range(n_pol))
    path = write_native(tmp_path / "x.h5", data, head, valid)
    stream = native.open(path)
    expected = data[..., 0] + 1j * data[..., 1] if is_complex else data
    block = stream.read_block(0, 5001)
    for pol in range(n_pol):
        np.testing.assert_array_equal(block.data[100:, pol], expected[100:, pol])
        assert not block.data[40 + pol : 100, pol].any()
        assert block.valid[pol].tolist() == valid[pol].tolist()
    part = stream.read_block(3000, 77, np.empty((90, *stream.shape[1:]), stream.dtype))
    np.testing.assert_array_equal(part.data, expected[3000:3077])
    found = stream.header
    assert elapsed(found.start_time, head.start_time) == 0
    for field in ("sample_rate", "channels", "sideband", "polarization", "n_bits", "is_complex",
                  "telescope", "source", "beam", "ra_deg", "dec_deg", "diode", "extra"):
        assert getattr(found, field) == getattr(head, field), field
    stream.verify()


def test_equal_recordings_give_equal_bytes(tmp_path: Path, rng: np.random.Generator) -> None:
    data = noise(rng, 30_000)
    first, second = (write_native(tmp_path / name, data, header()) for name in ("a.h5", "b.h5"))
    assert first.read_bytes() == second.read_bytes()


def test_other_versions(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write_native(tmp_path / "x.h5", noise(rng, 1000), header())
    for version, fine in (("1.7", True), ("2.0", False), ("x", False)):
        with h5py.File(path, "a") as file:
            file.attrs["VERSION"] = np.bytes_(version)
        if fine:
            assert fs.open(path).shape == (1000, 2)
        else:
            with pytest.raises(fs.FormatError, match=r"x\.h5: .*version"):
                fs.open(path)


def test_overrides(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write_native(tmp_path / "x.h5", noise(rng, 1000), header())
    chain = fs.open(path, frequency="440MHz", sideband="lower", sample_rate="200/3",
                    start_time="2016-12-31T23:59:60.5", telescope="Parkes", source="Vela")
    assert chain.sample_rate.value == pytest.approx(200 / 3)
    assert chain.frequency.value == pytest.approx([440])
    assert float(chain.header.channels.step_hz) == pytest.approx(100 / 3)
    assert chain.header.sideband == "lower"
    assert chain.header.origin["sideband"] == "override"
    assert chain.header.origin["channels"] == "override"
    assert chain.header.telescope == "Parkes"
    since = elapsed(parse_time("2016-12-31T23:59:59"), chain.start_time)
    assert float(since) == pytest.approx(1.5, abs=1e-10)  # two-part days have steps of 5 ps
    for bad in ({"frequency": "3 s"}, {"sideband": "left"}, {"nonsense": "1"},
                {"sample_rate": "-4"}, {"start_time": "yesterday"}):
        with pytest.raises(fs.UsageError):
            fs.open(path, **bad)


def test_writer_refuses_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(fs.UsageError, match="8, 16 or 32 bits"):
        NativeWriter(tmp_path / "x.h5", header(n_bits=4), 10)
    with NativeWriter(tmp_path / "x.h5", header(), 10) as writer:
        with pytest.raises(fs.UsageError, match="rows of"):
            writer.append(np.zeros((10, 2), np.int16))
        with pytest.raises(fs.UsageError, match="more rows"):
            writer.append(np.zeros((11, 2), np.int8))
        writer.append(np.zeros((10, 2), np.int8))
    writer = NativeWriter(tmp_path / "y.h5", header(), 10)
    with pytest.raises(fs.UsageError, match="0 of 10 announced"):
        writer.close()
    assert os.listdir(tmp_path) == ["x.h5"]


def test_a_payload_flip_is_found_by_verify(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write_native(tmp_path / "x.h5", noise(rng, 40_000), header())
    stream = native.open(path)
    with open(path, "r+b") as file:
        file.seek(stream._offsets[1] + 12_345)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 4]))
    with pytest.raises(fs.DataError, match="polarisation 1 fails somewhere in samples 0 to 40000"):
        native.open(path).verify()


def test_truncations(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write_native(tmp_path / "x.h5", noise(rng, 3000), header())
    size = path.stat().st_size
    found = truncations(path, [0, 1, 8, 47, 48, size - 1, *rng.integers(0, size, 200)])
    assert set(found) == {"error"}, found


@pytest.mark.timeout(600)
def test_flipped_bytes_outside_the_payload(tmp_path: Path, rng: np.random.Generator) -> None:
    n = 3000
    path = write_native(tmp_path / "x.h5", noise(rng, n), header(), lose_packets(rng, n, 0.2, 64))
    found = outcomes(path, flips(path, payload_of(path), rng, 100))  # fuzz.py: 9000
    assert set(found) <= {"same", "error"}, found
    assert found["error"] > 10
