"""The results of a reduction: calibrated spectra with their noise, expected and measured."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig._version import __version__
from fastsig.axes.frequency import ChannelAxis
from fastsig.calibration import switching
from fastsig.io.fbh5.writer import FBH5Writer
from fastsig.io.files.provenance import file_record
from fastsig.io.files.safe import check_output
from fastsig.stream import SpectrumStream, Sums
from fastsig.stream.header import Header
from fastsig.work.shown import Shown
from fastsig.work.signals import held

__all__ = ["Spectrum", "average", "record", "write"]

#: Cards of a raw row that do not apply to a product.
_RAW = ("CAL", "SIG", "TSYS", "EXPOSURE", "DURATION", "SAMPLER", "PLNUM", "FDNUM")


@dataclass(frozen=True, repr=False)
class Spectrum(Shown):
    """Calibrated spectra, one row per integration, or their average.

    Parameters
    ----------
    values : ndarray, shape (row, product, chan), float64
        Values in `unit`, in ascending order of sky frequency; NaN where the weight is 0.
    weight : ndarray, shape (row, product, chan), float32
        Fraction of the samples that are valid.
    header : Header
        Header of the rows, whose `channels` must be known.
    tsys : ndarray, shape (row, product), float64
        System temperature, K; NaN where it is not known.
    exposure : ndarray, shape (row,), float64
        Effective exposure for the radiometer equation, s.
    expected : ndarray, shape (row, product), float64
        Noise of a channel according to the radiometer equation, in `unit`.
    width_hz : float
        Noise bandwidth of a channel, Hz.
    starts : sequence of str
        UTC at the start of each row, as ISO text.
    path, files : str and sequence of str
        Name of the input, and all of its files.
    stages : sequence of mapping
        Stages that produced the spectra, for the provenance.
    unit : {"K", "counts"}
        Unit of the values.
    overrides : mapping
        Values that the user gave instead of those in the header of the file.
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
        """The channels of the rows."""
        return self.header.require_channels(self.path)

    @property
    def measured(self) -> NDArray[np.float64]:
        """Scatter of the channels of each row and product, in `unit`."""
        return switching.scatter(self.values)

    @property
    def ratio(self) -> NDArray[np.float64]:
        """Ratio of measured to expected noise of each row and product."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found: NDArray[np.float64] = self.measured / self.expected
        return found

    def stream(self) -> SpectrumStream:
        """Return a stream of the rows, for stages, writers and pictures."""
        return _Rows(self)


class _Rows(SpectrumStream):
    """A product in memory."""

    def __init__(self, spectrum: Spectrum) -> None:
        header = spectrum.header.replace(n_bits=32, n_sum=1)
        super().__init__(header, spectrum.values.shape, np.float32, spectrum.path)
        alike = bool((spectrum.weight == spectrum.weight[..., :1]).all())
        self._weight = spectrum.weight[..., :1] if alike else spectrum.weight
        self._values, self._files = np.nan_to_num(spectrum.values), list(spectrum.files)
        self.overrides = spectrum.overrides
        names = header.polarization.names
        self._columns = {"exposure": ("s", spectrum.exposure)}
        for key, unit, values in (("tsys", "K", spectrum.tsys),
                                  ("radiometer", header.unit or "", spectrum.expected)):
            self._columns |= {f"{key}_{name}": (unit, values[:, k]) for k, name in enumerate(names)}

    @property
    def files(self) -> list[str]:
        """Files from which the product was computed."""
        return self._files

    @property
    def weight_channels(self) -> int:
        """1 if the weights of all channels are equal, otherwise the number of channels."""
        return int(self._weight.shape[2])

    @property
    def columns(self) -> Mapping[str, str]:
        """The exposure, and Tsys and the expected noise of each product, with their units."""
        return {name: unit for name, (unit, _) in self._columns.items()}

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return rows of the columns."""
        self._check_range(start, n)
        return {name: values[start : start + n] for name, (_, values) in self._columns.items()}

    def read_sums(self, start: int, n: int) -> Sums:
        """Return rows in additive form."""
        self._check_range(start, n)
        weight = self._weight[start : start + n].astype(np.float64)
        return Sums(self._values[start : start + n] * weight, weight)


def average(spectrum: Spectrum) -> Spectrum:
    """Average all rows, weighted by exposure / Tsys^2 or, for counts, by exposure."""
    n = len(spectrum.values)
    tsys = spectrum.tsys if spectrum.unit == "K" else np.ones_like(spectrum.tsys)
    weight = switching.weights(spectrum.exposure[:, np.newaxis], spectrum.width_hz, tsys)
    values, share = switching.average(spectrum.values, weight)
    part = weight / weight.sum(axis=0)
    by = "exposure / Tsys^2" if spectrum.unit == "K" else "exposure"
    return replace(
        spectrum, values=values[np.newaxis], weight=share[np.newaxis].astype(np.float32),
        header=spectrum.header.replace(sample_rate=spectrum.header.sample_rate / n),
        tsys=switching.average_tsys(spectrum.tsys, weight)[np.newaxis],
        exposure=spectrum.exposure.sum(keepdims=True),
        expected=np.sqrt(((part * spectrum.expected) ** 2).sum(axis=0))[np.newaxis],
        starts=spectrum.starts[:1],
        stages=[*spectrum.stages, {"stage": "average", "parameters": {"n": n, "weights": by}}])


def record(spectrum: Spectrum) -> dict[str, Any]:
    """Return the record of the noise of a product, ready for JSON; unknown values are None."""
    return {"tsys_k": _plain(spectrum.tsys),
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
        If the file exists, is an input, or cannot be written.
    """
    check_output(path, overwrite=overwrite, inputs=spectrum.files)
    extra = {key: value for key, value in spectrum.header.extra.items() if key not in _RAW}
    stream = spectrum.stream()
    header = stream.header.replace(extra=extra | record(spectrum))
    with held(), FBH5Writer(
            path, header, stream.shape, weight_channels=stream.weight_channels,
            provenance=_provenance(spectrum, hash_inputs), overwrite=overwrite) as writer:
        block = stream.read_block(0, stream.shape[0])
        writer.append(block.data, block.valid)
        writer.add_columns(stream)


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
