"""Other people's recordings, readers and searches around a batch; foreign.py does it at length."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig

import fastsig as fs
from tests.batch import foreign

N_FILE = 2  # one rising band, one falling


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder, and (recording, its cards, its tones) of each file."""
    pytest.importorskip("blimpy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what setigen imports warns
        pytest.importorskip("setigen")
        folder = tmp_path_factory.mktemp("foreign")
        tones = [foreign.record(folder / "night", number) for number in range(N_FILE)]
    recordings = sorted((folder / "night").glob("*.raw"))
    foreign.reduce(folder)
    return folder, [(path, foreign.cards_of(path), many)
                    for path, many in zip(recordings, tones, strict=True)]


def products(made: tuple[Path, Any]) -> Any:
    """Each product as blimpy reads it, with the cards and tones of its recording."""
    folder, recordings = made
    for path, cards, tones in recordings:
        for n_fine in foreign.N_CHAN:
            yield foreign.Product(folder / "products" / f"{path.stem}.{n_fine}.h5"), cards, tones


def test_channels_are_where_rawspec_puts_them(made: tuple[Path, Any]) -> None:
    signs = set()
    for product, cards, _ in products(made):
        n_fine = len(product.hz) // foreign.N_COARSE
        theirs = foreign.rawspec_hz(cards, n_fine)
        rising = theirs[1] > theirs[0]
        signs.add(rising)
        mine = product.hz if rising else product.hz[::-1]
        # float64 resolves 1.2e-7 of a channel
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6 * product.step_hz)
        assert product.step_hz == pytest.approx(abs(theirs[1] - theirs[0]), rel=1e-6)
        assert product.first_hz == pytest.approx(theirs.min(), abs=1e-6 * product.step_hz)
        # DC of each coarse channel, in rawspec's channel n / 2, is that channel's centre.
        width = float(cards["OBSBW"]) * 1e6 / foreign.N_COARSE
        centers = float(cards["OBSFREQ"]) * 1e6 + width * (np.arange(foreign.N_COARSE) - 1.5)
        np.testing.assert_allclose(mine[n_fine // 2 :: n_fine], centers, rtol=0,
                                   atol=1e-6 * product.step_hz)
    assert signs == {True, False}


def test_channels_hold_what_a_transform_in_rawspecs_order_gives(made: tuple[Path, Any],
                                                                tmp_path: Path) -> None:
    n_fine = 256
    for path, cards, _ in made[1]:
        fastsig("spectra", path, "-o", tmp_path / f"{path.stem}.h5", "--n-chan", n_fine, "--n-tap",
                1, "--window", "none", "--n-int", 1)
        block = int(cards["BLOCSIZE"])
        raw = path.read_bytes()
        at = raw.index(b"END" + b" " * 77) + 80
        numbers = np.frombuffer(raw, np.int8, block, at).astype(float)
        voltages = numbers.reshape(foreign.N_COARSE, -1, n_fine, 2, 2)  # frame, sample, pol, part
        lines = np.fft.fft(voltages[..., 0] + 1j * voltages[..., 1], axis=2) / np.sqrt(n_fine)
        power = np.fft.fftshift((np.abs(lines) ** 2).sum(axis=-1), axes=2)
        power = power.transpose(1, 0, 2).reshape(power.shape[1], -1)
        theirs = foreign.rawspec_hz(cards, n_fine)
        mine = fs.open(tmp_path / f"{path.stem}.h5").read(0, len(power)).values[:, 0]
        np.testing.assert_allclose(mine, power[:, np.argsort(theirs)], rtol=0,
                                   atol=1e-6 * power.max())


def near(found: foreign.Found | None, tone: foreign.Tone, product: foreign.Product) -> None:
    """Within one fine channel and one step of drift, with its sign."""
    what = f"{product.path.name}, {tone}: {found}"
    assert found is not None, what
    assert abs(found.channels) <= 1, what
    assert abs(found.steps) <= 1 + 1e-5, what  # turboSETI writes 6 decimals
    assert tone.drift == 0 or np.sign(found.drift) == np.sign(tone.drift), what


def test_tones_by_a_plain_sum_along_drifts(made: tuple[Path, Any]) -> None:
    for product, cards, tones in products(made):
        assert np.isfinite(product.data).all()
        for tone in tones:
            near(foreign.summed(product, tone, cards), tone, product)


def test_tones_by_turboseti(made: tuple[Path, Any]) -> None:
    if not os.environ.get("FASTSIG_TURBOSETI"):
        pytest.skip("FASTSIG_TURBOSETI names no interpreter that has turboSETI, which fails with "
                    "NumPy 2.4; foreign.py tells how to make one")
    foreign.search(made[0])
    for product, cards, tones in products(made):
        for tone in tones:
            near(foreign.searched(made[0] / "hits", product, tone, cards), tone, product)
        found = foreign.hits(made[0] / "hits", product)
        assert {hit["coarse"] for hit in found} == {tone.coarse for tone in tones}
