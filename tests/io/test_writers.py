"""Writers of voltages: exact round trips, read back by `baseband`, and what each cannot carry."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import recorded
from streams import MemoryVoltages, header, write_native

import fastsig as fs
from fastsig.axes import validity
from fastsig.axes.time import elapsed
from fastsig.chain import Chain
from fastsig.errors import (
    DataError,
    FastsigWarning,
    FormatError,
    OutputError,
    PlanError,
    UsageError,
)
from fastsig.io.files.outputs import output_names
from fastsig.io.guppi import writer as guppi_writer
from fastsig.run.products import products, write

N = 12_800
SUFFIX = {"native": "h5", "guppi": "raw", "dada": "dada", "vdif": "vdif"}
WHOLE = validity.full(0, N)
GAP = validity.as_spans([[0, 3200], [6400, N]])


def planned(stream, path, **options):
    """What would write a stream."""
    return products([stream], [path], **options)[0]


def whole_numbers(rng: np.random.Generator, n_bits: int, *shape: int) -> np.ndarray:
    half = 2 ** (n_bits - 1)
    return rng.integers(-half, half, shape)


def voltages(
    rng: np.random.Generator, *, n_bits: int = 8, is_complex: bool = True, n_chan: int = 1,
    n_pol: int = 2, sideband: str = "upper", valid: Any = None, rate: Any = 10**6,
    start: str = "2026-01-02T03:04:05", values: np.ndarray | None = None,
) -> MemoryVoltages:
    """Whole numbers of some bits, or of some values, on a clock that begins with a second."""
    shape = (N, n_pol, *([n_chan] if n_chan > 1 else []))
    parts = [whole_numbers(rng, n_bits, *shape) if values is None else rng.choice(values, shape)
             for _ in range(2 if is_complex else 1)]
    data = (parts[0] + 1j * parts[1]).astype("c8") if is_complex else parts[0].astype(
        {8: "i1", 16: "i2"}.get(n_bits, "f4"))
    spans = (valid if valid is not None else WHOLE,) * n_pol
    for pol, each in enumerate(spans):
        validity.zero_invalid(data[:, pol], each, 0)
    head = header(rate, is_complex=is_complex, n_bits=n_bits, n_chan=n_chan, n_pol=n_pol,
                  sideband=sideband, start=start)
    stream = MemoryVoltages(data, head, spans)
    stream.may_have_nan = False
    if values is not None:
        stream.levels = tuple(values.tolist())
    return stream


def assert_same(found: Any, stream: Any, *, first: int = 0, header_too: bool = True) -> None:
    """The same samples, validity and times, `found` beginning with row `first`."""
    n = found.shape[0]
    block, expected = found.read_block(0, n), stream.read_block(first, n)
    np.testing.assert_array_equal(block.data.reshape(n, -1), expected.data.reshape(n, -1))
    n_each = len(block.valid) // len(expected.valid)
    for i, spans in enumerate(block.valid):
        np.testing.assert_array_equal(spans, expected.valid[i // n_each] - first)
    assert abs(elapsed(found.start_time, stream.time_of(first))) < Fraction(2, 10**11)
    assert found.header.sample_rate == stream.header.sample_rate
    if header_too:
        for field in ("channels", "sideband", "telescope", "source", "beam", "is_complex"):
            assert getattr(found.header, field) == getattr(stream.header, field), field
        assert found.header.ra_deg == pytest.approx(stream.header.ra_deg, abs=1e-11)
        assert found.header.dec_deg == pytest.approx(stream.header.dec_deg, abs=1e-11)


def written(stream: Any, folder: Path, to: str, name: str = "x", **options: Any) -> Any:
    path = folder / f"{name}.{{file}}.{SUFFIX[to]}" if to != "native" else folder / f"{name}.h5"
    options.setdefault("lossy", to == "vdif")  # there is no place for most of the header
    writer = write(stream, path, to=to, **options)
    assert all(os.path.getsize(file) for file in writer.files)
    return fs.open(list(writer.files)).stream


@pytest.mark.parametrize("kind", ["linear", "circular", "unknown"])
@pytest.mark.parametrize("to", ["native", "guppi", "dada", "vdif"])
def test_a_type_of_feed_is_kept_or_reported_as_lost(to: str, kind: Any, tmp_path: Path,
                                                    rng: np.random.Generator) -> None:
    stream = voltages(rng)
    basis = replace(stream.header.polarization, kind=kind)
    stream.header = stream.header.replace(polarization=basis)
    lost = any("the type of feed" in each for each in planned(
        stream, tmp_path / "a", to=to).losses)
    found = written(stream, tmp_path, to, lossy=lost or to == "vdif").header.polarization.kind
    assert found == ("unknown" if lost else kind) and lost == (to == "vdif" and kind != "unknown")


@pytest.mark.parametrize("to", ["native", "guppi", "dada", "vdif"])
@pytest.mark.parametrize(("n_bits", "is_complex", "n_chan", "n_pol", "sideband", "gap"), [
    (8, True, 4, 2, "upper", True), (8, True, 4, 1, "lower", False),
    (16, True, 1, 2, "lower", True), (8, False, 1, 2, "upper", True),
    (16, False, 1, 1, "lower", False), (4, True, 2, 2, "upper", False),
    (8, True, 1, 2, "upper", True), (8, False, 3, 2, "upper", False),
])
def test_round_trips(to: str, n_bits: int, is_complex: bool, n_chan: int, n_pol: int,
                     sideband: str, gap: bool, tmp_path: Path, rng: np.random.Generator) -> None:
    stream = voltages(rng, n_bits=n_bits, is_complex=is_complex, n_chan=n_chan, n_pol=n_pol,
                      sideband=sideband, valid=GAP if gap else None)
    if to == "guppi" and not is_complex:
        with pytest.raises(PlanError, match="real voltages do not fit"):
            written(stream, tmp_path, to)
        return
    found = written(stream, tmp_path, to, workers=3)
    assert_same(found, stream, header_too=to != "vdif")
    assert found.shape[0] == N
    if to == "vdif":
        assert found.shape[1] == n_pol * n_chan and found.header.n_bits == n_bits


@pytest.mark.parametrize("to", ["native", "guppi", "vdif"])
@pytest.mark.parametrize("n_bits", [1, 2])
def test_few_levels(to: str, n_bits: int, tmp_path: Path, rng: np.random.Generator) -> None:
    from fastsig.io.guppi import reader as guppi
    from fastsig.io.vdif import reader as vdif

    table = guppi.LEVELS if to == "guppi" and n_bits == 2 else vdif.LEVELS[n_bits]
    stream = voltages(rng, n_bits=n_bits, values=np.array(table, np.float32))
    found = written(stream, tmp_path, to)
    assert_same(found, stream, header_too=to != "vdif")
    # One bit of VDIF are whole numbers too; two bits are not, and each format has its own.
    bits = {("native", 1): 8, ("native", 2): 32, ("guppi", 1): 4}.get((to, n_bits), n_bits)
    assert found.header.n_bits == bits


def test_levels_of_another_format_are_a_loss(tmp_path: Path, rng: np.random.Generator) -> None:
    from fastsig.io.guppi import reader as guppi
    from fastsig.io.vdif import reader as vdif

    stream = voltages(rng, n_bits=2, values=np.array(vdif.LEVELS[2], np.float32))
    with pytest.raises(PlanError, match=r"2 bits \(-3\.3.*\) are rounded to 2 bits"):
        written(stream, tmp_path, "guppi")
    found = written(stream, tmp_path, "guppi", lossy=True).read_block(0, N).data[..., 0]
    # The codes are the same, so values are those of the other table.
    high = guppi.LEVELS[0] / vdif.LEVELS[2][3]
    expected = stream.samples.real.copy()
    expected[np.abs(expected) > 2] *= high
    np.testing.assert_allclose(found.real, expected, rtol=1e-6)


@pytest.mark.parametrize("to", ["native", "guppi", "dada", "vdif"])
def test_any_start_and_length(to: str, tmp_path: Path, rng: np.random.Generator,
                              monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that is no frame's, and a length that is prime."""
    monkeypatch.setattr(guppi_writer, "_MOST_BLOCK", 2**14)
    whole = voltages(rng, n_chan=2, start="2016-12-31T23:59:60.25")  # within a leap second
    part = Chain(whole)[17 : 17 + 11_981].stream
    if to in ("guppi", "vdif"):
        with pytest.raises(PlanError, match=r"the last \d+ samples fill no"):
            written(part, tmp_path, to, lossy=False)
    found = written(part, tmp_path, to, lossy=to in ("guppi", "vdif"))
    first = round(elapsed(whole.start_time, found.start_time) * 10**6)
    assert_same(found, whole, first=first, header_too=to != "vdif")
    assert found.shape[0] > 11_981 * 0.9 and first - 17 < 1024
    if to in ("native", "dada"):
        assert (first, found.shape[0]) == (17, 11_981)


