"""Example calls of every verb: a chain that accepts it, and arguments.

Verbs whose tests are in several files are listed here. Any other verb ``NAME`` has its example in
its own test file, such as ``tests/stages/test_NAME.py``: ``EXAMPLE = {"fraction": 0.05}``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from streams import MemorySpectra, MemoryVoltages, header, noise

import fastsig as fs

ROOT = Path(__file__).resolve().parent.parent


class BandSpectra(MemorySpectra):
    """Spectra of which some channels can be read alone."""

    def band(self, first: int, stop: int) -> BandSpectra:
        axis = self.header.channels
        assert axis is not None
        head = self.header.replace(channels=axis.sliced(first, stop))
        return type(self)(self.spectra[:, :, first:stop], head)


class RowWeights(BandSpectra):
    """The same with one weight per row."""

    @property
    def weight_channels(self) -> int:
        return 1

    def _values(self, start: int, n: int) -> Any:
        rows = self.spectra[start : start + n].copy()
        return rows, (np.arange(start, start + n) % 3 / 2)[:, None, None].astype(np.float32)


def voltages() -> fs.Chain:
    return fs.Chain(MemoryVoltages(noise(np.random.default_rng(1), 2000), header()))


def frames() -> fs.Chain:
    return voltages().channelize(16)


def spectra(unit: str | None = None, names: tuple[str, ...] = ("AA", "BB", "CR", "CI"),
            made: type[MemorySpectra] = BandSpectra) -> fs.Chain:
    from dataclasses import replace

    head = header(100)
    axis = replace(head.channels, step_hz=head.channels.step_hz / 16, n_chan=16)
    head = head.replace(channels=axis, polarization=replace(head.polarization, names=names),
                        unit=unit, is_complex=False, n_bits=32)
    data = np.random.default_rng(2).normal(10, 1, (40, len(names), 16))
    return fs.Chain(made(data, head))


class Example(NamedTuple):
    """What makes a chain that accepts a verb, and valid values of what has no default."""

    chain: Callable[[], fs.Chain]
    arguments: dict[str, Any]


VERBS = {name: Example(*parts) for name, parts in {
    "channelize": (voltages, {"n_chan": 16}), "detect": (frames, {}),
    "integrate": (spectra, {}), "select": (spectra, {}),
    "flag": (spectra, {}), "baseline": (spectra, {}), "stokes": (spectra, {}),
    "frame": (spectra, {"to": "barycentric"}),
    "calibrate": (spectra, {"solution": None}), "locate": (spectra, {"track": None}),
    "flux": (lambda: spectra("K"), {"gain": "16K/Jy"}),
    "measure_diode": (spectra, {"tcal": "12.5K"}),
    "on_off": (spectra, {"period": "100ms", "tsys": "20K"}),
    "flag_shares": (spectra, {}), "barycenter": (spectra, {}),
    "fold": (spectra, {"period": "100ms"}), "drifting": (spectra, {}),
    "pulsars": (spectra, {"dms": "0:5", "period": None}),
    "fit_gaussians": (lambda: spectra("K", ("AA",)), {"rest": "1000.5MHz"}),
}.items()}


def example(name: str) -> Example:
    """The example of a verb that comes with fastsig."""
    if name in VERBS:
        return VERBS[name]
    arguments = of_its_tests(name)
    return Example(source_of(name, arguments), arguments)


def of_its_tests(name: str, tests: Path = ROOT / "tests") -> dict[str, Any]:
    """The arguments that the test file of a verb gives as an example."""
    path = next(tests.rglob(f"test_{name}.py"), tests / "stages" / f"test_{name}.py")
    wanted = (f"tests/{path.relative_to(tests).as_posix()}: add EXAMPLE = {{...}}, arguments with "
              f"which the verb {name} can be called")
    assert path.exists(), wanted
    spec = importlib.util.spec_from_file_location(f"example_of_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert isinstance(vars(module).get("EXAMPLE"), dict), wanted
    return dict(module.EXAMPLE)


def source_of(name: str, arguments: dict[str, Any]) -> Callable[[], fs.Chain]:
    """What makes a chain of a kind that the verb takes: spectra, in K, voltages or frames."""
    refusals = []
    for made in (spectra, lambda: spectra("K"), voltages, frames):
        try:
            getattr(made(), name)(**arguments)
        except fs.FastsigError as error:
            refusals.append(str(error))
        else:
            return made
    raise AssertionError(f"{name} refuses spectra, voltages and frames with {arguments}, the "
                         f"EXAMPLE of test_{name}.py: {refusals}")
