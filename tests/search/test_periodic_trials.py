"""Fourier searches in noise: small versions of the tables of ``python -m bench``."""

import numpy as np

from bench.periodic_injections import Night, completeness
from bench.periodic_trials import counted


def test_signals_are_found_as_theory_says():
    found = completeness(Night(2**15, 2e-3, 8, 20.0), 24, 77, wanted=8.0)
    share, theory = (np.mean([getattr(each, name) >= least for each in found])
                     for name, least in (("found", 6), ("chance", 0.85)))
    assert theory == 1 and share >= 0.75
    strong = [each.found for each in completeness(Night(2**15, 2e-3, 8, 20.0), 8, 99, wanted=14.0)]
    assert min(strong) > 6 and 11 < np.mean(strong) < 16


def test_false_alarms_are_those_expected():
    for seed, red in ((1, False), (2, True)):
        counts = counted(2**14, 8, 0.0, 30, seed, red=red)
        assert all(each.is_right for each in counts) and counts[0].found > 10
