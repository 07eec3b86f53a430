"""HiFAST's HDF5: files laid out as its source does, by h5py alone; links, damage, the writer."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from waiting import wait_for

import fastsig as fs
from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import elapsed, iso, time_from_mjd
from fastsig.errors import DataError, FastsigWarning, FormatError, PlanError, UsageError
from fastsig.io.hifast import reader as hifast
from fastsig.io.hifast.writer import HiFASTWriter
from fastsig.io.probe import Probe
from fastsig.stream.header import Header

N_ROW, N_CHAN = 20, 24
STEP = Fraction("0.50331648")
MJD = 59280.75
F_WIDTH = 500 / 2**20


def freq(n_chan: int = N_CHAN) -> np.ndarray:
    """As HiFAST makes it of mode W: labels and half a channel of mode F."""
    return np.arange(n_chan) * 16 * F_WIDTH + 1000.0035762786865 + F_WIDTH / 2


def group(n_row: int = N_ROW, n_chan: int = N_CHAN, n_pol: int = 2, field: str = "Ta",
          **changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    rows = np.arange(n_row)
    return {
        "mjd": MJD + rows * float(STEP) / 86400, "freq": freq(n_chan),
        field: rng.normal(20, 1, (n_pol, n_row, n_chan)).astype(np.float32),
        "is_on": rows % 10 == 0, "is_delay": rows < 2, "next_to_cal": rows % 10 == 1,
        "is_extrapo": np.zeros(n_row, bool), "ra": 83.5 + rows * 0.002, "dec": 22.0 + 0 * rows,
        "is_rfi": rng.random((n_row, n_chan)) < 0.1,
        "Tcal": rng.normal(11, 1, (1, n_chan, n_pol)), **changes,
    }


def write(path: Path, values: dict[str, Any], **header: Any) -> Path:
    with h5py.File(path, "w") as file:
        about = file.create_group("Header")
        for key, value in {"HISTORY-20210808-11:22:33": '{"version": "1.3"}', **header}.items():
            about.attrs[key] = value
        for key, value in values.items():
            if value is not None:
                file[f"S/{key}"] = value
        file.create_group("Waterfall")["DATA"] = h5py.SoftLink("/S/Ta")
    return path


def opened(path: Path, **overrides: Any) -> Any:
    return fs.open(path, **overrides).stream


def truth(values: dict[str, Any], field: str = "Ta") -> np.ndarray:
    return values[field].transpose(1, 0, 2)


def test_header(tmp_path: Path) -> None:
    values = group()
    path = write(tmp_path / "src_arcdrift-M05_W-20210808-specs_T.hdf5", values, frame="LSRK",
                 tcal=1.5)
    stream = opened(path)
    h = stream.header
    assert stream.shape == (N_ROW, 2, N_CHAN) and h.sample_rate == 1 / STEP
    assert iso(h.start_time) == "2021-03-07T18:00:00.000000000"
    assert h.polarization.names == ("AA", "BB") and (h.telescope, h.beam) == ("FAST", 5)
    # Widths are exact, and labels to the bit that a float of MHz has.
    assert h.channels.step_hz == Fraction(500 * 10**6, 65536)
    assert abs(h.channels.first_hz - Fraction(freq()[0]) * 10**6) < Fraction(1, 10**6)
    assert h.extra["field"] == "Ta" and h.extra["frame"] == "LSRK" and h.extra["rfi"] == "keep"
    assert h.extra["HISTORY-20210808-11:22:33"].startswith("{")
    block = stream.read_block(0, N_ROW)
    np.testing.assert_array_equal(block.data, truth(values))
    assert (block.valid == 1).all() and h.n_bits == 32
    np.testing.assert_array_equal(stream.times, values["mjd"])
    assert set(stream.fields) == {*values} - {"Ta"} and stream.fields["is_rfi"] == (N_ROW, N_CHAN)
    for name in ("is_on", "ra", "Tcal", "is_rfi"):
        np.testing.assert_array_equal(stream.read_field(name), values[name])
    np.testing.assert_array_equal(stream.read_field("is_rfi", 3, 7), values["is_rfi"][3:7])
    with pytest.raises(UsageError, match="no field 'vel'; there are"):
        stream.read_field("vel")
    assert fs.info(path)["format"] == "hifast"


def test_flags_as_weights(tmp_path: Path) -> None:
    values = group()
    values["Ta"][1, 4, 2] = np.nan
    stream = opened(write(tmp_path / "r.hdf5", values), rfi="weight")
    assert stream.header.extra["rfi"] == "weight"
    block = stream.read_block(2, 9)
    expected = np.repeat(~values["is_rfi"][2:11, np.newaxis], 2, axis=1)
    expected[2, 1, 2] = False
    np.testing.assert_array_equal(block.valid, expected)
    np.testing.assert_array_equal(np.isnan(block.data), ~expected)
    kept = opened(tmp_path / "r.hdf5").read_block(2, 9)
    assert kept.valid.sum() == kept.valid.size - 1


def test_order_in_which_fields_are_looked_for(tmp_path: Path) -> None:
    values = group()
    values |= {"flux": values["Ta"] * 2, "Power": values["Ta"] * 3, "T": values["Ta"] * 4}
    path = write(tmp_path / "f.hdf5", values)
    assert opened(path).header.extra["field"] == "T"
    np.testing.assert_array_equal(opened(path, field="flux").read_block(0, 3).data,
                                  truth(values, "flux")[:3])
    with pytest.raises(UsageError, match="field = 'DATA'; allowed: T, Ta"):
        opened(path, field="DATA")
    path = write(tmp_path / "g.hdf5", group(field="flux"))
    with pytest.raises(FormatError, match="S has no spectra Ta; there are flux"):
        opened(path, field="Ta")


@pytest.mark.parametrize("descending", [False, True])
def test_impulse_and_tone(tmp_path: Path, descending: bool) -> None:
    values = group(is_rfi=None)
    turn = slice(None, None, -1 if descending else 1)
    values["freq"] = values["freq"][turn]
    values["Ta"][...] = 1
    values["Ta"][:, 7] += 100
    values["Ta"][0, :, 5] += 10
    stream = opened(write(tmp_path / "i.hdf5", values))
    block = stream.read_block(0, N_ROW).data
    row, chan = int(np.argmax(block[:, 1].mean(axis=1))), int(np.argmax(block[0, 0]))
    assert abs((stream.time_of(row).mjd - values["mjd"][7]) * 86400) < 1e-5
    assert stream.frequency.value[chan] == pytest.approx(values["freq"][5], rel=1e-15)
    assert (np.diff(stream.frequency.value) > 0).all()
    part = stream.band(3, 9)
    np.testing.assert_array_equal(part.read_block(2, 5).data, block[2:7, :, 3:9])
    assert part.frequency[0] == stream.frequency[3]


def test_one_polarisation_is_a_mean(tmp_path: Path) -> None:
    stream = opened(write(tmp_path / "m.hdf5", group(n_pol=1)))
    assert stream.header.polarization.names == ("mean",) and stream.shape[1] == 1


def test_gaps_and_jitter(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    there = np.delete(np.arange(N_ROW + 3), [4, 5, 12])
    values = group()
    values["mjd"] = MJD + (there + rng.uniform(-0.03, 0.03, N_ROW)) * float(STEP) / 86400
    stream = opened(write(tmp_path / "j.hdf5", values))
    assert stream.shape[0] == N_ROW + 3 and stream.header.sample_rate == 1 / STEP
    np.testing.assert_array_equal(stream.slots, there)
    block = stream.read_block(0, N_ROW + 3)
    assert np.flatnonzero(block.valid[:, 0, 0] == 0).tolist() == [4, 5, 12]
    np.testing.assert_array_equal(block.data[there], truth(values))
    np.testing.assert_array_equal(stream.read_block(4, 2).valid, np.zeros((2, 2, 1)))
    values["mjd"][3] += 0.4 * float(STEP) / 86400
    with pytest.warns(FastsigWarning, match="mjd of 1 of 20 rows deviates"):
        np.testing.assert_array_equal(opened(write(tmp_path / "k.hdf5", values)).slots, there)


def test_marks(tmp_path: Path) -> None:
    path = write(tmp_path / "u.hdf5", group())
    middle = opened(path, utobs="middle")
    assert abs(elapsed(middle.start_time, opened(path).start_time) - STEP / 2) < Fraction(1, 10**10)
    one = write(tmp_path / "one.hdf5", group(n_row=1))
    with pytest.raises(FormatError, match="sample_rate=0.9934"):
        opened(one)
    assert opened(one, sample_rate=2).header.sample_rate == 2


def test_a_link_to_the_file_beside(tmp_path: Path) -> None:
    values = group()
    write(tmp_path / "a.hdf5", {**values, "is_rfi": None})
    first = {**values, "Ta": h5py.ExternalLink("a.hdf5", "/S/Ta")}
    second = {**values, "Ta": h5py.ExternalLink("a-rfi.hdf5", "/S/Ta")}
    write(tmp_path / "a-rfi.hdf5", first)
    path = write(tmp_path / "a-rfi-rfi.hdf5", second)
    stream = opened(path, rfi="weight")
    block = stream.read_block(0, N_ROW)
    np.testing.assert_array_equal(block.data[block.valid > 0],
                                  truth(values)[np.broadcast_to(block.valid, block.data.shape) > 0])
    assert [Path(each).name for each in stream.files] == ["a-rfi-rfi.hdf5", "a-rfi.hdf5", "a.hdf5"]
    stream.close()
    with pytest.raises(DataError, match="closed"):
        stream.read_block(0, 1)


def test_links_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "secret.hdf5"
    inside.mkdir()
    write(outside, group())
    (inside / "link.hdf5").symlink_to(outside)
    values = group()
    for number, (name, at) in enumerate((
            ("../secret.hdf5", "/S/Ta"), (str(outside), "/S/Ta"), ("link.hdf5", "/S/Ta"),
            ("absent.hdf5", "/S/Ta"), ("x0.hdf5", "/Header"), ("x5.hdf5", "/S/Ta"))):
        path = write(inside / f"x{number}.hdf5", {**values, "Ta": h5py.ExternalLink(name, at)})
        with pytest.raises(FormatError, match=r"\.hdf5: "):
            opened(path)
    for name in ("Ta", "mjd", "freq"):
        path = write(inside / "soft.hdf5", {**values, "X": values[name],
                                            name: h5py.SoftLink("/S/X")})
        with pytest.raises(FormatError, match=f"S/{name} is SoftLink; allowed: numbers"):
            opened(path)
    with h5py.File(inside / "s.hdf5", "w") as file:
        file["S"] = h5py.ExternalLink("../secret.hdf5", "/S")
    with pytest.raises(FormatError):
        opened(inside / "s.hdf5")


def test_data_that_are_not_in_the_file_are_refused(tmp_path: Path) -> None:
    values = group()
    for number, name in enumerate(("Ta", "mjd", "freq")):
        path = write(tmp_path / f"e{number}.hdf5", {**values, name: None})
        (tmp_path / "raw.bin").write_bytes(values[name].tobytes())
        with h5py.File(path, "a") as file:
            file.create_dataset(f"S/{name}", values[name].shape, values[name].dtype,
                                external=[(str(tmp_path / "raw.bin"), 0, h5py.h5f.UNLIMITED)])
        with pytest.raises(FormatError, match="in the file itself"):
            opened(path)
    path = write(tmp_path / "v.hdf5", {**values, "Ta": None})
    layout = h5py.VirtualLayout(values["Ta"].shape, "f4")
    layout[...] = h5py.VirtualSource("a.hdf5", "/S/Ta", values["Ta"].shape)
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset("S/Ta", layout)
    with pytest.raises(FormatError, match="in the file itself"):
        opened(path)


@pytest.mark.parametrize("change", [
    {"freq": freq() + 1e-3 * (np.arange(N_CHAN) == 9)}, {"freq": np.full(N_CHAN, 1000.0)},
    {"freq": np.full(N_CHAN, np.nan)}, {"freq": freq(N_CHAN + 1)}, {"freq": -freq()},
    {"freq": np.arange(N_CHAN) + 1e300}, {"mjd": np.full(N_ROW, np.nan)}, {"mjd": np.zeros(N_ROW)},
    {"mjd": np.arange(N_ROW - 1) + MJD}, {"mjd": np.arange(N_ROW) * 40 + MJD}, {"mjd": None},
    {"mjd": np.array([b"x"] * N_ROW)}, {"Ta": np.zeros((3, N_ROW, N_CHAN), "f4")},
    {"Ta": np.zeros((2, N_ROW), "f4")}, {"Ta": np.zeros((2, 0, N_CHAN), "f4")},
    {"Ta": np.zeros((2, N_ROW, N_CHAN), "c8")},
])
def test_nonsense_is_named(tmp_path: Path, change: dict) -> None:
    path = write(tmp_path / "h.hdf5", group(**change))
    with pytest.raises(FormatError, match=r"h\.hdf5: "):
        hifast.open(path)


def test_objects_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "o.hdf5", {**group(), "note": "text of any length"})
    stream = opened(path)
    assert "note" not in stream.fields
    path = write(tmp_path / "f.hdf5", group(is_rfi=np.zeros((N_ROW, 3), bool)))
    assert opened(path).shape[0] == N_ROW
    with pytest.raises(FormatError, match="S/is_rfi has the shape"):
        opened(path, rfi="weight")


def test_packed_files(tmp_path: Path) -> None:
    import hdf5plugin

    values = group()
    path = write(tmp_path / "c.hdf5", {**values, "Ta": None})
    with h5py.File(path, "a") as file:
        file.create_dataset("S/Ta", data=values["Ta"], chunks=(1, 4, N_CHAN),
                            **hdf5plugin.Bitshuffle(cname="lz4"))
    np.testing.assert_array_equal(opened(path).read_block(3, 9).data, truth(values)[3:12])


def test_threads_read_what_one_reads(tmp_path: Path) -> None:
    values = group(n_row=60)
    stream = opened(write(tmp_path / "t.hdf5", values))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: stream.read_block(row, 5).data, range(55)))
    for row, block in enumerate(found):
        np.testing.assert_array_equal(block, truth(values)[row : row + 5])


def test_truncations(tmp_path: Path) -> None:
    path = write(tmp_path / "x.hdf5", group())
    raw = path.read_bytes()
    for size in (0, 10, 100, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:size])
        with pytest.raises(FormatError, match=r"x\.hdf5: "):
            opened(path)


def test_changed_bytes(tmp_path: Path) -> None:
    """In a child, as the library may hang or crash.

    It does so, whoever opens the file, over names of a group (HEAP) and texts: these are left.
    There are no checksums, so values may change silently.
    """
    path = tmp_path / "x.hdf5"
    with h5py.File(path, "w") as file:
        for key, value in group().items():
            file[f"S/{key}"] = value
    raw = path.read_bytes()
    left = np.zeros(len(raw), bool)
    with h5py.File(path) as file:
        begin = file["S/Ta"].id.get_offset()
        left[begin : begin + file["S/Ta"].nbytes] = True
    for found in re.finditer(b"HEAP", raw):
        size, _, at = struct.unpack_from("<QQQ", raw, found.start() + 8)
        left[found.start() : found.start() + 32] = left[at : at + size] = True
    np.save(tmp_path / "places.npy", np.flatnonzero(~left))
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
import numpy as np
import hostile
from fastsig.io.hifast import reader as hifast
hostile.N_FILE = 50
places = np.load("places.npy")
hostile.change_bytes(Path("x.hdf5").read_bytes(), Path("y.hdf5"),
                     lambda rng: int(rng.choice(places)), lambda name: hifast.open(name))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True,
                          text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]


def test_sniffing(tmp_path: Path) -> None:
    path = write(tmp_path / "noname", group())
    assert hifast.sniff(Probe(path))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["S/x"] = np.zeros(3)
    assert not hifast.sniff(Probe(tmp_path / "other.h5"))
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        file["S"] = np.zeros(3)
    assert not hifast.sniff(Probe(tmp_path / "flat.h5"))


# The writer.


def rewritten(stream: Any, path: Path, rows: int = 7, **options: Any) -> Path:
    with HiFASTWriter(path, stream.header, stream.shape, **options) as writer:
        for start in range(0, stream.shape[0], rows):
            block = stream.read_block(start, min(rows, stream.shape[0] - start))
            writer.append(block.data, block.valid)
    return path


def all_fields(stream: Any) -> dict[str, np.ndarray]:
    return {name: stream.read_field(name) for name in stream.fields if name != "freq"}


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    values = group(n_row=33)
    values["Ta"][0, 3, 5] = np.nan
    stream = opened(write(tmp_path / "a-M01_W.hdf5", values, frame="LSRK", number=3))
    fields = all_fields(stream)
    path = rewritten(stream, tmp_path / "b-M01_W.hdf5", fields=fields)
    with h5py.File(path) as file:
        assert set(file["S"]) == set(values)
        for name, expected in values.items():
            if name != "freq":
                np.testing.assert_array_equal(file[f"S/{name}"][()], expected, err_msg=name)
                assert file[f"S/{name}"].dtype == expected.dtype
        np.testing.assert_allclose(file["S/freq"][()], values["freq"], rtol=3e-16)
        assert file["Header"].attrs["frame"] == "LSRK" and file["Header"].attrs["number"] == 3
        # What every step of HiFAST does with a file: the last axis is cut by frequency.
        use = (file["S/freq"][:] >= 1000.05) & (file["S/freq"][:] <= 1000.12)
        inds = np.flatnonzero(use)
        cut = file["S/Ta"][..., inds[0] : inds[-1] + 1].transpose(1, 2, 0)
        assert cut.shape == (33, use.sum(), 2) and cut.dtype == np.float32
    lost = HiFASTWriter.losses(stream.header, stream.shape, False, fields=fields)
    assert lost == ["hifast has no place for the beam, which HiFAST takes from the name of the "
                    "file (...-M01...)"]
    again = opened(path)
    assert again.header.channels == stream.header.channels
    np.testing.assert_array_equal(again.read_block(0, 33).data, stream.read_block(0, 33).data)


def header(products: str = "AABB", **changes: Any) -> Header:
    known = {"start_time": time_from_mjd(59000, 100), "sample_rate": 1 / STEP,
             "channels": ChannelAxis(Fraction(10**9), Fraction(10**6), 8),
             "polarization": PolBasis("linear", PRODUCTS.get(products, (products,))), "n_bits": 32,
             **changes}
    return Header(**known)


@pytest.mark.parametrize(("products", "expected"), [
    ("AABB", lambda x: x), ("AABBCRCI", lambda x: x[:, :2]), ("mean", lambda x: x),
    ("I", lambda x: x / 2)])
def test_products(tmp_path: Path, products: str, expected: Any) -> None:
    head = header(products)
    shape = (5, head.polarization.n_pol, 8)
    data = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    weight = np.ones((5, 1, 1), np.float32)
    weight[2] = 0
    with HiFASTWriter(tmp_path / "p.hdf5", head, shape) as writer:
        writer.append(data[:3], weight[:3])
        writer.append(data[3:], weight[3:])
    data[2] = np.nan
    with h5py.File(tmp_path / "p.hdf5") as file:
        np.testing.assert_array_equal(file["S/Power"][()].transpose(1, 0, 2), expected(data))
    stream = opened(tmp_path / "p.hdf5")
    assert stream.header.sample_rate == 1 / STEP
    assert abs(elapsed(head.start_time, stream.start_time)) < Fraction(1, 10**6)


@pytest.mark.parametrize(("unit", "field", "read"), [
    ("K", "Ta", "K"), ("Jy", "flux", "Jy"), (None, "Power", None), ("mK", "Power", None)])
def test_units_are_kept_or_reported_as_lost(tmp_path: Path, unit: str | None, field: str,
                                            read: str | None) -> None:
    head = header(unit=unit)
    with HiFASTWriter(tmp_path / "u.hdf5", head, (3, 2, 8)) as writer:
        writer.append(np.ones((3, 2, 8), np.float32), np.ones((1, 1, 1), np.float32))
    found = opened(tmp_path / "u.hdf5").header
    assert found.extra["field"] == field and found.unit == read
    lost = "the unit of values, mK" in "; ".join(HiFASTWriter.losses(head, (3, 2, 8), False))
    assert lost == (read != unit)
    losses = "; ".join(HiFASTWriter.losses(head, (3, 2, 8), False, field="T"))
    assert ("the unit of values" in losses) == (unit not in ("K", None))


@pytest.mark.parametrize(("unit", "n_recorded", "expected"), [
    ("K", 2, 3.0), (None, 2, 3.0), ("K", 1, 6.0), ("Jy", 2, 6.0)])
def test_the_mean_of_both_polarisations_in_place_of_i(
        tmp_path: Path, unit: str | None, n_recorded: int, expected: float) -> None:
    """In Jy, I is the mean of AA and BB."""
    basis = PolBasis("linear", ("I",), n_recorded=n_recorded)
    head = header(unit=unit, polarization=basis)
    with HiFASTWriter(tmp_path / "i.hdf5", head, (3, 1, 8)) as writer:
        writer.append(np.full((3, 1, 8), 6, np.float32), np.ones((1, 1, 1), np.float32))
    assert (opened(tmp_path / "i.hdf5").read_block(0, 3).data == expected).all()
    losses = "; ".join(HiFASTWriter.losses(head, (3, 1, 8), False))
    assert ("I / 2 is written" in losses) == (expected == 3)


def test_times_over_midnight_and_leap_seconds(tmp_path: Path) -> None:
    for day, seconds in ((59000, 86390), (57753, 86399)):
        head = header(start_time=time_from_mjd(day, seconds), sample_rate=Fraction(1, 2))
        path = tmp_path / f"{day}.hdf5"
        with HiFASTWriter(path, head, (20, 2, 8)) as writer:
            writer.append(np.zeros((20, 2, 8), np.float32), np.ones((1, 1, 1), np.float32))
        stream = opened(path)
        assert stream.shape[0] == 20 and stream.header.sample_rate == Fraction(1, 2)
        assert abs(elapsed(stream.start_time, head.start_time)) < Fraction(1, 10**6)


def test_losses_are_reported() -> None:
    head = header("AABBCRCI", telescope="GBT", receiver="L", backend="B", source="S", beam=2,
                  ra_deg=1.0, dec_deg=2.0, n_sum=4, dm=50.0, diode=DiodeSchedule(100, 50),
                  extra={"good": "x", "bad": [1, 2], "huge": 2**70, "nul": "a\0b", "f": 1.5})
    losses = "; ".join(HiFASTWriter.losses(head, (3, 4, 8), True))
    for part in ("CR and CI", "no weights", "0.3 us", "the telescope", "the receiver",
                 "the backend", "the source", "the beam", "the position", "noise diode",
                 "averaged in a value", "bad, huge, nul", "the dispersion measure"):
        assert part in losses, part
    assert "good" not in losses
    assert "I / 2" in "; ".join(HiFASTWriter.losses(header("I"), (3, 1, 8), False))
    with pytest.raises(PlanError, match="products I, Q, U, V do not fit into hifast; allowed: AA"):
        HiFASTWriter.losses(header("IQUV"), (3, 4, 8), False)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    path, head, shape = tmp_path / "w.hdf5", header(), (4, 2, 8)
    for wrong, error in (({"n_bits": 8}, "n_bits = 8"), ({"field": "DATA"}, "field = 'DATA'"),
                         ({"fields": {"ra": np.zeros(3)}}, "ra has the shape"),
                         ({"fields": {"Ta": np.zeros(4)}}, "'Ta' is set by the stream"),
                         ({"fields": {"a/b": np.zeros(4)}}, "'a/b'"),
                         ({"fields": {"x": np.array([None] * 4)}}, "x is of type object"),
                         ({"fields": {"mjd": np.full(4, np.nan)}}, "mjd; allowed: finite")):
        with pytest.raises(UsageError, match=error):
            HiFASTWriter(path, head, shape, **wrong)
    with pytest.raises(FormatError, match="give frequency="):
        HiFASTWriter(path, head.replace(channels=None), shape)
    with pytest.raises(UsageError, match="0 of 4 announced rows"), HiFASTWriter(path, head, shape):
        pass
    with pytest.raises(UsageError, match="more rows than the 4"), (
            HiFASTWriter(path, head, shape)) as writer:
        writer.append(np.zeros((5, 2, 8), np.float32), np.ones((1, 1, 1), np.float32))
    with pytest.raises(RuntimeError, match="stop"), HiFASTWriter(path, head, shape):
        raise RuntimeError("stop")
    assert not list(tmp_path.iterdir())
    path.write_text("mine")
    with pytest.raises(fs.OutputError, match="exists"):
        HiFASTWriter(path, head, shape)


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    stream = opened(write(tmp_path / "a.hdf5", group()))
    options = {"fields": all_fields(stream), "provenance": {"b": [1, 2], "a": "x" * 100_000}}
    one = rewritten(stream, tmp_path / "1.hdf5", 7, **options)
    second = int(time.time())  # times that HDF5 might keep are whole seconds
    wait_for(lambda: int(time.time()) > second)
    two = rewritten(stream, tmp_path / "2.hdf5", 3, **options)
    assert one.read_bytes() == two.read_bytes()
    assert opened(one).header.extra["HISTORY-fastsig"].startswith('{"a": "xxx')
    rewritten(stream, tmp_path / "2.hdf5", overwrite=True)
    assert (tmp_path / "2.hdf5").read_bytes() != one.read_bytes()


@pytest.mark.parametrize("limit", [10_000, 400_000])
def test_a_full_disk_leaves_nothing(tmp_path: Path, limit: int) -> None:
    """In a child: where HDF5 cannot write, the process is to leave at once."""
    code = f"""
