"""Frequencies of periodic interference."""

import numpy as np
import pytest

from fastsig.errors import UsageError
from fastsig.search.pulsars import birds


def test_ranges_are_joined():
    found = birds.merged([(5, 6), (1, 2)], [(1.5, 3)], [], (5.5, 5.7))
    np.testing.assert_array_equal(found, [(1, 3), (5, 6)])
    assert birds.merged().shape == (0, 2)


def test_harmonics_of_lines_and_of_the_mains():
    np.testing.assert_allclose(birds.lines([10, 7], 0.2, [2, 1]),
                               [(6.9, 7.1), (9.9, 10.1), (19.8, 20.2)])
    mains = birds.mains(50, 120)
    np.testing.assert_allclose(mains, [(49.9, 50.1), (99.8, 100.2)])
    assert len(birds.mains(50, 20)) == 0


def test_ranges_of_candidates_hold_their_harmonics_and_drift():
    found = birds.of_frequencies([9.8, 50], [0.04, 0], [2, 1], 10.0)
    np.testing.assert_allclose(found, [(9.65, 10.35), (19.45, 20.55), (49.85, 50.15)])
    assert birds.of_frequencies([], [], [], []).shape == (0, 2)


@pytest.mark.parametrize("wrong", [lambda: birds.merged([(2, 1)]), lambda: birds.lines(0, 1),
                                   lambda: birds.mains(-50, 100)])
def test_wrong_birds_are_refused(wrong):
    with pytest.raises(UsageError, match="allowed"):
        wrong()
