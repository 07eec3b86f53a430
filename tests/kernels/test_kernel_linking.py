"""Parts that are compiled apart: right, checked, and one form of each for all combinations."""

import pickle
import sys

import numba
import numpy as np
import pytest
from fastsig_kernels import Layout, Spectrometer
from fastsig_kernels._bank_loops import (
    COLUMNS_AT,
    INNER_AT,
    RADICES,
    filter_narrow_nb,
    fir_nb,
    integrate_nb,
)
from fastsig_kernels._detect import OWN_AT, add_leaves_nb, add_pair_nb
from fastsig_kernels._jit import one_form
from fastsig_kernels._linking import FLOAT, INTEGER, ROW, Part
from fastsig_kernels._passes import block_lanes
from fastsig_kernels._simd import Spec
from numba.extending import is_jitted

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


@numba.njit
def doubled_nb(n):
    return 2 * n


@numba.njit
def sum_of_three_nb(n):
    return doubled_nb(n) + doubled_nb(3) + doubled_nb(n=5)


def test_constants_use_the_form_of_variables():
    one_form(doubled_nb)
    assert sum_of_three_nb(1) == 18
    assert list(doubled_nb.overloads) == [(numba.types.int64,)]


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
        return [len(each.signatures) for each in (
            integrate_nb, filter_narrow_nb, add_leaves_nb, fir_nb, add_pair_nb)]

    def run(n_tap, products):
        Spectrometer(16, n_pol=2, n_tap=n_tap, products=products).process(
            np.ones((2, 2048), np.int8))
        return forms()

    *loops, filters, detections = run(8, "I")
    assert run(4, "I") in ([*loops, filters + 2, detections], [*loops, filters, detections])
    now = forms()
    assert run(4, "AABB")[:4] == now[:4]


def test_only_what_a_length_needs_is_compiled():
    """A table has no address for radices and leaves that a transform of this length lacks."""
    layout = Layout(is_complex=True)
    short, long = (Spectrometer(n, layout=layout)._engine for n in (16, 16 * 256))
    lanes = long.bank.shape.lanes
    assert short.bank.shape.radices == () and not short.parts()[COLUMNS_AT:].any()
    assert list(np.flatnonzero(long.parts()[COLUMNS_AT:])) == [
        i for i, radix in enumerate(RADICES) if radix in long.bank.shape.radices]
    assert lanes < 16 or not long.parts()[INNER_AT]
    assert not long.parts()[OWN_AT]


def test_addresses_are_found_once_and_never_pickled():
    plan = Spectrometer(16)
    parts = plan._engine.parts()
    assert plan._engine.parts() is parts and plan.copy()._engine.parts() is parts
    made = pickle.loads(pickle.dumps(plan))
    assert made._engine._addresses is None
    np.testing.assert_array_equal(made._engine.parts(), parts)


def test_no_function_without_reference_counts_returns_an_array(rng):
    """The array would be freed once too often; numba itself refuses functions that allocate."""
    x = rng.integers(-128, 128, (1, 2**12)).astype(np.int8)
    for n_chan in (24, 256):
        Spectrometer(n_chan, n_int=2).process(x)
    modules = [sys.modules[name] for name in sys.modules if name.startswith("fastsig_kernels.")]
    uncounted = {each for module in modules for each in vars(module).values()
                 if is_jitted(each) and not each.targetoptions.get("_nrt", True)}
    results = [made.signature.return_type for each in uncounted for made in each.overloads.values()]
    assert len(uncounted) > 20 and len(results) > 5
    assert not any(isinstance(part, numba.types.Buffer) for kind in results
                   for part in (kind if isinstance(kind, numba.types.BaseTuple) else [kind]))
