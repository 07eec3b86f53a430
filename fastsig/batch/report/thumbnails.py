"""Thumbnails of products: from the picture that a step made, otherwise drawn from the data.

They are always made anew from pixels, never copied, as a product may be as hostile as its input.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import time
import warnings
from collections.abc import Iterator
from html import unescape
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.batch.ledger.status import Row
from fastsig.batch.tasks.products import Product
from fastsig.work.counted import counted

__all__ = ["Thumbnail", "Thumbnails", "thumbnail"]

_WIDTH, _HEIGHT = 160, 90
_CELLS = (2 * _HEIGHT, _WIDTH)  # most rows and columns that are drawn
_FEW = 8  # rows; fewer are drawn as a curve
_MOST = 8_000  # bytes of a thumbnail
_PIXELS = 10**8  # most pixels of a picture that is opened
_BYTES = 2**25  # most bytes of a product that are read for a thumbnail
_SECONDS = 2.0  # s, after which a slow product is drawn from what has been read
_PICTURES = (".png",)
_NONE = (".html", ".svg", ".pdf", ".json", ".csv", ".txt", ".ecsv", ".xlsx", ".inf")
_KEPT = re.compile(rb'data-key="([0-9a-f]{16})" src="data:image/webp;base64,([A-Za-z0-9+/=]+)" '
                   rb'title="([^"<>]{1,1000})"')
_MOST_PAGE = 2**27  # bytes of a page that are searched


class Thumbnail(NamedTuple):
    """A picture in WebP as base64, empty if there can be none, and what its pixels show."""

    picture: str = ""
    meaning: str = ""


class Thumbnails:
    """Thumbnails of the products of tasks, each made once.

    Parameters
    ----------
    page : path, optional
        Earlier page that may contain some of them.
    """

    def __init__(self, page: str | None = None) -> None:
        self._made: dict[str, Thumbnail] = {}
        if page is not None:
            self._made.update(_kept(page))

    def of(self, row: Row, folder: str, until: float) -> tuple[str, Thumbnail | None]:
        """Return key and thumbnail of a task; None if it has not been made yet.

        Parameters
        ----------
        row : Row
        folder : str
            The output folder.
        until : float
            Time of `time.monotonic` after which no new thumbnail is made.
        """
        if row.state != "done" or not row.outputs:
            return "", Thumbnail()
        key = _key(row)
        if key not in self._made and time.monotonic() < until:
            self._made[key] = thumbnail(folder, row.outputs)
        return key, self._made.get(key)


def _key(row: Row) -> str:
    text = f"{row.task} {row.outputs}"
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _kept(page: str) -> Iterator[tuple[str, Thumbnail]]:
    """Yield the thumbnails in an earlier page with their keys."""
    try:
        with open(page, "rb") as file:
            text = file.read(_MOST_PAGE)
    except OSError:
        return
    for match in _KEPT.finditer(text):
        if len(match[2]) <= 4 * _MOST // 3 + 4:
            yield match[1].decode(), Thumbnail(match[2].decode(),
                                               unescape(match[3].decode("utf-8", "replace")))


def thumbnail(folder: str, outputs: tuple[Product, ...]) -> Thumbnail:
    """Return the thumbnail of a task's products, a WebP of at most `_MOST` bytes."""
    named = [(name, os.path.join(folder, name)) for name, _, _ in outputs]
    pictures = [path for name, path in named if name.lower().endswith(_PICTURES)]
    others = [path for name, path in named if not name.lower().endswith((*_PICTURES, *_NONE))]
    for path, draw in [*((path, _shrunk) for path in pictures), *((path, _drawn) for path in
                                                                  others[:1])]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                picture, meaning = draw(path)
                return Thumbnail(base64.b64encode(_encoded(picture)).decode(), meaning)
            except Exception:  # no readable data: the row has no picture; `verify` reports why
                continue
    return Thumbnail()


def _encoded(picture: Any) -> bytes:
    for quality in (65, 40, 10):
        file = io.BytesIO()
        picture.save(file, "WEBP", quality=quality, method=4)
        if file.tell() <= _MOST:
            return file.getvalue()
    raise ValueError("too many bytes")


