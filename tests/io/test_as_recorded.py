"""Samples that go to the kernels as recorded make the same bytes as those that are decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_dada as dada
from recordings import recorded
from streams import MemoryVoltages, header
from thorough import thorough

import fastsig as fs
from fastsig.axes import validity
from fastsig.io.raw.reader import described
from fastsig.io.vdif import reader as vdif
from fastsig.io.voltages.interleaved import InterleavedVoltages
from fastsig.run.products import write
from fastsig.stages.spectrometer import Spectrometer

N = 64_000
GAP = validity.as_spans([[0, 19_200], [25_600, N]])


def written(folder: Path, n_bits: int, is_complex: bool, n_pol: int, valid: Any) -> Path:
    """A VDIF file of Gaussian numbers of some bits."""
    rng = np.random.default_rng(n_bits)
    levels = vdif.LEVELS.get(n_bits) or np.arange(-2 ** (n_bits - 1), 2 ** (n_bits - 1))
    parts = [rng.choice(np.array(levels, "f4"), (N, n_pol)) for _ in range(2 if is_complex else 1)]
    data = (parts[0] + 1j * parts[1]).astype("c8") if is_complex else parts[0]
    for pol in range(n_pol):
        validity.zero_invalid(data[:, pol], valid, 0)
    stream = MemoryVoltages(data, header(is_complex=is_complex, n_bits=n_bits, n_pol=n_pol,
                                         start="2026-01-02T03:04:05"), (valid,) * n_pol)
    stream.may_have_nan, stream.levels = False, vdif.LEVELS.get(n_bits)
    path = folder / "x.vdif"
    write(stream, path, lossy=True, overwrite=True)
    return path


def same_bytes(chain: fs.Chain, folder: Path) -> None:
    files = [folder / "plain.h5", folder / "fused.h5"]
    for file, fused in zip(files, (False, True), strict=True):
        chain.write(file, fused=fused, workers=2, overwrite=True)
    assert files[0].read_bytes() == files[1].read_bytes()


def forms(chain: fs.Chain) -> list[Any]:
    """What the fused kernel reads, the form that it tries first before the others."""
    from fastsig.run.fusing import fuse

    stage = fuse(chain.stream).source
    assert isinstance(stage, Spectrometer)
    return stage._forms


@pytest.mark.parametrize(("n_bits", "is_complex", "n_pol", "valid"), [
    (1, False, 1, GAP), (2, False, 2, GAP), (4, True, 2, validity.full(0, N)),
    pytest.param(8, True, 2, GAP, marks=thorough), (8, False, 2, GAP)])  # a kernel each: seconds
def test_vdif(n_bits: int, is_complex: bool, n_pol: int, valid: Any, tmp_path: Path) -> None:
    path = written(tmp_path, n_bits, is_complex, n_pol, valid)
    obs = fs.open(path, frequency="1400MHz", feed="linear")
    chain = obs.channelize(64).detect("AABB" if n_pol == 2 else "I").integrate(n_int=5)
    kinds = [form.layout["kind"] for form in forms(chain)]
    assert kinds == (["packed", "float32"] if n_bits < 8 else ["uint8"])
    same_bytes(chain, tmp_path)
    lost = (chain.read().weight == 0).any()
    assert lost == (len(valid) == 2)


def test_spans_that_begin_within_a_byte(tmp_path: Path) -> None:
    path = written(tmp_path, 2, False, 2, GAP)
    obs = fs.open(path, frequency="1400MHz", feed="linear")
    for first, packed in ((4000, True), (4002, False)):
        chain = obs[first:].channelize(64).detect("AABB").integrate(n_int=7)
        assert (forms(chain)[0].layout["kind"] == "packed") == packed
        same_bytes(chain, tmp_path)
    stream = obs.stream.as_recorded()
    with pytest.raises(fs.UsageError, match="packed, 4 per byte"):
        stream.read_block(2, 8)
    # One bit, and a hop that is no whole byte.
    obs = fs.open(written(tmp_path, 1, False, 1, validity.full(0, N)), frequency="1GHz")
    chain = obs.channelize(2, n_tap=4).detect("I").integrate(n_int=3)
    assert [form.layout["kind"] for form in forms(chain)] == ["float32"]
    same_bytes(chain, tmp_path)


@pytest.mark.parametrize(("kind", "words"), [
    ("i1", {"n_bits": 8}), ("u1", {"n_bits": 8, "encoding": "offset"}), ("<i2", {"n_bits": 16})])
def test_interleaved_numbers(kind: str, words: dict[str, Any], tmp_path: Path) -> None:
    """Two polarisations that alternate go to the kernel as they are in the file."""
    info, rng = np.iinfo(kind), np.random.default_rng(1)
    raw = rng.integers(info.min, info.max, (N, 2), endpoint=True).astype(kind)
    (tmp_path / "x.bin").write_bytes(raw.tobytes())
    obs = fs.Chain(InterleavedVoltages(*described("x.bin", {
        "sample_rate": "1MHz", "frequency": "1400MHz", "feed": "linear", "n_pol": 2,
        "start_time": "2026-01-02T03:04:05", **words}), [str(tmp_path / "x.bin")],
        np.array([[0, N, 0, 0, 0]])))
    chain = obs[200:].channelize(64).detect("AABBCRCI").integrate(n_int=5)
    assert {form.layout["interleaved"] for form in forms(chain)} == {True}
    same_bytes(chain, tmp_path)
    recorded_ = obs.stream.as_recorded()
    assert recorded_.empty(9).flags.c_contiguous and not obs.stream.empty(9).flags.c_contiguous
    zero = 128 if kind == "u1" else 0
    np.testing.assert_array_equal(recorded_.read_block(30, 9).data, raw[30:39])
    np.testing.assert_array_equal(obs.stream.read_block(30, 9).data, raw[30:39] - float(zero))


def test_interleaved_numbers_between_gaps(tmp_path: Path) -> None:
    """What lies between the files is no signal in either form."""
    raw = np.random.default_rng(1).integers(-128, 128, (N, 2)).astype("i1")
    cards = {"NDIM": 1, "BW": 0.5, "TSAMP": 1}
    paths = [dada.write(tmp_path / f"{at}.dada", raw[at : at + 20_000], **cards, OBS_OFFSET=2 * at)
             for at in (0, 30_000)]
    obs = fs.open(paths, feed="linear")
    chain = obs.channelize(64).detect("AABB").integrate(n_int=5)
    same_bytes(chain, tmp_path)
    assert (chain.read().weight == 0).any()
    block = obs.stream.as_recorded().read_block(19_990, 10_020)
    assert [spans.tolist() for spans in block.valid] == [[[19_990, 20_000], [30_000, 30_010]]] * 2
    assert not block.data[10:-10].any() and (block.data[-10:] == raw[30_000:30_010]).all()


@pytest.mark.recorded
@pytest.mark.parametrize(("name", "options"), [
    ("baseband/sample.vdif", {"input": "1,3", "frequency": "311.25MHz", "feed": "linear"}),
    ("lsl/drx-test.dat", {"tuning": 2, "frequency": "40MHz"}),
])
def test_recorded_files(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    obs = fs.open(recorded(name), **options)
    chain = obs.channelize(64).detect("AABB").integrate(n_int=8)
    assert forms(chain)[0].layout["kind"] == "packed"
    same_bytes(chain, tmp_path)
