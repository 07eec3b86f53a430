"""Oversampled filter banks: times, frequencies, weights, and the same bytes fused or not."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cli import fastsig
from streams import MemoryVoltages, header, lose_packets, noise, write_native
from thorough import many

import fastsig as fs
from fastsig.axes.time import elapsed
from fastsig.chain import spectra
from fastsig.stages.channelize import Channelize
from fastsig.stages.integrate import Integrate
from fastsig.stages.select import SelectSpectra
from fastsig.stages.spectrometer import Spectrometer

RATE, LOW, N_CHAN = 2_000_000, 1_400_000_000, 64
RATIOS = ["1", "4/3", "32/27", "2"]
#: n_chan for which each ratio gives a whole hop.
CHANNELS = {"1": 64, "4/3": 64, "32/27": 96, "2": 64}


def stream(data: np.ndarray) -> MemoryVoltages:
    kind = data.dtype.kind == "c"
    return MemoryVoltages(data, header(RATE, low_hz=LOW, is_complex=kind, n_pol=data.shape[1],
                                       n_bits=32))


def hop_of(ratio: str, *, is_complex: bool) -> int:
    return int(CHANNELS[ratio] * (1 if is_complex else 2) / Fraction(ratio))


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("is_complex", [False, True])
def test_start_and_rate(ratio: str, is_complex: bool) -> None:
    data = np.zeros((10_000, 1), np.complex64 if is_complex else np.float32)
    chain = spectra(stream(data), CHANNELS[ratio], oversample=ratio, n_int=3)
    hop = hop_of(ratio, is_complex=is_complex)
    n_fft = CHANNELS[ratio] * (1 if is_complex else 2)
    assert chain.header.sample_rate == Fraction(RATE, 3 * hop)
    moved = elapsed(stream(data).start_time, chain.start_time)
    # a two-part day number has steps of 5 ps
    assert abs(moved - Fraction(8 * n_fft - hop, 2 * RATE)) <= Fraction(1, 10**11)
    assert chain.shape[0] == -(-((10_000 - 8 * n_fft) // hop + 1) // 3)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("is_complex", [False, True])
def test_an_impulse_lands_within_half_a_hop(ratio: str, is_complex: bool) -> None:
    hop = hop_of(ratio, is_complex=is_complex)
    for sample in (20 * hop + 1, 27 * hop + hop // 3, 35 * hop - 1):
        data = np.zeros((70 * hop, 1), np.complex64 if is_complex else np.float32)
        data[sample] = 1
        chain = spectra(stream(data), CHANNELS[ratio], oversample=ratio)
        power = chain.read().values[:, 0].sum(axis=1)
        half = Fraction(hop, 2 * RATE)
        middle = elapsed(stream(data).start_time, chain.stream.time_of(int(power.argmax()))) + half
        assert abs(middle - Fraction(sample, RATE)) <= half + Fraction(1, 10**11)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("is_complex", [False, True])
def test_a_tone_is_right_to_a_thousandth_of_a_channel(ratio: str, is_complex: bool) -> None:
    n_chan = CHANNELS[ratio]
    step = (RATE if is_complex else RATE / 2) / n_chan
    n = np.arange(40 * n_chan)
    for channel in (3, n_chan // 2, n_chan - 4):
        sky = LOW + (channel + 1 / 3) * step  # off the centre, which must not be what is measured
        offset = sky - LOW - (RATE / 2 if is_complex else 0)
        wave = np.exp(2j * np.pi * offset / RATE * n)[:, None]
        data = wave.astype(np.complex64) if is_complex else wave.real.astype(np.float32)
        frames = Channelize(stream(data), n_chan, oversample=ratio)
        centers = frames.frequency.to_value("Hz")
        x = frames.read_block(3, 2).data[:, 0]
        peak = int((np.abs(x[0]) ** 2).argmax())
        assert abs(centers[peak] - sky) <= step / 2 * 1.001
        # From frame to frame a tone turns by its offset from the channel's centre times a hop.
        turn = np.angle(x[1, peak] * np.conj(x[0, peak])) / (2 * np.pi)
        found = centers[peak] + turn * RATE / frames.hop
        assert abs(found - sky) / step < 1e-3


@pytest.mark.parametrize("ratio", ["4/3", "32/27"])
def test_weights_follow_the_definition(ratio: str, rng: np.random.Generator) -> None:
    n, n_int, n_chan = 2**18, 16, CHANNELS[ratio]
    spans = lose_packets(rng, n, 0.05, 1024)
    source = MemoryVoltages(noise(rng, n), header(), spans)
    chain = spectra(source, n_chan, oversample=ratio, products="AABB", n_int=n_int)
    bank = chain.stream.source.source
    power = bank.bank.taps.astype(float).ravel() ** 2
    weight = chain.read().weight
    for pol, valid in enumerate(spans):
        mask = np.zeros(n, bool)
        for start, stop in valid:
            mask[start:stop] = True
        e = np.array([(power * mask[m * bank.hop : m * bank.hop + power.size]).sum() / power.sum()
                      for m in range(bank.shape[0])])
        e[e < 0.9] = 0
        e = np.concatenate([e, np.zeros(-len(e) % n_int)])
        # the weight is a float32: half a unit in its last place, at most 2^-24
        np.testing.assert_allclose(weight[:, pol, 0], e.reshape(-1, n_int).mean(axis=1),
                                   rtol=0, atol=6e-8)
    assert 0.3 < weight.mean() < 0.99


FUSED = [(ratio, n_chan, n_int, products)
         for ratio, n_chan in (("4/3", 64), ("32/27", 96), ("3/2", 36))
         for n_int in (1, 96, 150, 384) for products in ("I", "AABBCRCI")]


# Every ratio with every n_int; every product with either.
@pytest.mark.parametrize(("ratio", "n_chan", "n_int", "products"), many(
    [each for k, each in enumerate(FUSED) if k in (0, 3, 4, 7, 9, 10, 13, 14, 16, 19, 20, 23)],
    FUSED))
def test_fused_or_not_the_same_bytes(
    ratio: str, n_chan: int, n_int: int, products: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    n = 150_000
    path = write_native(tmp_path / "v.h5", noise(rng, n), header(), lose_packets(rng, n, 0.05, 999))
    chain = spectra(fs.open(path).stream, n_chan, oversample=ratio, products=products, n_int=n_int)
    chain.write(tmp_path / "a.h5", workers=1, fused=False)
    chain.write(tmp_path / "b.h5", workers=3)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert "Spectrometer" in chain.explain()


@pytest.mark.parametrize("ratio, n_chan", [("4/3", 64), ("32/27", 96)])
def test_sums_begin_at_any_row(
    ratio: str, n_chan: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    n = 150_000
    path = write_native(tmp_path / "v.h5", noise(rng, n), header(), lose_packets(rng, n, 0.05, 999))
    detected = fs.open(path).channelize(n_chan, oversample=ratio).detect("IQUV")
    for first in (1, 3, 130):
        chain = detected.select(rows=(first, detected.shape[0] - 2)).integrate(n_int=7)
        chain.write(tmp_path / "a.h5", workers=1, fused=False, overwrite=True)
        chain.write(tmp_path / "b.h5", workers=2, overwrite=True)
        assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
        # The same from spectra that the fused stage makes, wherever a plan puts that.
        span = first, detected.shape[0] - 2
        fused = Integrate(SelectSpectra(Spectrometer.fuse(detected.stream), span, (0, n_chan)),
                          n_int=7)
        found, expected = fused.read_block(0, fused.shape[0]), chain.read()
        assert found.data.tobytes() == expected.values.tobytes()
        assert found.valid.tobytes() == expected.weight.tobytes()


@pytest.mark.parametrize("flag_sigma", [None, 3.0])
def test_the_fused_stage_takes_any_rows(tmp_path: Path, rng: np.random.Generator,
                                        flag_sigma: float | None) -> None:
    n = 150_000
    path = write_native(tmp_path / "v.h5", noise(rng, n), header(), lose_packets(rng, n, 0.05, 999))
    detect = fs.open(path).channelize(64, oversample="4/3").detect("IQUV").stream
    fused = Spectrometer.fuse(detect)
    for start, count, each in ((0, 210, 70), (1, 210, 70), (131, 600, 100), (1000, 99, 70)):
        found, expected = (stage.group_sums(start, count, each, flag_sigma)
                           for stage in (fused, detect))
        # What is left out is 0 of either sign.
        np.testing.assert_array_equal(found.total, expected.total)
        assert found.weight.tobytes() == expected.weight.tobytes()


def test_command_line(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write_native(tmp_path / "v.h5", noise(rng, 100_000), header())
    words = ("spectra", path, "-o", tmp_path / "s.h5", "--n-chan", N_CHAN, "--oversample")
    fastsig(*words, "4/3", "--n-int", 4)
    found = fs.open(tmp_path / "s.h5")
    assert found.header.sample_rate == Fraction(10**6, 96 * 4)
    assert found.stream.provenance["stages"][0]["parameters"]["oversample"] == "4/3"
    (tmp_path / "s.h5").unlink()
    for bad in ("7/5", "0.5", "x", "1/0"):
        assert "oversample" in fastsig(*words, bad, code=2).stderr
    assert sorted(item.name for item in tmp_path.iterdir()) == ["v.h5"]
