"""Friends of friends: events that are close in time, delay and width belong to one burst."""

import numpy as np

from . import _check
from ._cluster_loops import link_nb

__all__ = ["friends"]

_FAR = 2**60  # three of these have a sum of 64 bits


def friends(time: np.ndarray, row: np.ndarray, width: np.ndarray, *, time_link: int, row_link: int
            ) -> np.ndarray:
    """Return the burst to which each event belongs.

    Two events are friends if their boxcars, each widened by `time_link` at its end, overlap in
    time, and their rows are no more than `row_link` apart. Friends, and friends of friends, belong
    to the same burst.

    Parameters
    ----------
    time : ndarray, shape (n,), int64, samples
        First sample of the boxcar.
    row : ndarray, shape (n,), int64, steps of delay
        Dispersion measure, in any unit in which `row_link` is an integer.
    width : ndarray, shape (n,), int64, samples
        Width of the boxcar, 1 or more.
    time_link : int
        Largest gap in time between the boxcars of friends, in samples.
    row_link : int
        Largest difference between the rows of friends.

    Returns
    -------
    ndarray, shape (n,), int64
        Number of the burst of each event; bursts are numbered in the order of their first events.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape.

    Notes
    -----
    Which events share a burst does not depend on their order. Apart from sorting, the time taken is
    proportional to n and to the number of rows with events within `row_link`.
    """
    for name, values in (("time", time), ("row", row), ("width", width)):
        _check.array(name, values, ("int64",), 1)
        _check.shape(name, values, time.shape)
        if values.size and (values.max() >= _FAR or values.min() <= -_FAR):
            raise ValueError(f"{name}: found values beyond +-{_FAR}")
    if width.size and width.min() < 1:
        raise ValueError(f"width: found {width.min()}, allowed 1 or more")
    time_link = _check.count("time_link", time_link, 0, _FAR)
    row_link = _check.count("row_link", row_link, 0, _FAR)
    end, label = time + width + time_link, np.empty(len(time), np.int64)
    link_nb(np.lexsort([time, row]), time, row, end, row_link, label)
    return label
