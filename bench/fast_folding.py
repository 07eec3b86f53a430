"""Fast folding: its rate beside riptide's, and ``python -m bench ffa``: S/N of simulated pulsars.

Twenty series have a pulsar each, of a period, duty cycle and S/N drawn at random, in white noise.
Both programs search the same series, with bins and widths alike. riptide divides samples between
bins too, but takes the noise of a boxcar of w bins to be w times that of a bin, in which the
shared samples count; its S/N is therefore too high by up to ``1 / (6 f)`` for f samples in a bin,
which the table states.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from fastsig_kernels import FFA
from numpy.typing import NDArray

from bench import machine, peers
from bench.data import MEGA
from bench.timing import Case, Mark, Scale, Task, Yardstick

__all__ = ["CASES", "RIPTIDE", "Compared", "run", "series"]

F4 = NDArray[np.float32]

RIPTIDE = "riptide"
_SAMPLE_S = 64e-6
_WIDTHS = (1, 2, 3, 4, 6, 9, 13, 19, 28, 42)
_BINS = 240, 258  # of both programs
_N_SERIES = 20


def ffa(scale: Scale) -> Task:
    """Ten minutes at 64 us, periods of 0.1 to 10 s, duty cycles of 0.5 to 20 %."""
    n = scale.pick(int(600 / _SAMPLE_S), 2**18)
    limits = 0.1, scale.pick(10.0, 1.0)
    x = np.random.default_rng(1).standard_normal(n, dtype=np.float32)
    plan = FFA(n, limits[0] / _SAMPLE_S, limits[1] / _SAMPLE_S, n_bin=_BINS[0], widths=_WIDTHS)
    plan.compile()
    yardsticks, missing = {}, {}
    if peers.is_there("riptide"):
        yardsticks = {RIPTIDE: Yardstick(partial(_riptide, x, limits), n / MEGA)}
    else:
        missing = {RIPTIDE: peers.NOT_INSTALLED}
    return Task(n / MEGA, partial(plan.process, x), yardsticks, missing=missing)


def _riptide(x: F4, limits: tuple[float, float]) -> tuple[Any, Any, Any]:
    """Return the periods, numbers of bins and S/N of riptide."""
    found: tuple[Any, Any, Any] = import_module("riptide").libcpp.periodogram(
        x, _SAMPLE_S, np.array(_WIDTHS), *limits, *_BINS)
    return found


@dataclass(frozen=True)
class Compared:
    """A simulated pulsar, and its S/N by both programs.

    Parameters
    ----------
    period_s, duty, injected : float
        Of the pulsar; the S/N is that of a matched filter.
    ours, peer : float
        Highest S/N near the period.
    bias : float
        Share by which the S/N of riptide is expected to be too high.
    """

    period_s: float
    duty: float
    injected: float
    ours: float
    peer: float
    bias: float


def series(period_s: float, duty: float, snr: float, n: int, rng: np.random.Generator) -> F4:
    """Return white noise with Gaussian pulses of a width, as a share of the period."""
    turns = (np.arange(n) * (_SAMPLE_S / period_s) + rng.random()) % 1 - 0.5
    pulse = np.exp(-0.5 * (2.3548 / duty * turns) ** 2)
    noise = rng.standard_normal(n)
    return (noise + snr / np.sqrt((pulse**2).sum()) * pulse).astype(np.float32)


def _compare(n: int, rng: np.random.Generator) -> Compared:
    period, duty, snr = rng.uniform(0.3, 4.0), rng.uniform(0.01, 0.15), rng.uniform(15, 60)
    x = series(period, duty, snr, n, rng)
    limits = 0.995 * period, 1.005 * period
    plan = FFA(n, *(each / _SAMPLE_S for each in limits), n_bin=_BINS[0], widths=_WIDTHS)
    ours, _ = plan.process(x)
    _, bins, theirs = _riptide(x, limits)
    place = np.unravel_index(np.argmax(theirs), theirs.shape)
    w, factor = _WIDTHS[place[1]], period / _SAMPLE_S / bins[place[0]]
    bias = np.sqrt((w * factor - 1 / 3) / (w * (factor - 1 / 3))) - 1
    return Compared(period, duty, snr, float(ours.max()), float(theirs.max()), float(bias))


def run(*, quick: bool = False, keep: bool = True) -> list[Compared]:
    """Print the S/N of both programs, and save the record.

    Raises
    ------
    PeerMissingError
        If riptide cannot be imported.
    """
    if not peers.is_there("riptide"):
        raise peers.PeerMissingError("riptide: not installed; pip install riptide-ffa")
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="ffa")
    print(machine.headline(record))
    rng, n = np.random.default_rng(7), 2**19 if quick else 2**21
    every = [_compare(n, rng) for _ in range(3 if quick else _N_SERIES)]
    for each in every:
        print(f"period {each.period_s:.4f} s, duty {each.duty:.3f}, S/N {each.injected:5.1f}: "
              f"{each.ours:6.2f}, riptide {each.peer:6.2f} (expected {each.bias:+.1%} of bias), "
              f"ratio {each.ours / each.peer:.3f}")
    ratio = np.array([each.ours / each.peer for each in every])
    print(f"ratio {ratio.min():.3f} to {ratio.max():.3f}, mean {ratio.mean():.4f}")
    if keep:
        print(f"wrote {machine.save(record, [asdict(each) for each in every])}", file=sys.stderr)
    return every


CASES = [Case("ffa", "MS", ffa, "ten minutes at 64 us, 0.1 to 10 s, duty cycles of 0.5 to 20 %",
              ((Mark(3.0, (RIPTIDE,)),),))]
