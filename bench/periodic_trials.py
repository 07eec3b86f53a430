"""``python -m bench periodic``: false alarms of Fourier searches in noise, counted and expected.

Candidates in noise are counted for several lengths, numbers of harmonics and drifts: in spectra of
white noise, and in series of red noise with gaps. The numbers of independent trials that searches
state are right if the counts are those expected.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass

import numpy as np

from bench import machine
from fastsig.search.pulsars.fourier import FourierSearch

__all__ = ["Count", "counted", "run"]

_SAMPLE_S = 1e-3
#: Numbers of samples, of harmonics, largest drift, and numbers of series.
_CASES = ((2**14, 1, 0.0, 400), (2**14, 16, 0.0, 400), (2**17, 1, 0.0, 400), (2**17, 16, 0.0, 400),
          (2**20, 8, 0.0, 60), (2**20, 32, 0.0, 60), (2**13, 1, 20.0, 200), (2**15, 8, 20.0, 200),
          (2**15, 8, 200.0, 40), (2**17, 4, 60.0, 60), (100_000, 16, 0.0, 200))
_LEVELS = (-0.5, 0.0, 0.5, 1.0)
_SEED = 5000
#: Share by which an expectation may be off, apart from the errors of counts.
MOST = 0.35


@dataclass(frozen=True)
class Count:
    """Candidates in noise above a significance, and how many are expected.

    Parameters
    ----------
    n_sample, n_harmonic : int
    z_max : float
    n_series : int
    noise : str
        "white" or "red".
    threshold : float
        Significance after trials.
    found : int
    expected : float
    """

    n_sample: int
    n_harmonic: int
    z_max: float
    n_series: int
    noise: str
    threshold: float
    found: int
    expected: float

    @property
    def is_right(self) -> bool:
        """Whether the count agrees with the expectation, within three errors and `MOST`."""
        return abs(self.found - self.expected) <= MOST * self.expected + 3 * max(
            1.0, self.expected**0.5)


def counted(n_sample: int, n_harmonic: int, z_max: float, n_series: int, seed: int, *,
            red: bool = False) -> list[Count]:
    """Search series of noise, and count the candidates above several significances."""
    search = FourierSearch(n_sample, _SAMPLE_S, n_harmonic=n_harmonic, z_max=z_max,
                           threshold=_LEVELS[0], most=10**5)
    rng, found = np.random.default_rng(seed), []
    for _ in range(n_series):
        series, weight = _noise(n_sample, rng, red)
        found.append(search.process(series, weight)["sigma"])
    sigma = np.concatenate(found)
    return [Count(n_sample, n_harmonic, z_max, n_series, "red" if red else "white", level,
                  int((sigma >= level).sum()), n_series * search.false_alarms(level))
            for level in _LEVELS]


def _noise(n: int, rng: np.random.Generator, red: bool
           ) -> tuple[np.ndarray, np.ndarray | None]:
    if not red:
        return rng.standard_normal(n, np.float32), None
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum[1:] *= np.sqrt(1 + (n / 50 / np.arange(1, spectrum.size)) ** 2)
    weight = np.ones(n, np.float32)
    for start in rng.random(3):
        weight[int(start * n) : int((start + 0.08) * n)] = 0
    return (weight * np.fft.irfft(spectrum, n)).astype(np.float32), weight


def run(*, quick: bool = False, keep: bool = True) -> list[Count]:
    """Print the counts beside what is expected, and save the record."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="periodic")
    print(machine.headline(record))
    found = []
    for k, (n, harmonics, z, n_series) in enumerate(_CASES[:4] if quick else _CASES):
        for red in (False, True):
            found += counted(n, harmonics, z, max(1, n_series // (20 if quick else 1)),
                             _SEED + 2 * k + red, red=red)
            for each in found[-len(_LEVELS):]:
                print(_text(each), flush=True)
    if keep:
        print(f"wrote {machine.save(record, [asdict(each) for each in found])}", file=sys.stderr)
    return found


def _text(count: Count) -> str:
    return (f"{count.noise} noise, {count.n_sample} samples, {count.n_harmonic} harmonics, drift "
            f"{count.z_max:g}, above {count.threshold:g} sigma: {count.found} found, "
            f"{count.expected:.1f} expected{'' if count.is_right else ' - OFF'}")
