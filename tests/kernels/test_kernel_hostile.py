"""Arguments that no function accepts, each in turn: an error of ours, and never a crash."""

import inspect
import math
import types
import typing

import fastsig_kernels as fk
import numpy as np
import pytest
from fastsig_kernels import gridding
from fastsig_kernels._plan import Plan
from kernel_calls import CALLS, FUNCTIONS, PLANS, copied, function


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
NO_INTEGERS = [True, 1.0, math.nan, "1", np.float64(2), [2], 1j]
LARGE = [2**31, 2**62, 2**63 - 1, 2**63, 2**64, -1, -(2**63), -(2**63) - 1, 10**30]
NO_FLOATS = [True, "1", 1j, [1.0], np.ones(2)]
BEYOND = [math.nan, math.inf, -math.inf, -1, 10**400]
EXTREMES = [1e300, -1e300, 1e308, 1e-200, 5e-324, -5e-324, -0.0]
NO_FLAGS = [0, 1, 1.0, math.nan, "yes", None, np.ones(2, bool)]
NO_TEXTS = [True, 1, 1.0, math.nan, b"I", ["I"], np.array(["I", "V"]), "", "nothing",
            "\N{GREEK SMALL LETTER PI}"]


def kinds(parameter):
    """Types that an argument may have, None apart."""
    union = isinstance(parameter.annotation, types.UnionType)
    given = typing.get_args(parameter.annotation) if union else (parameter.annotation,)
    return set(given) - {type(None)}


PARAMETERS = {(name, key): kinds(parameter) for name in CALLS
              for key, parameter in inspect.signature(function(name)).parameters.items()}


def having(*wanted):
    return [place for place, given in PARAMETERS.items() if given == set(wanted)]


ARRAYS = [(name, key) for name, key in PARAMETERS
          if isinstance(CALLS[name].arguments.get(key), np.ndarray)]
# Arguments that accept a number in place of an array.
NUMBERS = {place for place, given in PARAMETERS.items() if np.ndarray in given
           and given & {int, float}}


def call(name, key, value):
    """Call a function with one argument changed, in full, so that nothing large is made."""
    arguments = OUTPUTS[name] if name in OUTPUTS else CALLS[name].with_outputs(name)
    OUTPUTS[name] = arguments
    return function(name)(**{**copied(arguments), key: value})


OUTPUTS = {}


def test_examples_have_every_number_flag_and_text():
    """`offset` excludes `levels`, and has a test of its own."""
    missing = {(name, key) for (name, key), given in PARAMETERS.items()
               if given & {int, float, bool, str} and key not in CALLS[name].arguments}
    assert missing == {("unpack", "offset"), ("to_codes", "offset")}


@pytest.mark.parametrize(("name", "key"), ARRAYS)
def test_other_arrays(name, key):
    value = CALLS[name].arguments[key]
    for kind, change in OTHER_ARRAYS.items():
        other = change(value)
        if isinstance(other, np.ndarray) and other.dtype == value.dtype and kind != "subclass":
            continue  # bytes have no order
        with pytest.raises(TypeError, match="found"):
            call(name, key, other)
    if (name, key) not in NUMBERS:
        with pytest.raises(TypeError, match="found"):
            call(name, key, 1.0)


@pytest.mark.parametrize(("name", "key"), sorted(NUMBERS))
def test_no_numbers_in_place_of_arrays(name, key):
    others = [1.5] if int in PARAMETERS[name, key] else []
    others += [] if name == "keep" else [math.nan]  # which keeps nothing
    for value in (True, "1", 1j, *others):
        with pytest.raises((TypeError, ValueError), match=f"{key}: found"):
            call(name, key, value)


@pytest.mark.parametrize(("name", "key"), having(int))
def test_no_integers(name, key):
    for value in NO_INTEGERS:
        with pytest.raises(TypeError, match=f"{key}: found"):
            call(name, key, value)


@pytest.mark.parametrize(("name", "key"), [
    place for place in having(int) if CALLS[place[0]].arguments.get(place[1]) is not None])
def test_integers_of_few_bits(name, key):
    """NumPy computes with them in as few bits, so that what they become must be of Python."""
    value = CALLS[name].arguments[key]
    expected = result(name, copied(CALLS[name].arguments))
    for kind in (np.int8, np.uint8, np.int16):
        if np.iinfo(kind).min <= value <= np.iinfo(kind).max:
            made = result(name, {**copied(CALLS[name].arguments), key: kind(value)})
            for a, b in zip(made, expected, strict=True):
                if not isinstance(a, Plan):
                    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("name", "key"), having(int))
def test_large_integers(name, key):
    """They are refused, or are sensible: a group of 2^62 values is a whole row."""
    for value in LARGE:
        try:
            call(name, key, value)
        except ValueError as error:
            assert "found" in str(error)


@pytest.mark.parametrize(("name", "key"), sorted(set(having(float)) - {
    ("unpack", "offset"), ("to_codes", "offset")}))
def test_no_floats(name, key):
    for value in NO_FLOATS:
        with pytest.raises(TypeError, match=f"{key}: found"):
            call(name, key, value)
    for value in BEYOND:
        if (name, key, value) == ("CoherentDedispersion", "dispersion", -1):
            continue  # which disperses
        if name in ("deviations", "flag_deviations") and (value == -1 or (key, value) == (
                "unit", math.inf)):
            continue  # of distributions that are skewed the other way, and of Gaussians
        with pytest.raises(ValueError, match=f"{key}: found"):
            call(name, key, value)


