"""Voltages that NumPy alone made and another package wrote, through the command line and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli import fastsig

import fastsig as fs

N_CHAN, N_TIME, N_BLOCK = 4, 4096, 400  # input channels, samples of a block, blocks
N_FINE, N_INT, SIGMA = 64, 32, 20.0
IMPULSE = 77 * N_TIME + 1234
RATE = 3_125_000
LOST = (50, 133, 200, 311)  # blocks: 1 %


@pytest.fixture(scope="module")
def voltages() -> np.ndarray:
    """Whole numbers, (time, pol, chan), complex: <A* B> is 0.1 exp(i 60 deg) of the power."""
    rng = np.random.default_rng(4)
    n = N_TIME * N_BLOCK
    x = rng.standard_normal((n, 2, 2 * N_CHAN), dtype="f4").view("c8")
    x *= np.float32(SIGMA / np.sqrt(2))
    a, b = x[:, 0], x[:, 1]
    b *= np.float32(np.sqrt(1 - 0.01))
    b += a * np.complex64(np.exp(1j * np.pi / 3) * 0.1)
    x[IMPULSE] = 100 + 100j
    parts = x.view("f4")
    np.clip(np.round(parts, out=parts), -127, 127, out=parts)
    return x


@pytest.fixture(scope="module")
def recording(voltages: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    guppi = pytest.importorskip("baseband.guppi")
    from astropy import units as u
    from astropy.time import Time

    folder = tmp_path_factory.mktemp("guppi")
    header = guppi.GUPPIHeader.fromvalues(
        time=Time("2026-01-02T03:04:05"), sample_rate=RATE * u.Hz, samples_per_frame=N_TIME,
        overlap=0, sample_shape=(2, N_CHAN), bps=8, TELESCOP="FAST", SRC_NAME="TEST",
        FD_POLN="LIN", OBSFREQ=1250.0, OBSBW=12.5, PKTSIZE=1024, PKTIDX=0,
    )
    with guppi.open(str(folder / "all.raw"), "ws", header0=header) as file:
        file.write(voltages)
    raw = (folder / "all.raw").read_bytes()
    size = len(raw) // N_BLOCK
    path = folder / "some.raw"
    path.write_bytes(b"".join(raw[i * size : (i + 1) * size] for i in range(N_BLOCK)
                              if i not in LOST))
    return path


def test_correlation_scatter_and_times(recording: Path, voltages: np.ndarray,
                                       tmp_path: Path) -> None:
    out = tmp_path / "s.h5"
    fastsig("spectra", recording, "-o", out, "--n-chan", N_FINE, "--products", "AABBCRCI",
            "--n-int", N_INT)
    product = fs.open(out)
    data = product.read()
    whole = (data.weight[:, :, 0] == 1).all(axis=1)
    aa, bb, cr, ci = np.moveaxis(data.values[whole].astype(float), 1, 0)
    # Without the integration that the impulse is in, and its neighbours.
    quiet = np.abs(np.flatnonzero(whole) * N_INT * N_FINE - IMPULSE) > 12 * N_FINE * N_INT
    aa, bb, cr, ci = (each[quiet] for each in (aa, bb, cr, ci))
    n = aa.size * N_INT / 1.032
    power = SIGMA**2 + 1 / 6  # rounding adds a twelfth to either part
    error = 1 / np.sqrt(2 * n)
    assert abs(aa.mean() / power - 1) < 3 / np.sqrt(n)
    assert abs(bb.mean() / power - 1) < 3 / np.sqrt(n)
    assert abs(cr.mean() / aa.mean() - 0.0500 * SIGMA**2 / power) < 3 * error
    assert abs(ci.mean() / aa.mean() - 0.0866025 * SIGMA**2 / power) < 3 * error
    assert aa.size > 45_000
    for each in (aa, bb):
        scatter = each.std(axis=0).mean() / each.mean()
        assert abs(scatter / np.sqrt(1.032 / N_INT) - 1) < 0.01
    # Weights are 0 where a block is lost, and nowhere else.
    lost = np.array([first * N_TIME for first in LOST])
    begin = np.arange(len(whole)) * N_INT * N_FINE
    touched = np.zeros(len(whole), bool)
    for first in lost:
        touched |= (begin < first + N_TIME) & (
            begin + (N_INT + 7) * N_FINE > first)
    last = len(whole) - 1  # a partial one
    np.testing.assert_array_equal(whole[:last], ~touched[:last])


def test_the_impulse_is_within_half_a_hop(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "i.h5"
    fastsig("spectra", recording, "-o", out, "--n-chan", N_FINE)
    product = fs.open(out)
    power = np.nan_to_num(product.read().values[:, 0].sum(axis=1))
    found = int(power.argmax())
    start = fs.open(recording).start_time
    at = (product.stream.time_of(found) - start).sec + 0.5 * N_FINE / RATE
    assert abs(at - IMPULSE / RATE) <= 0.5 * N_FINE / RATE + 1e-12
    # And after gaps: times are those of the clock, not of the blocks that are there.
    assert abs((product.stream.stop_time - start).sec - N_TIME * N_BLOCK / RATE) < (
        8 * N_FINE / RATE)


def test_one_tap_is_numpy(recording: Path, voltages: np.ndarray, tmp_path: Path) -> None:
    out = tmp_path / "n.h5"
    fastsig("spectra", recording, "-o", out, "--n-chan", N_FINE, "--n-tap", 1, "--window", "none",
            "--products", "AABBCRCI", "--n-int", 1)
    found = fs.open(out).read(0, 500).values
    frames = voltages[: 500 * N_FINE].astype("c16").reshape(500, N_FINE, 2, N_CHAN)
    spectra = np.fft.fftshift(np.fft.fft(frames, axis=1), axes=1) / np.sqrt(N_FINE)
    a, b = spectra.transpose(2, 0, 3, 1).reshape(2, 500, N_CHAN * N_FINE)
    cross = a.conj() * b
    expected = np.stack([np.abs(a) ** 2, np.abs(b) ** 2, cross.real, cross.imag], axis=1)
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()
