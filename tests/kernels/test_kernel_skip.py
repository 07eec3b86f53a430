"""Lost stretches of a stream that are skipped, against the same stretches processed as zeros."""

import fastsig_kernels as fk
import numpy as np
import pytest

PLANS = {
    "one": {"n_int": 3},
    "short sums": {"n_int": 7, "n_inner": 4},
    "every frame": {"n_int": 1},
    "sums": {"n_int": 5, "scale": "sum"},
    "wide sums": {"n_int": 9, "n_inner": 4, "scale": "sum"},
    "kurtosis": {"n_int": 12, "n_inner": 6, "flag_sigma": 3.0},
    "oversampled": {"n_int": 4, "oversample": "4/3"},
    "two polarisations": {"n_int": 5, "n_inner": 2, "n_pol": 2, "products": "IQUV"},
    "streams": {"n_int": 4, "n_stream": 3},
    "voltages": {"n_pol": 2, "products": "V"},
}


def plan_and_samples(name):
    options = {"n_tap": 4, **PLANS[name]}
    plan = fk.Spectrometer(32, **options)
    n_pol, n_stream = options.get("n_pol", 1), options.get("n_stream")
    shape = (n_pol, 6000) if n_stream is None else (n_stream, n_pol, 6000)
    return plan, np.random.default_rng(6).integers(-100, 101, shape, np.int8)


def run(plan, x, start, n, *, skips):
    """Process a stream with a lost stretch; return spectra and weights."""
    made = []

    def keep(spectra):
        made.append((spectra.copy(), plan.weight.copy()))

    keep(plan.process(x[..., :start]))
    if skips:
        keep(plan.skip(n))
    else:
        zeros = np.zeros((*x.shape[:-1], n), np.int8)
        keep(plan.process(zeros, valid=np.array([[0, 0]])[:0]))
    keep(plan.process(x[..., start:]))
    keep(plan.flush())
    return [np.concatenate(each) for each in zip(*made, strict=True)]


@pytest.mark.parametrize("name", PLANS)
def test_twin(name):
    plan, x = plan_and_samples(name)
    for start in (0, 100, 1234, 3000):
        for n in (0, 1, 63, 64, 700, 3000, 12_345):
            expected = run(_slow(plan.copy()), x, start, n, skips=False)
            for skips in (True, False):  # a call without any valid sample skips by itself
                found = run(plan.copy(), x, start, n, skips=skips)
                for one, other in zip(found, expected, strict=True):
                    np.testing.assert_array_equal(one, other)


def _slow(plan):
    """Return the plan without its short cut."""
    plan._skips = False
    return plan


def test_years_take_no_time():
    plan, x = plan_and_samples("one")
    plan.process(x)
    n = plan.n_int * plan.hop * 10**4
    assert len(plan.skip(n)) == 10**4
    many = plan.copy(n_int=10**6)
    many.process(x)
    assert many.skip(10**6 * many.hop * 3).shape[0] == 3
    assert np.isnan(many.skip(10**6 * many.hop * 2)).all() and (many.weight == 0).all()
    one = plan.copy(n_int=2**53)  # with many inner sums
    one.process(x)
    assert len(one.skip(2**55)) == 0 and one.n_output(2**53 * one.hop) == 1
    with pytest.raises(ValueError, match="n: found"):
        one.skip(2**62)
    assert len(one.process(x)) == 0


def test_out_and_refusals():
    plan, x = plan_and_samples("one")
    plan.process(x)
    out = np.full((plan.n_output(5000) + 2, *plan.copy().process(x).shape[1:]), 7, np.float32)
    n = plan.n_output(5000)
    assert np.shares_memory(plan.skip(5000, out=out), out) and (out[n:] == 7).all()
    for n in (-1, 1.5, True, "8"):
        with pytest.raises((TypeError, ValueError), match="n: found"):
            plan.skip(n)
