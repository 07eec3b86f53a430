"""Spectra with drifting carriers, computed apart from the search."""

import numpy as np

__all__ = ["SHAPE", "spectra"]

#: Shape of the Gamma law of the noise, as of 51 spectra averaged.
SHAPE = 51


def spectra(n_spectrum, n_chan, carriers, seed=1, smeared=True):
    """Return Gamma noise of mean 1 with carriers, (n_spectrum, n_chan) float32.

    A carrier is (channel at the centre of the first spectrum, channels of drift to that of the
    last, width in channels, S/N that a boxcar of its width along it has without smear).
    """
    rng = np.random.default_rng(seed)
    x = rng.gamma(SHAPE, 1 / SHAPE, (n_spectrum, n_chan)).astype(np.float32)
    for channel, drift, width, snr in carriers:
        power = snr * np.sqrt(width / n_spectrum / SHAPE)
        spread = drift / max(1, n_spectrum - 1) if smeared else 0.0
        parts = max(8, int(8 * abs(spread)) + 1)
        for row in range(n_spectrum):
            at = channel + drift * row / max(1, n_spectrum - 1)
            for part in at + spread * ((np.arange(parts) + 0.5) / parts - 0.5):
                low, high = part - width / 2 + 0.5, part + width / 2 + 0.5
                cells = np.arange(max(0, int(np.floor(low))), min(n_chan, int(np.ceil(high))))
                share = np.minimum(high, cells + 1) - np.maximum(low, cells)
                x[row, cells] += power / parts * np.maximum(share, 0) / width
    return x
