"""Trials: dispersed pulses on noise in 8-bit spectra with losses; is their S/N unbiased?

A trial is a pulse on noise of its own. Pulses of one dispersion measure follow each other in a
recording, without common samples on their tracks; channels that are lost, and the pieces of time,
are drawn for each recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastsig as fs
from bench.injections import Band, Injected, Losses, Pulse, best_boxcar, brute_force
from fastsig.run.fusing import fuse
from fastsig.stream import Codes

__all__ = ["Trials", "trial_table", "trials"]

_LEVEL, _SIGMA = 96, 16
_SNR = 20.0  # without losses
_EACH = 100  # trials of a recording
_N_DM = 33  # for which a tree is used
_MARGIN = 64
#: Standard errors by which the mean of the trials may be off.
MOST = 3.0


@dataclass(frozen=True)
class Trials:
    """S/N measured in trials minus that which the valid samples give.

    Parameters
    ----------
    track : str
        "single" for one dispersion measure, "tree" for many.
    dm, width_s : float
    n : int
    mean_snr : float
        Mean S/N that is expected: that of the valid samples of the best boxcar without losses, by
        brute force.
    bias, scatter : float
        Mean and standard deviation of the differences; the scatter of noise is 1.
    """

    track: str
    dm: float
    width_s: float
    n: int
    mean_snr: float
    bias: float
    scatter: float

    @property
    def error(self) -> float:
        """Standard error of the bias."""
        return float(self.scatter / np.sqrt(self.n))


class _Recorded(Injected):
    """Noise and pulses in codes of 8 bits, in memory."""

    def __init__(self, band: Band, pulses: Sequence[Pulse], losses: Losses, fluence: float,
                 seed: int) -> None:
        super().__init__(band, pulses, Losses.none(band, len(losses.rows)))
        rng = np.random.default_rng(seed)
        self._codes = np.empty(self.shape, np.uint8)
        for start in range(0, len(self._codes), 1024):
            part = super()._values(start, min(1024, len(self._codes) - start))[0]
            noise = rng.standard_normal(part.shape, np.float32)
            self._codes[start : start + len(part)] = np.clip(np.round(
                fluence * part + _LEVEL + _SIGMA * noise), 0, 255)
        self._losses, self._weight_channels = losses, band.n_chan

    def codes(self) -> Codes:
        """Return the range of values."""
        return Codes(0, 255)

    def _values(self, start: int, n: int) -> tuple[Any, Any]:
        valid = self._losses.rows[start : start + n, np.newaxis] & self._losses.channels
        return (self._codes[start : start + n].astype(np.float32),
                valid[:, np.newaxis].astype(np.float32))


def trials(band: Band, dm: float, width_s: float, n: int) -> list[Trials]:
    """Return the result of trials for one dispersion measure, and for a tree."""
    one = Pulse(dm, 0.5, width_s)
    spacing = 2 * one.reach(band) + 16
    found: dict[str, list[np.ndarray]] = {"single": [], "tree": []}
    expected = []
    for seed in range(-(-n // _EACH)):
        count = min(_EACH, n - seed * _EACH)
        places = _MARGIN + spacing * (np.arange(count) + 0.5) + np.linspace(0, 1, count)
        pulses = [Pulse(dm, float(at), width_s) for at in places]
        total = int(places[-1] + 1.1 * band.delays(dm)[0]) + spacing + _MARGIN
        losses = Losses.random(band, total, seed)
        truths = [_truth(band, each, losses) for each in pulses]
        fluence = _SNR * _noise() / truths[0].whole
        source = _Recorded(band, pulses, losses, fluence, seed)
        expected.append(np.array([fluence * each.snr / _noise() for each in truths]))
        for name, made in _made(fs.Chain(source), dm).items():
            found[name].append(np.array([_measured(made, each) for each in truths]))
    wanted = np.concatenate(expected)
    off = {name: np.concatenate(parts) - wanted for name, parts in found.items()}
    return [Trials(name, dm, width_s, n, float(wanted.mean()), float(each.mean()),
                   float(each.std(ddof=1))) for name, each in off.items()]


def _noise() -> float:
    return float(np.sqrt(_SIGMA**2 + 1 / 12))


@dataclass(frozen=True)
class _Truth:
    """The best boxcar without losses, its S/N without losses, and that of the valid samples."""

    rows: slice
    whole: float
    snr: float


def _truth(band: Band, pulse: Pulse, losses: Losses) -> _Truth:
    start, signal, count = brute_force(band, pulse, 1, Losses.none(band, len(losses.rows)))
    whole = best_boxcar(signal, count)
    first, n = _place(signal, count, whole)
    rows = slice(first, first + n)
    _, signal, count = brute_force(band, pulse, 1, losses)
    valid = max(1.0, count[rows].sum())
    return _Truth(slice(start + first, start + first + n), whole,
                  float(signal[rows].sum() / np.sqrt(valid)))


def _place(signal: np.ndarray, count: np.ndarray, best: float) -> tuple[int, int]:
    """Return the first row and the number of rows of the best boxcar."""
    sums = np.concatenate(([0.0], np.cumsum(signal)))
    for n in range(1, len(signal) + 1):
        snr = (sums[n:] - sums[:-n]) / np.sqrt(n * count[0])
        if snr.max() >= best * (1 - 1e-12):
            return int(snr.argmax()), n
    raise ValueError("the best boxcar is longer than the signal")


def _made(chain: Any, dm: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return sums and numbers of valid samples of one measure, and of the middle of a tree."""
    around = dm + 0.5 * (np.arange(_N_DM) - _N_DM // 2)
    made = {"single": (chain.dedisperse(dm).to_series(), 0),
            "tree": (chain.planes(around), _N_DM // 2)}
    found = {}
    for name, (each, column) in made.items():
        block = fuse(each.stream).read_block(0, len(each))
        n_chan = int(each.stream.header.extra["channels"])
        weight = np.broadcast_to(block.valid, block.data.shape)[:, 0, column].astype(np.float64)
        count = weight * n_chan
        found[name] = np.where(weight > 0, block.data[:, 0, column], 0) * count, count
    return found


def _measured(made: tuple[np.ndarray, np.ndarray], truth: _Truth) -> float:
    """Return the S/N of a boxcar in sums, whose level and noise are known."""
    total, count = (float(each[truth.rows].sum()) for each in made)
    return (total - _LEVEL * count) / (_noise() * float(np.sqrt(max(1.0, count))))


def trial_table(found: Sequence[Trials]) -> list[str]:
    """Return results as a table in Markdown."""
    head = ("trials", "DM", "width (ms)", "S/N expected", "bias", "its error", "scatter")
    rows = [[f"{each.n}, {each.track}", f"{each.dm:g}", f"{1e3 * each.width_s:g}",
             f"{each.mean_snr:.3f}", f"{each.bias:+.3f}", f"{each.error:.3f}",
             f"{each.scatter:.3f}"] for each in found]
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
