"""Small pictures of drifting carriers: spectra, and S/N against frequency and drift rate."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.reductions.drifting.bands import Bands, bands_of
from fastsig.search.drift.hits import Hits
from fastsig.stream import SpectrumStream
from fastsig.view.thumbnails import SHAPE, Thumbnails, squeezed, stretched

__all__ = ["HitPictures"]

F8 = NDArray[np.float64]

_CURVE, _SPECTRA, _TIE = range(3)
_SIDE = 24  # channels on both sides of a track
_MEGA = 1e6


class _Hit(NamedTuple):
    """A hit in the channels of its spectra."""

    center: float  # channel at the centre of the first spectrum
    drift: float  # channels from the first spectrum to the last
    width: int  # channels
    chan_hz: float
    rate: float  # Hz/s
    span_s: float  # from the centre of the first spectrum to that of the last


class HitPictures:
    """Draws the pictures of hits for the layout `HITS`; a context, in which files stay open.

    Parameters
    ----------
    hits : Hits
    """

    def __init__(self, hits: Hits) -> None:
        self._hits = hits
        self._bands: dict[int, Bands] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stack.close()

    def __call__(self, made: Thumbnails, k: int, stream: SpectrumStream) -> None:
        """Draw the pictures of a hit."""
        hit = self._hit(k, stream)
        unit = max(1, hit.width // 2)
        y, first = self._deviations(stream, hit, unit)
        _draw_spectra(made, k, hit, y, first)
        _draw_tie(made, k, hit, y, first, unit)

    def _hit(self, k: int, stream: SpectrumStream) -> _Hit:
        axis = stream.header.require_channels(stream.path)
        step = float(axis.step_hz)
        hits, span_s = self._hits, float((stream.shape[0] - 1) / stream.header.sample_rate)
        at = (float(hits.values("frequency")[k]) * _MEGA - float(axis.first_hz)) / step
        rate = float(hits.values("drift")[k])
        drift = rate * span_s / step
        ends = min(at, at + drift), max(at, at + drift)
        if not -1 <= ends[0] <= ends[1] <= axis.n_chan:
            raise PlanError(f"{stream.path}: the carrier lies outside the band of these spectra")
        width = max(1, round(float(hits.values("width")[k]) / step))
        return _Hit(at, drift, width, step, rate, span_s)

    def _deviations(self, stream: SpectrumStream, hit: _Hit, unit: int) -> tuple[F8, int]:
        """Return spectra around a track in units of their noise, and the first channel.

        They are NaN where samples are lost or beyond the band.
        """
        side = _SIDE * 2 * unit + SHAPE[1] * unit // 2 + 2 * hit.width
        low = int(min(hit.center, hit.center + hit.drift)) - side
        high = int(max(hit.center, hit.center + hit.drift)) + side + 1
        if id(stream) not in self._bands:
            self._bands[id(stream)] = self._stack.enter_context(bands_of(stream))
        n = stream.shape[2]
        values = np.full((stream.shape[0], high - low), np.nan)
        values[:, max(0, -low) : min(n, high) - low] = self._bands[id(stream)].read(
            max(0, low), min(n, high))
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = values / np.nanmedian(values, axis=1, keepdims=True) - 1
            relative[~np.isfinite(relative)] = np.nan
            noise = 1.4826 * np.nanmedian(np.abs(relative))
            return np.asarray(relative / noise if noise > 0 else relative), low


def _draw_spectra(made: Thumbnails, k: int, hit: _Hit, y: F8, first: int) -> None:
    """Draw the spectra around the track, the first spectrum at the bottom."""
    low = int(min(hit.center, hit.center + hit.drift) - first) - _SIDE - hit.width
    high = int(max(hit.center, hit.center + hit.drift) - first) + _SIDE + hit.width + 1
    image = squeezed(y[:, low:high], SHAPE[1])
    if len(image) > SHAPE[0]:
        image = squeezed(image.T, SHAPE[0]).T
    hz = hit.chan_hz * np.array([low + first - hit.center - 0.5, high + first - hit.center - 0.5])
    made.draw(k, _SPECTRA, stretched(image, SHAPE[0]), _signed(hz[0]), "frequency, Hz",
              _signed(hz[1]))


def _draw_tie(made: Thumbnails, k: int, hit: _Hit, y: F8, first: int, unit: int) -> None:
    """Draw the S/N of the boxcar against its frequency and drift rate, and at the hit's own rate.

    The frequencies are those at half time, at which tracks through a carrier meet.
    """
    columns = (np.arange(SHAPE[1]) - SHAPE[1] // 2).astype(np.float64) * unit
    moves = (np.arange(SHAPE[0]) - SHAPE[0] // 2) * unit
    own = hit.center + 0.5 * hit.drift - (hit.width - 1) / 2 - first
    boxcars = _Boxcars(y, hit.width)
    snr = np.stack([boxcars.snr(own + columns, hit.drift + move) for move in moves])
    made.draw(k, _CURVE, snr[SHAPE[0] // 2])
    edge = hit.chan_hz * unit * SHAPE[1] / 2
    reach = hit.chan_hz * unit * SHAPE[0] / 2 / hit.span_s if hit.span_s else 0.0
    made.draw(k, _TIE, snr, _signed(-edge), f"{hit.rate:.4g} ± {reach:.3g} Hz/s", _signed(edge))


class _Boxcars:
    """Boxcars of one width along tracks."""

    def __init__(self, y: F8, width: int) -> None:
        known = np.isfinite(y)
        self._sums, self._counts = _cumulative(np.where(known, y, 0)), _cumulative(known)
        self._width = width

    def snr(self, middle: F8, drift: float) -> F8:
        """Return the S/N along tracks whose first channels at half time are `middle`."""
        n, n_chan = self._sums.shape
        row, phase = np.arange(n), np.arange(n) / max(1, n - 1) - 0.5
        at = np.floor(middle[:, np.newaxis] + drift * phase + 0.5).astype(np.int64)
        low, high = (np.clip(each, 0, n_chan - 1) for each in (at, at + self._width))
        total, count = ((each[row, high] - each[row, low]).sum(axis=1)
                        for each in (self._sums, self._counts))
        return np.where(count > 0, total / np.sqrt(np.maximum(count, 1)), np.nan)


def _cumulative(x: NDArray[Any]) -> F8:
    return np.concatenate((np.zeros((len(x), 1)), np.cumsum(x, axis=1, dtype=np.float64)), axis=1)


def _signed(hz: float) -> str:
    return f"{hz:+.4g}".replace("-", "\u2212") + " Hz"
