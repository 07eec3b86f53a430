"""Parts that are compiled apart: right, checked, and one form of each for all combinations."""

import pickle

import numba
import numpy as np
import pytest
from fastsig_kernels import Spectrometer
from fastsig_kernels._bank_loops import filter_narrow_nb, integrate_nb
from fastsig_kernels._detect import add_leaves_nb
from fastsig_kernels._linking import FLOAT, INTEGER, ROW, Part
from fastsig_kernels._passes import block_lanes
from fastsig_kernels._simd import Spec

SCALE = Part(1, ROW, INTEGER, FLOAT)
scale = SCALE.call


@numba.njit
def scale_nb(spec, row, offset, factor):
    for i in range(row.size):
        row[i] = np.int64(row[i] * factor) + offset + block_lanes(spec)


@numba.njit
def twice_nb(address, row, factor):
    scale(address, row, 1, factor)
    scale(address, row, 2, factor)


@numba.njit
def wrong_nb(address, row):
    scale(address, row, row, np.float32(1))


@pytest.mark.parametrize("lanes", [4, 16])
def test_a_part_is_called_with_its_arguments(lanes):
    row = np.arange(5)
    twice_nb(SCALE.address(scale_nb, Spec(lanes=lanes)), row, np.float32(3))
    np.testing.assert_array_equal(row, (np.arange(5) * 3 + 1 + lanes) * 3 + 2 + lanes)


def test_other_types_do_not_compile():
    with pytest.raises(TypeError, match="a part takes"):
        wrong_nb(SCALE.address(scale_nb, Spec(lanes=4)), np.arange(5))


def test_the_loop_over_frames_is_compiled_once():
    """Of another number of taps the filter alone is compiled, of other products detection alone."""
    def forms():
        return [len(each.signatures) for each in (integrate_nb, filter_narrow_nb, add_leaves_nb)]

    def run(n_tap, products):
        Spectrometer(16, n_pol=2, n_tap=n_tap, products=products).process(
            np.ones((2, 2048), np.int8))
        return forms()

    loops, filters, detections = run(8, "I")
    assert run(4, "I") in ([loops, filters + 1, detections], [loops, filters, detections])
    now = forms()
    assert run(4, "AABB")[:2] == now[:2]


def test_addresses_are_found_once_and_never_pickled():
    plan = Spectrometer(16)
    parts = plan._engine.parts()
    assert plan._engine.parts() is parts and plan.copy()._engine.parts() is parts
    made = pickle.loads(pickle.dumps(plan))
    assert made._engine._addresses == () and made._engine.parts() == parts