def _shrunk(path: str) -> tuple[Any, str]:
    from PIL import Image

    with Image.open(path, formats=("PNG",)) as picture:
        if picture.width * picture.height > _PIXELS:
            raise ValueError("too large")
        small = picture.convert("RGB")
        small.thumbnail((_WIDTH * 3 // 2, _HEIGHT * 3 // 2))
        return small, (f"a PNG of {picture.width} x {picture.height} pixels, reduced to "
                       f"{small.width} x {small.height}")


def _drawn(path: str) -> tuple[Any, str]:
    """Draw a waterfall if there are enough rows, otherwise a curve."""
    from fastsig.chain import open_chain
    from fastsig.io.opening import is_cube
    from fastsig.stream import SpectrumStream, VoltageStream

    if is_cube(path):
        values, meaning = _cube_map(path)
        return _colored(values), meaning
    with open_chain(path) as source:
        stream = source.stream
        if isinstance(stream, SpectrumStream):
            return _spectra(stream)
        if isinstance(stream, VoltageStream):
            values, meaning = _bandpass(stream)
            return _curve(values), meaning
    raise ValueError("no picture of this")


def _spectra(stream: Any) -> tuple[Any, str]:
    """Draw a waterfall of the first product, or its mean spectrum if there are few rows."""
    rows, sizes, stop = _rows(stream)
    n, name = stream.shape[0], stream.header.polarization.names[0]
    if len(rows) < _FEW:
        return _curve(_means(rows, 0)), (
            f"{name}: mean of {sizes.sum()} of {counted(n, 'spectrum', 'spectra')}; each point is "
            f"the mean of {_shared(rows, 1, 'channel')}")
    every = f" of every {stop / len(rows):.3g}" if sizes.sum() < stop else ""
    part = f", of the first {stop} of {n} spectra alone" if stop < n else ""
    return _colored(_narrowed(rows)), (
        f"{name}: each pixel is the mean of {_span(sizes)}{every} "
        f"{'spectra' if sizes.max() > 1 or every else 'spectrum'} x {_shared(rows, 1, 'channel')}"
        f"{part}")


def _rows(stream: Any) -> tuple[NDArray[np.float64], NDArray[np.int_], int]:
    """Return rows spread over a stream, each the mean of as many spectra as may be read.

    Also return the number of spectra in each mean, and the spectrum where the last row ends.
    """
    n, row = stream.shape[0], 8 * int(np.prod(stream.shape[1:]))
    count = max(1, min(n, _HEIGHT, _BYTES // row))
    bounds = np.linspace(0, n, count + 1).astype(int)
    sizes = np.minimum(np.diff(bounds), max(1, _BYTES // row // count))
    end, means = time.monotonic() + _SECONDS, []
    for start, size in zip(bounds, sizes, strict=False):
        means.append(_means(stream.read_block(int(start), int(size)).data[:, 0], 0))
        if time.monotonic() > end:
            break
    return np.array(means), sizes[: len(means)], int(bounds[len(means)])


def _cube_map(path: str) -> tuple[NDArray[np.float64], str]:
    """Return the mean of a few channels of a cube, with north up, and what its pixels are."""
    from fastsig.cubes.cube import open_cube

    cube = open_cube(path)
    n = cube.shape[0]
    channels = [np.asarray(cube.read(slice(int(chan), int(chan) + 1))[0], np.float64)
                for chan in np.linspace(0, n, min(n, 8), endpoint=False)]
    values = _means(np.array(channels), 0)[::-1]
    return _narrowed(values), (
        f"mean of {len(channels)} of {counted(n, 'channel')}; each pixel is the mean of "
        f"{_shared(values, 1, 'column')} x {_shared(values, 0, 'row')} of pixels")


def _bandpass(stream: Any) -> tuple[NDArray[np.float64], str]:
    """Return the power of each channel of the first samples of the first input, in decibels.

    Also return what its points are.
    """
    n_chan = stream.shape[2] if len(stream.shape) > 2 else 0
    n = min(stream.shape[0], _BYTES // 8 // max(1, int(np.prod(stream.shape[1:]))), 2**17)
    data = stream.read_block(0, n).data[:, 0]
    if n_chan:
        power, averaged = _means(np.abs(data.astype(np.complex64)) ** 2, 0), f"{n} samples"
    else:
        size = 2 * _WIDTH
        pieces = data[: n // size * size].reshape(-1, size) * np.hanning(size)
        spectra = np.fft.fft(pieces, axis=1)
        half = spectra[:, : size // 2] if not np.iscomplexobj(data) else np.fft.fftshift(spectra, 1)
        power = _means(np.abs(half) ** 2, 0)
        averaged = f"{counted(len(spectra), 'spectrum', 'spectra')} of {size} samples"
    with np.errstate(divide="ignore"):
        decibels = 10 * np.log10(power)
    return decibels, (
        f"power of the first {n} of {stream.shape[0]} samples of the first input, in dB; each "
        f"point is the mean of {averaged} x {_shared(decibels[np.newaxis], 1, 'channel')}")


def _means(values: NDArray[Any], axis: int) -> NDArray[np.float64]:
    """Return the means of the finite values; NaN if there are none."""
    finite = np.isfinite(values)
    total = np.where(finite, values, 0).sum(axis, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / finite.sum(axis))


def _bounds(n: int, axis: int) -> NDArray[np.int_]:
    """Return where the groups of neighbours begin that are averaged along an axis, and the end."""
    return np.linspace(0, n, min(n, _CELLS[axis]) + 1).astype(int)


def _shared(values: NDArray[Any], axis: int, what: str) -> str:
    """Return how many columns or rows `_narrowed` averages, as ``1 to 2 channels``."""
    sizes = np.diff(_bounds(values.shape[axis], axis))
    return f"{_span(sizes)} {what}{'s' * bool(sizes.max() > 1)}"


def _span(sizes: NDArray[np.int_]) -> str:
    """Return the smallest and the largest of some numbers, as ``1 to 2``, or their one value."""
    least, most = sizes.min(), sizes.max()
    return f"{most}" if least == most else f"{least} to {most}"


def _narrowed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average neighbours, to at most `_WIDTH` columns and twice `_HEIGHT` rows."""
    for axis in (1, 0):
        n = values.shape[axis]
        if n > _CELLS[axis]:
            bounds = _bounds(n, axis)
            parts = [_means(values.take(range(low, high), axis), axis)
                     for low, high in pairwise(bounds)]
            values = np.stack(parts, axis)
    return values


def _colored(values: NDArray[np.float64]) -> Any:
    """Return an image in viridis between two percentiles, with grey for invalid values."""
    from matplotlib import colormaps
    from PIL import Image

    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0, 1)
    share = np.clip((values - low) / ((high - low) or 1), 0, 1)
    colors = 255 * colormaps["viridis"](np.nan_to_num(share))[..., :3]
    colors[~np.isfinite(values)] = 150
    return Image.fromarray(colors.astype(np.uint8)).resize((_WIDTH, _HEIGHT),
                                                           Image.Resampling.NEAREST)


def _curve(values: NDArray[np.float64]) -> Any:
    from PIL import Image, ImageDraw

    values = _narrowed(values[np.newaxis])[0]
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (0.5, 99.5)) if finite.size else (0, 1)
    scale, size = 2, (_WIDTH, _HEIGHT)  # drawn at twice the size, so that its edges become smooth
    image = Image.new("RGB", (scale * size[0], scale * size[1]), "white")
    share = np.clip((values - low) / ((high - low) or 1), -0.05, 1.05)
    x = np.linspace(0, scale * size[0], len(values))
    y = scale * size[1] * (0.9 - 0.8 * share)
    points = [(float(a), float(b)) for a, b in zip(x, y, strict=True) if np.isfinite(b)]
    if len(points) > 1:
        ImageDraw.Draw(image).line(points, fill="#1b6ca8", width=3)
    return image.resize(size)
