"""Baseline: subtract a model fitted to each spectrum, such as a baseline or a standing wave."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.gain_noise import without_level
from fastsig.axes.units import exact, whole
from fastsig.calibration.lines import inside
from fastsig.calibration.methods import Method, Rows, check_names, method_of
from fastsig.calibration.windows import diode_groups, windows_mhz
from fastsig.errors import FastsigWarning, PlanError, UsageError, users_line
from fastsig.stream import Block, SpectraStage, SpectrumStream, Stream

__all__ = ["Baseline", "Removed"]

_WHOLE = ("order", "max_iter", "trend", "n_rows", "harmonics")


class Baseline(SpectraStage):
    """Spectra minus a model that is fitted to each spectrum.

    ``out = in - model``; weights are unchanged, except that a spectrum with too few channels of
    non-zero weight for a fit is given weight 0.

    Parameters
    ----------
    source : SpectrumStream
        Spectra in any unit, with known frequencies.
    method : {"polynomial", "arpls", "ripple-fourier", "ripple-sine"}
        The model that is fitted.
    protect : window or sequence of windows
        Frequencies of lines, which are excluded from every fit: ``"1419MHz-1421.5MHz"``, or pairs
        of values.
    **options
        Options of the method, with their defaults in parentheses. Polynomial: `order` (3);
        `include`, the only windows that are fitted. arPLS: `lam` (1e8), `ratio` (0.01), `max_iter`
        (100). Ripples: `period` (1.08 MHz, or several); `width` (0.2), the width of the delay
        window divided by the delay; `trend` (5), the order of the polynomial fitted with the
        ripple; `n_rows` (1), the number of spectra averaged for each measurement, with the diode on
        and off separately if the header has its schedule; `harmonics` (1) of a sine.

    Raises
    ------
    PlanError
        If the source contains no spectra, or spectra without frequencies.
    UsageError
        If a parameter is not allowed, or a window has no channel.

    References
    ----------
    See `fastsig.calibration.baseline` and `fastsig.calibration.ripple`.
    """

    name = "baseline"
    source: SpectrumStream

    def __init__(
        self, source: Stream, method: str = "polynomial", *, protect: Any = (),
        **options: Any,
    ) -> None:
        if not isinstance(source, SpectrumStream):
            raise PlanError(f"baseline requires spectra, not {source.kind}")
        if source.header.channels is None:
            raise PlanError(f"{source.path}: a baseline needs the frequency of channels; give "
                            "--set frequency=1420MHz (centre of the band)")
        super().__init__(source)
        self.axis = source.header.channels
        self.frequency_mhz: NDArray[np.float64] = self.axis.centers.value
        check_names(method, options, ["protect"])
        self.method: Method = method_of(method, _plain(options))
        if self.method.REMOVES_LEVEL:
            self.header = self.header.replace(gain_noise=without_level(self.header.gain_noise))
        self.protect = windows_mhz(protect, "protect")
        for window in (*self.protect, *getattr(self.method, "include", ())):
            self._check_window(window)
        self.use = np.ones(source.shape[2], bool)
        if self.axis.half_channel is not None:  # not on the scale of whole channels
            self.use[self.axis.half_channel] = False
        self._try()
        half = self.method.n_rows // 2  # rows on each side that are used for the fit of a row
        self.overlap = half, half

    def _check_window(self, window: tuple[float, float]) -> None:
        if not inside(self.frequency_mhz, [window]).any():
            low, high = (float(edge) / 1e6 for edge in self.axis.edges_hz)
            raise UsageError(f"{self.path}: no channel within {window[0]:g} to {window[1]:g} MHz; "
                             f"the band runs from {low:g} to {high:g} MHz")

    def _try(self) -> None:
        """Let the method check its options with a spectrum of zeros, before anything is read."""
        zeros = np.zeros((1, 1, self.shape[2]))
        self.method.model(Rows(zeros, zeros, self.frequency_mhz, self.protect,
                               np.zeros(1, np.int64), slice(None)))

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values; frequencies in MHz."""
        options = {key: _json(value) for key, value in self.method.parameters().items()}
        return {"method": self.method.NAME, **options, "protect": _json(self.protect)}

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs for `n` rows: a fit stores about eight numbers per value."""
        rows = n + sum(self.overlap)
        return self.source.work_bytes(rows) + 64 * rows * int(np.prod(self.shape[1:]))

    def groups(self, start: int, n: int) -> NDArray[np.int64]:
        """Return the group of each row.

        It is 0 if the diode is off or its state is not known, 1 if the diode is on, and 2 if it is
        on for a part of the row.
        """
        if self.header.diode is None or self.method.n_rows == 1:
            return np.zeros(n, np.int64)
        return diode_groups(self.header.diode, self.header.sample_rate, start, n)

    def _fit(self, start: int, n: int) -> tuple[Block, Block]:
        """Return rows without the model, and the model of these rows."""
        first, count = self.needs(start, n)
        block = self.source.read_block(first, count)
        wanted = slice(start - first, start - first + n)
        model, settled = self.method.model(Rows(
            block.data, np.where(self.use, block.valid, 0), self.frequency_mhz, self.protect,
            self.groups(first, count), wanted))
        if settled is not None and not settled.all():
            warnings.warn(f"{self.path}: {self.method.NAME} did not converge within "
                          f"{self.method.parameters()['max_iter']} iterations in some spectra; "
                          "the baseline of the last iteration is used", FastsigWarning,
                          stacklevel=users_line())
        return self._blocks(block, wanted, model, start)

    def _blocks(self, block: Block, wanted: slice, model: NDArray[np.float64], start: int
                ) -> tuple[Block, Block]:
        data = block.data[wanted]
        weight = np.broadcast_to(block.valid[wanted], (*data.shape[:2], self.weight_channels))
        weight = np.where(np.isnan(model).all(axis=2, keepdims=True), np.float32(0), weight)
        lost = ~(weight > 0)
        return (_block(np.where(lost, np.nan, data - model), weight, start),
                _block(np.where(lost, np.nan, model), weight, start))

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return spectra without the model, NaN where the weight is 0, and weights."""
        self._check_range(start, n)
        return self._fit(start, n)[0]

    def both(self, start: int, n: int) -> tuple[Block, Block]:
        """Return spectra without the model, and the model, each with its weights."""
        self._check_range(start, n)
        return self._fit(start, n)

    def removed(self, start: int, n: int) -> Block:
        """Return the model that is subtracted from rows, with their weights."""
        return self.both(start, n)[1]

    def kept(self) -> tuple[Remaining, Removed]:
        """Return the spectra without the model, and the model, as two streams.

        A single pass over both streams fits each row only once.
        """
        fits = Fits(self)
        return Remaining(fits), Removed(fits)


