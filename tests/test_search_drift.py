"""``search drift`` as a user calls it: formats, sameness, tables, refusals."""

import errno
import json
import os
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from carriers import spectra
from cli import fastsig
from streams import MemorySpectra, header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.errors import OutputError
from fastsig.reductions.drifting import hits as hits_module
from fastsig.reductions.drifting.bands import CopiedBands
from fastsig.reductions.drifting.hits import Request, drifting, found_hits
from fastsig.run.hit_files import read_hits, write_hits

CHAN_HZ, SAMPLE_S = Fraction(14, 5), Fraction(73, 4)
#: Channel, drift, width and S/N of carriers: at both edges, in the middle, and fast.
CARRIERS = [(3.0, 4.0, 1, 25.0), (8190.0, -6.0, 1, 25.0), (4000.0, 20.0, 1, 40.0),
            (2000.0, -100.0, 1, 90.0)]


def stream(n_time=16, n_chan=2**13, carriers=CARRIERS, telescope="GBT"):
    head = header(1 / SAMPLE_S, n_pol=1).replace(
        channels=ChannelAxis(Fraction(1420 * 10**6), CHAN_HZ, n_chan),
        polarization=PolBasis("linear", PRODUCTS["I"]), telescope=telescope)
    return MemorySpectra(1e9 * spectra(n_time, n_chan, carriers)[:, np.newaxis], head)


