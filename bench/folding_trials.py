"""``python -m bench ffa-trials``: false alarms of fast folding in noise, counted and expected.

Candidates in white noise are counted above several S/N, and compared with the number of all
boxcars, of every phase and width in each profile, times the chance of one. The share of them that
are independent is that of `fastsig.search.pulsars.ffa`, on other seeds, if the counts agree.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass

import numpy as np

from bench import machine
from fastsig.search.pulsars.ffa import FoldingSearch

__all__ = ["Count", "counted", "run"]

#: Samples, shortest and longest period (s), least and largest duty cycle, number of series.
_CASES = ((2**16, 0.3, 3.0, 1 / 240, 0.2, 2000), (2**16, 0.1, 2.0, 1 / 64, 0.3, 1000),
          (2**18, 0.25, 8.0, 1 / 240, 0.2, 200))
_LEVELS = (4.5, 4.75, 5.0, 5.25, 5.5, 5.75, 6.0, 6.25)
_SAMPLE_S, _SEED = 1e-3, 6000


@dataclass(frozen=True)
class Count:
    """Candidates in noise above an S/N, and how many are expected.

    Parameters
    ----------
    n_sample : int
    n_bin : int
    n_series : int
    snr : float
    found : int
    expected : float
        With the shares that the search uses.
    share : float
        Share of all boxcars that the count corresponds to.
    """

    n_sample: int
    n_bin: int
    n_series: int
    snr: float
    found: int
    expected: float
    share: float


def counted(search: FoldingSearch, n_series: int, seed: int) -> list[Count]:
    """Search series of noise, and count the candidates above several S/N."""
    from scipy.stats import norm

    rng, found = np.random.default_rng(seed), []
    for _ in range(n_series):
        found.append(search.process(rng.standard_normal(search.n_sample, np.float32))["snr"])
    snr = np.concatenate(found)
    every = n_series * search.n_trial
    counts = [int((snr >= level).sum()) for level in _LEVELS]
    return [Count(search.n_sample, search.n_bin, n_series, level, count,
                  n_series * search.false_alarms(level), count / (every * norm.sf(level)))
            for level, count in zip(_LEVELS, counts, strict=True)]


def run(*, quick: bool = False, keep: bool = True) -> list[Count]:
    """Print the counts beside what is expected, and save the record."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="ffa-trials")
    print(machine.headline(record))
    every = []
    for k, (n, low, high, least, most, n_series) in enumerate(_CASES[:1] if quick else _CASES):
        search = FoldingSearch(n, _SAMPLE_S, period=(low, high), duty=(least, most), most=10**6)
        search.snr_min = _LEVELS[0]
        every += counted(search, 5 if quick else n_series, _SEED + k)
        for each in every[-len(_LEVELS):]:
            print(f"{each.n_series} series of {n} samples, {each.n_bin} bins, S/N {each.snr:g}: "
                  f"{each.found} found, {each.expected:.1f} expected; share {each.share:.3f}",
                  flush=True)
    if keep:
        print(f"wrote {machine.save(record, [asdict(each) for each in every])}", file=sys.stderr)
    return every
