"""Coherent dedispersion as `baseband_tasks.dispersion.Dedisperse` does it, which is independent."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time
from fastsig_kernels import CoherentDedispersion, Layout

with warnings.catch_warnings():  # of astropy, about what it imports
    warnings.simplefilter("ignore")
    pytest.importorskip("baseband_tasks.dispersion", reason="baseband-tasks is not installed")
    from baseband_tasks.dispersion import Dedisperse
    from baseband_tasks.generators import StreamGenerator

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning",
                                        "ignore::PendingDeprecationWarning")

LOW, DM, N = 300.0, 5.0, 2**17  # MHz, pc cm^-3, samples
K_DM = 1e6 / 2.41e-4 * DM  # delay at 1 MHz, us: baseband-tasks has this constant too


def dispersed(sideband: int, *, is_complex: bool) -> np.ndarray:
    """A dispersed pulse in the middle, with a spectrum that vanishes at the edges of the band."""
    n = N if is_complex else N // 2
    u_mhz = np.arange(n) / n
    f, middle = LOW + u_mhz, LOW + 0.5
    turns = K_DM * (f - middle) ** 2 / (f * middle**2) - u_mhz * n / 2
    sky = np.exp(-0.5 * ((u_mhz - 0.5) / 0.07) ** 2) * np.exp(2j * np.pi * np.mod(turns, 1))
    if is_complex:
        x = np.fft.ifft(np.fft.ifftshift(sky))
        return np.conj(x) if sideband < 0 else x
    spectrum = np.zeros(n + 1, complex)
    if sideband < 0:
        spectrum[n - np.arange(n)] = np.conj(sky)
    else:
        spectrum[:n] = sky
    return np.fft.irfft(spectrum, N)


def theirs(x: np.ndarray, sideband: int) -> tuple[np.ndarray, int]:
    """Their voltages of the band about its middle, at 1 MHz, and the number of the first one."""
    is_complex = x.dtype.kind == "c"
    rate = (1 if is_complex else 2) * u.MHz
    edge = LOW + (0.5 if is_complex else 0 if sideband > 0 else 1)
    stream = StreamGenerator(lambda _: x, (N,), Time("2020-01-01"), sample_rate=rate,
                             samples_per_frame=N, dtype=x.dtype, frequency=edge * u.MHz,
                             sideband=np.int8(sideband))
    clean = Dedisperse(stream, DM, reference_frequency=(LOW + 0.5) * u.MHz,
                       samples_per_frame=2**16)
    first = round(((clean.start_time - stream.start_time) * rate).to_value(u.one))
    y = clean.read()
    if is_complex:
        return np.conj(y) if sideband < 0 else y, first
    spectrum = np.fft.fft(y[: len(y) // 2 * 2])
    spectrum[len(spectrum) // 2 :] = 0
    turned = 2 * np.fft.ifft(spectrum)  # the analytic signal, about a quarter of the rate
    turned *= np.exp(-0.5j * np.pi * (np.arange(len(turned)) + first))
    turned = (np.conj(turned) if sideband < 0 else turned)[first % 2 :: 2]
    return turned / np.sqrt(2), (first + first % 2) // 2


@pytest.mark.parametrize("is_complex", [True, False])
@pytest.mark.parametrize("sideband", [1, -1])
def test_voltages_are_the_same(sideband: int, is_complex: bool) -> None:
    x = dispersed(sideband, is_complex=is_complex)
    x = (x / np.abs(x).max()).astype(np.complex64 if is_complex else np.float32)
    other, first = theirs(x, sideband)
    plan = CoherentDedispersion(1, start=LOW, dispersion=K_DM, lower_sideband=sideband < 0,
                                layout=Layout("float32", is_complex=is_complex))
    ours = plan.process(np.stack([x.real, x.imag], axis=-1) if is_complex else x)[0, 0]
    both = slice(max(first, plan.before), min(first + len(other), len(ours)))
    there, here = other[both.start - first : both.stop - first], ours[both]
    peak = np.abs(there).max()
    assert len(here) > 20_000 and np.abs(here).max() > 0.99 * np.abs(other).max()
    assert peak > 5 * np.abs(x).max() / (1 if is_complex else 2)  # it was dispersed
    assert np.abs(here - there).max() < 1e-6 * peak
