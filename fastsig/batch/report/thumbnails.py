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
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.batch.ledger.status import Row
from fastsig.batch.tasks.products import Product

__all__ = ["Thumbnails", "thumbnail"]

_WIDTH, _HEIGHT = 160, 90
_MOST = 8_000  # bytes of a thumbnail
_PIXELS = 10**8  # most pixels of a picture that is opened
_BYTES = 2**25  # most bytes of a product that are read for a thumbnail
_SECONDS = 2.0  # s, after which a slow product is drawn from what has been read
_PICTURES = (".png",)
_NONE = (".html", ".svg", ".pdf", ".json", ".csv", ".txt", ".ecsv", ".xlsx", ".inf")
_KEPT = re.compile(rb'data-key="([0-9a-f]{16})" src="data:image/webp;base64,([A-Za-z0-9+/=]+)"')
_MOST_PAGE = 2**27  # bytes of a page that are searched


class Thumbnails:
    """Thumbnails of the products of tasks, each made once.

    Parameters
    ----------
    page : path, optional
        Earlier page that may contain some of them.
    """

    def __init__(self, page: str | None = None) -> None:
        self._made: dict[str, str] = {}
        if page is not None:
            self._made.update(_kept(page))

    def of(self, row: Row, folder: str, until: float) -> tuple[str, str | None]:
        """Return key and base64 text of a task's thumbnail.

        The text is empty if there can be none, and None if it is not made yet.

        Parameters
        ----------
        row : Row
        folder : str
            The output folder.
        until : float
            Time of `time.monotonic` after which no new thumbnail is made.
        """
        if row.state != "done" or not row.outputs:
            return "", ""
        key = _key(row)
        if key not in self._made and time.monotonic() < until:
            self._made[key] = base64.b64encode(thumbnail(folder, row.outputs)).decode()
        return key, self._made.get(key)


def _key(row: Row) -> str:
    text = f"{row.task} {row.outputs}"
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _kept(page: str) -> Iterator[tuple[str, str]]:
    """Yield key and text of the thumbnails in an earlier page."""
    try:
        with open(page, "rb") as file:
            text = file.read(_MOST_PAGE)
    except OSError:
        return
    for match in _KEPT.finditer(text):
        if len(match[2]) <= 4 * _MOST // 3 + 4:
            yield match[1].decode(), match[2].decode()


def thumbnail(folder: str, outputs: tuple[Product, ...]) -> bytes:
    """Return a WebP of a task's products, at most `_MOST` bytes; empty if none can be made."""
    named = [(name, os.path.join(folder, name)) for name, _, _ in outputs]
    pictures = [path for name, path in named if name.lower().endswith(_PICTURES)]
    others = [path for name, path in named if not name.lower().endswith((*_PICTURES, *_NONE))]
    for path, draw in [*((path, _shrunk) for path in pictures), *((path, _drawn) for path in
                                                                  others[:1])]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return _encoded(draw(path))
            except Exception:  # no readable data: the row has no picture; `verify` reports why
                continue
    return b""


def _encoded(picture: Any) -> bytes:
    for quality in (65, 40, 10):
        file = io.BytesIO()
        picture.save(file, "WEBP", quality=quality, method=4)
        if file.tell() <= _MOST:
            return file.getvalue()
    return b""


def _shrunk(path: str) -> Any:
    from PIL import Image

    with Image.open(path, formats=("PNG",)) as picture:
        if picture.width * picture.height > _PIXELS:
            raise ValueError("too large")
        small = picture.convert("RGB")
        small.thumbnail((_WIDTH * 3 // 2, _HEIGHT * 3 // 2))
        return small


def _drawn(path: str) -> Any:
    """Draw a waterfall if there are enough rows, otherwise a curve."""
    from fastsig.chain import open_chain
    from fastsig.io.opening import is_cube
    from fastsig.stream import SpectrumStream, VoltageStream

    if is_cube(path):
        return _colored(_cube_map(path))
    with open_chain(path) as source:
        stream = source.stream
        if isinstance(stream, SpectrumStream):
            values = _rows(stream, lambda block: block.data[:, 0])
            return _colored(values) if len(values) >= 8 else _curve(_means(values, 0))
        if isinstance(stream, VoltageStream):
            return _curve(_bandpass(stream))
    raise ValueError("no picture of this")


def _rows(stream: Any, values: Callable[[Any], NDArray[Any]]) -> NDArray[np.float64]:
    """Return rows spread over a stream, each the mean of as many rows as may be read."""
    n, row = stream.shape[0], 8 * int(np.prod(stream.shape[1:]))
    count = max(1, min(n, _HEIGHT, _BYTES // row))
    starts = np.linspace(0, n, count, endpoint=False).astype(int)
    length = max(1, min(n // count, _BYTES // row // count))
    end, means = time.monotonic() + _SECONDS, []
    for start in starts:
        means.append(_means(values(stream.read_block(int(start), length)), 0))
        if time.monotonic() > end:
            break
    return _narrowed(np.array(means))


def _cube_map(path: str) -> NDArray[np.float64]:
    """Return the mean of a few channels of a cube, with north up."""
    from fastsig.cubes.cube import open_cube

    cube = open_cube(path)
    n = cube.shape[0]
    channels = [np.asarray(cube.read(slice(int(chan), int(chan) + 1))[0], np.float64)
                for chan in np.linspace(0, n, min(n, 8), endpoint=False)]
    return _narrowed(_means(np.array(channels), 0)[::-1])


def _bandpass(stream: Any) -> NDArray[np.float64]:
    """Return the power of each channel of the first samples of the first input, in decibels."""
    n_chan = stream.shape[2] if len(stream.shape) > 2 else 0
    n = min(stream.shape[0], _BYTES // 8 // max(1, int(np.prod(stream.shape[1:]))), 2**17)
    data = stream.read_block(0, n).data[:, 0]
    if n_chan:
        power = _means(np.abs(data.astype(np.complex64)) ** 2, 0)
    else:
        size = 2 * _WIDTH
        pieces = data[: n // size * size].reshape(-1, size) * np.hanning(size)
        spectra = np.fft.fft(pieces, axis=1)
        half = spectra[:, : size // 2] if not np.iscomplexobj(data) else np.fft.fftshift(spectra, 1)
        power = _means(np.abs(half) ** 2, 0)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(power)


def _means(values: NDArray[Any], axis: int) -> NDArray[np.float64]:
    """Return the means of the finite values; NaN if there are none."""
    finite = np.isfinite(values)
    total = np.where(finite, values, 0).sum(axis, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / finite.sum(axis))


def _narrowed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average neighbours, to at most `_WIDTH` columns and twice `_HEIGHT` rows."""
    for axis, most in ((1, _WIDTH), (0, 2 * _HEIGHT)):
        n = values.shape[axis]
        if n > most:
            bounds = np.linspace(0, n, most + 1).astype(int)
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