@pytest.mark.parametrize("to", ["native", "guppi", "dada"])
def test_a_start_off_every_clock(to: str, tmp_path: Path, rng: np.random.Generator) -> None:
    stream = voltages(rng, rate=Fraction(10**7, 3), start="2026-01-02T03:04:05.123456789")
    found = written(stream, tmp_path, to)
    assert abs(elapsed(found.start_time, stream.start_time)) < Fraction(2, 10**11)
    assert found.header.sample_rate == Fraction(10**7, 3)
    np.testing.assert_array_equal(found.read_block(0, N).data.reshape(-1, 2), stream.samples)


def test_vdif_needs_a_whole_rate_and_a_place_on_its_clock(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    with pytest.raises(PlanError, match="whole number of samples per second"):
        written(voltages(rng, rate=Fraction(10**7, 3)), tmp_path, "vdif")
    off = voltages(rng, start="2026-01-02T03:04:05.0000004")
    with pytest.raises(PlanError, match=r"all are moved by -4e-07 s"):
        written(off, tmp_path, "vdif", lossy=False)
    found = written(off, tmp_path, "vdif")
    moved = elapsed(found.start_time, off.start_time)
    assert abs(moved - Fraction(4, 10**7)) < Fraction(2, 10**11)
    odd = voltages(rng, rate=10**6 + 8)  # no whole number of kHz: the headers cannot tell it
    with pytest.raises(PlanError, match="no place for the sample rate of 1000008 Hz"):
        written(odd, tmp_path, "vdif", "odd", lossy=False)


@pytest.mark.parametrize("to", ["guppi", "vdif"])
def test_gaps_that_are_no_frames(to: str, tmp_path: Path, rng: np.random.Generator) -> None:
    gap = validity.as_spans([[0, 3201], [6407, N]])
    stream = voltages(rng, valid=gap)
    made, = products([stream], [tmp_path / "x.{file}.x"], to=to)
    assert any(re.search(r"\d+ lost samples lie in .*count as valid", loss) for loss in made.losses)
    with pytest.raises(PlanError, match="lossy=True"):
        written(stream, tmp_path, to, lossy=False)
    found = written(stream, tmp_path, to, lossy=True)
    block = found.read_block(0, found.shape[0])
    np.testing.assert_array_equal(block.data.reshape(-1, 2), stream.samples[: found.shape[0]])
    kept = validity.count(validity.intersect(block.valid[0], gap))
    assert kept == validity.count(validity.clip(gap, 0, found.shape[0]))


def test_gaps_of_one_polarisation(tmp_path: Path, rng: np.random.Generator) -> None:
    stream = voltages(rng)
    stream.spans = (GAP, WHOLE)
    stream.samples[3200:6400, 0] = 0
    assert_same(written(stream, tmp_path, "native"), stream)
    assert_same(written(stream, tmp_path, "vdif"), stream, header_too=False)
    for to in ("guppi", "dada"):
        with pytest.raises(PlanError, match="3200 (lost )?samples .*count as valid"):
            written(stream, tmp_path, to)
    assert_same(written(stream, tmp_path, "dada", bits=32), stream)  # NaN tells


def test_floats(tmp_path: Path, rng: np.random.Generator) -> None:
    stream = voltages(rng, n_bits=8, valid=GAP)
    stream.samples = stream.samples / np.float32(7)
    stream.header = stream.header.replace(n_bits=32)
    for to in ("native", "dada"):
        found = written(stream, tmp_path, to)
        assert found.header.n_bits == 32
        assert_same(found, stream)
    with pytest.raises(PlanError, match="floating-point numbers are rounded to 8 bits"):
        written(stream, tmp_path, "guppi")
    path = tmp_path / "scaled.raw"
    writer = write(stream, path, scale=14.0, lossy=True)
    found = fs.open(path).stream.read_block(0, N).data[..., 0]
    expected = np.clip(np.rint(stream.samples.view("f4") * np.float32(14)), -128, 127).view("c8")
    np.testing.assert_array_equal(found, expected)
    assert writer.n_clipped > 0 and "samples are multiplied by 14" in writer.losses


def test_values_that_are_not_what_the_header_says(tmp_path: Path, rng: np.random.Generator
                                                  ) -> None:
    stream = voltages(rng)
    stream.samples[5000, 1] += 0.5
    with pytest.raises(DataError, match="not values of 8 bits"):
        written(stream, tmp_path, "guppi")
    assert os.listdir(tmp_path) == []


def test_several_files(tmp_path: Path, rng: np.random.Generator) -> None:
    stream = voltages(rng, valid=GAP, n_chan=4)
    for to in ("guppi", "dada", "vdif"):
        found = written(stream, tmp_path, to, file_bytes=40_000)
        assert len(found.files) > 2 and max(map(os.path.getsize, found.files)) < 50_000
        assert_same(found, stream, header_too=to != "vdif")
    assert output_names("a.{file}.raw", 2) == ["a.0000.raw", "a.0001.raw"]
    with pytest.raises(UsageError, match=r"needs 2 files; .* a\.\{file\}\.dada"):
        output_names("a.dada", 2)
    taken = [name for name in os.listdir(tmp_path) if name.endswith(".raw")]
    for name in taken[1:]:
        os.remove(tmp_path / name)
    with pytest.raises(OutputError, match="exists"):
        written(stream, tmp_path, "guppi", file_bytes=40_000)
    assert [name for name in os.listdir(tmp_path) if ".raw" in name] == taken[:1]


@pytest.mark.parametrize("to", ["native", "guppi", "dada", "vdif"])
def test_the_same_bytes_whatever_the_workers(to: str, tmp_path: Path, rng: np.random.Generator
                                             ) -> None:
    path = write_native(tmp_path / "in.h5", rng.integers(-99, 99, (N, 2, 2), np.int8),
                        header(is_complex=True, start="2026-01-02T03:04:05"), (GAP, GAP))
    both = [written(fs.open(path).stream, tmp_path, to, name, workers=workers, lossy=True).files
            for name, workers in (("a", 1), ("b", 3))]
    for first, second in zip(*both, strict=True):
        assert Path(first).read_bytes() == Path(second).read_bytes()


@pytest.mark.parametrize(("to", "n_chan", "n_bits"), [
    ("guppi", 4, 8), ("dada", 1, 8), ("vdif", 1, 8), ("vdif", 1, 2), ("vdif", 1, 4),
    ("vdif", 1, 1)])
@pytest.mark.parametrize("is_complex", [True, False])
def test_baseband_reads_them(to: str, n_chan: int, n_bits: int, is_complex: bool, tmp_path: Path,
                             rng: np.random.Generator) -> None:
    baseband = pytest.importorskip("baseband")
    if to == "guppi" and not is_complex:
        return
    from fastsig.io.vdif import reader as vdif

    table = vdif.LEVELS.get(n_bits) if n_bits < 4 else None
    stream = voltages(rng, n_bits=n_bits, is_complex=is_complex, n_chan=n_chan,
                      values=np.array(table, np.float32) if table else None)
    found = written(stream, tmp_path, to, lossy=True)
    with baseband.open(found.files[0], "rs", format=to) as file:
        data = file.read()
        assert file.sample_rate.to_value("Hz") == 10**6
        assert abs((file.start_time - stream.start_time).sec) < 1e-9
        assert abs((file.stop_time - stream.stop_time).sec) < 1e-9
    expected = stream.samples.reshape(data.shape).astype(data.dtype)
    if to == "vdif" and n_bits == 8:  # see test_vdif: (code - 127.5) / 35.5 there
        half = 0.5 + 0.5j if is_complex else 0.5
        expected = ((expected + half) / 35.5).astype(data.dtype)
    if to == "vdif" and n_bits == 4:
        expected = expected / np.float32(2.95)
    np.testing.assert_allclose(data, expected, rtol=1e-5)


def test_cards_go_along(tmp_path: Path, rng: np.random.Generator) -> None:
    stream = voltages(rng, n_chan=2)
    stream.header = stream.header.replace(extra={
        "OBSERVER": "Nan R.", "SCANNUM": "7", "lower": 3, "A_LONG_NAME": "x", "QUOTE": "it's"})
    with pytest.raises(PlanError, match="guppi has no card for lower, A_LONG_NAME, QUOTE"):
        written(stream, tmp_path, "guppi")
    cards = written(stream, tmp_path, "guppi", lossy=True).header.extra
    assert (cards["OBSERVER"], cards["SCANNUM"]) == ("Nan R.", "7")
    again = written(fs.open(tmp_path / "x.0000.raw").stream, tmp_path, "guppi", "y").header.extra
    assert {**again} == {**cards}
    lines = written(stream, tmp_path, "dada", lossy=True).header.extra
    assert (lines["OBSERVER"], lines["A_LONG_NAME"]) == ("Nan R.", "x")


def test_a_band_of_channels(tmp_path: Path, rng: np.random.Generator) -> None:
    stream = voltages(rng, n_chan=8, sideband="lower", valid=GAP)
    guppi = Chain(written(stream, tmp_path, "guppi"))
    lower = stream.header.channels.centers[2]
    part = guppi[1000:9000, lower : lower * 2]
    found = written(part.stream, tmp_path, "guppi", "part")
    assert found.shape == (8000, 2, 6)
    np.testing.assert_array_equal(found.read_block(0, 8000).data, stream.samples[1000:9000, :, 2:])
    assert found.header.channels == stream.header.channels.sliced(2, 8)
    with pytest.raises(PlanError, match="channelise and detect first"):
        _ = Chain(voltages(rng))[:, 1 * lower :]


def test_stokes_of_an_inverted_copy(tmp_path: Path, rng: np.random.Generator) -> None:
    """A GUPPI file with its band inverted and its samples conjugated is the same sky."""
    stream = voltages(rng, n_chan=4)
    a = stream.samples[:, 0]
    stream.samples[:, 1] = np.round((0.5 + 0.4j) * a.real + (0.4 - 0.5j) * a.imag)
    stream.samples.real.clip(-127, 127, out=stream.samples.real)
    stream.samples.imag.clip(-127, 127, out=stream.samples.imag)
    upper = written(stream, tmp_path, "guppi", "upper")
    other = MemoryVoltages(stream.samples.conj(), stream.header.replace(sideband="lower"))
    other.may_have_nan = False
    lower = written(other, tmp_path, "guppi", "lower")
    assert lower.header.sideband == "lower"
    both = [Chain(each).channelize(32, n_tap=4).detect("IQUV").integrate(n_int=8).read().values
            for each in (upper, lower)]
    # A lower sideband's channels are centred one step higher: compare what is at one frequency.
    np.testing.assert_allclose(both[0][..., 1:32], both[1][..., 0:31], rtol=2e-5, atol=2e-2)
    assert np.abs(both[0][:, 3]).mean() > 100  # there is a V to have a sign


def test_writers_refuse(tmp_path: Path, rng: np.random.Generator) -> None:
    stream = voltages(rng, n_pol=2)
    for options, message in (
        ({"to": "mp3"}, "allowed: native, guppi, dada, vdif"),
        ({}, "its extension indicates no format"),
        ({"to": "guppi", "bits": 3}, "bits = 3; allowed for guppi: 2, 4, 8, 16"),
        ({"to": "vdif", "scale": 0.0}, "scale = 0"), ({"to": "dada", "workers": 0}, "workers = 0"),
        ({"to": "native", "file_bytes": 100}, "native files are not split"),
        ({"to": "native", "memory": 10**6}, "below the floor of this plan"),
    ):
        with pytest.raises(UsageError, match=message):
            write(stream, tmp_path / "x.dat", **options)
    nothing = MemoryVoltages(stream.samples, stream.header, (validity.full(0, 0),) * 2)
    for to in ("guppi", "dada", "vdif"):
        with pytest.raises(PlanError, match="no valid sample"):
            write(nothing, tmp_path / "x.dat", to=to, lossy=True)
    path = write_native(tmp_path / "in.h5", np.zeros((N, 2), np.int8), header())
    with pytest.raises(OutputError, match="is an input of this run"):
        write(fs.open(path).stream, path, overwrite=True)
    assert os.listdir(tmp_path) == ["in.h5"]


@pytest.mark.recorded
@pytest.mark.parametrize("name", ["baseband/sample.dada", "baseband/sample_puppi.raw",
                                  "baseband/sample.vdif", "baseband/sample_mwa.vdif",
                                  "lsl/drx-test.dat"])
def test_recorded_files_through_native_and_back(name: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"sample_mwa": {"sample_rate": 1_280_000},
                               "drx-test": {"tuning": 1}}.get(Path(name).stem, {})
    stream = fs.open(recorded(name), **options).stream
    native = written(stream, tmp_path, "native")
    assert_same(native, stream, header_too=False)
    assert native.header.channels == stream.header.channels
    to = {".dada": "dada", ".raw": "guppi", ".vdif": "vdif"}.get(Path(name).suffix)
    if to is not None:
        again = written(stream, tmp_path, to, "again", lossy=True)
        assert_same(again, stream, header_too=False)
        assert again.header.n_bits == stream.header.n_bits


def test_names_that_a_text_header_cannot_hold(tmp_path: Path, rng: np.random.Generator) -> None:
    for name in ("x" * 201, "O'Neil", "\u65e5\u672c", "# hash", "a\nNCHAN 4"):
        stream = voltages(rng, n_chan=2)
        stream.header = stream.header.replace(source=name)
        for to in ("guppi", "dada"):
            with pytest.raises(PlanError, match=f"{to} cannot store the source"):
                written(stream, tmp_path, to)
            found = written(stream, tmp_path, to, lossy=True, overwrite=True)
            assert found.header.source is None and found.shape == stream.shape
        assert written(stream, tmp_path, "native", overwrite=True).header.source == name


@pytest.mark.parametrize("start", ["1997-07-11T12:34:56", "2032-01-01T00:00:00"])
def test_times_that_vdif_cannot_tell(start: str, tmp_path: Path, rng: np.random.Generator) -> None:
    with pytest.raises(PlanError, match="allowed in VDIF: from 2000 to 2031"), (
            warnings.catch_warnings()):
        warnings.simplefilter("ignore")  # of years to come
        written(voltages(rng, start=start), tmp_path, "vdif")


def test_files_of_another_band_are_no_scan(tmp_path: Path, rng: np.random.Generator) -> None:
    stream = voltages(rng, n_chan=2)
    other = voltages(rng, n_chan=2)
    axis = stream.header.channels
    other.header = stream.header.replace(channels=replace(axis, first_hz=axis.first_hz + 10**6))
    for to, key in (("guppi", "OBSFREQ"), ("dada", "FREQ")):
        paths = [written(each, tmp_path, to, name).files[0]
                 for each, name in ((stream, "a"), (other, "b"))]
        with pytest.raises(FormatError, match=rf"b\.0000.*: {key} = .*not files of one recording"):
            fs.open(paths)


def test_a_file_of_another_recording_behind_the_last(tmp_path: Path, rng: np.random.Generator
                                                     ) -> None:
    stream = voltages(rng)
    for to in ("guppi", "dada", "vdif"):
        n = len(written(stream, tmp_path, to, file_bytes=20_000).files)
        assert n > 2
        with pytest.raises(OutputError, match="would be taken for a file of this one"):
            written(Chain(stream)[:3200].stream, tmp_path, to, file_bytes=20_000, overwrite=True)
        written(stream, tmp_path, to, file_bytes=20_000, overwrite=True)


def test_levels_that_differ_in_the_last_bit(tmp_path: Path, rng: np.random.Generator) -> None:
    from fastsig.io.vdif import reader as vdif

    values = np.nextafter(np.array(vdif.LEVELS[2], np.float32), np.float32(9))
    stream = voltages(rng, n_bits=2, values=values)
    found = written(stream, tmp_path, "vdif").read_block(0, N).data
    np.testing.assert_allclose(found, stream.samples, rtol=1e-6)


def test_exact_times_of_a_slice(rng: np.random.Generator) -> None:
    chain = Chain(voltages(rng, start="2016-12-31T23:59:59.995", rate=2 * 10**6))
    late = [row for row in range(0, N, 37)
            if chain[chain.stream.time_of(row) :].shape[0] != N - row]
    assert not late


def test_bytes_that_were_added(tmp_path: Path, rng: np.random.Generator) -> None:
    stream = voltages(rng)
    path = Path(written(stream, tmp_path, "vdif").files[0])
    raw = path.read_bytes()
    size = fs.open(path).header.extra["frame_length"]
    path.write_bytes(raw[: 4 * size] + b"x" * 100 + raw[4 * size : -100])
    with pytest.warns(FastsigWarning, match=f"no frame begins at byte {4 * size}; the last"):
        found = fs.open(path).stream
    n = found.shape[0]
    np.testing.assert_array_equal(found.read_block(0, n).data, stream.samples[:n])


@pytest.mark.parametrize("to", ["guppi", "dada"])
def test_a_gap_of_years_costs_nothing(to: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """Two stretches of 12,800 samples 10^13 samples apart: 6 TB of blocks, if they were counted."""
    stream = voltages(rng)
    path = Path(written(stream, tmp_path, "guppi").files[0])
    first = fs.open(path).stream
    n_block = first.header.extra["BLOCSIZE"]
    far = 10**13 // first.shape[0] * first.shape[0]
    raw = path.read_bytes()
    packets = int(first.header.extra["PIPERBLK"]) * far // (int(n_block) // 4)
    later = bytearray(raw)
    step = len(raw) // (first.shape[0] * 4 // int(n_block))
    for at in range(0, len(raw), step):
        card = raw.index(b"PKTIDX", at)
        index = int(raw[card + 10 : card + 80])
        later[card : card + 80] = f"PKTIDX  = {index + packets:>20}".ljust(80).encode()
    (tmp_path / "y.raw").write_bytes(raw + later)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastsig.io.voltages.segments._YEAR_S", 10**9)
        source = fs.open(tmp_path / "y.raw").stream
        assert source.shape[0] == far + N
        writer = planned(source, tmp_path / "z.{file}.raw", to=to)
        assert sum(n for _, n in writer.writer.pieces()) < 2**22
        found = written(source, tmp_path, to, "z")
        assert found.shape[0] == source.shape[0]
        np.testing.assert_array_equal(found.valid_spans()[0], [[0, N], [far, far + N]])
        for start in (0, far):
            data = found.read_block(start, N).data
            np.testing.assert_array_equal(data.reshape(N, 2), stream.samples)
        for name in ("z.vdif", "z.h5"):  # these write what is lost as well
            with pytest.raises(OutputError, match="bytes are needed"):
                write(source, tmp_path / name, lossy=True)
    assert not list(tmp_path.glob("*z.vdif*")) and not list(tmp_path.glob("*z.h5*"))


def test_pieces_leave_long_gaps_out(rng: np.random.Generator) -> None:
    kept = validity.as_spans([[0, 5], [90, 131], [132, 133], [1000, 1001], [12_345, 12_800]])
    writer = planned(voltages(rng), "x.h5").writer
    writer.piece, writer.kept = 10, kept
    pieces = list(writer.pieces())
    assert pieces[:7] == [(0, 10), (90, 10), (100, 10), (110, 10), (120, 10), (130, 10), (1000, 10)]
    assert pieces[7:9] == [(12_340, 10), (12_350, 10)] and pieces[-1] == (12_790, 10)
    assert len(pieces) == len(set(pieces)) == 53


@pytest.mark.parametrize(("n_bits", "is_complex", "bits"), [
    (8, False, 1), (1, False, None), (2, True, None), (8, False, 4)])
def test_vdif_frames_are_as_short_as_it_takes(
    n_bits: int, is_complex: bool, bits: int | None, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Gaps of 64 and 128 samples: a payload of 8 bytes of 1 bit."""
    from fastsig.io.vdif import reader as vdif

    gap = validity.as_spans([[0, 3200], [3264, 6400], [6528, N]])
    values = np.array(vdif.LEVELS[n_bits], np.float32) if n_bits < 4 else None
    stream = voltages(rng, n_bits=n_bits, is_complex=is_complex, valid=gap, values=values)
    stream.samples[(np.arange(N) >= 3200) & (np.arange(N) < 3264)] = 0
    found = written(stream, tmp_path, "vdif", bits=bits)
    assert found.valid_spans()[0].tolist() == gap.tolist() and found.shape == (N, 2)
    losses = planned(stream, tmp_path / "y.vdif", bits=bits).losses
    assert not any("fill no frame" in loss or "count as valid" in loss for loss in losses)
    if bits is None:
        assert_same(found, stream, header_too=False)


def test_vdif_loses_as_little_as_it_can(tmp_path: Path, rng: np.random.Generator) -> None:
    part = Chain(voltages(rng))[: 11_981].stream
    found = written(part, tmp_path, "vdif", bits=1)
    assert 11_981 - found.shape[0] < 320  # the shortest with a payload of 64 bytes


def test_options_that_are_none(tmp_path: Path, rng: np.random.Generator) -> None:
    for options, message in (
        ({"file_bytes": 0}, "file_bytes = 0; allowed: 1 or more"),
        ({"file_bytes": -1}, "file_bytes = -1; allowed: 1 or more"),
        ({"bits": "8"}, "bits = '8'; allowed: a whole number"),
        ({"bits": 8.0}, "bits = 8.0; allowed: a whole number"),
        ({"memory": 10**6}, "below the floor of this plan"),
    ):
        with pytest.raises(UsageError, match=message):
            planned(voltages(rng), tmp_path / "x.raw", **options)
    with pytest.raises(UsageError, match="needs the name of a file"):
        planned(voltages(rng), "-")
    assert planned(voltages(rng), "x.{file}.h5").files[0] == "x.0000.h5"


def test_many_cards_are_told_in_short(tmp_path: Path, rng: np.random.Generator) -> None:
    stream = voltages(rng)
    stream.header = stream.header.replace(extra={f"a_long_name_{i}": i for i in range(300)})
    with pytest.raises(PlanError, match=r"a_long_name_7 and 292 more\. lossy=True") as caught:
        written(stream, tmp_path, "guppi")
    assert len(str(caught.value)) < 500
    with pytest.raises(PlanError, match="300 more values of the header"):
        written(stream, tmp_path, "vdif", lossy=False)
