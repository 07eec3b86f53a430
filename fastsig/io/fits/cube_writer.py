"""Writing of cubes of maps to FITS files, plane by plane.

The primary unit contains the map, PROVENANCE a JSON text, and WEIGHT, the last unit, the effective
integration time, in one plane if it is the same for all channels. All units have checksums.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.io.files.outputs import Writer
from fastsig.io.files.positioned import write_from
from fastsig.io.files.safe import SafeOutput
from fastsig.io.fits.checksums import add_words, finished, padded

__all__ = ["CubeWriter"]

F4 = NDArray[np.float32]


class CubeWriter(Writer):
    """Write a cube.

    Use it as a context manager: the file gets its final name if the block ends without an error.

    Parameters
    ----------
    path : path
        Final name of the file.
    header : astropy.io.fits.Header
        Cards of the axes and the map, without those of the structure, which are added here.
    shape : tuple of int
        (chan, y, x), or (stokes, chan, y, x).
    provenance : mapping
        Provenance, ready for JSON.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        Where the file exists or cannot be written, or the disk is too small.
    """

    def __init__(self, path: str | os.PathLike[str], header: fits.Header, shape: tuple[int, ...],
                 provenance: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self.shape = shape
        self._planes = int(np.prod(shape[:-2]))
        self._plane = 4 * shape[-1] * shape[-2]
        self._map = _image(shape, -32, header)
        text = json.dumps(provenance, sort_keys=True, ensure_ascii=False, allow_nan=False)
        self._text = np.frombuffer(text.encode(), np.uint8)
        self._record = _image((self._text.size,), 8, fits.Header([
            ("EXTNAME", "PROVENANCE", "what decided the numbers: JSON, UTF-8")]))
        self._weight_cards = _weight_cards(header)
        self._sums = [0, 0]
        self._written = 0
        self._first_weight: F4 | None = None
        self._alike: list[int] | None = []  # planes with the same weights as the first
        self._places = self._lay_out()
        self.bytes = (self._places[2] + len(self._weight_head(False))
                      + padded(self._planes * self._plane))
        self._output = SafeOutput(path, overwrite=overwrite, reserve=self.bytes)

    def _lay_out(self) -> tuple[int, int, int]:
        """Return the first bytes of the map's data, the provenance's unit and the weights' unit."""
        data = len(finished(self._map, 0))
        record = data + padded(self._planes * self._plane)
        weight = record + len(finished(self._record, 0)) + padded(self._text.size)
        return data, record, weight

    def _weight_head(self, one: bool, data_sum: int = 0) -> bytes:
        shape = self.shape[-2:] if one else self.shape
        cards = self._weight_cards.copy()
        if one:
            for key in [key for key in cards if key[-1:] in "34" and key[:-1] in _AXIS]:
                del cards[key]
            cards["WCSAXES"] = 2
        return finished(_image(shape, -32, cards), data_sum)

    def write(self, plane: int, mean: F4, weight: F4) -> None:
        """Write planes of the map from number `plane` on, and their weights, both (n, y, x)."""
        last = plane + len(mean)
        if mean.shape != weight.shape or mean.shape[1:] != self.shape[-2:] or last > self._planes:
            raise UsageError(f"planes {plane} to {last} of {mean.shape[1:]}; allowed: "
                             f"{self._planes} of {self.shape[-2:]}")
        self._put(0, plane, mean)
        for number, each in enumerate(weight, plane):
            self._put_weight(number, each)
        self._written += len(mean)

    def _put(self, unit: int, plane: int, planes: F4) -> None:
        raw = planes.astype(">f4")
        start = self._places[0] if unit == 0 else (
            self._places[2] + len(self._weight_head(False)))
        self._at(raw, start + plane * self._plane)
        self._sums[unit] = add_words(self._sums[unit], raw)

    def _put_weight(self, number: int, plane: F4) -> None:
        """Write a plane of weights, or only count it as long as all planes are the same."""
        if self._first_weight is None:
            self._first_weight = plane.copy()
        if self._alike is not None:
            if np.array_equal(plane, self._first_weight):
                self._alike.append(number)
                return
            same, self._alike = self._alike, None
            for each in same:
                self._put(1, each, self._first_weight[np.newaxis])
        self._put(1, number, plane[np.newaxis])

    def _at(self, data: NDArray[Any], offset: int) -> None:
        try:
            write_from(self._output.descriptor, data, offset)
        except OSError as error:
            self._output.discard()
            raise self._output.error(error) from error

    def close(self) -> None:
        """Write the headers and give the file its final name."""
        if self._written != self._planes:
            self.discard()
            raise UsageError(f"{self._written} of {self._planes} announced planes were written")
        one = self._alike is not None
        if one and self._first_weight is not None:
            raw = self._first_weight.astype(">f4")
            self._sums[1] = add_words(0, raw)
            self._at(raw, self._places[2] + len(self._weight_head(True)))
        self._units(one)
        begin = self._places[2] + len(self._weight_head(one))
        used = begin + (1 if one else self._planes) * self._plane
        size = begin + padded(used - begin)
        self._zeros(used, size)
        self._output.commit(size)

    def _units(self, one: bool) -> None:
        """Write the headers, the provenance, and the filling of blocks."""
        data, record, weight = self._places
        self._text_at(finished(self._map, self._sums[0]), 0)
        self._zeros(data + self._planes * self._plane, record)
        head = finished(self._record, add_words(0, self._text))
        self._text_at(head, record)
        self._at(self._text, record + len(head))
        self._zeros(record + len(head) + self._text.size, weight)
        self._text_at(self._weight_head(one, self._sums[1]), weight)

    def _text_at(self, text: bytes, offset: int) -> None:
        self._at(np.frombuffer(text, np.uint8), offset)

    def _zeros(self, first: int, stop: int) -> None:
        self._at(np.zeros(stop - first, np.uint8), first)

    def discard(self) -> None:
        """Abandon the file; nothing is left under its final or any other name."""
        self._output.discard()


_AXIS = ("CTYPE", "CRVAL", "CRPIX", "CDELT", "CUNIT", "CNAME")
_SPECTRAL = ("RESTFRQ", "SPECSYS", "SSYSOBS", "VELOSYS")


def _image(shape: tuple[int, ...], bits: int, cards: fits.Header) -> fits.Header:
    """Return the header of an image: cards of its structure, then `cards`."""
    first = "EXTNAME" not in cards
    header = fits.Header()
    if first:
        header["SIMPLE"] = (True, "FITS Standard 4.0")
    else:
        header["XTENSION"] = ("IMAGE", "image")
    header["BITPIX"] = (bits, "IEEE floats" if bits < 0 else "bytes")
    header["NAXIS"] = len(shape)
    for axis, length in enumerate(reversed(shape), 1):
        header[f"NAXIS{axis}"] = length
    if first:
        header["EXTEND"] = True
    else:
        header["PCOUNT"], header["GCOUNT"] = 0, 1
    header.extend(cards, update=True)
    return header


def _weight_cards(cards: fits.Header) -> fits.Header:
    """Return the cards of the weights, which have the axes of the map."""
    out = fits.Header([("EXTNAME", "WEIGHT", "effective integration time"),
                       ("BUNIT", "s", "noise: that of 1 s / sqrt(WEIGHT)")])
    kept = ("WCSAXES", "RADESYS", "LONPOLE", "LATPOLE", *_SPECTRAL)
    for card in cards.cards:
        key = card.keyword
        if key in kept or key[:-1] in _AXIS or key.startswith("PV"):
            out.append(card)
    return out
