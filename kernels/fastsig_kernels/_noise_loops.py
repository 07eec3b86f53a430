"""Noise of boxcars from sums over segments, as `_noise_widths.scale`, in compiled loops."""

from functools import partial
from itertools import pairwise

import numpy as np

from ._jit import jit_strict, jit_strict_inner
from ._noise_widths import LEAST_WITHIN, gaussian
from ._team import Crew

#: Change of the noise, relative to it, that ends the iteration; steps of it at most.
_SMALL, _MOST_STEPS = 1e-7, 20


def scale(square: np.ndarray, within: np.ndarray, total: np.ndarray, cut: np.ndarray,
          crew: Crew | None = None) -> np.ndarray:
    """Return what `_noise_widths.scale` returns; the threads of a crew share the groups."""
    out = np.empty(square.shape[1:])
    crew = crew or Crew(1)
    cuts = [len(out) * i // crew.n_thread for i in range(crew.n_thread + 1)]
    crew.run([partial(scale_nb, square, within, total, cut, *gaussian(), out, *part)
              for part in pairwise(cuts)])
    return out


@jit_strict_inner
def _between_nb(x, places, values):
    """Return a value between those of a table, as `np.interp` does."""
    if x <= places[0]:
        return values[0]
    low, high = 0, places.size - 1
    if x >= places[high]:
        return values[high]
    while high - low > 1:
        middle = (low + high) // 2
        if places[middle] <= x:
            low = middle
        else:
            high = middle
    slope = (values[high] - values[low]) / (places[high] - places[low])
    return values[low] + slope * (x - places[low])


@jit_strict
def scale_nb(square, within, total, cut, cuts, shares, squares, out, start, stop):
    """Compute the noise of each width, of groups from `start` to `stop`, from sums of segments."""
    for g in range(start, stop):
        for j in range(out.shape[1]):
            sums, counts, number, mean_cut = 0.0, 0.0, 0.0, 0.0
            for s in range(square.shape[0]):
                sums += square[s, g, j]
                counts += within[s, g, j]
                number += total[s, g, j]
                mean_cut += cut[s, g, j] * total[s, g, j]
            noise = np.sqrt(sums / counts)
            before, change_before = noise, 0.0
            for step in range(_MOST_STEPS):
                expected = 0.0
                for s in range(square.shape[0]):
                    expected += within[s, g, j] * _between_nb(cut[s, g, j] / noise, cuts, squares)
                change = np.sqrt(sums / expected) - noise
                # Changes are about proportional to what is missing: the next is extrapolated.
                factor = 1.0
                if step > 0 and change_before * change > 0 and abs(change) < abs(change_before):
                    factor = (noise - before) / (change_before - change)
                before, change_before = noise, change
                noise += factor * change
                if not abs(factor * change) > _SMALL * noise:
                    break
            inside = counts / number
            if inside < LEAST_WITHIN:
                broad = mean_cut / number / _between_nb(inside, shares, cuts)
                if not noise > broad:
                    noise = broad
            out[g, j] = noise
