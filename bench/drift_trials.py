"""``python -m bench drift``: false alarms of searches for drifting carriers in noise.

Hits in noise are counted for several numbers of spectra, ranges of drift and widths. The constants
of `fastsig.search.drift.trials` are fitted to the counts. Searches of noise with other seeds and
other shapes are compared with what they state.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench import machine
from fastsig.search.drift.plan import DriftPlan
from fastsig.search.drift.tile import Tile
from fastsig.search.drift.trials import CONSTANTS, chance, false_alarms, trials

__all__ = ["Count", "counted", "fitted", "plan_of", "run"]

_CHAN_HZ, _SAMPLE_S = 2.8, 18.25
_N_CHAN, _WINDOW = 2**17, 4096
_LEVELS = (5.0, 5.3, 5.6, 5.9)
#: Numbers of spectra, largest drifts in channels from spectrum to spectrum, widest boxcars, pieces.
_FITTED = ((16, 0.0, 1, 200), (16, 0.0, 8, 100), (16, 0.5, 1, 50), (16, 0.5, 8, 25),
           (16, 2.0, 8, 16), (16, 8.0, 8, 12), (16, 26.0, 8, 12), (4, 2.0, 8, 40),
           (8, 10.0, 4, 20), (30, 1.0, 16, 12))
#: The same for the comparison, with the shape of the Gamma distribution of a sample.
_CHECKED = ((16, 26.0, 8, 8, 51.0), (12, 1.0, 8, 12, 51.0), (16, 4.0, 4, 5, 8.0),
            (24, 3.0, 8, 8, 200.0))
_SEEDS = 1000, 2000
_GAUSSIAN = 1e5  # shape with which the constants are fitted
#: Share by which an expectation may be off, apart from the errors of counts.
MOST = 0.25


@dataclass(frozen=True)
class Count:
    """Hits in noise above a threshold, and how many are expected.

    Parameters
    ----------
    n_spectrum : int
    drift : float
        Largest drift, channels from spectrum to spectrum.
    widest : int
        Widest boxcar of slow drifts, channels.
    n_piece : int
        Number of pieces of 131,072 channels.
    shape : float
        Shape of the Gamma distribution of a sample.
    threshold : float
    found : int
    expected : float
    """

    n_spectrum: int
    drift: float
    widest: int
    n_piece: int
    shape: float
    threshold: float
    found: int
    expected: float

    @property
    def is_right(self) -> bool:
        """Whether the count agrees with the expectation, within three errors and `MOST`."""
        return abs(self.found - self.expected) <= MOST * self.expected + 3 * max(
            1.0, self.expected**0.5)


def plan_of(n_spectrum: int, drift: float, widest: int) -> DriftPlan:
    """Return a search of drifts of both signs, up to some channels from spectrum to spectrum."""
    limit = drift * _CHAN_HZ / _SAMPLE_S
    return DriftPlan(n_spectrum, _SAMPLE_S, _CHAN_HZ, -limit, limit, widest)


def counted(n_spectrum: int, drift: float, widest: int, n_piece: int, seed: int,
            shape: float = _GAUSSIAN, n_chan: int = _N_CHAN) -> list[Count]:
    """Search noise, and count the hits above several thresholds."""
    plan, rng = plan_of(n_spectrum, drift, widest), np.random.default_rng(seed)
    tile, snr = Tile(plan, _WINDOW, _LEVELS[0], most=10**6), []
    for _ in range(n_piece):
        noise = rng.standard_gamma(shape, (n_spectrum, n_chan), dtype=np.float32)
        signals = tile.search(noise).signals
        snr += [each.snr for each in signals]
    heights = np.array(snr)
    return [Count(n_spectrum, drift, widest, n_piece, shape, level, int((heights >= level).sum()),
                  false_alarms(plan, level, [(n_piece * n_chan, shape)])) for level in _LEVELS]


def fitted(counts: list[Count], n_chan: int = _N_CHAN) -> tuple[float, ...]:
    """Return the constants that agree best with counts."""
    from scipy.optimize import least_squares

    def off(logs: Any) -> list[float]:
        constants = tuple(np.exp(logs).tolist())
        return [(_expected(each, constants, n_chan) - each.found) / np.sqrt(
            each.found + 1 + (0.03 * each.found) ** 2) for each in counts]

    return tuple(np.exp(least_squares(off, np.log(CONSTANTS)).x).tolist())


def _expected(count: Count, constants: Any, n_chan: int) -> float:
    plan = plan_of(count.n_spectrum, count.drift, count.widest)
    return sum(n * float(chance(count.threshold, count.n_spectrum * width * count.shape))
               for width, n in trials(plan, count.threshold, constants).items()
               ) * count.n_piece * n_chan


def run(*, quick: bool = False, keep: bool = True) -> list[Count]:
    """Print the fit and the comparison, and save the record."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="drift")
    print(machine.headline(record))
    share = 0.05 if quick else 1.0
    counts = [each for k, (n, drift, widest, pieces) in enumerate(_FITTED) for each in counted(
        n, drift, widest, max(1, int(pieces * share)), _SEEDS[0] + k)]
    constants = fitted([each for each in counts if each.found >= 5])
    print("constants of these counts: " + ", ".join(f"{each:.3g}" for each in constants))
    print("constants in use:          " + ", ".join(f"{each:.3g}" for each in CONSTANTS))
    for each in counts:
        print(f"{_text(each)}, with these {_expected(each, constants, _N_CHAN):.1f}")
    checked = [each for k, (n, drift, widest, pieces, shape) in enumerate(_CHECKED)
               for each in counted(n, drift, widest, max(1, int(pieces * share)), _SEEDS[1] + k,
                                   shape)]
    print("other noise:")
    for each in checked:
        print(f"{_text(each)}{'' if each.is_right else ' - OFF'}", flush=True)
    if keep:
        path = machine.save(record, [{"constants": constants, **asdict(each)} for each in checked])
        print(f"wrote {path}", file=sys.stderr)
    return checked


def _text(count: Count) -> str:
    return (f"{count.n_spectrum} spectra, {count.drift:g} channels, widths to {count.widest}, "
            f"shape {count.shape:g}, above {count.threshold:g}: {count.found} found, "
            f"{count.expected:.1f} expected")