def rows(hits):
    return list(zip(*(hits.values(name).tolist() for name in
                      ("frequency", "drift", "snr", "width", "channel")), strict=True))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same spectra in three formats."""
    folder = tmp_path_factory.mktemp("drift")
    paths = [folder / name for name in ("a.fil", "a.h5", "a.fits")]
    for path in paths:
        fs.Chain(stream()).write(path, bits=32, lossy=True)
    return paths


def test_carriers_are_found_at_their_frequency_and_drift():
    hits = drifting(stream())
    assert len(hits) == len(CARRIERS)
    step = float(CHAN_HZ / (15 * SAMPLE_S))
    for channel, drift, _, _ in CARRIERS:
        k = int(np.argmin(np.abs(hits.values("channel") - channel)))
        near = 1 + abs(drift) / 30
        off = (hits.values("frequency")[k] - 1420) * 1e6 / float(CHAN_HZ) - channel
        assert abs(off) <= near
        assert abs(hits.values("drift")[k] / step - drift) <= near
    assert hits["time"][0].isot == "2021-03-04T05:06:16.248456789"  # the centre of a spectrum
    assert hits["drift"].unit == u.Hz / u.s and hits["frequency"].unit == u.MHz
    edge = hits[hits.values("channel") > 8100]
    assert edge.values("valid_share")[0] == 1


def test_the_same_hits_from_every_format(files):
    found = []
    for path in files:
        with fs.open(path) as chain:
            found.append(rows(drifting(chain)))
    assert found[0] == found[1] == found[2] and len(found[0]) == len(CARRIERS)


def test_the_same_hits_for_any_workers_and_from_copied_rows(monkeypatch, tmp_path):
    wide = stream(n_chan=2**15, carriers=[(700.0 + 1500 * k, 3.0 * k, 1, 30.0) for k in range(20)])
    monkeypatch.setattr("fastsig.reductions.drifting.searching._TILE", (2**12, 2**12))
    monkeypatch.setattr("fastsig.reductions.drifting.searching._UNIT_VALUES", 2**17)
    expected = rows(drifting(wide, workers=1))
    assert len(expected) == 20
    assert rows(drifting(wide, workers=3)) == expected
    monkeypatch.setattr("fastsig.reductions.drifting.searching._UNIT_VALUES", 2**24)
    assert rows(drifting(wide, workers=2)) == expected
    monkeypatch.setattr(hits_module, "bands_of", lambda each, **options: CopiedBands(
        each, str(tmp_path), workers=options["workers"], memory=None, progress=None))
    assert rows(drifting(wide)) == expected
    assert not list(tmp_path.iterdir())


def test_the_same_hits_for_any_range_that_contains_them_and_any_coarse_channels():
    """No hits are lost if the range of drift rates is made wider, or the band divided."""
    wide = stream(n_chan=2**15, carriers=[(700.0 + 1500 * k, 3.0 * k, 1 + k % 3, 30.0)
                                          for k in range(20)])
    step = float(CHAN_HZ / (15 * SAMPLE_S))
    expected = rows(drifting(wide, f"{-65 * step}:{65 * step}"))
    assert len(expected) == 20

    def same(found):
        near = {(round(row[0], 5), round(row[1] / step)) for row in found}
        return all(any(abs(row[0] - freq) < 3e-5 and abs(row[1] / step - drift) < 2
                       for freq, drift in near) for row in expected)

    for limit in (66, 100, 390):
        found = rows(drifting(wide, f"{-limit * step}:{limit * step}"))
        assert same(found) and len(found) == 20
    for coarse in (1, 2, 4, 8):
        found = rows(drifting(wide, f"{-65 * step}:{65 * step}", coarse=coarse, dc=True))
        assert same(found) and len(found) == 20
    found = rows(drifting(wide, f"0:{65 * step}"))
    assert same(found) and len(found) == 20


@pytest.mark.parametrize("what", ["gap", "one", "lost", "zeros"])
def test_spectra_with_gaps_single_spectra_and_none(what, tmp_path):
    """S/N under gaps is that of the valid samples; without data there is no hit and no error."""
    made = stream(n_time=1 if what == "one" else 16, n_chan=2**13,
                  carriers=[(4000.0, 0.0 if what == "one" else 5.0, 1, 60.0),
                            (2000.0, 0.0, 1, 60.0)])
    if what == "gap":
        made.spectra[5:9, :, 1900:2100] = np.nan
        made.spectra[12] = np.nan
    if what in ("lost", "zeros"):
        made.spectra[:] = np.nan if what == "lost" else 0
    fs.Chain(made).write(tmp_path / "a.h5", bits=32)
    fastsig("search", "drift", tmp_path / "a.h5", "-o", tmp_path / "a.ecsv", "-q")
    hits = read_hits(tmp_path / "a.ecsv")
    if what in ("lost", "zeros"):
        assert len(hits) == 0
        return
    assert sorted(hits.values("channel").tolist()) == [2000, 4000]
    share = dict(zip(hits.values("channel").tolist(), hits.values("valid_share").tolist(),
                     strict=True))
    snr = dict(zip(hits.values("channel").tolist(), hits.values("snr").tolist(), strict=True))
    if what == "one":
        assert set(hits.values("drift").tolist()) == {0.0} and snr[2000] == pytest.approx(60, abs=4)
        return
    assert share == {2000: pytest.approx(11 / 16, abs=1e-3), 4000: pytest.approx(15 / 16, abs=1e-3)}
    assert snr[2000] == pytest.approx(60 * (11 / 16) ** 0.5, abs=4)


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interrupted_search_leaves_no_table(signal, code, files, tmp_path):
    before = ("import os, signal\n"
              "from fastsig.search.drift.tile import Tile\n"
              f"Tile.search = lambda *_: os.kill(os.getpid(), signal.{signal}) or [][0]\n")
    error = fastsig("search", "drift", files[0], "-o", tmp_path / "a.ecsv", "--verbose", code=code,
                    before=before).stderr
    assert "Traceback" not in error and not list(tmp_path.iterdir())


def test_a_full_disk_is_reported(files, tmp_path):
    before = ("import errno, os\n"
              "from fastsig.io.files import safe\n"
              "def full(*_):\n    raise OSError(errno.ENOSPC, 'no space left on device')\n"
              "os.fsync = full\n")
    error = fastsig("search", "drift", files[0], "-o", tmp_path / "a.ecsv", code=4,
                    before=before).stderr
    assert "a.ecsv" in error and "space" in error and not list(tmp_path.iterdir())


@pytest.mark.parametrize("low", [0, 1])  # 1: the band was recorded with descending frequency
def test_the_centre_of_a_coarse_channel_is_left_out(low):
    dc = stream(carriers=[(1024.0 - low, 0.0, 1, 300.0), (3072.0 - low, 0.0, 1, 300.0),
                          (900.0, 0.0, 1, 30.0)])
    assert len(drifting(dc)) == 3  # no whole number of Green Bank's coarse channels
    found = drifting(dc, coarse=4)
    assert found.values("channel").tolist() == [900]
    assert found.values("coarse_channel").tolist() == [0]
    assert len(drifting(dc, coarse=4, dc=True)) == 3


def test_a_table_and_a_dat_file(tmp_path):
    hits = drifting(stream())
    write_hits(hits, tmp_path / "a.ecsv")
    again = read_hits(tmp_path / "a.ecsv")
    assert rows(again) == rows(hits) and again.meta["threshold"] == 10
    write_hits(hits, tmp_path / "a.dat")
    other = read_hits(tmp_path / "a.dat")
    np.testing.assert_allclose(other.values("frequency"), hits.values("frequency"), atol=1e-6)
    np.testing.assert_allclose(other.values("drift"), hits.values("drift"), atol=1e-6)
    assert abs((other["time"][0] - hits["time"][0]).to_value("s")) < 1e-3


def test_snr_as_turboseti_defines_it():
    """That of one channel, over the deviation of the middle 90 % of all sums."""
    request = Request.of(stream(carriers=[(4000.0, 0.0, 1, 40.0)]), "0:0")
    hits = found_hits(request, like_turboseti=True)
    ratio = hits.values("snr_turboseti")[0] / hits.values("snr")[0]
    assert ratio == pytest.approx(1.27, abs=0.04)


@pytest.mark.parametrize("lost", [(slice(5, 6), slice(None)), (slice(0, 4), slice(3990, 4001))])
def test_snr_of_turboseti_is_that_of_valid_samples(lost):
    """With a wholly lost spectrum, as if it contained zeros; with a few lost samples, still near.
    """
    made = stream(carriers=[(4000.0, 0.0, 1, 40.0)])
    whole = found_hits(Request.of(made, "0:0"), like_turboseti=True)
    made.spectra[lost[0], 0, lost[1]] = np.nan
    found = found_hits(Request.of(made, "0:0"), like_turboseti=True)
    snr = found.values("snr_turboseti")[0]
    assert snr == pytest.approx(whole.values("snr_turboseti")[0], rel=0.15)
    if lost[1] == slice(None):  # turboSETI takes lost samples to be 0
        total = np.sort(np.nansum(made.spectra[:, 0], axis=0, dtype=np.float64))
        middle = total[int(len(total) * 0.05) : int(len(total) * 0.95)]
        assert snr == pytest.approx((total[-1] - np.median(middle)) / middle.std(), rel=1e-3)


def test_a_hit_without_the_snr_of_turboseti_has_its_own_in_a_dat_file(tmp_path):
    request = Request.of(stream(carriers=[(4000.0, 0.0, 1, 40.0)]), "0:0")
    hits = found_hits(request, like_turboseti=True)
    hits = hits.with_columns(snr_turboseti=np.full(len(hits), np.nan))
    write_hits(hits, tmp_path / "a.dat")
    np.testing.assert_allclose(read_hits(tmp_path / "a.dat").values("snr"), hits.values("snr"),
                               atol=1e-6)


def test_the_command(files, tmp_path):
    made = tmp_path / "hits.ecsv"
    report = json.loads(fastsig("search", "drift", files[0], "-o", made, "--json").stdout)
    assert report["n_hit"] == len(CARRIERS) == len(read_hits(made))
    strongest = report["hits"][0]
    assert strongest["snr"] == max(each["snr"] for each in report["hits"])
    planned = fastsig("search", "drift", files[0], "-o", tmp_path / "b.ecsv", "--dry-run").stdout
    assert "would write" in planned and not (tmp_path / "b.ecsv").exists()


@pytest.mark.parametrize(("first", "name"), [(0, "0"), (3, "0"), (4, "1"), (9, "2")])
def test_the_file_is_the_one_in_which_the_search_begins(first, name, tmp_path):
    source = fs.Chain(stream(n_chan=2**10, carriers=[(500.0, 0.0, 1, 60.0)]))
    for k, part in enumerate((source[:4], source[4:9], source[9:])):
        part.write(tmp_path / f"{k}.fil", bits=32, lossy=True)
    with fs.open([tmp_path / f"{k}.fil" for k in range(3)]) as scan:
        assert drifting(scan[first:]).values("file").tolist() == [f"{name}.fil"]
    fastsig("search", "drift", *(tmp_path / f"{k}.fil" for k in range(3)), "-o",
            tmp_path / "a.ecsv", "--tstart", f"{float(first * SAMPLE_S)}s")
    assert read_hits(tmp_path / "a.ecsv").values("file").tolist() == [f"{name}.fil"]


def test_voltages_are_divided_into_channels(tmp_path):
    path = tmp_path / "tone.h5"
    fastsig("simulate", "fast-voltage", "-o", path, "--duration", "0.5s", "--fstart", "1400MHz",
            "--bandwidth", "1MHz", "--carrier", "frequency=1400.3003MHz,level=0.05")
    report = json.loads(fastsig(
        "search", "drift", path, "-o", tmp_path / "a.ecsv", "--n-chan", "8192", "--integrate",
        "60ms", "--drift", "-500:500", "--json").stdout)
    assert report["n_hit"] == 1


def test_voltages_of_several_coarse_channels(tmp_path):
    """Their channels belong to transforms, which are computed once and not for each piece."""
    path = tmp_path / "tone.raw"
    fastsig("simulate", "fast-voltage", "-o", path, "--to", "guppi", "--coarse", "2", "--duration",
            "0.5s", "--fstart", "1400MHz", "--bandwidth", "256kHz", "--bandpass", "flat",
            "--carrier", "frequency=1400.2003MHz,level=0.05")
    report = json.loads(fastsig(
        "search", "drift", path, "-o", tmp_path / "a.ecsv", "--n-chan", "1024", "--integrate",
        "60ms", "--drift", "-500:500", "--json").stdout)
    assert [each["frequency"] for each in report["hits"]] == [pytest.approx(1400.2003, abs=2e-4)]


def test_a_range_within_a_step_is_warned_of(tmp_path: Path) -> None:
    text = "only carriers without drift are searched for, because the step of the drift rate is"
    for drift, warned in (("-4:4", True), ("0:0", False), ("-1e8:1e8", False)):
        done = fastsig("search", "drift", "data/samples/frb_carrier_16MHz.h5", "-o",
                       tmp_path / "x.ecsv", "--n-chan", 256, "--integrate", "1ms", "--drift", drift,
                       "--overwrite", code=0)
        assert (text in done.stderr) is warned
    with pytest.warns(fs.FastsigWarning, match=f"{text} .*; use a wider drift=, a longer scan"):
        fs.open("data/samples/frb_carrier_16MHz.h5").channelize(256).detect("I").integrate(
            "1ms").drifting()


@pytest.mark.parametrize(("options", "code", "message"), [
    (["--drift", "4:-4"], 2, "ascending"), (["--drift", "4"], 2, "-4:4"),
    (["--snr", "1"], 2, "5 or more"), (["--coarse", "3"], 2, "divisor"),
    (["--memory", "20MB"], 2, "requires"), (["--n-chan", "16"], 2, "voltages"),
    (["--width", "1MHz"], 2, "width"),
])
def test_what_is_refused(options, code, message, files, tmp_path):
    error = fastsig("search", "drift", files[0], "-o", tmp_path / "x.ecsv", *options,
                    code=code).stderr
    assert message in error
    assert not (tmp_path / "x.ecsv").exists()


def test_rows_are_copied_before_a_search_and_a_full_disk_is_reported(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    with CopiedBands(stream(n_chan=512), str(tmp_path), workers=1, memory=None, progress=None
                     ) as bands:
        np.testing.assert_array_equal(bands.read(5, 9), stream(n_chan=512).read_block(
            0, 16).data[:, 0, 5:9])
        assert not list(tmp_path.iterdir())  # it has no name: nothing is left if the process dies
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OutputError, match="no space left"), CopiedBands(
            stream(n_chan=512), str(tmp_path), workers=1, memory=None, progress=None):
        pass


def test_descending_frequencies_and_a_scan_without_valid_samples(files, tmp_path):
    """A .fil whose frequencies descend, as those of Green Bank, has the same hits."""
    content = files[0].read_bytes()
    end = content.index(b"HEADER_END") + 10
    head, data = bytearray(content[:end]), np.frombuffer(content[end:], "<f4").reshape(16, -1)
    for name, change in ((b"fch1", lambda fch1, foff: fch1 + foff * (data.shape[1] - 1)),
                         (b"foff", lambda fch1, foff: -foff)):
        at, other = (content.index(each) + 4 for each in (b"fch1", b"foff"))
        place = content.index(name) + 4
        struct.pack_into("<d", head, place, change(*(struct.unpack_from("<d", content, each)[0]
                                                     for each in (at, other))))
    path = tmp_path / "down.fil"
    path.write_bytes(bytes(head) + data[:, ::-1].tobytes())
    with fs.open(path) as down, fs.open(files[0]) as up:
        assert [(row[0], row[1], row[4]) for row in rows(drifting(down))] == [
            (pytest.approx(row[0], abs=1e-9), row[1], row[4]) for row in rows(drifting(up))]
    path.write_bytes(bytes(head) + np.full(data.shape, np.nan, "<f4").tobytes())
    with fs.open(path) as lost:
        hits = drifting(lost)
    assert len(hits) == 0 and hits.meta["false_alarms"] == 0 and hits.meta["noise_shape"] is None
    write_hits(hits, tmp_path / "none.ecsv")
    assert len(read_hits(tmp_path / "none.ecsv")) == 0


def test_false_alarms_are_stated():
    hits = drifting(stream(carriers=[]), snr=6.0)
    assert hits.meta["noise_shape"] == pytest.approx(51, rel=0.1)
    assert 1e-4 < hits.meta["false_alarms"] < 1


def test_the_band_around_a_hit_is_cut_out(files, tmp_path):
    fastsig("search", "drift", files[1], "-o", tmp_path / "hits.ecsv", "-q")
    hits = read_hits(tmp_path / "hits.ecsv")
    fast = int(np.argmin(hits.values("drift")))
    fastsig("cut", files[1], "-o", tmp_path / "a.h5", "--hits", tmp_path / "hits.ecsv", "--row",
            str(fast + 1), "--side", "140Hz")
    with fs.open(tmp_path / "a.h5") as part, fs.open(files[1]) as whole:
        first = round((float(part.stream.header.channels.first_hz) - 1420e6) / float(CHAN_HZ))
        assert first == pytest.approx(2000 - 100 - 50, abs=6)
        assert part.stream.shape[2] == pytest.approx(100 + 2 * 50, abs=12)
        np.testing.assert_array_equal(part.stream.read_block(0, 16).data, whole.stream.read_block(
            0, 16).data[
            :, :, first : first + part.stream.shape[2]])
        again = drifting(part)
        assert abs(again.values("frequency")[0] - hits.values("frequency")[fast]) < 1e-5
    for options, code, message in ((["--row", "9"], 2, "the number of hits"),
                                   (["--row", "2"], 2, "allowed: with --hits TABLE")):
        table = ["--hits", tmp_path / "hits.ecsv"] if code == 2 and "9" in options else []
        assert message in fastsig("cut", files[1], "-o", tmp_path / "b.h5", *table, *options,
                                  code=code).stderr
    moved = hits.with_columns(frequency=hits.values("frequency") + 1)
    write_hits(moved, tmp_path / "moved.ecsv")
    assert "outside its band" in fastsig("cut", files[1], "-o", tmp_path / "b.h5", "--hits",
                                         tmp_path / "moved.ecsv", code=3).stderr
