"""The share of pure noise that `flag` flags, by shape of the spectra: ``python -m bench.noise``.

The spectra are powers with a bandpass, and noise of the given degrees of freedom (twice the number
of samples in a value). They are used as they are, and rounded to 8 bits with a noise of two steps.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from fastsig.stages.flag_statistics import Settings, judge

#: Number of channels, their width in kHz, number of spectra, degrees of freedom.
SHAPES = (
    (16, 10_000, 1024, 2000), (16, 1, 1024, 4), (16, 1000, 64, 200), (32, 10_000, 1024, 2000),
    (64, 1000, 1024, 64), (64, 100, 128, 2000), (128, 10, 1024, 4), (128, 30, 1024, 200),
    (128, 4000, 1024, 64), (256, 1000, 1024, 20_000), (336, 1000, 1024, 64),
    (512, 4000, 1024, 2000), (512, 390, 1024, 16), (1024, 250, 1024, 64), (1024, 1, 1024, 4),
    (2048, 30, 512, 2000), (4096, 122, 256, 200), (8192, 8, 128, 4), (16_384, 1, 64, 2),
    (65_536, 8, 32, 2000),
)


def settings(n_chan: int, khz: float) -> Settings:
    """Return the default settings of `flag`."""
    smooth = min(n_chan, max(64, round(20_000 / khz)))
    return Settings(5.0, 6.0, 64, 51, smooth, np.zeros(n_chan, np.bool_))


def powers(n: int, n_chan: int, freedom: int) -> NDArray[np.float32]:
    """Return noise with a bandpass, (n, n_chan)."""
    x = np.linspace(0, 1, n_chan)
    noise = np.random.default_rng(1).chisquare(freedom, (n, n_chan)) / freedom
    return (100 * (1 + x - 0.5 * x**2) * noise).astype(np.float32)


def rounded(x: NDArray[np.float32], freedom: int) -> NDArray[np.float32]:
    """Return the same rounded to 8 bits, with two steps per standard deviation."""
    scaled = (x / x.mean(axis=0) - 1) * np.sqrt(freedom / 2) * 2 + 128
    return np.clip(np.round(scaled), 0, 255).astype(np.float32)


def main() -> None:
    """Print the table."""
    stated = settings(16, 1).noise_share
    print(f"stated: {100 * stated:.3f} % at most\n")
    print("| channels | kHz | spectra | degrees of freedom | % flagged | in 8 bits | ns/value |")
    print("|---|---|---|---|---|---|---|")
    for n_chan, khz, n, freedom in SHAPES:
        x, states, given = powers(n, n_chan, freedom), np.zeros(n, np.int8), settings(n_chan, khz)
        start = time.process_time()
        share = judge(x, states, power=True, settings=given).mean()
        took = time.process_time() - start
        few = judge(rounded(x, freedom), states, power=True, settings=given).mean()
        print(f"| {n_chan} | {khz} | {n} | {freedom} | {100 * share:.3f} | {100 * few:.3f} "
              f"| {1e9 * took / x.size:.0f} |", flush=True)


if __name__ == "__main__":
    main()
