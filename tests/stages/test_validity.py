"""Lost packets: weights by the arithmetic, whole spectra untouched, the others unbiased."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from streams import MemoryVoltages, header, lose_packets, noise

import fastsig as fs
from fastsig.axes import validity
from fastsig.stages.channelize import Channelize

PACKET, N_CHAN = 1024, 64


def energies(mask: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Energy of every frame by the definition, from a mask of valid samples."""
    n_tap, n_fft = taps.shape
    power = taps.astype(float).ravel() ** 2
    frames = len(mask) // n_fft - n_tap + 1
    return np.array([
        (power * mask[m * n_fft : (m + n_tap) * n_fft]).sum() / power.sum() for m in range(frames)
    ])


def masks(spans: tuple[np.ndarray, ...], n: int) -> np.ndarray:
    mask = np.zeros((len(spans), n), bool)
    for row, valid in zip(mask, spans, strict=True):
        for start, stop in valid:
            row[start:stop] = True
    return mask


@pytest.fixture(scope="module")
def lossy() -> tuple[MemoryVoltages, MemoryVoltages]:
    """The same voltages, whole and with 3 % of the packets lost."""
    rng = np.random.default_rng(7)
    n = 2**20
    data = noise(rng, n)
    return (MemoryVoltages(data, header()),
            MemoryVoltages(data, header(), lose_packets(rng, n, 0.03, PACKET)))


@pytest.mark.parametrize("products", ["AABB", "AABBCRCI", "IQUV", "I"])
@pytest.mark.parametrize("min_valid", [0.9, 1.0])
def test_weights_are_what_the_arithmetic_says(
    lossy: tuple[MemoryVoltages, MemoryVoltages], products: str, min_valid: float
) -> None:
    n_int = 16
    chain = fs.Chain(lossy[1]).channelize(N_CHAN, min_valid=min_valid).detect(products)
    result = chain.integrate(n_int=n_int).read()
    mask = masks(lossy[1].spans, lossy[1].shape[0])
    taps = chain.stream.source.bank.taps
    e = np.stack([energies(part, taps) for part in (mask[0], mask[1], mask[0] & mask[1])])
    e[e < min_valid] = 0
    column = {"AA": 0, "BB": 1}
    for index, name in enumerate(result.header.polarization.names):
        frames = e[column.get(name, 2)]
        padded = np.concatenate([frames, np.zeros(-len(frames) % n_int)])
        expected = padded.reshape(-1, n_int).sum(axis=1) / n_int
        # the weight is a float32: half a unit in its last place, at most 2^-24
        np.testing.assert_allclose(result.weight[:, index, 0], expected, rtol=0, atol=6e-8)
    if min_valid == 1:  # strict: what is kept is whole
        assert set(np.unique(e)) == {0.0, 1.0}


def test_spectra_of_whole_frames_are_bit_identical(
    lossy: tuple[MemoryVoltages, MemoryVoltages]
) -> None:
    full, part = (fs.Chain(stream).channelize(N_CHAN).detect("AABBCRCI").integrate(n_int=4).read()
                  for stream in lossy)
    whole = part.weight == 1
    assert 0.05 < whole.mean() < 0.95
    whole = np.broadcast_to(whole, part.values.shape)
    np.testing.assert_array_equal(part.values[whole], full.values[whole])
    assert np.all(np.isfinite(part.values) == np.broadcast_to(part.weight > 0, part.values.shape))


