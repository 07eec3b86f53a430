"""All stages of the registry: the same rows in any pieces, and the same channels in any band.

A new stage is among them with the example of its test file, see `verb_examples`. A stage of another
package is among them where it is installed, if it has a default for every argument.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from stage_checks import check_channels, check_rows
from stages_made import Delayed
from streams import MemorySpectra
from verb_examples import BandSpectra, RowWeights, example, source_of, spectra

import fastsig as fs
from fastsig import registry
from fastsig.stream import Block, SpectraStage
from fastsig.telescopes.pointing import CabinTrack

SCAN = Path(__file__).parents[2] / "data" / "samples" / "SIMHI_onoff-M01_W_0001.fits"


def calibrated() -> fs.Chain:
    scan = fs.open(SCAN)
    return scan.calibrate(scan.measure_diode("12.5K"))[:40]


def located() -> fs.Chain:
    chain = spectra()
    time = chain.start_time + np.arange(-10, 10) * u.s
    place = np.array([12.0, -20.0, -160.0]) + np.arange(20)[:, None] * [0.01, 0.02, 0]
    return chain.locate(CabinTrack("night.xlsx", time, place, np.zeros((20, 3)), np.zeros(20)))


#: Where the example of a verb leaves out what it needs, or more than one form is of interest.
CHAINS: dict[str, Any] = {
    "calibrate": calibrated, "locate": located,
    "integrate": lambda: spectra().integrate(n_int=3, n_freq=2),
    "select": lambda: spectra().select(rows=(3, 30), channels=(2, 14), products="BB"),
    "frame": lambda: spectra().frame("barycentric", position="30deg,20deg", location="FAST"),
    "flag of segments": lambda: spectra().flag(n_segment=8, width="40Hz"),
    "baseline of rows": lambda: spectra().baseline("ripple-fourier", period="20Hz", n_rows=5),
    "integrate of time": lambda: spectra().integrate(n_int=7),
    "select of channels": lambda: spectra()[:, 3:15],
}
NAMES = [*registry.stages(), *(name for name in CHAINS if " " in name)]


def stream_of(name: str) -> Any:
    """A stage, made from the example of its verb."""
    if name in CHAINS:
        return CHAINS[name]().stream
    own = name in registry.own_verbs()
    try:
        made, arguments = example(name) if own else (source_of(name, {}), {})
    except fs.UsageError as error:
        pytest.skip(f"{name} of another package has no default for every argument: {error}")
    return getattr(made(), name)(**arguments).stream


@pytest.fixture(scope="module", params=NAMES)
def stream(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = stream_of(request.param)
    yield made
    made.close()


def test_any_rows_are_those_of_the_whole(stream: Any) -> None:
    check_rows(stream)
    if stream.name in registry.own_verbs():  # other stages may share the block
        assert not stream.read_block(0, 1).data.flags.writeable


def test_any_channels_are_those_of_the_whole(stream: Any) -> None:
    if stream.kind == "spectra":
        check_channels(stream)


def test_spectra_with_one_weight_per_row(stream: Any) -> None:
    source = stream
    while isinstance(source, SpectraStage):
        source = source.source
    if isinstance(source, BandSpectra):
        stage = rebuilt(stream, RowWeights(source.spectra, source.header))
        check_rows(stage)
        check_channels(stage)


def rebuilt(stream: Any, source: MemorySpectra) -> Any:
    """The same stages on another source."""
    below = stream.source
    return stream.on(rebuilt(below, source) if isinstance(below, SpectraStage) else source)


class Clipped(SpectraStage):
    """Spectra without the first and the last channel: a channel depends on its number."""

    name = "clipped"
    narrow = True

    def read_block(self, start: int, n: int, out: Any = None) -> Block:
        block = self.source.read_block(start, n)
        data = block.data.copy()
        data[:, :, [0, -1]] = np.nan
        return Block(data, np.where(np.isnan(data), np.float32(0), block.valid), start, n)

    def narrowed(self, first: int, stop: int) -> Any:
        part = self.source.narrowed(first, stop)
        return None if part is None or not self.narrow else self.on(part)


class Numbered(SpectraStage):
    """Spectra minus the first row of what is read: it depends on how rows are split."""

    name = "numbered"

    def read_block(self, start: int, n: int, out: Any = None) -> Block:
        block = self.source.read_block(start, n)
        return Block(block.data - block.data[0], block.valid, start, n)


def test_the_checks_find_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="omit narrowed if a channel depends on its number"):
        check_channels(Clipped(spectra().stream))
    with pytest.raises(AssertionError, match="rows 4 to 5 read alone differ"):
        check_rows(Numbered(spectra().stream))
    monkeypatch.setattr(Clipped, "narrow", False)
    assert check_channels(Clipped(spectra().stream)) == 0
    assert check_channels(stream_of("integrate")) == 3  # the source can read some channels alone
    check_rows(Clipped(spectra().stream))
    check_rows(Delayed(spectra().stream, before=3, after=2))
