"""Folds of spectra whose pulses are computed here, apart from the code under test."""

from __future__ import annotations

import tracemalloc
import warnings
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time
from streams import MemorySpectra, MemoryVoltages, header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.errors import DoubtWarning, FastsigWarning, PlanError, UsageError
from fastsig.pulsar.constant import ConstantPeriod
from fastsig.pulsar.polyco import Polyco
from fastsig.pulsar.polyco_text import Block
from fastsig.pulsar.profile_toas import site_code
from fastsig.reductions.folding.channel_phases import ChannelPhases
from fastsig.reductions.folding.folding import fold, folds_of
from fastsig.reductions.folding.predictors import constant_period
from fastsig.reductions.folding.reference_polyco import blocks_of
from fastsig.reductions.folding.sink import Fold
from fastsig.run.engine import run
from fastsig.run.flag_shares import ShareCounter
from fastsig.work.memory import resident_bytes

RATE, N, PERIOD, DM = 1000, 6000, "0.0931407", 12.0
K = 1 / 2.41e-4  # MHz^2 pc^-1 cm^3 s


def spectra(data, n_product=1, rate=RATE, start="2024-03-01T12:34:56.789", **changes):
    """Spectra in memory, from 400 MHz on, 2 MHz a channel."""
    head = header(rate, start=start).replace(
        channels=ChannelAxis(Fraction(401 * 10**6), Fraction(2 * 10**6), data.shape[2]),
        polarization=PolBasis("linear", ("AA", "BB", "CR", "CI")[:n_product] if n_product > 1
                              else ("I",)), sample_rate=Fraction(rate), **changes)
    return MemorySpectra(data, head)


def delays(n_chan, dm=DM):
    """Delays of the channels after infinite frequency, s."""
    return K * dm / (401.0 + 2 * np.arange(n_chan)) ** 2


def turns(n, n_chan, period=float(PERIOD), dm=DM, rate=RATE):
    """Phases of samples, (time, chan), for a pulse at the band's centre at the start."""
    late = delays(n_chan, dm) - K * dm / (400.0 + n_chan) ** 2
    return ((np.arange(n)[:, None] + 0.5) / rate - late) / period


def noise(n_product=1, n_chan=16, n=N, lost=0.0, seed=2):
    rng = np.random.default_rng(seed)
    x = rng.normal(10, 1, (n, n_product, n_chan)).astype(np.float32)
    x[rng.random(x.shape) < lost] = np.nan
    return x


