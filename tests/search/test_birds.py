"""Frequencies of periodic interference."""

import numpy as np
import pytest

from fastsig.errors import UsageError
from fastsig.search.pulsars import birds
from fastsig.search.pulsars.fourier import CANDIDATE


def candidates(*rows: tuple[float, float, int]) -> np.ndarray:
    """Return candidates of frequencies, drifts and numbers of harmonics."""
    found = np.zeros(len(rows), CANDIDATE)
    for each, (r, z, n) in zip(found, rows, strict=True):
        each["r"], each["z"], each["n_harmonic"] = r, z, n
    return found


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
    found = birds.of_candidates(candidates((100, 4, 2), (500, 0, 1)), 10.0)
    np.testing.assert_allclose(found, [(9.65, 10.35), (19.45, 20.55), (49.85, 50.15)])
    assert birds.of_candidates(candidates(), 10.0).shape == (0, 2)


def test_what_several_beams_see_is_a_bird():
    beams = [candidates((100, 0, 1), (300 + k, 0, 1)) for k in (0, 1, 200)]
    found = birds.across_beams(beams, 10.0, n_beam=3)
    np.testing.assert_allclose(found, [(9.85, 10.15)])
    found = birds.across_beams(beams, 10.0, n_beam=2)
    np.testing.assert_allclose(found, [(9.85, 10.15), (29.95, 30.15)])
    assert len(birds.across_beams([], 10.0, n_beam=2)) == 0


@pytest.mark.parametrize("wrong", [lambda: birds.merged([(2, 1)]), lambda: birds.lines(0, 1),
                                   lambda: birds.mains(-50, 100),
                                   lambda: birds.across_beams([], 1.0, n_beam=1)])
def test_wrong_birds_are_refused(wrong):
    with pytest.raises(UsageError, match="allowed"):
        wrong()
