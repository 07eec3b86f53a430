"""Events of a cadence: verdicts of signals on and off a source, along their drift."""

import json

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time
from cli import fastsig

from fastsig.errors import UsageError
from fastsig.run.hit_files import read_hits, write_hits
from fastsig.search.drift.cadence import events_of
from fastsig.search.drift.hits import Hits

START = Time("2024-05-01T00:00:00")
CHAN_HZ, SAMPLE_S, N = 2.8, 18.25, 16
STEP = CHAN_HZ / (15 * SAMPLE_S)


def scan(number, signals, threshold=8.0):
    """Return the hits of a scan of 5 minutes; a signal is frequency (Hz) at the start of the first
    scan, drift and S/N, and is measured with the errors of a search."""
    rng = np.random.default_rng(number)
    time = START + number * 320 * u.s
    n = len(signals)
    late = number * 320
    freq, drift, snr = (np.array([each[i] for each in signals], float) for i in range(3))
    return Hits({
        "time": Time(np.full(n, time.jd1), np.full(n, time.jd2), format="jd", scale="utc"),
        "frequency": (freq + drift * late + rng.uniform(-0.5, 0.5, n) * CHAN_HZ) / 1e6,
        "drift": drift + rng.uniform(-0.5, 0.5, n) * STEP, "snr": snr, "width": np.full(n, CHAN_HZ),
        "excess": np.ones(n), "valid_share": np.ones(n), "channel": np.zeros(n, int),
        "coarse_channel": np.zeros(n, int), "product": ["I"] * n, "beam": np.full(n, -1),
        "ra": np.full(n, np.nan), "dec": np.full(n, np.nan), "source": ["X"] * n,
        "first_row": np.zeros(n, int), "last_row": np.full(n, 15), "file": [f"{number}.h5"] * n,
    }, {"threshold": threshold, "channel_hz": CHAN_HZ, "n_spectrum": N, "sample_s": SAMPLE_S,
        "drift_hz_s": [-4, 4], "start": time.isot})


SKY = (1420.1e6, 0.35, 25.0)
RFI = (1420.2e6, -0.1, 50.0)
ONCE = (1420.3e6, 0.0, 30.0)
WEAK = (1420.4e6, 0.2, 9.0)


def cadence():
    """Sky in the scans on the source, RFI in all, one signal once, a weak one, and others."""
    made = []
    for number in range(6):
        signals = [RFI, (1420.05e6 + 1e4 * number, 0.0, 20.0)]
        if number % 2 == 0:
            signals += [SKY, WEAK]
        if number == 2:
            signals.append(ONCE)
        made.append(scan(number, signals))
    return made


def verdict_near(found, freq_mhz, scan_number=1):
    rows = (np.abs(found.values("frequency") - freq_mhz) < 1e-3) & (
        found.values("scan") == scan_number)
    assert rows.sum() == 1
    return found["verdict"][rows][0], found["reason"][rows][0], found.values("event")[rows][0]


def test_verdicts():
    found = events_of(cadence())
    verdict, reason, event = verdict_near(found, 1420.1)
    assert verdict == "accepted" and "all 3 scans" in reason
    assert sorted(found.values("scan")[found.values("event") == event]) == [1, 3, 5]
    verdict, reason, event = verdict_near(found, 1420.2)
    assert verdict == "interference" and "off the source, S/N 50.0" in reason
    assert (found.values("event") == event).sum() == 6
    assert verdict_near(found, 1420.3, 3)[:2] == ("doubtful", "in 1 of 3 scans on the source")
    verdict, reason, _ = verdict_near(found, 1420.4)
    assert verdict == "doubtful" and "threshold" in reason
    assert found.meta["cadence"]["n_accepted"] == 1


def test_thresholds_of_turboseti_are_the_lowest_snr(tmp_path):
    """A .dat file states no threshold; without hits, nothing is known about it."""
    def verdict(others):
        scans = [scan(k, [SKY, WEAK]) for k in range(3)]
        for k, signals in enumerate(others):
            name = tmp_path / f"{k}.dat"
            found = scan(3 + k, signals).with_meta(n_chan=2**20, n_coarse=1)
            write_hits(found, name, overwrite=True)
            scans.append(read_hits(name))
            assert "threshold" not in scans[-1].meta
        found = events_of(scans, "AAABBB")
        return [verdict_near(found, mhz)[:2] for mhz in (1420.1, 1420.4)]

    apart = [[(1420.6e6 + 1e4 * k, 0.0, 30.0), (1420.7e6 + 1e4 * k, 0.0, 8.0)] for k in range(3)]
    sky, weak = verdict(apart)
    assert sky[0] == "accepted"
    assert weak == ("doubtful", "S/N 9.0 is too close to the threshold off the source")
    sky, weak = verdict([apart[0], [], apart[2]])
    assert sky[0] == "doubtful" and "scan 5 off the source" in sky[1] and "not known" in sky[1]
    assert weak[0] == "doubtful" and "too close" in weak[1]


@pytest.mark.parametrize("drift", [-3.9, -0.02, 0.0, 1.0, 3.9])
def test_signals_of_any_drift_are_followed(drift):
    sky = (1420e6, drift, 20.0)
    found = events_of([scan(k, [sky] if k % 2 == 0 else []) for k in range(6)])
    assert found["verdict"].tolist() == ["accepted"] * 3
    assert set(found.values("event")) == {0}
    all_scans = events_of([scan(k, [sky]) for k in range(6)])
    assert all_scans["verdict"].tolist() == ["interference"] * 6


def test_neighbours_that_do_not_follow_the_drift_are_no_members():
    """A signal 40 channels beside the track, and one with another drift, are others."""
    sky = (1420e6, 1.0, 20.0)
    beside = (1420e6 + 40 * CHAN_HZ, 1.0, 20.0)
    scans = [scan(k, [sky] if k % 2 == 0 else [beside]) for k in range(6)]
    assert set(events_of(scans)["verdict"]) == {"accepted"}


