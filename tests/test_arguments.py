"""Wrong arguments of public functions: an error of fastsig's own, never one from deeper down."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time
from verb_examples import example, of_its_tests, source_of, spectra, voltages

import fastsig as fs
from fastsig import registry
from fastsig.errors import FastsigError
from fastsig.pulsar.significance import pulse_signal
from fastsig.reductions.switching.scans import position_switched
from fastsig.telescopes.velocity_frames import factor

WRONG: dict[str, Any] = {
    "None": None, "a truth value": True, "below 0": -1, "a fraction": 1.5, "NaN": np.nan,
    "text": "nonsense", "bytes": b"x", "an empty list": [], "a mapping": {"a": 1},
    "an object": object(), "another unit": 3 * u.mol, "a step": slice(0, 4, 2),
    "an array": np.ones((2, 2)), "a function": lambda *_: None, "a pair": (1, 2),
}


def calls(folder: Path) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Name, function and valid arguments of what is public, except verbs."""
    chain, out = spectra(), folder / "out.h5"
    data, held = chain.read(), voltages()
    cube = Path(folder / "none.fits")
    yield "open", fs.open, {"path": str(cube)}
    yield "open_cube", fs.open_cube, {"path": str(cube)}
    yield "info", fs.info, {"path": str(cube)}
    yield "Chain.read", chain.read, {}
    yield "Chain.write", chain.write, {"path": out, "overwrite": True}
    yield "Chain.write of voltages", held.write, {"path": folder / "v.raw", "overwrite": True,
                                                  "lossy": True}
    yield "Chain.explain", chain.explain, {}
    yield "Chain.plot", chain.plot, {"product": "none such"}
    yield "Chain.to_xarray", chain.to_xarray, {}
    yield "Chain[]", chain.__getitem__, {"key": slice(0, 4)}
    yield "Data[]", data.__getitem__, {"key": slice(0, 4)}
    yield "Data.velocity", data.velocity, {"rest": "HI"}
    yield "Data.plot", data.plot, {"product": "none such"}
    yield "Data.to_xarray", data.to_xarray, {}
    yield "grid", fs.grid, {"inputs": [chain], "frame": None}
    yield "write_many", fs.write_many, {"streams": [chain], "paths": [out], "overwrite": True}
    yield "view.draw", fs.view.draw, {"stream": chain, "product": "none such"}
    yield "view.write_page", fs.view.write_page, {
        "what": chain, "path": folder / "p.html", "product": "none such"}
    yield "view.draw_flags", fs.view.draw_flags, {
        "before": chain, "after": chain, "product": "none such"}
    yield "fit_gaussians", fs.fit_gaussians, {"spectrum": chain, "product": "AA", "rest": "HI"}
    for name in ("draw_baseline", "draw_switched", "draw_cube", "draw_calibration",
                 "draw_position"):
        yield f"view.{name}", getattr(fs.view, name), {}


def variants(function: Callable[..., Any], valid: dict[str, Any]
             ) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The arguments of calls with one that is wrong."""
    parameters = dict(inspect.signature(function).parameters)
    for key, each in parameters.items():
        if each.kind is each.VAR_KEYWORD:
            yield key, "an unknown name", {**valid, "no_such_name": 1}
            continue
        for kind, value in WRONG.items():
            if not (value is None and each.default is None):
                yield key, kind, {**valid, key: value}
    for key in (*valid, "options"):
        if key not in parameters:  # of **options
            for kind, value in WRONG.items():
                yield key, kind, {**valid, key: value}


def deeper(error: BaseException) -> bool:
    """Whether an error is none of fastsig's own words."""
    if isinstance(error, FastsigError):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1]
    own = "fastsig" in last.filename and (last.line or "").startswith("raise")
    return not (isinstance(error, TypeError) and (own or last.filename == __file__))


