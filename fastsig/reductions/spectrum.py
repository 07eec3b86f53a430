"""What a reduction gives: calibrated spectra with their noise, expected and measured."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig._version import __version__
from fastsig.calibration import switching
from fastsig.frequency import ChannelAxis
from fastsig.header import Header
from fastsig.io.fbh5_writer import FBH5Writer
from fastsig.io.provenance import file_record
from fastsig.io.safe import check_output
from fastsig.signals import held

__all__ = ["Spectrum", "average", "record", "write"]

#: Cards of a raw row that say nothing of a product.
_RAW = ("CAL", "SIG", "TSYS", "EXPOSURE", "DURATION", "SAMPLER", "PLNUM", "FDNUM")


@dataclass(frozen=True)
class Spectrum:
    """Calibrated spectra, a row an integration, or their average.

    Parameters
    ----------
    values : ndarray, shape (row, product, chan), float64
        In `unit`, ascending in sky frequency; NaN where the weight is 0.
    weight : ndarray, shape (row, product, chan), float32
        Share of what could have been valid.
    header : Header
        Of the rows; `channels` is known.
    tsys : ndarray, shape (row, product), float64
        System temperature, K; NaN where it is not known.
    exposure : ndarray, shape (row,), float64
        Effective exposure, which gives the radiometer equation, s.
    expected : ndarray, shape (row, product), float64
        Noise of a channel by the radiometer equation, in `unit`.
    width_hz : float
        Noise bandwidth of a channel, Hz.
    starts : sequence of str
        UTC of the rows' starts, ISO.
    path, files : str and sequence of str
        Where the spectra come from.
    stages : sequence of mapping
        How they were made, for the provenance.
    unit : {"K", "counts"}
    overrides : mapping
        What the user gave in place of the file's header.
    """

    values: NDArray[np.float64]
    weight: NDArray[np.float32]
    header: Header
    tsys: NDArray[np.float64]
    exposure: NDArray[np.float64]
    expected: NDArray[np.float64]
    width_hz: float
    starts: Sequence[str]
    path: str
    files: Sequence[str]
    stages: Sequence[Mapping[str, Any]]
    unit: str = "K"
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def channels(self) -> ChannelAxis:
        """Channel centres."""
        return self.header.require_channels(self.path)

    @property
    def measured(self) -> NDArray[np.float64]:
        """Scatter of the channels of each row and product, in `unit`."""
        return switching.scatter(self.values)

    @property
    def ratio(self) -> NDArray[np.float64]:
        """Measured over expected noise of each row and product."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found: NDArray[np.float64] = self.measured / self.expected
        return found


def average(spectrum: Spectrum) -> Spectrum:
    """One row: the mean with weights of exposure over Tsys^2, of exposure alone for counts."""
    n = len(spectrum.values)
    tsys = spectrum.tsys if spectrum.unit == "K" else np.ones_like(spectrum.tsys)
    weight = switching.weights(spectrum.exposure[:, np.newaxis], spectrum.width_hz, tsys)
    values, share = switching.average(spectrum.values, weight)
    part = weight / weight.sum(axis=0)
    told = "exposure / Tsys^2" if spectrum.unit == "K" else "exposure"
    return replace(
        spectrum, values=values[np.newaxis], weight=share[np.newaxis].astype(np.float32),
        header=spectrum.header.replace(sample_rate=spectrum.header.sample_rate / n),
        tsys=switching.average_tsys(spectrum.tsys, weight)[np.newaxis],
        exposure=spectrum.exposure.sum(keepdims=True),
        expected=np.sqrt(((part * spectrum.expected) ** 2).sum(axis=0))[np.newaxis],
        starts=spectrum.starts[:1],
        stages=[*spectrum.stages, {"stage": "average", "parameters": {"n": n, "weights": told}}])


def record(spectrum: Spectrum) -> dict[str, Any]:
    """What a product tells of its noise, JSON-ready; None where a number is not known."""
    return {"unit": spectrum.unit, "tsys_k": _plain(spectrum.tsys),
            "effective_exposure_s": _plain(spectrum.exposure),
            "noise_bandwidth_hz": spectrum.width_hz,
            "radiometer": _plain(spectrum.expected),
            "noise_over_radiometer": _plain(spectrum.ratio), "row_starts": list(spectrum.starts)}


def _plain(values: NDArray[np.float64]) -> list[Any]:
    if values.ndim > 1:
        return [_plain(each) for each in values]
    return [float(each) if np.isfinite(each) else None for each in values]


def write(spectrum: Spectrum, path: str | os.PathLike[str], *, overwrite: bool = False,
          hash_inputs: bool = False) -> None:
    """Write a product as FBH5.

    Raises
    ------
    OutputError
        Where the file exists, is an input, or cannot be written.
    """
    check_output(path, overwrite=overwrite, inputs=spectrum.files)
    extra = {key: value for key, value in spectrum.header.extra.items() if key not in _RAW}
    header = spectrum.header.replace(n_bits=32, extra=extra | record(spectrum))
    alike = bool((spectrum.weight == spectrum.weight[..., :1]).all())
    weight = spectrum.weight[..., :1] if alike else spectrum.weight
    with held(), FBH5Writer(
            path, header, spectrum.values.shape, weight_channels=weight.shape[2],
            provenance=_provenance(spectrum, hash_inputs), overwrite=overwrite) as writer:
        writer.append(spectrum.values.astype(np.float32), weight)


def _provenance(spectrum: Spectrum, hash_inputs: bool) -> dict[str, Any]:
    return {
        "fastsig": __version__, "numpy": np.__version__,
        "inputs": [{"name": os.path.basename(spectrum.path),
                    "files": [file_record(each, whole=hash_inputs) for each in spectrum.files],
                    "overrides": dict(spectrum.overrides)}],
        "stages": list(spectrum.stages),
        "conventions": {"unit": spectrum.unit, "radiometer": "Tsys / sqrt(df t n_eff)",
                        "time": "of a row: its start; of a mean: that of the first"},
    }
