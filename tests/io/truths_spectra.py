"""How what is known of recorded spectra is held against what fastsig reads."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from truths_checks import Special
from truths_table import Check, equal, folder, number

import fastsig as fs
from fastsig.axes.time import elapsed, iso, parse_time
from fastsig.errors import FastsigWarning, FormatError
from fastsig.io.opening import detect

__all__ = ["Refused", "Spectra"]

_NS = Fraction(1, 10**9)


@dataclass(frozen=True)
class Spectra:
    """What is known of recorded spectra.

    Parameters
    ----------
    files, format, start, bits, shape
        As of `truths_voltages.Truth`; shape is (time, product, chan).
    step : str
        Seconds from a spectrum to the next.
    band : (float, float) or None
        Edges, MHz.
    mean, std : float
        Of all values that are numbers.
    values : mapping
        Values at (row, product, chan), channels ascending; NaN where it is lost.
    source, header, options, told
        As of `truths_voltages.Truth`, `told` being a part of the warning.
    beside : str
        Other files that the row is of.
    more : tuple of callable
        What else is known: `truths_checks`.
    """

    files: str
    format: str
    start: str
    step: str
    bits: int
    shape: tuple[int, int, int]
    band: tuple[float, float] | None
    mean: float
    std: float
    values: Mapping[tuple[int, int, int], float]
    source: str
    header: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    told: str = ""
    beside: str = ""
    more: tuple[Special, ...] = ()

    @property
    def name(self) -> str:
        """The files, and what of them."""
        picks = " ".join(f"{key}={value}" for key, value in self.options.items())
        return self.files + (f"\n  {picks}" if picks else "")

    def checks(self, paths: Sequence[Path]) -> list[Check]:
        """Every quantity of the spectra, as expected and as found in their files."""
        found = [equal("format", self.format, detect(paths[0])[0])]
        given = str(paths[0]) if len(paths) == 1 else [str(path) for path in paths]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FastsigWarning)
            with fs.open(given, **self.options) as chain:
                found += [*self._header(chain.stream), *self._values(chain.stream)]
                for each in self.more:
                    found += each(chain.stream, folder())
        said = sorted({str(each.message).partition(": ")[2] for each in caught})
        if self.told or said:
            heard = any(self.told in text for text in said) if self.told else False
            found.append(Check("warning", f"... {self.told} ...", "; ".join(said),
                               heard and len(said) == 1))
        return found

    def _header(self, stream: Any) -> Iterator[Check]:
        header = stream.header
        late = elapsed(parse_time(self.start), stream.start_time)
        yield Check("start", self.start, iso(stream.start_time), abs(late) < _NS)
        yield equal("  as it prints", iso(stream.start_time), str(stream.start_time))
        ratio = header.sample_rate * Fraction(self.step)
        yield Check("rate", f"1/{self.step}", f"1/{float(1 / header.sample_rate):.16g}",
                    abs(ratio - 1) < Fraction(1, 10**12))
        yield equal("bits", str(self.bits), str(header.n_bits))
        yield equal("shape", str(self.shape), str(stream.shape))
        axis = header.channels
        band = None if axis is None else tuple(float(edge / 10**6) for edge in axis.edges_hz)
        same = band == self.band or (band is not None and self.band is not None
                                     and np.allclose(band, self.band, rtol=1e-15, atol=0))
        yield Check("band", str(self.band), str(band), bool(same))
        for key, expected in self.header.items():
            yield equal(key, str(expected), str(getattr(header, key, None)))

    def _values(self, stream: Any) -> Iterator[Check]:
        data = stream.read_block(0, stream.shape[0]).data.astype(np.float64)
        for what, expected, found in (("mean", self.mean, np.nanmean(data)),
                                      ("std", self.std, np.nanstd(data))):
            yield Check(what, f"{expected:.9g}", f"{found:.9g}",
                        bool(np.isclose(found, expected, rtol=1e-8, atol=0)))
        for place, expected in self.values.items():
            found = float(data[place])
            yield Check(f"x[{','.join(map(str, place))}]", number(expected), number(found),
                        bool(np.isclose(found, expected, rtol=1e-7, atol=0, equal_nan=True)))


@dataclass(frozen=True)
class Refused:
    """A file that is not taken for spectra.

    Parameters
    ----------
    files : str
        Its name.
    error : str
        A part of what the error says.
    source : str
        What the file is.
    """

    files: str
    error: str
    source: str
    format: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file."""
        return self.files

    def checks(self, paths: Sequence[Path]) -> list[Check]:
        """What the error says that opening gives."""
        try:
            fs.open(paths[0])
        except FormatError as error:
            said = str(error)[len(str(paths[0].parent)) + 1 :].partition(" (")[0]
            return [Check("error", f"... {self.error} ...", said, self.error in str(error))]
        return [Check("error", self.error, "none", False)]
