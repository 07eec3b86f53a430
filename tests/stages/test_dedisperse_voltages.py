"""Coherent dedispersion of voltages: pulses, times, losses, and any pieces."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from streams import MemoryVoltages, header

import fastsig as fs
from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.time import elapsed
from fastsig.errors import FormatError, PlanError, UsageError
from fastsig.search.bursts.plan import search_plan
from fastsig.stages.channelize import Channelize
from fastsig.stages.dedisperse import Dedisperse
from fastsig.stages.detect import Detect
from fastsig.stages.integrate import Integrate

RATE, LOW, DM = 2_000_000, 100_000_000, 2.0
KINDS = [(sideband, is_complex) for sideband in ("upper", "lower") for is_complex in (True, False)]


def dispersed(at: int, n: int, sideband: str, *, is_complex: bool, dm: float = DM) -> np.ndarray:
    """Voltages of a pulse of one sample that arrives at infinite frequency at sample `at`.

    The medium delays a signal of the sky by ``K DM / f^2``: its phase at f is ``-2 pi`` times the
    integral of the delay over f, which is ``-K DM / f``.
    """
    width = RATE if is_complex else RATE / 2
    f = LOW + np.arange(n) / n * width if is_complex else LOW + np.arange(n // 2) / (n / 2) * width
    k_dm = float(DISPERSION_CONSTANT) * dm * 1e12
    turns = k_dm / f - (f - LOW) * at / RATE
    turns -= k_dm / LOW  # a constant
    sky = np.exp(2j * np.pi * np.mod(turns, 1))
    if is_complex:
        x = np.fft.ifft(np.fft.ifftshift(sky)) * np.sqrt(n)
        return (np.conj(x) if sideband == "lower" else x).astype(np.complex64)
    spectrum = np.zeros(n // 2 + 1, complex)
    if sideband == "lower":
        spectrum[n // 2 - np.arange(n // 2)] = np.conj(sky)
    else:
        spectrum[: n // 2] = sky
    return (np.fft.irfft(spectrum, n) * np.sqrt(n)).astype(np.float32)


def stream(data: np.ndarray, sideband: str = "upper", **more) -> MemoryVoltages:
    return MemoryVoltages(data, header(
        RATE, low_hz=LOW, sideband=sideband, is_complex=data.dtype.kind == "c",
        n_pol=data.shape[1], n_bits=32), **more)


def delays(axis) -> np.ndarray:
    """Delay of each channel relative to infinite frequency, s."""
    return float(DISPERSION_CONSTANT) * DM / axis.centers.to_value("MHz") ** 2


@pytest.mark.parametrize(("sideband", "is_complex"), KINDS)
@pytest.mark.parametrize("n_chan", [1, 5, 16])
def test_a_pulse_is_short_in_each_channel(sideband: str, is_complex: bool, n_chan: int) -> None:
    n = 2**18
    data = dispersed(-int(DISPERSION_CONSTANT * 2 / (LOW // 10**6) ** 2 * RATE) + n // 2, n,
                     sideband, is_complex=is_complex)
    clean = Dedisperse(stream(data[:, None], sideband), DM, n_chan=n_chan, min_valid=0.5)
    axis, rate = clean.header.channels, float(clean.header.sample_rate)
    block = clean.read_block(0, clean.shape[0])
    power = np.abs(block.data.reshape(clean.shape[0], n_chan)) ** 2
    at = -int(DISPERSION_CONSTANT * 2 / (LOW // 10**6) ** 2 * RATE) + n // 2
    for chan in range(n_chan):
        expected = (at / RATE + delays(axis)[chan]) * rate
        peak = int(power[:, chan].argmax())
        near = power[max(0, peak - 2) : peak + 3, chan]
        # A rectangular passband: the rest is in the side lobes of a sinc function.
        assert near.sum() > 0.85 * power[:, chan].sum()
        rows = np.arange(max(0, peak - 2), peak + 3)
        assert abs((rows * near).sum() / near.sum() - expected) < 0.5
    plain = np.abs(Dedisperse(stream(data[:, None], sideband), 0, n_chan=n_chan).read_block(
        0, clean.shape[0]).data) ** 2
    assert plain.max() < 0.3 * power.max()  # without it, the pulse is long
    assert axis.edges_hz == (LOW, LOW + (RATE if is_complex else RATE // 2))
    assert clean.header.coherent_dm == DM and clean.header.dm is None


def noise(n: int, n_pol: int = 2, n_chan: int = 0, seed: int = 3) -> np.ndarray:
    shape = (n, n_pol, n_chan) if n_chan else (n, n_pol)
    return np.random.default_rng(seed).integers(-50, 51, shape).astype(np.int8)


def real(data: np.ndarray, **more) -> MemoryVoltages:
    return MemoryVoltages(data, header(RATE, low_hz=LOW, n_pol=data.shape[1]), **more)


def test_noise_keeps_its_variance_and_blocks_their_bits() -> None:
    data = noise(100_000)
    clean = Dedisperse(real(data), DM, n_chan=4)
    whole = clean.read_block(0, clean.shape[0])
    assert clean.shape == (12_500, 2, 4)
    inside = slice(clean.bands.before, -clean.bands.after)
    power = (np.abs(whole.data[inside]) ** 2).mean()
    assert power == pytest.approx((data.astype(float) ** 2).mean(), rel=0.03)
    rng = np.random.default_rng(5)
    for start in rng.integers(0, 12_000, 6).tolist():
        n = int(rng.integers(1, 500))
        part = clean.read_block(start, n)
        assert part.data.tobytes() == whole.data[start : start + n].tobytes()


@pytest.mark.parametrize("products", ["IQUV", "AABBCRCI", "I", "AABB"])
def test_powers_are_those_of_the_voltages(products: str) -> None:
    data = noise(60_000)
    valid = (np.array([[0, 21_000], [21_080, 60_000]]), np.array([[0, 60_000]]))
    clean = Dedisperse(real(data, valid=valid), DM, n_chan=4, min_valid=0.9)
    rows = Integrate(Detect(clean, products), n_int=300)
    found = rows.read_block(0, rows.shape[0])
    frames = clean.read_block(0, clean.shape[0])
    a, b = np.moveaxis(frames.data.astype(complex), 1, 0)
    terms = {"I": (np.abs(a) ** 2 + np.abs(b) ** 2), "Q": np.abs(a) ** 2 - np.abs(b) ** 2,
             "U": 2 * (a.conj() * b).real, "V": 2 * (a.conj() * b).imag, "AA": np.abs(a) ** 2,
             "BB": np.abs(b) ** 2, "CR": (a.conj() * b).real, "CI": (a.conj() * b).imag}
    assert found.valid.shape == found.data.shape
    for p, name in enumerate(rows.polarization.names):
        for row in range(2, 7):  # far from the loss and from the ends
            expected = terms[name][300 * row : 300 * (row + 1)].mean(axis=0)
            np.testing.assert_allclose(found.data[row, p], expected, rtol=2e-5, atol=0.5)
            assert (found.valid[row, p] == 1).all()
    # Each lost sample is missing in as many rows as its channel is dispersed over.
    lost = (1 - found.valid[2:-2]).sum(axis=0)
    whole = rows.polarization.names.index("BB") if "BB" in rows.polarization.names else None
    for p in range(len(lost)):
        expected = 0 if p == whole else 80 / 8 / 300
        np.testing.assert_allclose(lost[p], expected * np.ones(4), rtol=0.05)
    # Powers make up for it.
    level = found.data[2:7, 0].mean()
    np.testing.assert_allclose(found.data[8, 0] / level, np.ones(4), rtol=0.25)


@pytest.mark.parametrize("is_complex", [True, False])
def test_times_are_those_of_a_filter_bank(is_complex: bool) -> None:
    data = np.zeros((2**14, 1), np.complex64 if is_complex else np.float32)
    data[2**13] = 100
    voltages = stream(data)
    times = []
    for frames in (Channelize(voltages, 32), Dedisperse(voltages, 0, n_chan=32)):
        rows = Detect(frames, "I")
        power = np.nan_to_num(rows.read_block(0, rows.shape[0]).data[:, 0, 4:-4]).sum(axis=1)
        middles = (np.arange(len(power)) + 0.5) / float(rows.header.sample_rate)
        late = float(elapsed(voltages.start_time, rows.start_time))
        times.append(late + (middles * power).sum() / power.sum(dtype=float))
    np.testing.assert_allclose(times, 2**13 / RATE, atol=0.01 / RATE)


def test_any_blocks_and_workers_give_the_same_bytes(tmp_path) -> None:
    made = []
    for workers in (1, 2):
        path = tmp_path / f"{workers}.h5"
        chain = fs.Chain(real(noise(100_000))).dedisperse(DM, n_chan=4).detect("IQUV")
        chain.integrate(n_int=300).write(path, workers=workers)
        made.append(np.asarray(fs.open(path)))
    assert made[0].tobytes() == made[1].tobytes()
    rows = fs.Chain(real(noise(100_000))).dedisperse(DM, n_chan=4).detect("IQUV").integrate(
        n_int=300).stream
    whole = rows.read_block(0, rows.shape[0])
    for start, n in ((3, 2), (0, 1), (40, 2), (39, 3)):
        part = rows.read_block(start, n)
        assert part.data.tobytes() == whole.data[start : start + n].tobytes()
        np.testing.assert_array_equal(np.broadcast_to(part.valid, part.data.shape),
                                      whole.valid[start : start + n])


def test_the_ends_of_the_stream_have_less_weight() -> None:
    rows = Detect(Dedisperse(real(noise(40_000)), DM, n_chan=4, min_valid=0.01), "I")
    weight = rows.read_block(0, rows.shape[0]).valid[:, 0]
    width = rows.source.bands
    assert (weight[0] < 0.8).all() and (weight[-1] < 0.8).all()
    assert (weight[width.before : -width.after - 1] == 1).all()
    # A sum that lacks rows at the end weighs what it has.
    sums = Integrate(rows, n_int=3000)
    assert sums.shape[0] == 2 and (sums.read_block(1, 1).valid < 2000 / 3000).all()


def test_channels_of_a_recorder_are_dedispersed_one_by_one() -> None:
    data = noise(20_000, 2, 3).astype(np.float32)
    data = (data + 1j * noise(20_000, 2, 3, seed=4)).astype(np.complex64)
    many = MemoryVoltages(data, header(RATE, low_hz=LOW, is_complex=True, n_pol=2, n_chan=3))
    clean = Dedisperse(many, DM / 10, n_chan=2)
    whole = clean.read_block(0, clean.shape[0])
    assert clean.shape == (10_000, 2, 6)
    inside = slice(clean.bands.before, -clean.bands.after)
    for chan in range(3):
        low = LOW + chan * RATE
        one = MemoryVoltages(np.ascontiguousarray(data[:, :, chan]), header(
            RATE, low_hz=low, is_complex=True, n_pol=2))
        part = Dedisperse(one, DM / 10, n_chan=2)
        assert part.header.channels == clean.header.channels.sliced(2 * chan, 2 * chan + 2)
        alone = part.read_block(0, part.shape[0]).data[inside]
        here = whole.data[inside, :, 2 * chan : 2 * chan + 2]
        # Transforms of other lengths end at other places, where rectangular passbands ring.
        assert np.linalg.norm(here - alone) < 0.1 * np.linalg.norm(alone)


def test_refused() -> None:
    voltages = real(noise(20_000))
    for wrong, match in [({"dm": "x"}, "dm = "), ({"dm": -1}, "dm = -1"),
                         ({"dm": np.nan}, "dm = "), ({"n_chan": 0}, "n_chan = 0"),
                         ({"min_valid": 2}, "min_valid = 2"), ({"ref": "top"}, "for spectra"),
                         ({"last": "keep"}, "for spectra"), ({"constant": 1}, "constant = 1")]:
        with pytest.raises((UsageError, PlanError), match=match):
            Dedisperse(voltages, **{"dm": DM, "n_chan": 4, **wrong})
    with pytest.raises(UsageError, match="more channels have fewer"):
        Dedisperse(voltages, 10**6)
    with pytest.raises(PlanError, match="allowed: less than the length of the data, 2500 samples"):
        Dedisperse(voltages, 4 * DM, n_chan=4)
    with pytest.raises(PlanError, match="a sample of 16384 channels needs 32768 samples"):
        Dedisperse(voltages, DM, n_chan=2**14)
    unknown = MemoryVoltages(noise(20_000), header(RATE, low_hz=LOW, n_pol=2).replace(
        channels=None))
    with pytest.raises(FormatError, match="does not state its sky frequency"):
        Dedisperse(unknown, DM)
    zero = MemoryVoltages(noise(20_000), header(RATE, low_hz=0, n_pol=2))
    with pytest.raises(UsageError, match="allowed: above 0 for dedispersion"):
        Dedisperse(zero, DM)
    spectra = Detect(Dedisperse(voltages, DM, n_chan=4))
    with pytest.raises(UsageError, match="n_chan = 4; allowed: for voltages"):
        Dedisperse(spectra, DM, n_chan=4)
    with pytest.raises(PlanError, match="spectral kurtosis needs frames"):
        Integrate(spectra, n_int=100, flag_sigma=3.0)
    with pytest.raises(PlanError, match="after dedisperse; allowed: cpu"):
        Detect(Dedisperse(voltages, DM, n_chan=4), engine="other")


def test_the_dispersion_that_was_removed_is_a_fact() -> None:
    once = Dedisperse(real(noise(20_000)), "1.5", n_chan=4, constant="4148.808")
    assert once.header.coherent_dm == 1.5
    assert once.header.sample_rate == Fraction(RATE, 8)
    assert once.parameters()["constant"] == str(Fraction("4148.808"))
    again = Dedisperse(once, "0.5")
    assert again.header.coherent_dm == 2.0 and again.shape == once.shape


def test_dispersion_is_removed_with_one_constant() -> None:
    once = Dedisperse(real(noise(60_000)), "1.5", n_chan=4, constant="4148.808")
    spectra = Detect(once, "I")
    for made in (once, spectra, Dedisperse(once, "0.5"), Dedisperse(spectra, "1.5")):
        assert made.header.dispersion_constant == Fraction("4148.808")
    assert search_plan(spectra, (0, 3)).dm_plan.recording.constant == 4148.808
    for source in (once, spectra):
        with pytest.raises(UsageError, match=r"constant = 4149\.37759; allowed: 4148\.808, with "
                           r"which the dispersion of 1\.5 pc cm\^-3 was removed"):
            Dedisperse(source, "0.5", constant=DISPERSION_CONSTANT)
    none = Detect(Dedisperse(real(noise(60_000)), 0, n_chan=4), "I")  # nothing was removed
    other = Dedisperse(none, 1, constant=4148.808)
    assert other.header.dispersion_constant == Fraction("4148.808")
