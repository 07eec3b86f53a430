"""Arguments that no function accepts, each in turn: an error of ours, and never a crash."""

import math

import fastsig_kernels as fk
import numpy as np
import pytest
from fastsig_kernels import gridding
from kernel_calls import FUNCTIONS, copied


class Subclass(np.ndarray):
    """As a masked array or a quantity."""


OTHER_ARRAYS = {
    "list": lambda a: a.tolist(),
    "subclass": lambda a: a.view(Subclass),
    "complex128": lambda a: a.astype(np.complex128),
    "objects": lambda a: a.astype(object),
    "strings": lambda a: a.astype("S8"),
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
}
# Functions that accept a number in place of an array; `response` accepts what can become an array.
NUMBERS = {("kurtosis", "shape"), ("keep", "low"), ("keep", "high")}
NO_INTEGERS = [True, 1.0, math.nan, "1", np.float64(2), [2], 1j]
LARGE = [2**31, 2**62, 2**63 - 1, 2**63, 2**64, -1, -(2**63), -(2**63) - 1, 10**30]
NO_FLOATS = [True, "1", 1j, [1.0], np.ones(2)]
BEYOND = [math.nan, math.inf, -math.inf, -1, 10**400]

ARRAYS = [(name, key) for name, call in FUNCTIONS.items() for key, value in call.arguments.items()
          if isinstance(value, np.ndarray) and (name, key) != ("response", "offset")]
INTEGERS = [(name, key) for name, call in FUNCTIONS.items()
            for key, value in call.arguments.items() if type(value) is int]
FLOATS = [(name, key) for name, call in FUNCTIONS.items()
          for key, value in call.arguments.items() if type(value) is float]


def call(name, key, value):
    """Call a function with one argument changed, in full, so that nothing large is made."""
    arguments = OUTPUTS[name] if name in OUTPUTS else FUNCTIONS[name].with_outputs(name)
    OUTPUTS[name] = arguments
    return getattr(fk, name)(**{**copied(arguments), key: value})


OUTPUTS = {}


@pytest.mark.parametrize(("name", "key"), ARRAYS)
def test_other_arrays(name, key):
    value = FUNCTIONS[name].arguments[key]
    for kind, change in OTHER_ARRAYS.items():
        other = change(value)
        if isinstance(other, np.ndarray) and other.dtype == value.dtype and kind != "subclass":
            continue  # bytes have no order
        with pytest.raises(TypeError, match="found"):
            call(name, key, other)
    if (name, key) not in NUMBERS:
        with pytest.raises(TypeError, match="found"):
            call(name, key, 1.0)


@pytest.mark.parametrize(("name", "key"), INTEGERS)
def test_no_integers(name, key):
    for value in NO_INTEGERS:
        with pytest.raises(TypeError, match=f"{key}: found"):
            call(name, key, value)


@pytest.mark.parametrize(("name", "key"), INTEGERS)
def test_large_integers(name, key):
    """They are refused, or are sensible: a group of 2^62 values is a whole row."""
    for value in LARGE:
        try:
            call(name, key, value)
        except ValueError as error:
            assert "found" in str(error)


@pytest.mark.parametrize(("name", "key"), FLOATS)
def test_no_floats(name, key):
    for value in NO_FLOATS:
        with pytest.raises(TypeError, match=f"{key}: found"):
            call(name, key, value)
    for value in BEYOND:
        with pytest.raises(ValueError, match=f"{key}: found"):
            call(name, key, value)


@pytest.mark.parametrize("name", ["unpack", "to_codes"])
def test_offsets(name):
    arguments = {key: value for key, value in copied(FUNCTIONS[name].arguments).items()
                 if key != "levels"}
    for value in NO_FLOATS:
        with pytest.raises(TypeError, match="offset: found"):
            getattr(fk, name)(**arguments, offset=value)
    for value in (math.nan, math.inf, 10**400):
        with pytest.raises(ValueError, match="offset: found"):
            getattr(fk, name)(**arguments, offset=value)


@pytest.mark.parametrize("value", NO_FLOATS)
def test_no_floats_of_plans(value):
    for key in ("min_valid", "flag_sigma"):
        with pytest.raises(TypeError, match="found"):
            fk.Spectrometer(16, **{key: value})
    with pytest.raises(TypeError, match="found"):
        fk.Synthesizer(16, noise=value)


