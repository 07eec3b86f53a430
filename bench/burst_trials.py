"""``python -m bench trials``: false alarms of searches for bursts in noise, counted and expected.

Candidates in Gaussian noise are counted for several steps of dispersion measure and widths. The
constants of `fastsig.search.bursts.trials` are fitted to the counts. Searches of noise with other
seeds, among them of powers with few degrees of freedom, are compared with what they state.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench import machine
from fastsig.pulsar.plan import DMPlan
from fastsig.pulsar.stretches import Recording, Stretch
from fastsig.search.bursts.engine import BurstSearch
from fastsig.search.bursts.gather import gather
from fastsig.search.bursts.groups import Searched
from fastsig.search.bursts.plan import SearchPlan
from fastsig.search.bursts.trials import CONSTANTS, chance, false_alarms, trials

__all__ = ["Count", "counted", "fitted", "run"]

_N_CHAN, _N_DM, _SAMPLE_S = 64, 256, 1e-3
_BLOCK = 16384
_LEVELS = (4.5, 4.8, 5.1, 5.4, 5.7)
#: Steps of delay, longest widths (samples), and numbers of thousands of spectra.
_FITTED = tuple((step, longest, 500) for step in (0.25, 0.5, 1.0, 2.0, 4.0)
                for longest in (1, 4, 16, 64, 256)) + ((1.0, 64, 6000), (4.0, 64, 6000))
#: The same for the comparison, with degrees of freedom, 0 for Gaussian noise, and with losses: 30 %
#: of the channels always, 30 % of them half of the time, and 10 % of the time in pieces of up to
#: 200 spectra.
_CHECKED = ((0.7, 100, 4000, 0, False), (1.5, 30, 4000, 0, False), (1.0, 300, 4000, 8, False),
            (3.0, 8, 4000, 8, False), (1.0, 100, 4000, 24, False), (1.0, 100, 4000, 24, True))
_LOST, _LONGEST, _PIECE = (0.3, 0.1), 200, 512
_SEEDS = 1000, 2000
#: Share by which an expectation may be off, apart from the errors of counts.
MOST = 0.2


@dataclass(frozen=True)
class Count:
    """Candidates in noise above a threshold, and how many are expected.

    Parameters
    ----------
    step : float
        Step of delay, samples.
    longest : int
        Longest width, samples.
    n_time : int
        Number of spectra.
    degrees : float
        Degrees of freedom of a power; 0 for Gaussian noise.
    lossy : bool
        Whether some of the samples are lost.
    threshold : float
    found : int
    expected : float
    """

    step: float
    longest: int
    n_time: int
    degrees: float
    lossy: bool
    threshold: float
    found: int
    expected: float

    @property
    def is_right(self) -> bool:
        """Whether the count agrees with the expectation, within three errors and `MOST`."""
        return abs(self.found - self.expected) <= MOST * self.expected + 3 * max(
            1.0, self.expected**0.5)


def plan_of(step: float, longest: int) -> SearchPlan:
    """Return a search with steps of delay, and widths up to the longest."""
    from fastsig_kernels import boxcar_ladder

    recording = Recording.of_band("1000MHz", "500MHz", _N_CHAN, f"{_SAMPLE_S!r}s")
    stretch = Stretch(recording, 0.0, step * _SAMPLE_S / recording.unit_s, _N_DM, 1)
    return SearchPlan(DMPlan(recording, (0.0, stretch.high), 0.0, 0.05, (stretch,)),
                      (0.0, longest * _SAMPLE_S), (boxcar_ladder(0.05, longest),), _LEVELS[0],
                      0.05)


def counted(step: float, longest: int, n_time: int, seed: int, degrees: float = 0.0,
            lossy: bool = False) -> list[Count]:
    """Search noise, and count the candidates above several thresholds."""
    plan, rng = plan_of(step, longest), np.random.default_rng(seed)
    search = BurstSearch(plan)
    for first in range(0, n_time, _BLOCK):
        shape = min(_BLOCK, n_time - first), _N_CHAN
        search.process(_noise(rng, shape, degrees), _valid(rng, shape) if lossy else None)
    events = search.finish()
    snr, live_s = gather([Searched(events, plan)])[0].snr, n_time * _SAMPLE_S * events.live_share
    return [Count(step, longest, n_time, degrees, lossy, level, int((snr >= level).sum()),
                  false_alarms(plan, live_s, degrees=degrees * events.valid_share or None,
                               threshold=level)) for level in _LEVELS]


def _valid(rng: Any, shape: tuple[int, int]) -> Any:
    """Return what is left of noise.

    The same channels are lost always, others for half a second each, and all in random pieces of
    time.
    """
    channels, rows = np.arange(shape[1]) % 10 >= 10 * _LOST[0], np.ones(shape[0], bool)
    pieces = rng.random((-(-shape[0] // _PIECE), shape[1])) >= _LOST[0] * rng.integers(
        0, 2, (-(-shape[0] // _PIECE), 1))
    while rows.mean() > 1 - _LOST[1]:
        first = rng.integers(shape[0])
        rows[first : first + rng.integers(1, _LONGEST + 1)] = False
    return rows[:, np.newaxis] & channels & np.repeat(pieces, _PIECE, axis=0)[: shape[0]]


def _noise(rng: Any, shape: tuple[int, int], degrees: float) -> Any:
    if degrees:
        return rng.standard_gamma(degrees / 2, shape, dtype=np.float32)
    return rng.standard_normal(shape, dtype=np.float32)


def fitted(counts: list[Count]) -> tuple[float, ...]:
    """Return the constants that agree best with counts of Gaussian noise."""
    from scipy.optimize import least_squares

    def off(logs: Any) -> list[float]:
        constants = tuple(np.exp(logs).tolist())
        return [(_expected(each, constants) - each.found) / np.sqrt(
            each.found + 1 + (0.03 * each.found) ** 2) for each in counts]

    return tuple(np.exp(least_squares(off, np.log(CONSTANTS)).x).tolist())


def _expected(count: Count, constants: Any) -> float:
    ladder, = plan_of(count.step, count.longest).ladders
    made = trials(count.step, _N_DM, ladder, count.threshold, constants).sum()
    return float(made * chance(count.threshold, np.inf) * count.n_time)


def run(*, quick: bool = False, keep: bool = True) -> list[Count]:
    """Print the fit and the comparison, and save the record."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="trials")
    print(machine.headline(record))
    share = 0.02 if quick else 1.0
    counts = [each for k, (step, longest, n) in enumerate(_FITTED) for each in counted(
        step, longest, int(1000 * n * share), _SEEDS[0] + k)]
    constants = fitted([each for each in counts if each.found >= 5])
    print("constants of these counts: " + ", ".join(f"{each:.3g}" for each in constants))
    print("constants in use:          " + ", ".join(f"{each:.3g}" for each in CONSTANTS))
    checked = [each for k, (step, longest, n, *more) in enumerate(_CHECKED) for each in counted(
        step, longest, int(1000 * n * share), _SEEDS[1] + k, *more)]
    for each in checked:
        print(f"step {each.step:g}, widths to {each.longest}, {each.degrees:g} degrees"
              f"{', losses' if each.lossy else ''}, above {each.threshold:g}: {each.found} found, "
              f"{each.expected:.1f} expected"
              f"{'' if each.is_right else ' - OFF'}", flush=True)
    if keep:
        path = machine.save(record, [{"constants": constants, **asdict(each)} for each in checked])
        print(f"wrote {path}", file=sys.stderr)
    return checked