def test_a_hit_off_the_source_is_interference_for_all_that_agree_with_it():
    """Two carriers in the scans on the source of which only one is found in those off it."""
    one, other = (1420e6, 0.1, 30.0), (1420e6 + 2 * CHAN_HZ, 0.1, 20.0)
    found = events_of([scan(k, [one, other] if k % 2 == 0 else [one]) for k in range(6)])
    assert set(found.values("event")) == {0, 1} and len(found) == 9  # each hit has one row
    assert set(found["verdict"]) == {"interference"}


def test_beams_at_the_same_time():
    """Another beam with the signal makes it interference; one without does not."""
    here = scan(0, [SKY, RFI])
    found = events_of([here, scan(0, [RFI]), scan(0, [])], "ABB")
    assert verdict_near(found, 1420.1)[0] == "accepted"
    assert verdict_near(found, 1420.2)[0] == "interference"


@pytest.mark.parametrize(("pattern", "tolerance"), [
    ("ABA", 2.0), ("AAAAAA", 2.0), ("BBBBBB", 2.0), ("AB1B1B", 2.0), ("ABACAD", 0.0),
    ("ABACAD", np.nan)])
def test_what_is_refused(pattern, tolerance):
    with pytest.raises(UsageError, match="allowed"):
        events_of(cadence(), pattern, tolerance=tolerance)


def test_the_command(tmp_path):
    names = [tmp_path / f"{k}.ecsv" for k in range(6)]
    for name, hits in zip(names, cadence(), strict=True):
        write_hits(hits, name)
    done = fastsig("search", "events", *names, "-o", tmp_path / "events.ecsv", "--json")
    report = json.loads(done.stdout)
    assert report["n_accepted"] == 1 and "1 accepted" in done.stderr
    assert len(read_hits(tmp_path / "events.ecsv")) == report["n_row"]
    fastsig("search", "events", *names, "-o", tmp_path / "sky.ecsv", "--keep", "accepted")
    assert set(read_hits(tmp_path / "sky.ecsv")["verdict"]) == {"accepted"}
    assert "several scans" in fastsig("search", "events", *names, "-o", tmp_path / "x.dat",
                                      code=2).stderr
    joined = fastsig("search", "events", tmp_path / "sky.ecsv", names[0], "-o",
                     tmp_path / "y.ecsv", "--pattern", "AB", code=2)
    assert "several searches" in joined.stderr


def beam(number, signals):
    """Return the hits of a beam: signals at half time, with the errors of a search."""
    made = scan(number % 2, signals)
    later = SAMPLE_S * 15 / 2
    begin = (made.values("frequency") * 1e6 - made.values("drift") * later
             - 320 * (number % 2) * made.values("drift")) / 1e6
    return made.with_columns(beam=np.full(len(signals), number), frequency=begin,
                             time=Time([START.isot] * len(signals)) if signals else made["time"]
                             ).with_meta(start=START.isot, n_chan=2**20)


def test_beams_have_one_row_for_a_carrier_with_a_verdict(tmp_path):
    from fastsig.reductions.drifting.beams import compare_hit_beams

    every = [(1420.2e6, -0.1, 40.0)]
    # A carrier of the sky in M01 and, 3' away, weaker in M02; another in M01 alone.
    tables = [beam(1, [*every, (1420.1e6, 0.3, 30.0), (1420.3e6, 0.0, 12.0)]),
              beam(2, [*every, (1420.1e6, 0.3, 20.0)]),
              *(beam(number, every) for number in (8, 14, 19))]
    found = compare_hit_beams(tables, beams=range(1, 20))
    about = {round(at, 1): (verdict, n) for at, verdict, n in zip(
        found.values("frequency"), found["verdict"], found.values("n_beam"), strict=True)}
    assert about == {1420.1: ("accepted", 2), 1420.2: ("interference", 5), 1420.3: ("accepted", 1)}
    near = found[np.abs(found.values("frequency") - 1420.1) < 0.01]
    assert near["beams"][0] == "1: 30.0, 2: 20.0" and 2.5 < near.values("east")[0] < 3.3
    # With another drift, or 3 widths away, it is another carrier.
    other = compare_hit_beams([beam(1, [(1420.1e6, 0.3, 30.0)]), beam(2, [(1420.1e6, 0.5, 30.0)]),
                               beam(3, [(1420.1e6 + 12, 0.3, 30.0)])])
    assert len(other) == 3
    bare = [Hits({name: each.values(name) for name in each.names},
                 {name: value for name, value in each.meta.items() if name != "threshold"})
            for each in tables]  # as those of turboSETI
    assert compare_hit_beams(bare).meta["comparison"]["threshold"] == 40.0
    names = []
    for k, each in enumerate(tables):
        write_hits(each, tmp_path / f"{k}.ecsv")
        names.append(tmp_path / f"{k}.ecsv")
    done = fastsig("search", "beams", *names, "-o", tmp_path / "b.ecsv", "--beams", "1-19",
                   "--keep", "possible")
    assert "8 hits of 19 beams: 2 accepted" in done.stderr
    assert len(read_hits(tmp_path / "b.ecsv")) == 2
    with pytest.raises(UsageError, match="beam of its hits"):
        compare_hit_beams([tables[0].with_columns(beam=np.full(3, -1))])
    with pytest.raises(UsageError, match="different resolutions"):
        compare_hit_beams([tables[0], tables[1].with_meta(n_spectrum=32)])
    assert len(compare_hit_beams([tables[0][:0], tables[1][:0]], table_beams=[1, 2],
                                 beams=[1, 2])) == 0
