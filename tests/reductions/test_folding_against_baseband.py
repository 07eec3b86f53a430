"""A fold of voltages as baseband-tasks makes it, with the same rule of bins."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time
from streams import MemoryVoltages, header

from fastsig.chain import Chain
from fastsig.pulsar.constant import ConstantPeriod
from fastsig.stages.dedisperse_voltages import DedisperseVoltages
from fastsig.stages.detect import Detect

with warnings.catch_warnings():  # of astropy, about what it imports
    warnings.simplefilter("ignore")
    pytest.importorskip("baseband_tasks.integration", reason="baseband-tasks is not installed")
    from baseband_tasks.dispersion import Dedisperse
    from baseband_tasks.functions import Power
    from baseband_tasks.generators import StreamGenerator
    from baseband_tasks.integration import Fold

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning",
                                        "ignore::PendingDeprecationWarning")

N, RATE, LOW_MHZ, DM = 2**16, 10**6, 300, 2.0
PERIOD_S, BINS = 0.0037123456789, 64
FIRST, COUNT = 12_000, 40_000  # of the samples that are folded: those without an end in reach
START = "2020-01-01T00:00:00"


def voltages() -> np.ndarray:
    """Two polarisations of a polarised pulsar and noise, (time, pol).

    The spectrum vanishes at the edges of the band, where the phases of the dispersion have a step,
    whose effect depends on the lengths of transforms.
    """
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(3, N)) + 1j * rng.normal(size=(3, N))
    turns = np.arange(N) / RATE / PERIOD_S % 1
    height = 3 * np.exp(-0.5 * ((turns - 0.4) / 0.03) ** 2)
    x = np.stack([noise[0] + height * noise[2], noise[1] + 0.7j * height * noise[2]])
    pass_band = np.exp(-0.5 * (np.fft.fftfreq(N) / 0.07) ** 2)
    return np.fft.ifft(np.fft.fft(x) * pass_band).T.astype(np.complex64)


def ours(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    stream = MemoryVoltages(x, header(RATE, low_hz=LOW_MHZ * 10**6, is_complex=True, n_pol=2,
                                      start=START))
    rows = Chain(Detect(DedisperseVoltages(stream, DM), "AABBCRCI"))[FIRST : FIRST + COUNT]
    # The centre of a row is the instant of its sample.
    centre = rows.start_time + 0.5 / RATE * u.s - Time(START)
    assert centre.to_value("s") == pytest.approx(FIRST / RATE, abs=1e-10)
    found = rows.fold(ConstantPeriod(epoch=Time(START), period=f"{PERIOD_S}s"), n_bin=BINS,
                      subint=None, dm=0)
    return found.data[0, :, 0].astype(float), np.broadcast_to(found.weights, found.shape)[0, 0, 0]


def theirs(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    middle = (LOW_MHZ + 0.5) * u.MHz
    start = Time(START)
    stream: Any = StreamGenerator(
        lambda _: x, (N, 2), start, sample_rate=RATE * u.Hz, samples_per_frame=N,
        dtype=x.dtype, frequency=middle, sideband=np.int8(1), polarization=np.array(["X", "Y"]))
    clean = Dedisperse(stream, DM, reference_frequency=middle, samples_per_frame=2**14)
    first = round(((clean.start_time - start) * RATE * u.Hz).to_value(u.one))

    def phase(time: Time) -> u.Quantity:
        return ((time - start).to_value("s") / PERIOD_S) * u.cycle

    made = Fold(Power(clean), BINS, phase, step=COUNT, start=FIRST - first, average=False)
    out = made.read(1)[0]
    values = np.moveaxis(out["data"] / out["count"], 0, 1).reshape(4, BINS)
    values[3] *= -1  # of X Y*; CR + i CI is X* Y
    return values, out["count"].reshape(BINS, -1)[:, 0]


def test_profiles_are_the_same() -> None:
    x = voltages()
    (values, weights), (others, counts) = ours(x), theirs(x)
    np.testing.assert_array_equal(weights, counts)  # every sample is in the same bin
    peak = np.abs(others).max()
    assert peak > 3 * np.median(others[0]) and np.abs(others[3]).max() > 0.3 * peak
    assert np.abs(values - others).max() < 1e-5 * peak
