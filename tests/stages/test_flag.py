"""Flags by spectral kurtosis: what is left out, what is kept, and the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli import fastsig
from streams import header, lose_packets, noise, write_native
from thorough import thorough

import fastsig as fs
from fastsig.chain import spectra

N_CHAN, PULSED = 64, 20
N_INT = 1024


@pytest.fixture(scope="module")
def pulsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise with a carrier in the middle of channel 20, on for a tenth of the time."""
    rng = np.random.default_rng(9)
    hop = 2 * N_CHAN
    time = np.arange(64 * N_INT * hop // 8)
    on = (time // hop) % 50 < 5  # of every 50 spectra, the first five
    carrier = 12 * on * np.cos(2 * np.pi * PULSED / hop * time)
    data = np.round(rng.normal(0, 20, (len(time), 2)) + carrier[:, None])
    path = tmp_path_factory.mktemp("flag") / "pulsed.h5"
    return write_native(path, np.clip(data, -128, 127).astype(np.int8), header())


def test_a_pulsed_carrier_is_removed_and_noise_is_kept(pulsed: Path) -> None:
    plain, flagged = (
        spectra(fs.open(pulsed).stream, N_CHAN, products="AABB", n_int=N_INT, **options).read()
        for options in ({}, {"flag": "sk"})
    )
    assert flagged.weight.shape == flagged.values.shape  # a weight for every channel
    whole = flagged.weight[:-1]  # the last integration has fewer spectra than its weight counts
    assert np.all(whole[:, :, PULSED] == 0) and np.isnan(flagged.values[:, :, PULSED]).all()
    others = np.delete(np.arange(N_CHAN), [PULSED - 1, PULSED, PULSED + 1])
    assert whole[:, :, others].mean() > 0.98
    # 2 polarisations x 56 decisions a channel, each wrong with a chance of 0.3 %
    assert whole[:, :, others].mean(axis=(0, 1)).min() > 0.9
    power = np.nanmean(plain.values, axis=(0, 1))
    assert power[PULSED] / power[others].mean() > 1.5
    kept = flagged.values[:-1][:, :, others]
    assert abs(np.nanmean(kept) / 400 - 1) < 0.01  # the noise's own variance, 20^2


def test_a_sigma_sets_how_much_noise_is_lost(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write_native(tmp_path / "v.h5", noise(rng, 2**21, 1), header(n_pol=1))
    lost = [1 - spectra(fs.open(path).stream, N_CHAN, n_int=128, flag="sk", flag_sigma=sigma)
            .read().weight[:-1].mean() for sigma in (2, 3, 4)]
    # Chances of a Gaussian: 4.6 %, 0.27 %, 0.006 %; some frames overlap, so a little more.
    assert 0.03 < lost[0] < 0.07 and 0.001 < lost[1] < 0.006 and lost[2] < 0.001


@pytest.mark.parametrize(("n_int", "products"), [
    (16, "I"), (100, "I"), (300, "I"), (1024, "I"), (16, "IQUV"), (300, "IQUV"),
    pytest.param(100, "IQUV", marks=thorough), pytest.param(1024, "IQUV", marks=thorough)])
def test_fused_or_not_the_same_bytes(
    n_int: int, products: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    spans = lose_packets(rng, 300_000, 0.05, 4096)
    path = write_native(tmp_path / "v.h5", noise(rng, 300_000), header(), spans)
    chain = spectra(fs.open(path).stream, N_CHAN, products=products, n_int=n_int, n_freq=2,
                    flag="sk", flag_sigma=2)
    chain.write(tmp_path / "plain.h5", workers=1, fused=False)
    expected = (tmp_path / "plain.h5").read_bytes()
    for workers in (1, 2, 5):
        chain.write(tmp_path / "fused.h5", workers=workers, overwrite=True)
        assert (tmp_path / "fused.h5").read_bytes() == expected
    weight = fs.open(tmp_path / "plain.h5").read().weight
    assert weight.shape[2] == N_CHAN // 2 and len(np.unique(weight)) > 3


def test_command_line_and_record(pulsed: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.h5"
    words = ("spectra", pulsed, "-o", out, "--n-chan", N_CHAN, "--flag", "sk")
    fastsig(*words, "--n-int", N_INT, "--flag-sigma", 4)
    (record,) = [step for step in fs.open(out).stream.provenance["stages"]
                 if step["stage"] == "integrate"]
    assert record["parameters"]["flag"] == "spectral kurtosis"
    assert record["parameters"]["flag_sigma"] == 4 and record["parameters"]["flag_spectra"] == 128
    fastsig(*words, "--n-int", N_INT, "--overwrite", "--dry-run")
    fastsig(*words, "--n-int", N_INT, "--overwrite")
    chain = spectra(fs.open(pulsed).stream, N_CHAN, n_int=N_INT, flag="sk", flag_sigma=3)
    chain.write(tmp_path / "library.h5")
    assert out.read_bytes() == (tmp_path / "library.h5").read_bytes()


BAD = {
    "no integration": (("--flag", "sk"), "without an integration"),
    "channels alone": (("--flag", "sk", "--n-freq", "2"), "without an integration"),
    "too short": (("--flag", "sk", "--n-int", "15"), "n_int = 15 spectra are too few"),
    "a sigma alone": (("--flag-sigma", "3", "--n-int", "16"), "without a flag"),
    "no sigma": (("--flag", "sk", "--n-int", "16", "--flag-sigma", "0"), "sigma"),
    "another": (("--flag", "mad", "--n-int", "16"), "mad"),
}


@pytest.mark.parametrize("name", BAD)
def test_refusals(name: str, pulsed: Path, tmp_path: Path) -> None:
    options, text = BAD[name]
    done = fastsig("spectra", pulsed, "-o", tmp_path / "x.h5", "--n-chan", 64, *options, code=2)
    assert text in done.stderr
    assert not list(tmp_path.iterdir())
