"""Synthesis of a band from channels: the same voltages at the same times, whatever made them."""

from __future__ import annotations

import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from recordings import recorded
from stage_checks import check_rows
from streams import MemoryVoltages, header, write_native

import fastsig as fs
from fastsig import simulate
from fastsig.axes import validity
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.time import elapsed, sample_time
from fastsig.errors import FastsigError, PlanError, UsageError
from fastsig.simulate import bank
from fastsig.stages.channelize import Channelize
from fastsig.stages.coarse_channels import centred_prototype
from fastsig.stages.synthesize import Synthesize

#: With much noise g is short, so that a few frames are enough.
EXAMPLE = {"noise": 0.1}

RATE, LOW = 2_000_000, 1_400_000_000
#: Ratios, and a number of channels for which the hop is a whole number.
BANKS = [("1", 64), ("4/3", 64), ("32/27", 96)]


def voltages(rng: np.random.Generator, n: int, *, is_complex: bool = True, n_pol: int = 1,
             sideband: str = "upper") -> MemoryVoltages:
    """White noise with tones and an impulse; below 0.9 of the band if real."""
    x = rng.normal(size=(n, n_pol)) + 1j * rng.normal(size=(n, n_pol))
    for freq, power in ((-0.31, 3), (0.012, 1), (0.123456, 2)):
        x += power * np.exp(2j * np.pi * freq * np.arange(n))[:, None]
    x[n // 2 + 5] += 50  # not halfway between frames, where a critically sampled bank is worst
    if not is_complex:
        spectrum = np.fft.rfft(x.real, axis=0)
        spectrum[int(0.9 * len(spectrum)):] = 0
        x = np.fft.irfft(spectrum, n, axis=0)
    head = header(RATE, low_hz=LOW, is_complex=is_complex, sideband=sideband, n_pol=n_pol,
                  n_bits=32)
    return MemoryVoltages(x.astype(np.complex64 if is_complex else np.float32), head)


def first_in(source: Any, band: Any) -> int:
    """The sample of the source at the time of sample 0 of the band, which must be a whole one."""
    at = elapsed(source.start_time, band.start_time) * RATE
    assert abs(at - round(at)) < Fraction(1, 10**4)  # two-part times have steps of 5 ps
    return round(at)


def rows_of(band: Any) -> Any:
    """The block of all rows."""
    return band.read_block(0, band.shape[0])


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """The relative rms error."""
    return float(np.sqrt((np.abs(found - wanted) ** 2).mean() / (np.abs(wanted) ** 2).mean()))


@pytest.mark.parametrize("sideband", ["upper", "lower"])
@pytest.mark.parametrize("is_complex", [True, False])
@pytest.mark.parametrize(("ratio", "n_chan"), BANKS)
def test_frames_give_their_voltages(ratio: str, n_chan: int, is_complex: bool, sideband: str,
                                    rng: np.random.Generator) -> None:
    source = voltages(rng, 40_000, is_complex=is_complex, sideband=sideband)
    band = Synthesize(Channelize(source, n_chan, oversample=ratio))
    assert band.header.sample_rate == RATE
    assert band.header.channels == source.header.channels
    assert band.header.sideband == sideband and band.header.is_complex == is_complex
    first, found = first_in(source, band), rows_of(band)
    wanted = source.samples[first : first + found.n]
    # The analysis of real voltages drops the Nyquist channel, whose sidelobes are at -84 dB.
    bound = band.residual if is_complex else max(band.residual, 10 ** (-84 / 20))
    # The residual is that of white voltages; tones and an impulse are at one branch or frequency.
    assert error(found.data, wanted) < 1.3 * bound
    assert [each.tolist() for each in found.valid] == [[[0, found.n]]]
    assert found.data.dtype == source.dtype


def channels_of(x: np.ndarray, n_chan: int, ratio: str, *, first_frame: int, n_row: int,
                origin: int) -> np.ndarray:
    """Channels of a complex band by direct sums: rows `first_frame` + m, ascending.

    The window of row m is centred on sample ``origin + m hop``, and phases are 0 at `origin`.
    """
    taps = centred_prototype(n_chan, 8, "hamming").ravel()
    hop = int(n_chan / Fraction(ratio))
    within = np.arange(taps.size) - taps.size // 2
    rows = []
    for m in range(first_frame, first_frame + n_row):
        turns = np.exp(-2j * np.pi * np.outer(np.arange(n_chan) - n_chan // 2,
                                              m * hop + within) / n_chan)
        rows.append(turns @ (taps * x[origin + m * hop + within]))
    return np.array(rows)


def coarse(source: MemoryVoltages, n_chan: int, ratio: str, *, first_frame: int = 0,
           n_row: int = 60, sideband: str = "upper", origin: int = 200) -> MemoryVoltages:
    """A recording of channels of a band, from the row `first_frame` on."""
    rows = channels_of(source.samples[:, 0], n_chan, ratio, first_frame=first_frame, n_row=n_row,
                       origin=origin)
    rows = rows if sideband == "upper" else rows.conj()
    hop = int(n_chan / Fraction(ratio))
    step = Fraction(RATE, n_chan)
    start = sample_time(source.start_time, origin + first_frame * hop, Fraction(RATE))
    head = source.header.replace(
        start_time=start, sample_rate=Fraction(RATE, hop), sideband=sideband,
        channels=ChannelAxis(Fraction(LOW), step, n_chan))
    return MemoryVoltages(rows[:, None].astype(np.complex64), head)


@pytest.mark.parametrize("sideband", ["upper", "lower"])
@pytest.mark.parametrize("made", ["upper", "lower"])
@pytest.mark.parametrize(("ratio", "n_chan", "n_row"), [("1", 32, 170), ("4/3", 48, 60),
                                                        ("32/27", 32, 60)])
def test_recorded_channels_give_the_band(ratio: str, n_chan: int, n_row: int, made: str,
                                         sideband: str, rng: np.random.Generator) -> None:
    source = voltages(rng, 6000)
    record = coarse(source, n_chan, ratio, n_row=n_row, sideband=sideband)
    band = Synthesize(record, sideband=made)
    first, found = first_in(source, band), rows_of(band)
    n = np.arange(first, first + found.n)
    # 0 Hz is moved from the centre of a channel to the middle of all.
    wanted = source.samples[n, 0] * np.exp(1j * np.pi * (n - 200) / n_chan)
    wanted = wanted if made == "upper" else wanted.conj()
    assert error(found.data[:, 0], wanted) < 1.3 * band.residual
    low, high = record.header.channels.edges_hz
    assert band.header.channels == ChannelAxis((low + high) / 2, Fraction(RATE), 1)
    assert (band.header.sample_rate, band.header.sideband) == (RATE, made)


def test_the_first_row_counts_in_an_oversampled_bank(rng: np.random.Generator) -> None:
    source = voltages(rng, 3000)
    whole = coarse(source, 48, "4/3", n_row=60)
    late = coarse(source, 48, "4/3", first_frame=5, n_row=55)
    expected = Synthesize(whole)
    for band in (Synthesize(late, first_frame=5), fs.Chain(whole)[5:].synthesize().stream):
        shift = first_in(source, band) - first_in(source, expected)
        np.testing.assert_array_equal(rows_of(band).data, rows_of(expected).data[shift:])
    wrong = rows_of(Synthesize(late)).data
    assert error(wrong, rows_of(expected).data[-len(wrong):]) > 0.1


@pytest.mark.parametrize("sideband", ["upper", "lower"])
def test_simulated_channels_give_the_digitised_voltages(sideband: str) -> None:
    """The simulator's filter bank and its times are independent of this one."""
    record = simulate.FastVoltage(duration="2ms", bandwidth="8MHz", sideband=sideband, seed=3)
    digitised = fs.Chain(simulate.SimulatedVoltages(record))
    channels = fs.Chain(simulate.SimulatedVoltages(simulate.CoarseVoltage(record, 16)))
    taps = bank.prototype(16)[::2].reshape(bank.N_TAP, 16)  # at half the rate of the digitiser
    band = channels.synthesize(taps=taps, sideband=sideband)
    assert band.header.channels == digitised.header.channels
    # The positive frequencies of the real voltages, with 0 Hz moved to the middle of the band.
    real = digitised.read().values[:, 0]
    spectrum = np.fft.fft(real)
    spectrum[len(real) // 2:] = 0
    at = elapsed(digitised.start_time, band.start_time) * digitised.header.sample_rate
    n = round(at) + 2 * np.arange(len(band))
    assert abs(at - n[0]) < Fraction(1, 10**3)
    wanted = 2 * np.fft.ifft(spectrum)[n] * np.exp(-1j * np.pi / 2 * n)
    # Within a channel of the edges, where neighbours are missing, there is no comparison.
    inner = np.abs(np.fft.fftfreq(len(n))) < 0.5 - 1 / 16
    taper = np.hanning(len(n))
    found, wanted = (np.fft.fft(each * taper)[inner] for each in (band.read().values[:, 0], wanted))
    # Both were rounded to integers at an rms of 20, and the residual is 0.018.
    assert error(found, wanted) < np.hypot(0.02, 1.3 * band.stream.residual)


def test_real_voltages_of_recorded_channels(rng: np.random.Generator) -> None:
    source = voltages(rng, 20_000, is_complex=False)
    frames = Channelize(source, 64, oversample="4/3")
    rows = rows_of(frames).data
    # The same samples with the time of the middle of a window.
    middle = sample_time(frames.start_time, 48, Fraction(RATE))
    record = MemoryVoltages(rows, frames.header.replace(start_time=middle))
    band = Synthesize(record, real=True, taps=frames.bank.taps)
    assert band.header.channels == source.header.channels and band.dtype == np.float32
    # The middle of these windows is halfway between two samples, and the time of the record too.
    at = elapsed(source.start_time, band.start_time) * RATE
    assert abs(at - Fraction(1, 2) - round(at - Fraction(1, 2))) < Fraction(1, 10**4)
    expected = Synthesize(frames)
    np.testing.assert_array_equal(rows_of(band).data, rows_of(expected).data)


@pytest.mark.parametrize("sideband", ["upper", "lower"])
def test_frames_of_one_recorded_channel(sideband: str, rng: np.random.Generator) -> None:
    source = voltages(rng, 3000, sideband=sideband)
    channels = np.stack([source.samples, source.samples[::-1]], axis=2)
    head = source.header.replace(channels=ChannelAxis(Fraction(LOW), Fraction(RATE), 2))
    one = fs.Chain(MemoryVoltages(channels, head))[:, 1:2]
    band = one.channelize(16, oversample="4/3").synthesize().stream
    first, found = first_in(source, band), rows_of(band)
    assert error(found.data, channels[first : first + found.n, :, 1]) < 1.3 * band.residual
    assert band.header.channels == ChannelAxis(Fraction(LOW + RATE), Fraction(RATE), 1)
    assert band.header.sideband == sideband


def test_lost_voltages_are_invalid_as_far_as_they_reach(rng: np.random.Generator) -> None:
    source = voltages(rng, 40_000, n_pol=2)
    spans = (validity.as_spans([(0, 20_000), (20_500, 40_000)]), validity.full(0, 40_000))
    source = MemoryVoltages(source.samples, source.header, spans)
    band = Synthesize(Channelize(source, 64, oversample="4/3"))
    first, found = first_in(source, band), rows_of(band)
    lost = validity.shift(validity.complement(found.valid[0], 0, found.n), first)
    assert len(lost) == 1 and lost[0, 0] <= 20_000 and lost[0, 1] >= 20_500
    assert lost[0, 0] > 20_000 - 600 and lost[0, 1] < 20_500 + 600
    assert validity.count(found.valid[1]) == found.n
    assert not found.data[slice(*(lost[0] - first)), 0].any()
    good = validity.shift(found.valid[0], first)
    for start, stop in good:
        assert error(found.data[start - first : stop - first, 0],
                     source.samples[start:stop, 0]) < 0.01
    assert band.valid_spans() is None


def test_energies_follow_the_definition(rng: np.random.Generator) -> None:
    record = coarse(voltages(rng, 3000), 32, "4/3", n_row=70)
    lost = [(20, 22), (40, 41), (55, 58)]
    rows = validity.complement(validity.as_spans(lost), 0, 70)
    record = MemoryVoltages(record.samples, record.header, (rows,))
    plan = Synthesize(record).bank
    # g, from the response to a frame that has the same phase in all channels at its impulse
    frames = np.zeros((2 * plan.n_lag - 1, 32), np.complex64)
    frames[plan.history, 16] = 32
    g = np.abs(plan.process(frames).astype(complex)) ** 2
    kept = np.isin(np.arange(70), np.concatenate([np.arange(*each) for each in lost]), invert=True)
    g = g.reshape(plan.n_lag, -1).sum(axis=1)[::-1]
    energy = np.array([g @ kept[q : q + plan.n_lag] for q in range(70 - plan.history)]) / g.sum()
    for least in (0.5, 0.9, 0.999, 1):
        band = Synthesize(record, min_valid=least)
        wanted = plan.hop * validity.from_mask(energy >= least - (1e-12 if least == 1 else 0))
        np.testing.assert_array_equal(rows_of(band).valid[0], wanted)
        known = Known(record)
        np.testing.assert_array_equal(Synthesize(known, min_valid=least).valid_spans()[0], wanted)


class Known(MemoryVoltages):
    """Voltages whose header states the valid spans."""

    def __init__(self, other: MemoryVoltages) -> None:
        super().__init__(other.samples, other.header, other.spans)

    def valid_spans(self) -> Any:
        return self.spans


@pytest.mark.parametrize("ratio", ["1", "4/3"])
def test_blocks_of_any_length_give_the_same_bits(ratio: str, rng: np.random.Generator) -> None:
    record = coarse(voltages(rng, 9000), 48, ratio, n_row=150)
    record = MemoryVoltages(record.samples, record.header,
                            (validity.as_spans([(0, 70), (72, 150)]),))
    band = Synthesize(record, noise=1e-2)
    check_rows(band)
    whole = rows_of(band)
    for n in (1, 47, 48, 1000):
        for start in range(0, min(3000, band.shape[0] - n), max(n, 331)):
            part = band.read_block(start, n)
            np.testing.assert_array_equal(part.data, whole.data[start : start + n])
            np.testing.assert_array_equal(part.valid[0],
                                          validity.clip(whole.valid[0], start, start + n))
    assert band.read_block(5, 0).data.shape == (0, 1)


def test_a_chain_writes_the_band(tmp_path: Path, rng: np.random.Generator) -> None:
    source = voltages(rng, 30_000, n_pol=2)
    pairs = source.samples.view(np.float32).reshape(30_000, 2, 2)
    path = write_native(tmp_path / "v.h5", pairs, source.header)
    chain = fs.open(path).channelize(64, oversample="4/3").synthesize()
    chain.write(tmp_path / "a.h5", workers=1)
    chain.write(tmp_path / "b.h5", workers=2)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    back = fs.open(tmp_path / "a.h5")
    np.testing.assert_array_equal(back.read().values, chain.read().values)
    assert back.header.channels == source.header.channels
    stages = back.stream.provenance["stages"]
    assert [each["stage"] for each in stages] == ["channelize", "synthesize"]
    assert stages[1]["parameters"]["oversample"] == "4/3"
    twin = pickle.loads(pickle.dumps(chain))
    np.testing.assert_array_equal(twin.read().values, chain.read().values)
    fine = chain.channelize(64).detect("AABB").integrate(n_int=8)
    assert np.isfinite(fine.read().values).all()


def test_refusals(rng: np.random.Generator) -> None:
    source = voltages(rng, 3000)
    record = coarse(source, 48, "4/3")
    axis = record.header.channels

    def changed(shape: Any = None, **changes: Any) -> MemoryVoltages:
        data = record.samples if shape is None else record.samples[:, :, :shape]
        return MemoryVoltages(data, record.header.replace(**changes))

    frames = Channelize(source, 64)
    apart = changed(sample_rate=Fraction(RATE, 64))
    odd = changed(sample_rate=Fraction(RATE) * Fraction(1000, 45_678))
    for stream, given, kind, text in (
        (source, {}, PlanError, "contains one channel"),
        (apart, {}, PlanError, "channels that abut or overlap"),
        (record, {"oversample": "1"}, PlanError, "a ratio of 1.33333333, not oversample = 1"),
        (odd, {}, PlanError, "the ratio of two small numbers"),
        (changed(47, channels=axis.sliced(0, 47)), {}, PlanError, "allowed: an even number"),
        (changed(46, channels=axis.sliced(0, 46)), {}, UsageError, "a numerator that divides 46"),
        (changed(is_complex=False), {}, PlanError, "channels are real"),
        (record, {"taps": np.ones((8, 48)), "n_tap": 8}, UsageError, "taps beside n_tap"),
        (record, {"taps": np.ones((8, 40))}, UsageError, "taps: found shape"),
        (record, {"taps": [[1.0] * 48]}, UsageError, "allowed: an array of float32"),
        (record, {"taps": np.ones((8, 48), complex)}, UsageError, "allowed: an array of float32"),
        (record, {"taps": np.zeros((8, 48))}, UsageError, "no finite energy"),
        (record, {"window": "hat"}, UsageError, "window"),
        (record, {"sideband": "both"}, UsageError, "allowed: upper, lower"),
        (record, {"first_frame": -1}, UsageError, "first_frame = -1"),
        (Channelize(voltages(rng, 3000, is_complex=False), 16), {"sideband": "lower"}, UsageError,
         "have sideband = upper"),
        (record, {"min_valid": 0}, UsageError, "min_valid = 0"),
        (record, {"oversample": "x"}, UsageError, "oversample = 'x'"),
        (record, {"noise": 7}, UsageError, "noise"),
        (coarse(source, 48, "4/3", n_row=12), {}, PlanError, "needs 23 rows"),
        (frames, {"oversample": "4/3"}, UsageError, "frames of channelize have oversample = 1"),
        (frames, {"real": True}, UsageError, "have real = False"),
        (frames, {"taps": np.ones((8, 64))}, UsageError, "omit them"),
        (Channelize(record, 2), {}, PlanError, "48 filter banks"),
    ):
        with pytest.raises(kind, match=text):
            Synthesize(stream, **given)
    with pytest.raises(PlanError, match="not spectra"):
        fs.Chain(source).channelize(64).detect().synthesize()
    with pytest.raises(FastsigError, match="first_frame"):
        fs.Chain(record).synthesize(first_frame=1.5)


@pytest.mark.parametrize(("n_tap", "window"), [(8, "hamming"), (5, "hann"), (4, "kaiser:7")])
def test_the_centred_prototype_is_symmetric(n_tap: int, window: str) -> None:
    taps = centred_prototype(16, n_tap, window)
    assert taps.shape == (n_tap + n_tap % 2, 16)
    flat = taps.ravel()
    np.testing.assert_allclose(flat[1:], flat[:0:-1], atol=1e-15)
    assert flat.argmax() == flat.size // 2 and abs(flat @ flat - 1) < 1e-12


def test_a_recorded_band_has_the_spectrum_of_its_channels() -> None:
    """Fine channels of the band are those of the coarse channels, and smooth across their edges."""
    obs = fs.open(recorded("baseband/sample_puppi.raw"))
    direct, band = obs.channelize(32).detect("AABB"), obs.synthesize(noise=1e-2)
    assert (band.header.sample_rate, band.header.channels) == (
        1000, ChannelAxis(obs.header.channels.first_hz + 375, Fraction(1000), 1))
    joined = band[20:].channelize(128).detect("AABB")
    later = elapsed(direct.start_time, joined.start_time) * direct.header.sample_rate
    assert abs(later - 1) < 1e-6  # the same windows
    n = joined.shape[0]
    np.testing.assert_allclose(joined.frequency, direct.frequency, atol=1e-9 * u.MHz)
    one, other = direct.read(1, n).values, joined.read().values
    within = np.abs(np.arange(128) % 32 - 16) <= 10  # of the 16 on each side of a centre
    for pol in range(2):
        same = [np.corrcoef(one[:, pol, k], other[:, pol, k])[0, 1] for k in np.flatnonzero(within)]
        assert min(same) > 0.998
    # The response of a coarse channel falls to a quarter at its edge; that of the band does not.
    edges = [32, 64, 96]
    for values, low, high in ((one, 0.15, 0.35), (other, 0.7, 1.1)):
        mean = values.mean(axis=(0, 1))
        assert low < mean[edges].mean() / np.median(mean) < high
