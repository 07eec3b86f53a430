"""Widths of dispersed pulses and the S/N that remains, against values of the literature."""

from __future__ import annotations

from math import hypot

import numpy as np
import pytest

from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.dispersion import lateness
from fastsig.pulsar import smearing
from fastsig.pulsar.stretches import Recording

K = float(DISPERSION_CONSTANT)


@pytest.mark.parametrize(("ddm", "kept"), [(0, 1), (0.5, 0.7906), (1, 0.4948), (5, 0.1002)])
def test_snr_at_a_wrong_dm_is_that_of_cordes_and_mclaughlin(ddm: float, kept: float) -> None:
    smear = smearing.smear_s(ddm, 500, 1250, K)
    assert smearing.kept_off_dm(float(smear), 1e-3) == pytest.approx(kept, abs=1e-4)


def test_smear_of_the_snr_is_found_again() -> None:
    for kept in (0.999, 0.9, 0.5):
        assert smearing.kept_off_dm(smearing.off_dm(kept), 1) == pytest.approx(kept, abs=1e-9)


@pytest.mark.parametrize(("mhz", "us"), [(1000, 1.0130), (1250, 0.5187), (1450, 0.3323)])
def test_smear_of_a_channel_of_fast(mhz: float, us: float) -> None:
    assert smearing.smear_s(1, 500 / 4096, mhz, K) * 1e6 == pytest.approx(us, abs=5e-5)


def test_delay_of_the_band_of_fast() -> None:
    assert K * lateness(1000.0, 1500.0) == pytest.approx(2.30521e-3, abs=5e-9)
    fast = Recording.of_band("1GHz", "500MHz", 4096, "49.152us")
    # The smear of a channel at the middle of the band is one sample at this DM.
    assert fast.smear_s(94.8, 1 / 4096) == pytest.approx(49.152e-6, rel=1e-3)
    np.testing.assert_allclose(np.diff(np.linspace(fast.low_mhz, fast.high_mhz, 4096)),
                               500 / 4096, rtol=1e-6)


#: The plan that PRESTO prints for 96 channels of 0.5 MHz about 820 MHz, 72 us, 32 subbands: where a
#: row ends, its step, downsampling, step of the subbands, and the width of its unit of work.
GBT = [(38.4, 0.2, 1, 4.8), (60.0, 0.3, 2, 7.2), (108.0, 0.5, 4, 12.0)]
#: The same for 128 channels of 1.625 MHz about 1430 MHz and 625 us, without subbands.
ATA = [(462.0, 2.0, 1, 0.0), (720.0, 3.0, 2, 0.0), (1290.0, 5.0, 4, 0.0)]


@pytest.mark.parametrize(("rows", "band", "n_chan", "center", "sample", "n_subband"), [
    (GBT, 48.0, 96, 820.0, 72e-6, 32), (ATA, 208.0, 128, 1430.0, 625e-6, 1)])
def test_rate_is_halved_where_presto_halves_it(
    rows: list[tuple[float, float, int, float]], band: float, n_chan: int, center: float,
    sample: float, n_subband: int,
) -> None:
    """A channel's smear is twice everything else within the last unit of work of each row."""
    for end, step, factor, sub_step in rows:
        other = smearing.total_s(
            sample, factor * sample, float(smearing.smear_s(step / 2, band, center, K)),
            float(smearing.smear_s(sub_step / 2, band / n_subband, center, K)))
        equal = 2 * other / float(smearing.smear_s(1, band / n_chan, center, K))
        assert end - (sub_step or step) <= equal <= end


def test_smallest_total_of_presto() -> None:
    channel = float(smearing.smear_s(100, 208 / 128, 1430, K))
    assert channel * 1e3 == pytest.approx(0.461, abs=6e-4)
    assert smearing.total_s(625e-6, 625e-6, channel) * 1e3 == pytest.approx(0.997, abs=1e-3)


def test_coarse_samples_lose_what_a_boxcar_loses() -> None:
    # The best boxcar of a Gaussian gives 0.9434 of the matched filter; a narrow pulse in samples
    # of W loses as sqrt(1/W), apart from pulses that two samples share.
    assert smearing.kept_by_bins(1, 1e-2, 1e-3) == pytest.approx(1, abs=1e-3)
    narrow = smearing.kept_by_bins(1e-3, 1, 0.25)
    assert narrow == pytest.approx(0.5, rel=0.02)
    assert smearing.kept_by_bins(2, 1, 1) == 1
    assert smearing.kept_by_jitter(2.0, 0.0) == 1
    wide = hypot(1 / 2.3548, 0.5)
    assert smearing.kept_by_jitter(1, 0.5) == pytest.approx((1 / 2.3548 / wide) ** 0.5, rel=1e-4)
