"""The bench of a thousand drifting carriers, with a few of them."""

import numpy as np

from bench import drift_tones


def test_carriers_of_the_bench_are_found():
    rng = np.random.default_rng(5)
    carriers = drift_tones.drawn(40, 2**16, rng)
    x, highest = drift_tones.with_carriers(2**16, carriers, rng)
    outcome = drift_tones.compared(drift_tones.searched(x), carriers, highest)
    assert outcome.n > 25 and outcome.n_found >= 0.98 * outcome.n - 1
    assert outcome.n_drift == outcome.n_found
    assert outcome.n_sign >= outcome.n_found - 1
    assert outcome.channel_error < 1 and outcome.n_other == 0
    assert 0.97 < outcome.grid_ratio < 1.03
