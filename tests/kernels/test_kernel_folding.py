"""Folding against its twin, exact phases, and what a stream promises."""

from fractions import Fraction

import fastsig_kernels as fk
import numpy as np
import pytest
from fastsig_kernels import reference

WEIGHTS = {
    "none": lambda rng, n, p, c: None,
    "rows": lambda rng, n, p, c: rng.random((n, 1, 1)) > 0.3,
    "rows of products": lambda rng, n, p, c: rng.random((n, p, 1)),
    "channels": lambda rng, n, p, c: rng.random((n, 1, c)) * (rng.random((n, 1, c)) > 0.2),
    "samples": lambda rng, n, p, c: rng.random((n, p, c)),
}
#: Time, product, channel, ephemeris, bins.
SIZES = [(50, 1, 1, 1, 1), (70, 2, 5, 2, 7), (40, 1, 16, 3, 300), (61, 2, 83, 2, 7),
         (30, 1, 130, 1, 16)]


def made(dtype, sizes, weight, narrow, piece=16, seed=5):
    """A plan and the arguments of a call; phases bend, and wrap around within a few rows.

    `narrow` is by how many bits the phases of channels are closer than a turn; None for no offsets.
    """
    n, n_product, n_chan, n_ephemeris, n_bin = sizes
    rng = np.random.default_rng(seed)
    x = rng.normal(50, 20, (n, n_product, n_chan)).astype(dtype)
    phase = rng.integers(0, 2**64, (n_ephemeris, -(-n // piece), 3), dtype=np.uint64)
    phase >>= np.array([0, 4, 12], np.uint64)
    offset = None if narrow is None else rng.integers(
        0, 2**64, (n_ephemeris, n_chan), dtype=np.uint64) >> np.uint64(narrow)
    given = WEIGHTS[weight](rng, n, n_product, n_chan)
    plan = fk.Folder(n_bin, n_chan, n_product=n_product, n_ephemeris=n_ephemeris, dtype=dtype)
    return plan, x, phase, piece, offset, None if given is None else given.astype("f4")


def check(plan, x, phase, piece, offset=None, weight=None):
    """A call gives the twin's numbers, and so do two calls."""
    sums, weights = plan.process(x, phase, piece, offset=offset, weight=weight)
    expected, total = reference.fold(x, phase, piece, plan.n_bin, offset, weight)
    np.testing.assert_array_equal(sums, expected)
    np.testing.assert_array_equal(np.broadcast_to(weights, total.shape), total)
    k = len(x) // (2 * piece)
    first, last = slice(k * piece), slice(k * piece, None)
    both = (np.zeros_like(sums), np.ones_like(weights))
    for rows, some, add in ((first, slice(k), False), (last, slice(k, None), True)):
        plan.process(x[rows], phase[:, some], piece, offset=offset, add=add, out=both[0],
                     out_weight=both[1], weight=None if weight is None else weight[rows])
    np.testing.assert_array_equal(both[0], sums)
    np.testing.assert_array_equal(both[1], weights)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_as_the_twin(dtype, weight):
    for sizes in SIZES:
        check(*made(dtype, sizes, weight, None))


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_phases_of_channels_as_the_twin(dtype, weight):
    """Far apart, in a few bins, and nearly all in the same bin."""
    for sizes in SIZES:
        for narrow in (0, 5, 8, 12):
            check(*made(dtype, sizes, weight, narrow))


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int16"])
def test_other_integers_as_the_twin(dtype):
    plan, x, *others = made(dtype, SIZES[3], "none", None)
    check(plan, x - x.dtype.type(40), *others)


def test_more_rows_than_are_listed_at_a_time():
    """The largest values, all in one bin, in more rows than 32 bits can sum twice."""
    n = 70_000
    x = np.full((n, 1, 17), 65535, np.uint16)
    sums, weights = fk.Folder(3, 17, dtype="uint16").process(
        x, np.zeros((1, 2, 3), np.uint64), 2**16)
    assert (sums[0, 0] == 65535 * n).all() and not sums[0, 1:].any()
    assert weights[0, :, 0, 0].tolist() == [n, 0, 0]


@pytest.mark.parametrize(("dtype", "value"), [
    ("uint8", 255), ("int8", -128)])
def test_extreme_values_of_channels_with_phases_of_their_own(dtype, value):
    """In rows that stay in a bin, and in rows of which some channels are in the next one."""
    n, n_bin = 40_000, 3
    x = np.full((n, 1, 65), value, dtype)
    offset = np.arange(65, dtype=np.uint64)[np.newaxis] << np.uint64(56)
    for step in (0, 2**63):
        phase = np.array([[[0, step, 0]]], np.uint64)
        sums, weights = fk.Folder(n_bin, 65, dtype=dtype).process(x, phase, 2**16, offset=offset)
        np.testing.assert_array_equal(sums, value * weights)
        expected = np.zeros((65, n_bin))
        for row in (0, step):
            places = ((row + offset[0]).astype(object) * n_bin // 2**64).astype(int) % n_bin
            expected[np.arange(65), places] += n / 2
        np.testing.assert_array_equal(weights[0, :, 0], expected.T)


def test_more_channels_than_are_ranked_together():
    n_chan, n_bin = 2**15 + 2, 5
    rng = np.random.default_rng(8)
    x = rng.integers(0, 255, (2, 1, n_chan), dtype=np.uint8)
    offset = rng.integers(0, 2**64, (1, n_chan), dtype=np.uint64)
    phase = np.array([[[2**61, 2**62, 0]]], np.uint64)
    sums, weights = fk.Folder(n_bin, n_chan).process(x, phase, 2, offset=offset)
    expected = np.zeros((n_bin, n_chan))
    for t in range(2):
        now = offset[0] + np.uint64(2**61 + t * 2**62)  # modulo a turn
        expected[(now.astype(object) * n_bin // 2**64).astype(int), np.arange(n_chan)] += x[t, 0]
    np.testing.assert_array_equal(sums[0, :, 0], expected)
    assert weights.sum() == 2 * n_chan


def test_any_strides():
    plan, x, phase, piece, _, weight = made("float32", (48, 2, 83, 2, 7), "samples", None)
    expected = plan.process(x, phase, piece, weight=weight)
    held = np.zeros((96, 3, 166), np.float32)[::-2, 1:, ::2]
    held[...] = x
    wide = np.zeros((2, 83, 48), np.float32).transpose(2, 0, 1)
    wide[...] = weight
    for one, other in ((held, weight), (x, wide), (np.ascontiguousarray(x[::-1])[::-1], weight)):
        for found, wanted in zip(plan.process(one, phase, piece, weight=other), expected,
                                 strict=True):
            np.testing.assert_array_equal(found, wanted)
    same = np.broadcast_to(x[:1], x.shape)
    np.testing.assert_array_equal(plan.process(same, phase, piece)[0],
                                  plan.process(same.copy(), phase, piece)[0])


def test_what_is_not_a_number_counts_only_with_weight():
    x = np.ones((4, 1, 80), np.float32)
    x[1, 0, 3] = np.nan
    weight = np.where(np.isnan(x), 0, 1).astype("f4")
    phase = np.array([[[0, 2**62, 0]]], np.uint64)
    plan = fk.Folder(4, 80, dtype="float32")
    assert np.argwhere(np.isnan(plan.process(x, phase, 4)[0])).tolist() == [[0, 1, 0, 3]]
    for offset in (None, np.zeros((1, 80), np.uint64)):
        for given in (weight, -weight, weight * np.float32(np.nan)):
            sums, weights = plan.process(x, phase, 4, weight=given, offset=offset)
            assert (sums == weights).all() and sums.sum() == (319 if given is weight else 0)


def test_nothing_is_folded():
    plan = fk.Folder(4, 3, dtype="float32")
    out, weight = np.ones((1, 4, 1, 3)), np.ones((1, 4, 1, 1))
    nothing = np.empty((0, 1, 3), np.float32), np.empty((1, 0, 3), np.uint64), 5
    plan.process(*nothing, add=True, out=out, out_weight=weight)
    assert (out == 1).all() and (weight == 1).all()
    plan.process(*nothing, out=out, out_weight=weight)
    assert not out.any() and not weight.any()


@pytest.mark.parametrize("piece", [1, 2, 777, 2**16])
def test_pieces_are_parabolas(piece):
    """Phases of 1e11 turns after a start, with a bend: right to 1e-10 turn in every row."""
    rate, bend = Fraction(1, 30) + Fraction(1, 10**7), Fraction(1, 10**9)

    def phase(t):
        return 146_774_936_445 + Fraction(1, 7) + rate * t - bend * t * t / piece

    exact = [phase(Fraction(piece * k, 2)) for k in range(3)]
    turns = np.array([[p.__floor__() for p in exact]])
    pieces = fk.phase_pieces(turns, np.array([[float(p % 1) for p in exact]]), piece)
    assert pieces.shape == (1, 3) and pieces.dtype == np.uint64
    start, step, bend_found = (int(each) for each in pieces[0])
    for t in {0, 1, piece // 3, piece - 1}:
        found = Fraction(start + t * step + t * (t - 1) // 2 * bend_found, 2**64)
        assert abs((found - phase(t) + Fraction(1, 2)) % 1 - Fraction(1, 2)) < 1e-10


def test_a_pulse_lands_in_its_bin():
    """Rows of one period in 10.5 rows: 21 turns later everything has been in every bin."""
    n, n_bin = 21 * 105, 21
    turns = np.arange(n) / 10.5
    x = np.where(np.floor(turns % 1 * n_bin + 1e-9) == 4, 7, 1).astype(np.uint8)
    ends = np.array([[0, n / 21, 2 * n / 21]])
    pieces = fk.phase_pieces(ends.astype(np.int64), ends % 1, n)[np.newaxis]
    pieces[..., 0] += np.uint64(2**40)  # bins begin at rows
    sums, weights = fk.Folder(n_bin, 1).process(x.reshape(n, 1, 1), pieces, n)
    assert (weights == n / n_bin).all()
    assert (sums / weights)[0, :, 0, 0].tolist() == [7 if b == 4 else 1 for b in range(n_bin)]


def test_limits():
    for name, most in (("n_bin", 2**16), ("n_chan", 2**31), ("n_product", 2**16),
                       ("n_ephemeris", 2**12)):
        arguments = {"n_bin": 4, "n_chan": 3}
        fk.Folder(**{**arguments, name: 1}), fk.Folder(**{**arguments, name: most})
        for wrong in (0, most + 1, 2**31 + 1, 2**63 - 1, 2**63, -(2**63), 2**64):
            with pytest.raises(ValueError, match=f"{name}: found"):
                fk.Folder(**{**arguments, name: wrong})
    with pytest.raises(ValueError, match="bins in all"):
        fk.Folder(2**16, 3, n_ephemeris=2**12)
    with pytest.raises(ValueError, match=r"dtype: found 'float64', allowed uint8"):
        fk.Folder(4, 3, dtype="float64")


def test_arguments_that_do_not_fit():
    plan, x, phase, piece, offset, weight = made("uint8", SIZES[1], "samples", 0)
    for wrong in (0, 2**16 + 1, 2**31, 2**63 - 1, 2**63, -(2**63), 2**64):
        with pytest.raises(ValueError, match="piece: found"):
            plan.process(x, phase, wrong)
        with pytest.raises(ValueError, match="piece: found"):
            fk.phase_pieces(np.zeros((1, 3), np.int64), np.zeros((1, 3)), wrong)
    for changed in ({"x": x[:, :1]}, {"phase": phase[:, 1:]}, {"phase": phase[:1]},
                    {"offset": offset[:, 1:]}, {"weight": weight[1:]},
                    {"weight": weight[..., :2]}):
        name, = changed
        given = {"x": x, "phase": phase, "offset": offset, "weight": weight, **changed}
        with pytest.raises(ValueError, match=f"{name}: found"):
            plan.process(given["x"], given["phase"], piece, offset=given["offset"],
                         weight=given["weight"])
    with pytest.raises(ValueError, match="add: found True without"):
        plan.process(x, phase, piece, add=True)
    with pytest.raises(ValueError, match="C-contiguous"):
        plan.process(x, phase, piece, out=np.zeros((5, 2, 7, 2)).transpose(3, 2, 1, 0))
    for turns, fraction in (([[2**62, 0, 0]], [[0.0, 0, 0]]), ([[0, 0, 0]], [[0, np.nan, 0]]),
                            ([[0, 0, 0]], [[0, 0, 1.5]]), ([[0, 0]], [[0.0, 0]])):
        with pytest.raises(ValueError, match="found"):
            fk.phase_pieces(np.array(turns), np.array(fraction), 4)


def test_nothing_is_compiled_after_compile():
    """Not for arrays that are read-only either, as are the rows of files."""
    from fastsig_kernels import _folding_loops, _folding_shifts

    kernels = [each for module in (_folding_loops, _folding_shifts)
               for name, each in vars(module).items() if name.endswith("_nb")]
    fk.Folder(8, 3, dtype="float32").compile()
    before = [len(each.overloads) for each in kernels]
    for n_chan in (1, 64, 81):
        plan = fk.Folder(9, n_chan, n_product=2, dtype="float32")
        x, phase = np.ones((5, 2, n_chan), np.float32), np.ones((1, 1, 3), np.uint64)
        offset = np.ones((1, n_chan), np.uint64)
        for weight in (np.ones((5, 1, 1), "f4"), np.full((5, 2, 1), 0.5, "f4"), x / 2):
            for each in (x, phase, offset, weight):
                each.flags.writeable = False
            for given in (None, weight):
                plan.process(x, phase, 5, offset=offset, weight=given)
                plan.process(x, phase, 5, weight=given)
    assert [len(each.overloads) for each in kernels] == before