def call_of(name: str, folder: Path) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Function and valid arguments of a verb or another function."""
    if name in registry.own_verbs():
        made, valid = example(name)
        return getattr(made(), name), valid
    return next(call for each, *call in calls(folder) if each == name)


NAMES = [*registry.own_verbs(), *(name for name, *_ in calls(Path()))]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_wrong_arguments_are_refused_in_our_own_words(name: str, tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # "nonsense" is the name of a file for some functions
    function, valid = call_of(name, tmp_path)
    found = []
    for key, kind, given in variants(function, valid):
        try:
            function(*given.values()) if name.endswith("[]") else function(**given)
        except BaseException as error:
            if deeper(error):
                last = traceback.extract_tb(error.__traceback__)[-1]
                found.append(f"{name}({key}) = {kind}: {type(error).__name__}: {error} "
                             f"({last.filename.rpartition('/')[2]}:{last.lineno})")
    assert not found, f"{len(found)}\n" + "\n".join(found)


def test_a_missing_example_is_named(tmp_path: Path) -> None:
    wanted = "tests/stages/test_nothing.py: add EXAMPLE = "
    with pytest.raises(AssertionError, match=wanted):
        of_its_tests("nothing", tmp_path)
    path = tmp_path / "stages" / "test_nothing.py"
    path.parent.mkdir()
    path.write_text("X = 1\n")
    with pytest.raises(AssertionError, match=wanted):
        of_its_tests("nothing", tmp_path)
    path.write_text("EXAMPLE = {'x': 1}\n")
    assert of_its_tests("nothing", tmp_path) == {"x": 1}
    with pytest.raises(AssertionError, match=r"EXAMPLE of test_flux.py: \["):
        source_of("flux", {})


@pytest.mark.parametrize(("call", "match"), [
    (lambda: voltages().channelize(n_chans=256), "did you mean n_chan"),
    (lambda: voltages().channelize(16).detect(["I", "Q"]), "products = "),
    (lambda: voltages().channelize(),
     r"allowed: channelize\(n_chan: int, \*, n_tap: int = 8, .*1\)$"),
    (lambda: spectra().select(channels=(1000 * u.MHz, ...)), "Ellipsis is not a value in Hz"),
    (lambda: spectra().write("x.h5", progress=True), "progress = True"),
    (lambda: spectra().write("x.h5", memory="1 ounce"), "is not a size"),
    (lambda: fs.open(None), "path = None; allowed: the name of a file"),
    (lambda: fs.open([]), "no file is named"),
    (lambda: spectra().integrate(16), "integration time = 16 has no unit"),
    (lambda: spectra().on_off("1s", tcal=12.5), "tcal = 12.5 has no unit"),
    (lambda: spectra()[:, 1e9:1.1e9], "has no unit"),
    (lambda: spectra()[:, 2:1001 * u.MHz], "allowed: two channel numbers, or two frequencies"),
    (lambda: spectra()[2:1 * u.s], "allowed: two row numbers, or two times"),
    (lambda: spectra().flag(protect=(1000.2, 1000.3)), "protect = 1000.2 has no unit"),
    (lambda: spectra().flag(protect="1419MHz-1421MHz"), "protect = .*no channel lies within"),
    (lambda: spectra().flag(protect=("1419MHz", "1421MHz")), "protect = .*no channel lies within"),
    (lambda: spectra().flag(protect=("1419MHz", "x")), "protect = 'x' is not a value in Hz"),
    (lambda: spectra().fold("89.3ms"), "predictor = '89.3ms' is a time; .* period='89.3ms'"),
    (lambda: spectra().fold(0.1 * u.s), "predictor = .*0.1 s.* is a time"),
    (lambda: pulse_signal(spectra().fold(period="0.1s")), r"profile: Profiles; .*data\[0, 0, 0\]"),
    (lambda: spectra().frame("lsrk", position="83.6,22"), "position: ra = '83.6'; allowed: a rig"),
    (lambda: fs.from_table({"a": [1, 2], "b": [1]}), "table: not columns of equal length"),
    (lambda: factor("lsrk", 187.5, 12.4, Time("2026-01-01"), None),
     r"ra = 187.5 has no unit; allowed: angles, such as ra=83.6 \* u.deg"),
    (lambda: fs.from_table(5), "table = 5; allowed: an astropy table, or a mapping"),
    (lambda: spectra()["I"], r"no product 'I'; allowed: AA.*stokes\('I'\)"),
    (lambda: spectra()[999], r"\[999\]: there is no such row; rows are numbered from 0 to 39"),
    (lambda: spectra()[:, -17], r"\[-17\]: there is no such channel; .* from 0 to 15"),
    (lambda: spectra().read()[5], r"\[5\] is one row; allowed: a slice of rows, here \[5:6\]"),
    (lambda: spectra()[:, -1], r"is one channel; allowed: a slice of channels, here \[15:16\]"),
    (lambda: spectra()[10:5], "no rows from 10 to 5: the first end comes after the second; rows"),
    (lambda: spectra()[99:], "no rows from 99 to the end: rows are numbered from 0 to 39"),
    (lambda: spectra()["30ms":"10ms"], "the first end comes after the second"),
    (lambda: spectra()["-1s":], "is before the start; allowed: 0 or more"),
    (lambda: spectra()[:, 1000.00003 * u.MHz:1000.000031 * u.MHz], "no channel is centred there"),
    (lambda: spectra()[:, "AA"], r"products come third, here \[:, :, 'AA'\]"),
    (lambda: spectra()[:, 1000 * u.MHz], "one value is not a slice"),
    (lambda: spectra()[::-1], r"\[::-1\]: a slice has no step"),
    (lambda: spectra()[:, 12:3], "no channels from 12 to 3: the first end comes after"),
    (lambda: spectra()[:, 1001 * u.MHz:1000.5 * u.MHz], "the first end is above the second"),
    (lambda: spectra().plot(cmp="gray"), "did you mean cmap. allowed: path, overwrite"),
    (lambda: spectra().read().plot(cmp="gray"), "plot has no parameter 'cmp'; did you mean cmap"),
    (lambda: spectra().baseline(ordr=3), "ordr is not an option of polynomial; did you mean order"),
    (lambda: spectra().baseline(protct="1MHz-2MHz"), "did you mean protect"),
    (lambda: spectra().baseline(protect="100km/s-200km/s"), "^protect = '100km/s' is not a value"),
    (lambda: spectra().baseline(include="1MHz"), "^include = '1MHz'; allowed: two frequencies"),
    (lambda: position_switched("x.fits", 1, pol=0), "pol is not an option; did you mean plnum"),
    (lambda: fs.Cube.spectrum(object()),
     r"spectrum: missing a required argument: 'at'; allowed: spectrum\(at"),
])
def test_wrong_arguments_are_named(call: Callable[[], Any], match: str) -> None:
    with pytest.raises(fs.UsageError, match=match):
        call()


def test_bands_outside_the_spectra_are_a_warning() -> None:
    with pytest.warns(fs.FastsigWarning, match="bands = 1419 to 1421 MHz: no channel lies within"):
        spectra().flag(bands=["gnss", "1419MHz-1421MHz"])


def test_attributes_of_chains() -> None:
    chain = spectra()
    assert chain.duration == chain.stream.duration
    with pytest.raises(AttributeError, match="its attributes are stream, header, .*duration, .*, "
                                             "and its verbs channelize, "):
        _ = chain.length