@pytest.mark.parametrize("scratch", [1, (), fk.Channelizer(16).scratch()])
def test_scratch_of_another_kind(scratch):
    lon, (x, y) = np.linspace(0, 1, 3), np.meshgrid(np.arange(2.0), np.arange(2.0))
    gridder = fk.Gridder(lon, lon, x, y, radius=0.3, table=np.ones(3, np.float32))
    planes = np.zeros((2, 1, 2, 2), np.float32)
    for use in (
        lambda: fk.Channelizer(16).process(np.zeros(512, np.int8), scratch=scratch),
        lambda: fk.Synthesizer(16, oversample=2).process(
            np.zeros((400, 16), np.complex64), scratch=scratch),
        lambda: gridder.process(*np.zeros((2, 3, 1), np.float32), *planes, scratch=scratch),
    ):
        with pytest.raises(TypeError, match="scratch: found"):
            use()


def test_no_taps():
    with pytest.raises(ValueError, match="taps: found shape"):
        fk.response(np.empty((4, 0)), 0.5)


def test_no_correlation():
    for value in ([np.nan], [1e38], [-0.1]):
        with pytest.raises(ValueError, match="correlation: found"):
            fk.kurtosis_thresholds(100, 1.0, correlation=np.array(value))
    with pytest.raises(ValueError, match="correlation: found"):
        fk.resampling_covariance(correlation=np.empty(0))


def test_numbers_in_another_byte_order_are_not_packed():
    with pytest.raises(TypeError, match="native byte order"):
        fk.compress_planes(np.arange(8, dtype=">f4"))


@pytest.mark.parametrize("radius", [1e-12, 1e-300])
@pytest.mark.parametrize("n", [0, 2])
def test_a_radius_of_nothing(radius, n, monkeypatch):
    """It allocated cells of its own size over the whole sky."""
    monkeypatch.setattr(gridding, "_MOST_CELLS", 2**12)
    lon, lat = np.linspace(0, 300, n), np.linspace(-80, 80, n)
    x, y = np.meshgrid(np.linspace(0, 300, 4), np.linspace(-80, 80, 3))
    gridder = fk.Gridder(lon, lat, x, y, radius=radius, table=np.ones(3, np.float32))
    assert gridder.memory_bytes < 2**17
    planes = np.zeros((2, 1, 3, 4), np.float32)
    gridder.process(np.ones((n, 1), np.float32), np.ones((n, 1), np.float32), *planes)
    assert (planes[1] > 0).sum() in (0, n)  # the chord of the smallest radius is 0


def test_scratch_for_fewer_channels():
    lon, (x, y) = np.linspace(0, 1, 3), np.meshgrid(np.arange(2.0), np.arange(2.0))
    gridder = fk.Gridder(lon, lon, x, y, radius=0.3, table=np.ones(3, np.float32))
    with pytest.raises(ValueError, match="scratch: found 1 channels"):
        gridder.process(np.zeros((3, 2), np.float32), np.zeros((3, 1), np.float32),
                        *np.zeros((2, 2, 2, 2), np.float32), scratch=gridder.scratch(1))


@pytest.mark.parametrize("name", [
    name for name, call in FUNCTIONS.items()
    if any(isinstance(value, np.ndarray) for value in call.arguments.values())])
def test_arrays_in_files_are_arrays(name, tmp_path):
    """A memmap gives what the array gives, as input and as output."""
    given = FUNCTIONS[name].with_outputs(name)
    expected = getattr(fk, name)(**copied(given))
    mapped = {}
    for i, (key, value) in enumerate(given.items()):
        if isinstance(value, np.ndarray):
            mapped[key] = np.memmap(tmp_path / f"{i}", value.dtype, "w+", shape=value.shape)
            mapped[key][...] = value
        else:
            mapped[key] = value
    found = getattr(fk, name)(**mapped)
    for a, b in zip(*(each if isinstance(each, tuple) else (each,) for each in (found, expected)),
                    strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_voltages_in_a_file(tmp_path):
    """Real and complex samples of a file, mapped, are those of memory."""
    numbers = np.random.default_rng(3).integers(-30, 30, 2 * 4000).astype(np.int8)
    numbers.tofile(tmp_path / "x")
    for pair in (1, 2):
        shape = (4000, 2) if pair == 2 else (8000,)
        mapped = np.memmap(tmp_path / "x", np.int8, "r", shape=shape)
        layout = fk.Layout("int8", is_complex=pair == 2)
        plan = fk.Spectrometer(16, n_int=7, layout=layout)
        expected = plan.process(numbers.reshape(shape))
        plan.reset()
        np.testing.assert_array_equal(plan.process(mapped), expected)
