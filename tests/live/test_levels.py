"""Levels of the newest packets: rms, and the fraction of samples at the limits of their range."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from streams import header

from fastsig.io.live import memory as shared
from fastsig.io.live.ring_layout import RingLayout
from fastsig.io.live.writer import RingWriter
from fastsig.io.vdif.reader import levels_of
from fastsig.live.levels import Levels

BYTES = 512


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(shared, "folder", lambda: str(tmp_path))
    yield
    assert not shared.ring_names(), "a ring was left"


def measured(raw: np.ndarray, bits: int, is_complex: bool, dtype: str,
             levels: tuple[float, ...] = ()) -> dict[str, dict[str, float]]:
    """Levels of a ring that contains the bytes of one packet."""
    form = RingLayout("voltage", BYTES * 8 // bits // (1 + is_complex), 1, BYTES, dtype,
                      bits=bits if levels else 0, levels=levels)
    head = header(is_complex=is_complex, n_bits=bits, n_pol=1)
    with RingWriter.create(form, head, 16 * BYTES, label="udp://here") as ring:
        ring.start()
        ring.put(0, 0, raw)
        ring.end()
        reader = Levels(ring)
        found = reader.read()
        reader.close()
    return found


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_codes_at_the_limits_of_their_range(bits: int, is_complex: bool,
                                            rng: np.random.Generator) -> None:
    half = 2 ** (bits - 1)
    values = levels_of(bits, 0) or tuple(float(code - half) for code in range(2 * half))
    raw = rng.integers(0, 256, BYTES, np.uint8)
    codes = raw[:, np.newaxis] >> np.arange(0, 8, bits, dtype=np.uint8) & (2 * half - 1)
    samples = np.array(values)[codes]
    found = measured(raw, bits, is_complex, dtype="u1", levels=values)
    assert found["rms"]["X"] == pytest.approx(
        np.sqrt((1 + is_complex) * np.mean(samples**2)), rel=1e-6)
    if bits == 1:
        assert "clipped" not in found
    else:
        assert found["clipped"] == {"X": np.mean(np.abs(samples) >= max(values))}
        assert 0 < found["clipped"]["X"] < 0.6


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_integers_at_the_limits_of_their_range(bits: int, is_complex: bool) -> None:
    most = 2 ** (bits - 1) - 1
    numbers = np.zeros(BYTES * 8 // bits, f"<i{bits // 8}")
    numbers[:12], numbers[12:16] = most, most - 1
    found = measured(numbers.view(np.uint8), bits, is_complex, dtype=numbers.dtype.str.lstrip("|"))
    assert found["clipped"] == {"X": 12 / numbers.size}


def test_floats_have_no_limits() -> None:
    found = measured(np.ones(BYTES // 4, "<f4").view(np.uint8), 32, False, dtype="<f4")
    assert found == {"rms": {"X": 1.0}}
