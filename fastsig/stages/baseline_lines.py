"""Find windows around the lines in a stream of spectra, to exclude them from fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.lines import find_lines
from fastsig.calibration.methods import Rows, method_of
from fastsig.calibration.windows import joined
from fastsig.stages.baseline import Baseline
from fastsig.stages.integrate import Integrate

__all__ = ["line_windows"]

_PASSES = 6  # rounds of finding lines and fitting the spectrum without them


def line_windows(
    stage: Baseline, *, sigma: float = 5.0, widths: Sequence[int] = (1, 4, 16, 64)
) -> list[tuple[float, float]]:
    """Find windows, in MHz, around lines in the mean of all spectra of the source of a stage.

    The method of the stage is fitted to the mean, and lines are found in the residual. Both steps
    are repeated with these lines excluded, until the lines no longer change, but at most six times.
    The result includes the windows of the stage.

    Parameters
    ----------
    stage : Baseline
        The stage that will be applied, with or without windows.
    sigma, widths
        As for `fastsig.calibration.lines.find_lines`.
    """
    stage = getattr(stage, "stream", stage)
    mean = Integrate(stage.source, n_int=stage.shape[0]).read_block(0, 1)
    weight = np.where(stage.use, mean.valid, 0)
    found = sorted(stage.protect)
    for _ in range(_PASSES):
        left = _without(stage, mean.data, weight, found)
        spread = np.broadcast_to(weight, left.shape)
        lines = [window for product in range(left.shape[1]) for window in find_lines(
            left[0, product], stage.frequency_mhz, spread[0, product], sigma=sigma, widths=widths)]
        new = joined([*stage.protect, *lines])
        if new == found:
            break
        found = new
    return found


def _without(stage: Baseline, mean: NDArray[Any], weight: NDArray[Any],
             protect: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Return a mean spectrum without the model and, if the model is a ripple, without its trend."""
    rows = Rows(mean, weight, stage.frequency_mhz, protect, np.zeros(1, np.int64), slice(None))
    left: NDArray[np.float64] = mean - stage.method.model(rows)[0]
    trend = getattr(stage.method, "trend", None)
    if trend is not None:
        flat = method_of("polynomial", {"order": trend})
        rows = Rows(left, weight, stage.frequency_mhz, protect, rows.groups, slice(None))
        left = left - flat.model(rows)[0]
    return left