import os, resource, signal, sys
sys.path[:0] = {sys.path!r}
import numpy as np
from test_hifast import header
from fastsig.io.hifast.writer import HiFASTWriter
from fastsig.errors import OutputError
import fastsig.io.files.safe as safe
safe.os.posix_fallocate = lambda *_: None  # a file system that cannot reserve
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    with HiFASTWriter("full.hdf5", header(), (50_000, 2, 8)) as writer:
        for _ in range(50):
            writer.append(np.ones((1000, 2, 8), np.float32), np.ones((1, 1, 1), np.float32))
except OutputError as error:
    print(error, error.poisoned)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True,
                          text=True, timeout=60)
    assert "full.hdf5: cannot be written" in done.stderr + done.stdout, done
    assert not list(tmp_path.iterdir())


def test_from_fast_spectra(tmp_path: Path) -> None:
    from test_fast_spectral import spectra
    from test_fast_spectral import truth as raw_truth
    from test_fast_spectral import write as write_fast

    data = spectra(6)
    stream = opened(write_fast(tmp_path / "x-M01_W_0001.fits", data), label="half-channel")
    path = rewritten(stream, tmp_path / "x-M01_W-20200531.hdf5",
                     fields={"mjd": stream.times, "is_on": np.zeros(6, bool)})
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["S/Power"][()].transpose(1, 0, 2),
                                      raw_truth(data)[:, :2])
        np.testing.assert_array_equal(file["S/mjd"][()], stream.times)
        np.testing.assert_allclose(file["S/freq"][()], freq(32), rtol=2e-16)