def profile(x, phase, n_bin, each):
    """Means over rows and groups of `each` channels, slowly: (product, chan, bin) and weights."""
    n_product, n_chan = x.shape[1:]
    sums = np.zeros((n_product, n_chan // each, n_bin))
    counts = np.zeros_like(sums)
    bins = np.floor(phase % 1 * n_bin).astype(int)
    for p in range(n_product):
        for c in range(n_chan):
            fine = np.isfinite(x[:, p, c])
            np.add.at(sums[p, c // each], bins[fine, c], x[fine, p, c].astype(float))
            np.add.at(counts[p, c // each], bins[fine, c], 1)
    with np.errstate(invalid="ignore"):
        return sums / counts, counts


@pytest.mark.parametrize("lost", [0.0, 0.1])
@pytest.mark.parametrize("n_product", [1, 4])
def test_every_sample_is_in_its_bin(n_product, lost):
    """Channels have phases of their own; means and weights are those of a slow fold."""
    x = noise(n_product, lost=lost)
    found = fold(spectra(x, n_product), period=f"{PERIOD}s", dm=DM, n_bin=50, n_chan=4,
                 subint="1.5s")
    assert found.shape == (4, n_product, 4, 50) and found.dm == DM and found.dedispersed
    phase = turns(N, 16)
    for k in range(4):
        rows = slice(1500 * k, 1500 * (k + 1))
        mean, counts = profile(x[rows], phase[rows], 50, 4)
        np.testing.assert_array_equal(found.weight[k], counts)
        np.testing.assert_allclose(found.data[k], mean, rtol=1e-6)
    assert found.header.channels == ChannelAxis(Fraction(404 * 10**6), Fraction(8 * 10**6), 4)
    assert found.header.dm_reference_hz == 416 * 10**6 and found.reference_mhz == 416
    assert found.durations.tolist() == [1.5] * 4
    np.testing.assert_allclose(found.periods, float(PERIOD), rtol=1e-12)
    # Phase 0 is a pulse at the centre of the band, near the middle of each subintegration.
    whole = found.offsets / float(PERIOD)
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-10)
    before = 1.5 * np.arange(4) + 0.75 - found.offsets
    assert (before >= 0).all() and (before < float(PERIOD)).all()
    assert found.exact_epochs()[0][0] == 60370


def test_without_dispersion_all_channels_have_one_phase():
    x = noise()
    found = fold(spectra(x), period=f"{PERIOD}s", n_bin=20, n_chan=16, subint=None)
    mean, counts = profile(x, turns(N, 16, dm=0), 20, 1)
    np.testing.assert_allclose(found.data[0], mean, rtol=1e-6)
    np.testing.assert_array_equal(found.weight[0], counts)
    assert found.dm is None and not found.dedispersed and found.weights.shape == (1, 1, 1, 20)


def jumping(jump):
    """Two blocks of a polyco of 10 Hz that meet after 3 s, with phases that differ there."""
    return Polyco([Block("J1", 60370, Fraction(45297 + s, 86400), 0.0, 0.0, -6.0,
                         10 * Fraction(s) + Fraction(extra), Fraction(10), "k", 1, 400.0,
                         (Fraction(0), Fraction(0)), "") for s, extra in ((-26, 0), (32, jump))])


@pytest.mark.parametrize("jump", ["0.4", "-0.4", "3", "-2.6", "0.01"])
def test_phases_that_jump(jump):
    """Single turns are refused, and other profiles reported if a part of a turn is missing."""
    stream = spectra(noise(n_chan=2))
    if jump == "0.01":
        assert fold(stream, jumping(jump), single=True, dm=0).n_subint == 59
        return
    with pytest.raises(PlanError, match=rf"phase jumps by [+]?{jump} turns at 3.21. s, where"):
        fold(stream, jumping(jump), single=True, dm=0)
    if jump == "3":
        assert fold(stream, jumping(jump), dm=0).n_subint == 1
    else:
        with pytest.warns(DoubtWarning, match=r"phase jumps by .*0\.4 turn at 3.21. s"):
            fold(stream, jumping(jump), dm=0)


def test_dedispersed_spectra_need_no_alignment_and_others_the_rest():
    """Half of the dispersion was removed at the top of the band."""
    x = noise()
    top = Fraction(431 * 10**6)
    late = delays(16, DM / 2) + K * DM / 2 / 431.0**2
    for dm in (DM, DM / 2):
        found = fold(spectra(x, dm=DM / 2, dm_reference_hz=top), period=f"{PERIOD}s", dm=dm,
                     n_bin=20, n_chan=16, subint=None)
        at = late - K * dm / 431.0**2 if dm == DM else np.zeros(16)
        mean, _ = profile(x, ((np.arange(N)[:, None] + 0.5) / RATE - at) / float(PERIOD), 20, 1)
        np.testing.assert_allclose(found.data[0], mean, rtol=1e-6)
        assert found.header.dm == dm and found.header.dm_reference_hz == top


class Elsewhere:
    """A predictor of a pulse at some frequency, which covers a minute."""

    source, dm, span = "PSR", DM, None

    def __init__(self, mhz):
        self.reference_mhz = mhz

    def phase(self, start, seconds):
        found = seconds / float(PERIOD)
        return np.floor(found).astype(np.int64), found % 1

    def frequency(self, start, seconds):
        return np.full(np.shape(seconds), 1 / float(PERIOD))

    def parameters(self):
        return {"predictor": "test", "reference_mhz": self.reference_mhz}


@pytest.mark.parametrize("mhz", [np.inf, 1400.0])
def test_a_predictor_of_another_frequency(mhz):
    x = noise()
    found = fold(spectra(x), Elsewhere(mhz), n_bin=20, n_chan=16, subint=None)
    at = delays(16) - K * DM / mhz**2
    mean, _ = profile(x, ((np.arange(N)[:, None] + 0.5) / RATE - at) / float(PERIOD), 20, 1)
    np.testing.assert_allclose(found.data[0], mean, rtol=1e-6)
    # The epoch is when a pulse is at the centre of the band.
    whole = (found.offsets[0] - K * DM * (416.0**-2 - mhz**-2)) / float(PERIOD)
    assert abs(whole - round(whole)) < 1e-10
    assert found.header.source == "PSR"


def test_bits_depend_on_nothing(monkeypatch):
    """Threads, memory, company, and how many predictors there are in a pass."""
    monkeypatch.setattr("fastsig.reductions.folding.sink._SEGMENT", 2**12)
    stream = spectra(noise(2, lost=0.05), 2)
    options = {"n_bin": 32, "n_chan": 8, "subint": "2s"}
    periods = [ConstantPeriod(epoch=stream.header.start_time, period=each, dm=DM)
               for each in (f"{PERIOD}s", "0.11s", "0.031s")]
    alone = folds_of(stream, periods[1:2], workers=1, **options)[0]
    for found in (
            folds_of(stream, periods, workers=2, **options)[1],
            folds_of(stream, periods[:2], workers=2, memory=resident_bytes() + 2**28, **options)[1],
            run([ShareCounter(stream), Fold(stream, periods[1:2], **options)], workers=2)[1][0]):
        assert found.data.tobytes() == alone.data.tobytes()
        assert found.weights.tobytes() == alone.weights.tobytes()
        assert found.offsets.tobytes() == alone.offsets.tobytes()


def test_lost_rows_leave_no_step():
    """A slow drift of the level, and a gap of ten whole turns."""
    level = np.arange(N, dtype=np.float32)[:, None, None] * np.ones((1, 1, 16), np.float32)
    level[1000:2000] = np.nan
    found = fold(spectra(level), period="0.1s", n_bin=10, n_chan=2, subint=None)
    assert (found.weight == 8 * (N - 1000) / 10).all()
    step = np.diff(found.data[0, 0, 0])
    np.testing.assert_allclose(step, step[0], rtol=1e-4)


def test_phases_that_a_constant_frequency_gives_exactly():
    """The polynomial that is fitted to what is left has no terms."""
    class Exact:
        predictor, dm, reference_hz, late_s = SimpleNamespace(source="B0000"), None, 10**9, 0.0

        def at(self, seconds):
            return np.zeros(len(seconds), np.int64), 4 * seconds

        def frequency(self, seconds):
            return np.full(len(seconds), 4.0)

    block, = blocks_of(Exact(), Time("2024-03-01T00:00:00"), 0.0, 0.0)
    assert block.frequency == 4 and not any(block.coefficients)


def test_profiles_of_many_turns_are_in_memory_once():
    stream = spectra(noise())
    sink = Fold(stream, [constant_period(stream, "0.02s", dm=0)], n_bin=64, single=True)
    sink.merge(sink.partial(stream.read_block(0, N)))
    tracemalloc.start()
    found, = sink.finish(N)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.shape == (300, 1, 16, 64)
    assert peak < found.data.nbytes / 2 and found.weights.nbytes < found.data.nbytes / 4


def test_single_turns():
    x = noise()
    found = fold(spectra(x, dm=DM, dm_reference_hz=Fraction(10**9)), period=f"{PERIOD}s", n_bin=16,
                 single=True, n_chan=1)
    assert found.n_subint == 64  # the first turn begins with the data, and the last is incomplete
    edges = np.ceil(np.arange(65) * 93.1407 - 0.5).astype(int)
    phase = turns(N, 16, dm=0)
    for k in (0, 7, 63):
        rows = slice(edges[k], edges[k + 1])
        mean, counts = profile(x[rows], phase[rows], 16, 16)
        np.testing.assert_allclose(found.data[k], mean, rtol=1e-6)
        np.testing.assert_array_equal(found.weight[k], counts)
    whole = fold(spectra(x[:200]), period="0.1s", n_bin=4, single=True)
    assert whole.durations.tolist() == [0.1, 0.1]
    start = Time("2024-03-01T12:34:56.789")
    later = ConstantPeriod(epoch=start + 0.0404 * u.s, period="0.07s")
    part, = folds_of(spectra(x[:190]), [later], n_bin=4, single=True)
    assert part.durations.tolist() == [0.07, 0.07]
    assert (part.header.start_time - start).to_value("s") == pytest.approx(0.04, abs=1e-9)
    np.testing.assert_allclose(part.offsets, [0.0404, 0.1104], atol=1e-9)
    with pytest.raises(PlanError, match="single turns need channels that are aligned"):
        folds_of(spectra(x), [later], dm=DM, single=True)
    with pytest.raises(PlanError, match="no complete turn"):
        fold(spectra(x[:50]), period="0.1s", single=True)
    with pytest.raises(UsageError, match="single turns of 2 predictors"):
        folds_of(spectra(x), [Elsewhere(None)] * 2, single=True, dm=0)


def test_a_leap_second_is_a_second():
    """Sample 1000 is the leap second; its phases are of SI seconds."""
    x = noise()
    found = fold(spectra(x, start="2016-12-31T23:59:59"), period=f"{PERIOD}s", n_bin=20, n_chan=16,
                 subint="3s")
    mean, _ = profile(x[3000:], turns(N, 16, dm=0)[3000:], 20, 1)
    np.testing.assert_allclose(found.data[1], mean, rtol=1e-6)
    (day, seconds), (next_day, later) = found.exact_epochs()
    assert (day, next_day) == (57753, 57754) and 86400 <= seconds < 86401 and 2 < later < 3
    start = Time("2016-12-31T23:59:59")
    assert (found.epochs[0] - start).to_value("s") == pytest.approx(found.offsets[0], abs=1e-9)


@pytest.mark.parametrize("predictor", [None, Elsewhere(np.inf), "bent"])
def test_rows_of_polyco_have_the_phase_of_the_fold(predictor):
    """Which is 0 at all epochs, to 1e-9 turn."""
    given = {"period": f"{PERIOD}s"} if predictor is None else {"predictor": predictor}
    if predictor == "bent":
        given = {"period": "3.1ms", "pdot": 1e-6, "acceleration": "-90m/s2"}
    found = fold(spectra(noise()), dm=DM, n_bin=16, subint="1s", **given)
    polyco, start = found.polyco(), found.header.start_time
    _, fraction = polyco.phase(start, found.offsets)
    assert (np.abs((fraction + 0.5) % 1 - 0.5) < 1e-9).all()
    np.testing.assert_allclose(polyco.frequency(start, found.offsets), 1 / found.periods,
                               rtol=1e-9)
    assert polyco.reference_mhz == 416


def polycos(site):
    """Polycos of a constant period at a site, for the times of the spectra."""
    return Polyco([Block("X", 60370, Fraction(1, 2), 0.0, 0.0, -9.0, Fraction(0), Fraction(10),
                         site, 180, 0.0, (Fraction(0), Fraction(0)))], f"{site}.polyco")


def test_polycos_are_for_the_place_of_the_times():
    """Barycentric times need polycos of the barycentre; others of another place are doubtful."""
    x = noise(n=1000)
    for site in ("k", "FA", "fast", "unknown", ""):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fold(spectra(x), polycos(site), n_bin=32)
    for site, where in (("3", "Arecibo"), ("AO", "Arecibo"), ("@", "the barycentre"),
                        ("SSB", "the barycentre")):
        with pytest.warns(FastsigWarning, match=f"{site}.polyco: its polycos are for {where}"):
            fold(spectra(x), polycos(site), n_bin=32)
    for key in ("barycentric", "barycentered"):
        central = spectra(x, extra={key: 1})
        with pytest.raises(PlanError, match="times are barycentric, and k.polyco is for site k"):
            fold(central, polycos("k"), n_bin=32)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fold(central, polycos("@"), n_bin=32)
        found = fold(central, period="0.1s", n_bin=32)
        assert found.header.barycentric and site_code(found) == "@"
        assert site_code(found, "k") == "k"


def test_a_polyco_of_dm_0_does_not_restore_the_dispersion():
    """TEMPO writes 0 where an ephemeris has no dispersion measure."""
    stream = spectra(noise(n=1000), dm=DM, dm_reference_hz=Fraction(416 * 10**6))
    found = fold(stream, polycos("k"), n_bin=32)
    assert found.dm == DM and polycos("k").dm is None
    expected = fold(stream, period="0.1s", n_bin=32)
    assert found.header.dm_reference_hz == expected.header.dm_reference_hz
    assert fold(spectra(noise(n=1000)), polycos("k"), n_bin=32).dm is None


def test_channels_remain_aligned_in_a_long_subintegration():
    """The period changes by 1 % in 6 s, and delays are many periods."""
    n, period, fdot = N, 0.05, 1 / 30
    late = (delays(4, 3000.0) - K * 3000.0 / 404.0**2)[np.newaxis]
    t = (np.arange(n)[:, np.newaxis] + 0.5) / RATE - late
    phase = t / period + fdot * t**2 / 2
    x = np.exp(-((phase - 0.5 + 0.5) % 1 - 0.5)**2 / 2 / 0.05**2).astype(np.float32)
    found = fold(spectra(x[:, np.newaxis]), period=f"{period}s", dm=3000.0, subint=None, n_bin=20,
                 n_chan=4, acceleration=f"{fdot * period * 299792458.0} m/s2")
    mean, _ = profile(x[:, np.newaxis], phase, 20, 1)
    np.testing.assert_allclose(found.data[0], mean, atol=0.02)


def test_barycentric_times_remain_so_in_archives(tmp_path):
    made = fold(spectra(noise(n=1000), extra={"barycentered": 1}), period="0.1s", n_bin=32)
    made.write(tmp_path / "a.ar")
    assert site_code(fs.open_profiles(tmp_path / "a.ar")) == "@"


def test_the_dispersion_that_was_removed_within_channels_is_that_between_them():
    x = noise(n=1000)
    found, expected = (fold(spectra(x, **fields), period=f"{PERIOD}s", n_bin=32, **options)
                       for fields, options in (({"coherent_dm": DM}, {}), ({}, {"dm": DM})))
    np.testing.assert_array_equal(found.data, expected.data)
    assert found.dm == DM and found.dedispersed


def test_what_cannot_be_folded():
    stream = spectra(noise(n=200))
    for options, words in (
            ({}, "either a predictor or a period"),
            ({"period": "0.1s", "predictor": Elsewhere(None)}, "either a predictor or a period"),
            ({"predictor": Elsewhere(None), "pdot": 1e-10}, "belong to a period"),
            ({"period": "1.9ms"}, "below two samples"),
            ({"period": "0.1s", "n_bin": 1}, "n_bin = 1; allowed: 2 to"),
            ({"period": "0.1s", "n_chan": 3}, "n_chan = 3; allowed: a divisor of 16"),
            ({"period": "0.1s", "dm": float("nan")}, "dm"),
            ({"period": "0.1s", "subint": "0.1ms"}, "subint = 0.1ms; allowed"),
            ({"period": "0s"}, "period = '0s'; allowed: above 0")):
        with pytest.raises(UsageError, match=words):
            fold(stream, **options)
    with pytest.raises(UsageError, match="one or more predictors"):
        Fold(stream, [])


def test_impulses_in_voltages_arrive_at_their_time_to_a_nanosecond():
    """Through the polyphase bank: spectra meet the impulses, 9973 samples apart, in all ways."""
    n, first = 9973, 5000  # us
    x = np.zeros((132 * n, 1), np.int8)
    x[first::n] = 100
    head = header(10**6, n_pol=1)
    made = fs.Chain(MemoryVoltages(x, head)).channelize(64).detect("I")
    # Phase 0 is the beginning of the sample with the impulse; bins are as long as a sample.
    start = ConstantPeriod(epoch=head.start_time + (first - 0.5) * u.us, period=f"{n}us")
    found, = folds_of(made, [start], n_bin=n, n_chan=1, subint=None)
    power = np.nan_to_num(found.data[0, 0, 0].astype(float))
    later = (np.arange(n) + n // 2) % n - n // 2  # us after the beginning of that sample
    assert abs((power * later).sum() / power.sum() - 0.5) < 1e-3


class Orbit(Elsewhere):
    """A pulsar of 1.5 ms in an orbit of 2 h, 1.2 s of light across."""

    def phase(self, start, seconds):
        t = np.asarray(seconds, np.longdouble)
        turns = (t + np.longdouble(0.6) * np.sin(2 * np.pi * t / 7200)) / np.longdouble(0.0015)
        whole = np.floor(turns)
        return whole.astype(np.int64), (turns - whole).astype(np.float64)

    def frequency(self, start, seconds):
        t = np.asarray(seconds, np.float64)
        return (1 + 0.6 * 2 * np.pi / 7200 * np.cos(2 * np.pi * t / 7200)) / 0.0015


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="the phase needs 64 bits")
def test_phases_of_an_orbit_are_right_to_a_billionth():
    """In rows of 49 us, between the three of a piece that the parabola goes through."""
    rate = Fraction(10**9, 49152)
    stream = spectra(np.zeros((1, 1, 4), np.float32), rate=rate)
    predictor = Orbit(None)
    phases = ChannelPhases(stream, predictor, dm=0)
    for first in (0, 10**7, 7 * 10**7):
        pieces, piece = phases.pieces(first, 20000)
        assert piece >= 4096 and pieces.shape == (-(-20000 // piece), 3)
        for t in range(0, 20000, 137):
            start, step, bend = (int(each) for each in pieces[t // piece])
            j = t % piece
            found = (start + j * step + j * (j - 1) // 2 * bend) % 2**64 / 2**64
            seconds = (np.longdouble(first + t) + 0.5) * 49152 / np.longdouble(10**9)
            _, exact = predictor.phase(None, seconds)
            assert abs((found - exact + 0.5) % 1 - 0.5) < 1e-9