@pytest.mark.parametrize(("name", "key"), sorted({
    place for place in ARRAYS if CALLS[place[0]].arguments[place[1]].dtype.kind in "fc"}
    | {place for place in having(float) if place[1] in CALLS[place[0]].arguments}))
def test_extreme_floats(name, key):
    """They are refused, or are sensible; no integer is made of what is too large for one."""
    value = CALLS[name].arguments[key]
    for extreme in EXTREMES:
        given = extreme
        if isinstance(value, np.ndarray):
            given = np.full_like(value, np.clip(extreme, -3e38, 3e38) if value.itemsize in (4, 8)
                                 and value.dtype != np.float64 else extreme)
            given.flat[0] = value.flat[0]
        try:
            with np.errstate(over="ignore"):
                call(name, key, given)
        except ValueError as error:
            assert "found" in str(error)


@pytest.mark.parametrize(("name", "key"), having(bool))
def test_no_flags(name, key):
    for value in NO_FLAGS:
        with pytest.raises(TypeError, match=f"{key}: found"):
            call(name, key, value)


@pytest.mark.parametrize(("name", "key"), having(str))
def test_no_texts(name, key):
    for value in NO_TEXTS:
        with pytest.raises((TypeError, ValueError), match=f"{key}: found"):
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


@pytest.mark.parametrize("value", [
    (1.0, 5), (0, math.nan), (True, 5), ("0", "5"), (0,), (0, 5, 7), 3, 3.0, "05", (5, 5), (0, 99)])
def test_no_channels(value):
    with pytest.raises((TypeError, ValueError), match="channels: found"):
        call("Spectrometer", "channels", value)


@pytest.mark.parametrize("name", ["Spectrometer", "Channelizer", "Synthesizer"])
def test_no_ratios_and_layouts(name):
    for value in (True, 1.5, math.nan, "x", "nan", (1.0, 2), (True, 1), (2,), None, [4, 3], 10**30):
        with pytest.raises((TypeError, ValueError), match="oversample: found"):
            call(name, "oversample", value)
    for value in (True, 1, "int8", np.dtype("int8"), fk.Layout):
        with pytest.raises(TypeError, match="layout: found"):
            call(name, "layout", value)


@pytest.mark.parametrize(("key", "value"), [
    ("kind", 8), ("kind", ["int8"]), ("bits", 2.0), ("bits", True), ("bits", math.nan),
    ("is_complex", 1), ("interleaved", "yes"), ("order", 1), ("order", ["lsb"]), ("levels", 3.0),
    ("levels", (0, 1, 2, math.nan)), ("levels", (True, False, True, False)), ("levels", "0123")])
def test_no_layout(key, value):
    given = {"kind": "packed", "bits": 2, "levels": (-3.0, -1.0, 1.0, 3.0), key: value}
    with pytest.raises((TypeError, ValueError), match=f"{key}: found"):
        fk.Layout(**given)


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
    ones = np.ones((n, 1), np.float32)
    # The chord of the smallest radius is 0.
    assert (gridder.process(ones, ones)[1] > 0).sum() in (0, n)


@pytest.mark.parametrize("name", [
    name for name, call in CALLS.items()
    if any(isinstance(value, np.ndarray) for value in call.arguments.values())])
def test_arrays_in_files_are_arrays(name, tmp_path):
    """A memmap gives what the array gives, as input and as output."""
    given = CALLS[name].with_outputs(name)
    expected = result(name, copied(given))
    mapped = {}
    for i, (key, value) in enumerate(given.items()):
        if isinstance(value, np.ndarray):
            mapped[key] = np.memmap(tmp_path / f"{i}", value.dtype, "w+", shape=value.shape)
            mapped[key][...] = value
        else:
            mapped[key] = value
    for a, b in zip(result(name, mapped), expected, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def result(name, arguments):
    """Results of a call; of a constructor what the plan computes."""
    made = function(name)(**arguments)
    if name in PLANS:
        made = PLANS[name].used(made)
    return made if isinstance(made, tuple) else (made,)


@pytest.mark.parametrize("pair", [0, 2])
@pytest.mark.parametrize("kind", ["int8", "int16", "float32", "complex64"])
@pytest.mark.parametrize("plan", [fk.Spectrometer, fk.Channelizer])
def test_voltages_in_a_file(tmp_path, plan, kind, pair):
    """Real and complex samples of a file, mapped, are those of memory."""
    if (kind == "complex64") > (pair == 2):
        return  # they are pairs of float32 as well
    numbers = np.random.default_rng(3).integers(-30, 30, 2 * 4000)
    is_complex = pair == 2
    dtype = "float32" if kind == "complex64" else kind
    x = numbers.astype(dtype).reshape((-1, 2) if is_complex else -1)
    x = np.ascontiguousarray(x).view(kind)[:, 0] if kind == "complex64" else x
    x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", kind, "r", shape=x.shape)
    made = plan(16, layout=fk.Layout(dtype, is_complex=is_complex))
    np.testing.assert_array_equal(made.copy().process(mapped), made.process(x))