class Fits(SpectraStage):
    """The two results of a `Baseline` along the product axis: first the residuals, then the model.

    A pass over both streams of `Baseline.kept` reads them from here, so that each row is fitted
    only once.
    """

    name = "fits"
    recorded = False
    source: Baseline

    def __init__(self, source: Baseline) -> None:
        rows, products, channels = source.shape
        super().__init__(source, shape=(rows, 2 * products, channels))

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return the residuals of rows, followed by the models as further products."""
        left, model = self.source.both(start, n)
        weight = np.broadcast_to(left.valid, (*left.data.shape[:2], left.valid.shape[2]))
        return _block(np.concatenate([left.data, model.data], axis=1),
                      np.concatenate([weight, weight], axis=1), start)


class _Part(SpectraStage):
    """One of the two results of `Fits`."""

    recorded = False
    source: Fits
    _second = False

    def __init__(self, source: Fits) -> None:
        super().__init__(source, shape=source.source.shape)

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return the products of this result."""
        block, first = self.source.read_block(start, n), self.shape[1] * self._second
        products = slice(first, first + self.shape[1])
        return Block(block.data[:, products], block.valid[:, products], start, n)


class Remaining(_Part):
    """Spectra without their baseline."""

    name = "remaining"


class Removed(_Part):
    """The model that a `Baseline` subtracts, as spectra with the same axes and weights."""

    name = "removed"
    recorded = True
    _second = True

    def parameters(self) -> Mapping[str, Any]:
        """No parameters: those of the `Baseline` describe the model."""
        return {}


def _block(data: NDArray[Any], weight: NDArray[Any], start: int) -> Block:
    data = data.astype(np.float32)
    data.flags.writeable = weight.flags.writeable = False
    return Block(data, weight, start, len(data))


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Convert options to the types that the methods use: whole numbers, numbers, MHz."""
    plain: dict[str, Any] = {}
    for key, value in options.items():
        if key == "include":
            plain[key] = windows_mhz(value, key)
        elif key == "period":
            many = value if isinstance(value, (list, tuple)) else (value,)
            plain[key] = tuple(float(exact(each, "Hz", "period") / 10**6) for each in many)
        else:
            plain[key] = whole(key, value) if key in _WHOLE else float(exact(value, "", key))
    return plain


def _json(value: Any) -> Any:
    return [_json(each) for each in value] if isinstance(value, (list, tuple)) else value
