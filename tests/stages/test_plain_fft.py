"""Plain transforms are rawspec's products; the S/N of tones beside the filter bank's, as stated."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from streams import MemoryVoltages, header

import fastsig as fs

N_CHAN, N_INT = 256, 8
#: Of all tones and noise here: another number would be another kernel to compile.
WIDE = 1024
PLAIN: dict[str, Any] = {"n_tap": 1, "window": "none"}
BANK: dict[str, Any] = {}


def rawspec(path: Path, n_fft: int, n_int: int) -> np.ndarray:
    """What rawspec writes: (integration, coarse and fine channel), in the order of the band."""
    raw, blocks = path.read_bytes(), []
    while raw:
        end = raw.index(b"END" + b" " * 77) + 80
        cards = {raw[at : at + 8].decode().strip(): raw[at + 9 : at + 80].decode().strip(" '")
                 for at in range(0, end - 80, 80)}
        if int(cards.get("DIRECTIO", 0)):  # padded
            end += -end % 512
        size, n_coarse = int(cards["BLOCSIZE"]), int(cards["OBSNCHAN"])
        blocks.append(np.frombuffer(raw, np.int8, size, end).reshape(n_coarse, -1, 2, 2))
        raw = raw[end + size :]
    numbers = np.concatenate(blocks, axis=1).astype(np.float64)
    n = numbers.shape[1] // (n_fft * n_int)
    voltages = (numbers[..., 0] + 1j * numbers[..., 1])[:, : n * n_fft * n_int]
    lines = np.fft.fft(voltages.reshape(n_coarse, n, n_int, n_fft, 2), axis=3)
    sums = (np.abs(np.fft.fftshift(lines, axes=3)) ** 2).sum(axis=(2, 4))
    return sums.transpose(1, 0, 2).reshape(n, n_coarse * n_fft)


def test_products_are_those_of_rawspec(samples: Path, tmp_path: Path) -> None:
    path = samples / "frb_coarse_16MHz.0000.raw"
    fastsig("spectra", path, "-o", tmp_path / "p.h5", "--n-chan", N_CHAN, "--n-int", N_INT,
            "--n-tap", 1, "--window", "none", "--blank", "mean", "-q")
    theirs = rawspec(path, N_CHAN, N_INT)
    found = fs.open(tmp_path / "p.h5").read()
    assert found.values.shape == (len(theirs), 1, theirs.shape[1])
    full = np.flatnonzero((found.weight == 1).all(axis=(1, 2)))
    assert len(full) >= 3  # the others lost packets, where rawspec adds zeros
    np.testing.assert_allclose(found.values[full, 0] * (N_INT * N_CHAN), theirs[full],
                               rtol=0, atol=1e-6 * theirs.max())


def spectra(voltages: np.ndarray, n_chan: int, bank: dict[str, Any]) -> np.ndarray:
    """Powers (row, channel) of complex voltages."""
    head = header(Fraction(n_chan), is_complex=True, n_pol=1, n_bits=32)
    chain = fs.Chain(MemoryVoltages(voltages.astype(np.complex64)[:, np.newaxis], head))
    read: np.ndarray = chain.channelize(n_chan, **bank).detect("I").read().values[:, 0]
    return read


def gains(bank: dict[str, Any], offsets: np.ndarray, n_chan: int = WIDE) -> np.ndarray:
    """Power of tones in their channel, over what a plain transform has in its centre."""
    n, middle = np.arange(8 * n_chan), n_chan // 2
    found = [spectra(np.exp(2j * np.pi * offset / n_chan * n), n_chan, bank)[0]
             for offset in offsets]
    return np.array([row[middle] for row in found]) / n_chan


def scatter(bank: dict[str, Any], rng: np.random.Generator, n_chan: int = WIDE) -> float:
    """Variance of means of many rows of noise, over that of independent rows."""
    n_row = 16
    parts = (rng.normal(size=(n_chan * (4 * n_row + 7), 2)) for _ in range(6))
    means = np.concatenate([
        spectra(part @ [1, 1j], n_chan, bank)[: 4 * n_row].reshape(-1, n_row, n_chan).mean(axis=1)
        for part in parts])
    return float(means.var() / means.mean() ** 2 * n_row)


def test_snr_of_tones_is_as_the_page_states(rng: np.random.Generator) -> None:
    offsets = (np.arange(20) + 0.5) / 20 - 0.5
    plain, bank = gains(PLAIN, offsets), gains(BANK, offsets)
    np.testing.assert_allclose(plain, np.sinc(offsets) ** 2, atol=1e-4)
    of_rows = scatter(BANK, rng) / scatter(PLAIN, rng)
    # 24 000 means of 16 each: 0.9 % of the variance, of each
    assert of_rows == pytest.approx(1.032, abs=0.04)
    assert plain.mean() == pytest.approx(0.77, abs=0.005)
    assert bank.mean() / np.sqrt(1.032) == pytest.approx(0.96, abs=0.005)
    assert bank.mean() / plain.mean() / np.sqrt(1.032) == pytest.approx(1.24, abs=0.01)


@pytest.mark.parametrize(("bank", "count"), [(PLAIN, 406), (BANK, 2)])
def test_channels_that_a_strong_tone_reaches(bank: dict[str, Any], count: int) -> None:
    tone = 1e3 / np.sqrt(WIDE) * np.exp(2j * np.pi * 0.25 / WIDE * np.arange(8 * WIDE))
    row = spectra(tone, WIDE, bank)[0]
    assert np.count_nonzero(row > 10 / np.sqrt(51)) == count