def correlations(valid: np.ndarray, power: np.ndarray, n_fft: int, frames: np.ndarray,
                 n_tap: int, h: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correlations of kept and full voltages between frames: <kk>, <kf>, <ff>, (frame, frame).

    The samples are white, so frames m and m' correlate by the sum of h h' over the samples they
    share; a kept frame counts its valid samples only.
    """
    size = len(frames)
    kk, kf, ff = (np.zeros((size, size)) for _ in range(3))
    length = n_tap * n_fft
    for i, m in enumerate(frames):
        for j in range(max(0, i - n_tap + 1), min(size, i + n_tap)):  # others share no sample
            shift = (frames[j] - m) * n_fft
            low, high = max(0, shift), min(length, length + shift)
            both = h[low:high] * h[low - shift : high - shift]
            kept = valid[m * n_fft + low : m * n_fft + high]
            ff[i, j] = both.sum()
            kk[i, j] = kf[i, j] = (both * kept).sum()
    return kk, kf, ff


def test_lossy_minus_full_is_what_it_should_be() -> None:
    """z of (lossy - full) against its own expectation: all under 5.5, rms within 5 % of 1.

    With X = K + L (kept and lost parts), the lossy mean is sum |K|^2 / sum e and the full one
    sum |X|^2 / n. For circular Gaussians cov(|u|^2, |v|^2) = |<u v*>|^2, so the variance of the
    difference follows from the correlations of K and X between the frames of an integration.
    """
    rng = np.random.default_rng(11)
    n_chan, n_tap, n_int, n, sigma = 64, 8, 256, 2**21, 20
    data = noise(rng, n, 1, sigma)
    spans = lose_packets(rng, n, 0.03, PACKET // 4, 1)  # shorter packets: many losses a spectrum
    chains = [fs.Chain(MemoryVoltages(data, header(n_pol=1), valid)).channelize(n_chan, n_tap=n_tap)
              for valid in (None, spans)]
    full, lossy = (chain.detect("I").integrate(n_int=n_int).read() for chain in chains)
    bank = chains[0].stream.bank
    h = bank.taps.astype(float).ravel()
    mask = masks(spans, n)[0].astype(float)
    e = energies(mask, bank.taps)
    scores = []
    for row in range(len(full.values) - 1):
        frames = np.arange(row * n_int, (row + 1) * n_int)
        used = e[frames] >= 0.9
        kk, kf, ff = correlations(mask, h**2, bank.n_fft, frames, n_tap, h)
        a, b = used / (e[frames] * used).sum(), np.full(n_int, 1 / n_int)
        variance = a @ kk**2 @ a - 2 * (a @ kf**2 @ b) + b @ ff**2 @ b
        power = data.astype(float).var()
        difference = (lossy.values[row, 0] - full.values[row, 0]) / power
        # Channel 0 is real, not circular; next to the Nyquist channel nothing changes.
        scores.append(difference[1:] / np.sqrt(variance))
        if row == 11:
            break
    z = np.concatenate(scores)
    assert np.abs(z).max() < 5.5
    # Neighbouring channels correlate by 0.054^2 in power: the rms of 756 values is good to 2.7 %.
    assert abs(np.sqrt((z**2).mean()) - 1) < 0.05


def test_a_spectrum_of_nothing_is_nan_with_weight_zero() -> None:
    data = np.full((100_000, 1), 5, np.int8)
    spans = (validity.as_spans([[0, 30_000], [60_000, 100_000]]),)
    source = fs.Chain(MemoryVoltages(data, header(n_pol=1), spans))
    result = source.channelize(64).detect("I").read()
    gone = result.weight[:, 0, 0] == 0
    assert gone.any() and not gone.all()
    assert np.isnan(result.values[gone]).all() and np.isfinite(result.values[~gone]).all()


def test_invalid_samples_never_pose_as_data(rng: np.random.Generator) -> None:
    data = rng.normal(size=(5000, 2)).astype(np.float32)
    data[100:120, 0], data[4000, 1] = np.nan, np.inf
    block = MemoryVoltages(data, header(n_bits=32)).read_block(50, 4900)
    assert np.isfinite(block.data).all() and not block.data[50:70, 0].any()
    assert block.valid[0].tolist() == [[50, 100], [120, 4950]]
    assert block.valid[1].tolist() == [[50, 4000], [4001, 4950]]
    with pytest.raises(ValueError, match="read-only"):
        block.data[0] = 1


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 15)), max_size=8),
       st.lists(st.tuples(st.integers(0, 60), st.integers(0, 15)), max_size=8),
       st.integers(0, 70), st.integers(0, 70))
@settings(max_examples=300, deadline=None)
def test_spans_behave_as_sets(first: list, second: list, start: int, stop: int) -> None:
    def as_set(spans: np.ndarray) -> set[int]:
        return {n for a, b in spans.tolist() for n in range(a, b)}

    a, b = (validity.as_spans([(s, s + length) for s, length in pairs])
            for pairs in (first, second))
    expected = {n for s, length in first for n in range(s, s + length)}
    assert as_set(a) == expected and validity.count(a) == len(expected)
    assert all(x[1] < y[0] for x, y in zip(a.tolist()[:-1], a.tolist()[1:], strict=True))
    assert as_set(validity.intersect(a, b)) == as_set(a) & as_set(b)
    inside = set(range(start, stop))
    assert as_set(validity.clip(a, start, stop)) == as_set(a) & inside
    assert as_set(validity.complement(a, start, max(start, stop))) == inside - as_set(a)
    mask = np.array([n in expected for n in range(80)])
    assert as_set(validity.from_mask(mask)) == expected


def test_energy_of_both_polarisations(rng: np.random.Generator) -> None:
    n = 200_000
    spans = lose_packets(rng, n, 0.2, 512)
    frames = Channelize(MemoryVoltages(noise(rng, n), header(), spans), 32, min_valid=1e-9)
    energy = frames.read_block(100, 500).valid
    mask = masks(spans, n)
    for column, part in enumerate((mask[0], mask[1], mask[0] & mask[1])):
        expected = energies(part, frames.bank.taps)[100:600]
        np.testing.assert_allclose(energy[:, column], expected, rtol=0, atol=1e-12)
