"""Through each reader, sideband and two resolutions: impulses, tones, the sign of CI.

An impulse appears at its time within half a hop, a tone at its frequency within 1e-3 channel, and
<A* B> has the same sign for upper and lower sidebands.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from streams import header, write_native
from thorough import thorough
from writers import complex_int, write_digital_rf, write_lofar_tbb

import fastsig as fs
from fastsig.axes.time import elapsed, parse_time, sample_time, time_from_unix

N = 30_000
RATE = 200_000_000


def native_real(sideband: str) -> Callable:
    def make(folder: Path, data: np.ndarray) -> tuple[Path, float]:
        head = header(RATE, low_hz=10**9, sideband=sideband)
        return write_native(folder / "x.h5", data.astype(np.int8), head), 1e9
    return make


def native_complex(sideband: str) -> Callable:
    def make(folder: Path, data: np.ndarray) -> tuple[Path, float]:
        head = header(RATE, low_hz=10**9, sideband=sideband, is_complex=True, n_bits=16)
        pairs = np.stack([data.real, data.imag], axis=-1).astype(np.int16)
        return write_native(folder / "x.h5", pairs, head), 1e9
    return make


def digital_rf(folder: Path, data: np.ndarray) -> tuple[Path, float]:
    # 10 ms files, so that the impulse and the tone cross from one to the next
    start = 1_400_000_000 * RATE
    write_digital_rf(folder / "ch0", complex_int(data.real, data.imag), RATE, start, 1.1e9,
                     cadence_ms=1)
    return folder / "ch0", 1e9


def lofar(zone: int) -> Callable:
    def make(folder: Path, data: np.ndarray) -> tuple[Path, float]:
        write_lofar_tbb(folder / "x_tbb.h5", data.astype(np.int16), RATE, zone,
                        time=1_400_000_000, sample_numbers=12_345)
        return folder / "x_tbb.h5", (zone - 1) * RATE / 2
    return make


READERS = {
    "native, real upper": (native_real("upper"), "upper", False),
    "native, real lower": (native_real("lower"), "lower", False),
    "native, complex upper": (native_complex("upper"), "upper", True),
    "native, complex lower": (native_complex("lower"), "lower", True),
    "digital_rf, complex": (digital_rf, "upper", True),
    "lofar_tbb, zone 1": (lofar(1), "upper", False),
    "lofar_tbb, zone 2": (lofar(2), "lower", False),
    "lofar_tbb, zone 3": (lofar(3), "upper", False),
}
STARTS = {"native": parse_time("2021-03-04T05:06:07.123456789"),
          "digital_rf": time_from_unix(1_400_000_000),
          "lofar_tbb": sample_time(time_from_unix(1_400_000_000), 12_345, Fraction(RATE))}


def recorded_tone(sky: float, low: float, sideband: str, is_complex: bool, phase: float = 0
                  ) -> np.ndarray:
    """The sky signal exp(i (2 pi f t + phase)) as the recorder keeps it, amplitude 100."""
    width = RATE if is_complex else RATE / 2
    offset = sky - low if sideband == "upper" else low + width - sky
    turn = 2 * np.pi * (offset - (width / 2 if is_complex else 0)) / RATE * np.arange(N)
    signal = 100 * np.exp(1j * (turn + (phase if sideband == "upper" else -phase)))
    return signal if is_complex else signal.real


def dither(data: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    if np.iscomplexobj(data):
        return dither(data.real) + 1j * dither(data.imag)
    return np.round(data + rng.uniform(-0.5, 0.5, data.shape))


# No powers of two: the tones below go through the vector code, which takes seconds to compile.
@pytest.mark.parametrize("n_chan", [60, 500])
@pytest.mark.parametrize("name", READERS)
def test_an_impulse(name: str, n_chan: int, tmp_path: Path) -> None:
    make, _, is_complex = READERS[name]
    at = 17_321
    data = np.zeros((N, 2), complex if is_complex else float)
    data[at] = 100
    path, _ = make(tmp_path, data)
    hop = n_chan if is_complex else 2 * n_chan
    spectra = fs.open(path).channelize(n_chan).detect("I")
    result = spectra.read()
    row = int(result.values[:, 0].sum(axis=1).argmax())
    moment = sample_time(STARTS[name.split(",")[0]], at, Fraction(RATE))
    middle = elapsed(moment, spectra.stream.time_of(row)) + Fraction(hop, 2 * RATE)
    assert abs(middle) <= Fraction(hop, 2 * RATE) + Fraction(1, 10**10)


# Vector code for each sideband of real and of complex samples; other readers have it in `make
# thorough`, as it takes a second to compile for each type of samples.
@pytest.mark.parametrize(("name", "n_chan"), [
    *((name, 500) for name in READERS),
    *((name, 64 if name.startswith("native") else 60) for name in READERS),
    *(pytest.param(name, 64, marks=thorough) for name in READERS if not name.startswith("native")),
])
def test_a_tone_and_its_handedness(name: str, n_chan: int, tmp_path: Path) -> None:
    make, sideband, is_complex = READERS[name]
    width = RATE if is_complex else RATE / 2
    low = 1e9 if not name.startswith("lofar") else {"1": 0.0, "2": 1e8, "3": 2e8}[name[-1]]
    phase, step = 0.9, width / n_chan
    sky = low + (0.3 * n_chan // 1 + 0.2) * step
    data = np.stack([recorded_tone(sky, low, sideband, is_complex),
                     recorded_tone(sky, low, sideband, is_complex, phase)], axis=1)
    path, found_low = make(tmp_path, dither(data))
    assert found_low == low
    chain = fs.open(path)
    assert chain.header.sideband == sideband and chain.header.is_complex == is_complex
    frames = chain.channelize(n_chan)
    spectra = frames.detect("AABBCRCI").integrate(n_int=8).read()
    centers = frames.frequency.to_value("Hz")
    peak = int(spectra.values[0, 0].argmax())
    assert abs(centers[peak] - sky) < step / 2
    # Between frames the phase turns by the tone's place within the channel.
    voltages = frames.read().values[:, 0, peak]
    turn = np.angle((voltages[1:] * np.conj(voltages[:-1])).mean()) / (2 * np.pi)
    assert abs(turn - (sky - centers[peak]) / step) < 1e-3
    cr, ci = spectra.values[0, 2:, peak]
    assert np.angle(cr + 1j * ci) == pytest.approx(phase, abs=2e-3)
