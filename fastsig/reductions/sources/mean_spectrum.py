"""The mean of spectra in time, with its noise, for the fit of lines.

The mean is that of `Integrate` over all rows: ``sum(w x) / sum(w)`` in each channel. Its weight is
the fraction of samples that are valid, so that the noise of a channel is ``sigma / sqrt(weight)``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from fastsig.axes.units import number
from fastsig.errors import DataError, UsageError
from fastsig.reductions.mapping.noise import (
    APART,
    LEAST_BENDS,
    bends,
    clipped_scatter,
    measure_channels,
)
from fastsig.reductions.sources.sky_spectrum import SkySpectrum
from fastsig.reductions.switching.spectrum import Spectrum, average
from fastsig.run.flag_shares import run_watched
from fastsig.stages.integrate import Integrate
from fastsig.stream import Block, Sink, SpectrumStream, Stream, spectra_of
from fastsig.stream.data import Data
from fastsig.stream.slices import product_indices

__all__ = ["mean_of", "mean_spectrum", "with_noise"]

F8 = NDArray[np.float64]


def mean_of(what: Any, product: str | None = None, sigma: Any = None) -> SkySpectrum:
    """Return the mean of a chain, of a stream, of data or of switched spectra; see `mean_spectrum`.

    Raises
    ------
    UsageError
        If the argument is none of these.
    PlanError
        If the argument contains something other than spectra.
    """
    return mean_spectrum(_stream(what), product, sigma)


def _stream(what: Any) -> SpectrumStream:
    """Return the spectra of a chain, a stream, data in memory or a result of switching."""
    if isinstance(what, Data):
        return spectra_of(what.stream())
    return average(what).stream() if isinstance(what, Spectrum) else spectra_of(what)


def mean_spectrum(stream: SpectrumStream, product: str | None = None, sigma: Any = None
                  ) -> SkySpectrum:
    """Return the mean of all rows of one product, with the noise of its channels.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra with known frequencies.
    product : str, optional
        By default I, or the only product.
    sigma : Quantity, optional
        Noise of a channel of weight 1; by default, it is measured.

    Raises
    ------
    DataError
        If nothing is valid, or the noise cannot be measured.
    UsageError
        If the frequencies, or the product to take, are not known.
    """
    header = stream.header
    axis = header.require_channels(stream.path)
    if stream.endless:
        raise UsageError(f"{stream.path}: the end of the stream is not known; give a slice of it")
    which = _product(stream, product)
    values, weight = _mean(stream, which)
    if not (weight > 0).any():
        raise DataError(stream.path, f"nothing is valid in {header.polarization.names[which]}")
    unit = u.Unit(header.unit or "", parse_strict="silent")
    with np.errstate(divide="ignore"):
        relative = np.where(weight > 0, 1 / np.sqrt(weight), np.nan)
    known = header.ra_deg is not None and header.dec_deg is not None
    found = SkySpectrum(
        axis.centers.to(u.Hz), values << unit, relative << unit, relative << unit, 1.0,
        SkyCoord(header.ra_deg * u.deg, header.dec_deg * u.deg) if known else None, "mean",
        rest_hz=header.rest_hz, frame=header.specsys or "", path=stream.path,
        gain_noise=(header.gain_noise or {}).get(header.polarization.names[which]),
        facts={"product": header.polarization.names[which], "rows": stream.shape[0]})
    if sigma is None:
        return with_noise(found, values, np.ones(len(values), bool))
    return _scaled(found, _given(sigma, header.unit), (), APART)


def _given(sigma: Any, unit: str | None) -> float:
    """Return the noise that the user gives, in the unit of the spectra."""
    found = number(sigma, unit or "", "sigma")
    if not 0 < found < np.inf:
        raise UsageError(f"sigma = {sigma}; allowed: above 0")
    return found


def _product(stream: SpectrumStream, product: str | None) -> int:
    """Return the number of the product to take."""
    names = stream.polarization.names
    if product is not None:
        return product_indices([product], names, stream.path)[0]
    if len(names) > 1 and "I" not in names:
        raise UsageError(f"{stream.path}: contains {', '.join(names)}; give product = "
                         f"{names[0]!r}, or compute I with stokes('I')")
    return 0 if len(names) == 1 else list(names).index("I")


def _mean(stream: SpectrumStream, which: int) -> tuple[F8, F8]:
    """Return the mean of a product over all rows, and its weight, both (chan,)."""
    whole = Integrate(stream, n_int=stream.shape[0])
    found: tuple[F8, F8] = run_watched([_Row(whole, which)])[0]
    return found


class _Row(Sink):
    """A sink of one product of one row; its product is the values and the weights."""

    name = "average"

    def __init__(self, stream: Stream, which: int) -> None:
        super().__init__(stream)
        self._which = which
        self._found: tuple[F8, F8] | None = None

    def partial(self, block: Block) -> tuple[F8, F8]:
        """Return the product of a block of one row."""
        weight = np.broadcast_to(block.valid, block.data.shape)
        return (block.data[0, self._which].astype(np.float64),
                weight[0, self._which].astype(np.float64))

    def merge(self, part: tuple[F8, F8]) -> None:
        """Keep the row."""
        self._found = part

    def finish(self, n_rows: int) -> tuple[F8, F8] | None:
        """Return the row."""
        return self._found


def with_noise(spectrum: SkySpectrum, values: F8, off: NDArray[np.bool_]) -> SkySpectrum:
    """Return a spectrum with the noise and the correlation measured in some of its channels.

    With 200 channels or more, the noise is that of differences between channels that are four
    channels apart, which share none, and the correlation is that of nearer ones, where it is
    certain. With fewer, the noise is that of the difference of each channel from the mean of its
    neighbours, taken as independent.

    Parameters
    ----------
    spectrum : SkySpectrum
        A spectrum whose `expected` noise is right except for a factor.
    values : ndarray, shape (chan,)
        The spectrum without its lines, as far as these are known.
    off : ndarray of bool, shape (chan,)
        Channels without lines. If too few are left, all are used.

    Raises
    ------
    DataError
        If there are too few channels, or they are all equal.
    """
    relative = spectrum.expected.value
    for part in (np.where(off, values, np.nan), values):
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(np.isfinite(part), 1 / relative**2, 0.0)
        scale, shared = measure_channels(part, weight)
        if scale > 0:
            return _scaled(spectrum, scale, shared, APART)
        scale, n = clipped_scatter(bends(part, relative))
        if n >= LEAST_BENDS and scale > 0:
            return _scaled(spectrum, scale, (), 1)
    raise DataError(spectrum.path, f"the noise cannot be measured in {n} channels with a scatter "
                    f"of {scale:.3g}; allowed: {LEAST_BENDS} or more that differ. Give sigma = the "
                    "noise of a channel of weight 1")


def _scaled(spectrum: SkySpectrum, scale: float, shared: tuple[float, ...], apart: int
            ) -> SkySpectrum:
    noise = spectrum.expected * scale
    return replace(spectrum, noise=noise, expected=noise, correlation=shared, apart=apart)
