"""HiFAST's HDF5 files: spectra of one beam of FAST in a group S, with results of HiFAST's steps.

The group contains ``mjd`` (time), ``freq`` (chan, MHz) and one of ``T``, ``Ta``, ``Power``,
``flux`` as (pol, time, chan); also ``is_on``, ``is_delay``, ``is_extrapo``, ``ra``, ``dec`` (time),
``is_rfi`` (time, chan) and others. Attributes of the group Header record how the file was made. A
file with flags only has a link to the spectra of a neighbouring file.

References
----------
Y. Jing et al. 2024, SCPMA 67, 259514 (arXiv:2401.17364); HiFAST's public source.
"""

from __future__ import annotations

import contextlib
import copy
import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import sample_time
from fastsig.errors import DataError, FormatError, UsageError
from fastsig.io.fast.spectral import MARKS
from fastsig.io.files.cards import FIRST_DAY, LAST_DAY
from fastsig.io.fits.single_dish import beam_of_name, choice
from fastsig.io.hdf5.opening import cards_of, member, open_file, reading
from fastsig.io.hifast.group import (
    FIELDS,
    UNITS,
    axis_of,
    group_of,
    other_shapes,
    plain_dataset,
    spectra_of,
    vector,
)
from fastsig.io.probe import Probe
from fastsig.io.spectra.row_clock import (
    FAST_STEPS,
    RowClock,
    exact_time,
    fit,
    given_step,
    seconds_of,
)
from fastsig.io.spectra.segments import FileSpectra
from fastsig.io.voltages.segments import incomplete
from fastsig.stream.header import Header, split_overrides
from fastsig.telescopes.velocity_frames import known_frame

__all__ = ["FIELDS", "KINDS", "NAME", "HiFASTSpectra", "open", "sniff"]

NAME, KINDS = "hifast", ("spectra",)

_RFI = {"keep": False, "weight": True}
_POSITION = {"ra_deg": "ra", "dec_deg": "dec"}
_YEAR_S = 366 * 86400
_PRODUCTS = {1: ("mean",), 2: PRODUCTS["AABB"]}


def sniff(probe: Probe) -> bool:
    """Whether an HDF5 file has a group S with times, frequencies and spectra."""
    if not probe.is_hdf5 or "S" not in probe.root[1]:
        return False
    with open_file(probe.path) as file, reading(probe.path, "the group S"):
        hard = isinstance(file.get("S", getlink=True), h5py.HardLink)
        group = file["S"] if hard else None
        names = set(group) if isinstance(group, h5py.Group) else set()
    return names >= {"mjd", "freq"} and bool(names & set(FIELDS))


def open(path: str | os.PathLike[str], **overrides: Any) -> HiFASTSpectra:
    """Open a HiFAST file as a stream of spectra.

    Parameters
    ----------
    path : path
        The file.
    **overrides
        The common options of `fastsig.open`, and

        field : {"T", "Ta", "Power", "flux"}
            Which spectra to read if there are several; by default, the first in this order, as in
            HiFAST.
        rfi : {"keep", "weight"}
            Whether values flagged by ``is_rfi`` are kept unchanged (the default; flags are
            available from `HiFASTSpectra.read_field`), or have the weight 0.
        utobs : {"start", "middle", "end"}
            The instant of a row that ``mjd`` records, as for FAST's own files; by default, the
            start.

    Raises
    ------
    FormatError
        If the file is corrupt, lacks required datasets, or links lead out of its folder.
    """
    import hdf5plugin  # noqa: F401 - registers filters that HiFAST's files may use

    common, own = split_overrides(overrides, ("field", "rfi", "utobs"), NAME)
    rfi, mark = choice(own, "rfi", _RFI), choice(own, "utobs", MARKS)
    if "field" in own:
        choice(own, "field", dict.fromkeys(FIELDS))
    return HiFASTSpectra(os.fspath(path), common, own.get("field"), _RFI[rfi], mark)


class HiFASTSpectra(FileSpectra):
    """The spectra of a HiFAST file, (time, pol, chan): two polarisations or their mean.

    Attributes
    ----------
    slots : ndarray, shape (row,), int64
        Spectrum number in the stream of each row of the file; missing numbers are gaps.
    times : ndarray, shape (row,), float64
        ``mjd`` as recorded, UTC; NaN if it is not a valid time.
    fields : dict
        Shapes by name of the other datasets of the group, which `read_field` can read.
    """

    def __init__(self, path: str, common: Mapping[str, Any], field: str | None, rfi: bool,
                 mark: str) -> None:
        self._lock = threading.Lock()
        self._opened: list[h5py.File] = []
        try:
            file = self._keep(path)
            self._group = group_of(file, path)
            self._data, name = spectra_of(self._group, field, path, self._keep)
            n_pol, n_row, n_chan = self._data.shape
            self.times = self._times(path, n_row)
            axis, self._descending = axis_of(
                vector(self._group, "freq", n_chan, path), path)
            self._rfi = self._flags(path, (n_row, n_chan)) if rfi else None
            self.fields = other_shapes(self._group, name, path)
            with reading(path, "the attributes of Header"):
                header = member(file, "Header", path)
                cards = cards_of(header.attrs) if isinstance(header, h5py.Group) else {}
            clock, start = _clock(path, self.times, common, mark)
        except BaseException:
            self.close()
            raise
        self.slots = clock.slots[0]
        self._band = (0, n_chan)
        self.slots.flags.writeable = self.times.flags.writeable = False
        beam, base = beam_of_name(path), os.path.basename(path)
        extra = {**cards, "field": name, "utobs": mark, "rfi": "weight" if rfi else "keep"}
        origin = {"start_time": "mjd", "sample_rate": "mjd", "channels": "freq"}
        stated = Header(
            start_time=start, sample_rate=1 / clock.step, channels=axis,
            polarization=PolBasis("linear", _PRODUCTS[n_pol]),
            n_bits=8 * self._data.dtype.itemsize, telescope="FAST", beam=beam, extra=extra,
            unit=UNITS.get(name), specsys=known_frame(cards.get("frame", "")),
            rest_hz=_rest(cards),
            origin={**{key: f"{base}:S/{value}" for key, value in origin.items()},
                    **({"beam": "the file's name"} if beam else {})},
        )
        super().__init__(stated.overridden(common), (int(self.slots[-1]) + 1, n_pol, n_chan), path,
                         weight_channels=n_chan, may_have_nan=True)

    @property
    def files(self) -> list[str]:
        """The absolute paths of the file and of the files that it links to."""
        return self._paths

    def band(self, start: int, stop: int) -> HiFASTSpectra:
        """Return a stream of the channels `start` to `stop` - 1; no others are read."""
        part = copy.copy(self)
        part._position = 0
        part._band = self._band[0] + start, self._band[0] + stop
        part.shape = (*self.shape[:2], stop - start)
        part._weight_channels = stop - start
        axis = self.header.channels
        part.header = self.header.replace(channels=axis.sliced(start, stop) if axis else None)
        return part

    @property
    def columns(self) -> Mapping[str, str]:
        """The positions of the beam, if the file has them."""
        n_row = (self._data.shape[1],)
        return {name: "deg" for name, field in _POSITION.items() if self.fields.get(field) == n_row}

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Read positions; NaN in gaps between rows."""
        self._check_range(start, n)
        first, stop = np.searchsorted(self.slots, (start, start + n)).tolist()
        out = {name: np.full(n, np.nan) for name in self.columns}
        for name, values in out.items():
            values[self.slots[first:stop] - start] = self.read_field(_POSITION[name], first, stop)
        return out

    def read_field(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Read unchanged rows of another dataset of the group, such as ``is_rfi``.

        Raises
        ------
        UsageError
            If there is no dataset of this name.
        DataError
            If the rows cannot be read.
        """
        if name not in self.fields:
            raise UsageError(f"{self.path} has no field {name!r}; there are "
                             f"{', '.join(self.fields) or 'none'}")
        with self._reading(f"S/{name}"):
            dataset = self._group[name]
            return np.asarray(dataset[start:stop] if dataset.ndim else dataset[()])

    def fields_of(self, rows: tuple[int, int], channels: tuple[int, int]
                  ) -> dict[str, NDArray[Any]] | None:
        """Return the other datasets of the group for a file of only these rows and channels.

        Channels ascend, as in the stream. None if rows are missing in between.
        """
        first, stop = np.searchsorted(self.slots, rows).tolist()
        if stop - first != rows[1] - rows[0]:
            return None
        n_row, n_chan = self._data.shape[1:]
        out = {"mjd": self.times[first:stop]}
        for name, shape in self.fields.items():
            if name not in ("mjd", "freq"):
                values = self.read_field(name)
                by_row = shape[:1] == (n_row,)
                values = values[first:stop] if by_row else values
                for axis in range(by_row, values.ndim):
                    if shape[axis] == n_chan:
                        values = np.flip(values, axis) if self._descending else values
                        values = values.take(np.arange(*channels), axis)
                out[name] = values
        return out

    def _values(self, start: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        out = np.empty((n, *self.shape[1:]), np.float32)
        return out, self._into(start, n, out)

    def _into(self, start: int, n: int, out: NDArray[np.float32]) -> NDArray[np.float32] | None:
        weight = np.zeros((n, self.shape[1], 1), np.float32)
        first, stop = np.searchsorted(self.slots, (start, start + n)).tolist()
        if stop - first < n:
            out[...] = 0
        if first == stop:
            return weight
        rows = self.slots[first:stop] - start
        n_chan = self._data.shape[2]
        low, high = self._band
        low, high = (n_chan - high, n_chan - low) if self._descending else (low, high)
        turn = slice(None, None, -1 if self._descending else 1)
        with self._reading(f"rows {first} to {stop}"):
            data = self._data[:, first:stop, low:high]
            flags = None if self._rfi is None else self._rfi[first:stop, low:high]
        with np.errstate(over="ignore", invalid="ignore"):  # beyond float32: infinite
            out[rows] = data.transpose(1, 0, 2)[:, :, turn]
        weight[rows] = 1
        if flags is not None and flags.any():
            weight = np.repeat(weight, self.shape[2], axis=2)
            weight[rows] = np.where(flags[:, np.newaxis, turn], np.float32(0), weight[rows])
        return weight

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            while self._opened:
                self._opened.pop().close()

    @contextlib.contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """Hold the lock of the library, and convert its errors."""
        with reading(self.path, what, DataError), self._lock:
            if not self._opened:
                raise DataError(self.path, "the stream is closed")
            yield

    # Used by the constructor.

    def _keep(self, path: str) -> h5py.File:
        self._opened.append(open_file(path))
        self._paths = [*getattr(self, "_paths", []), os.path.abspath(path)]
        return self._opened[-1]

    def _times(self, path: str, n_row: int) -> NDArray[np.float64]:
        if self._data.shape[0] not in _PRODUCTS or not self._data.size:
            raise FormatError(path, f"spectra of the shape {self._data.shape}; allowed: (1 or 2, "
                              "time, chan)")
        mjd = vector(self._group, "mjd", n_row, path)
        return np.where((mjd >= FIRST_DAY) & (mjd < LAST_DAY), mjd, np.nan)

    def _flags(self, path: str, shape: tuple[int, int]) -> h5py.Dataset | None:
        with reading(path, "the group S"):
            if "is_rfi" not in set(self._group):
                return None
        dataset = plain_dataset(self._group, "is_rfi", path, 2, "(time, chan)")
        if dataset.shape != shape:
            raise FormatError(path, f"S/is_rfi has the shape {dataset.shape}; allowed: {shape}")
        return dataset


def _rest(cards: Mapping[str, Any]) -> float | None:
    """Return the rest frequency, Hz, recorded in files that fastsig wrote, or None."""
    value = cards.get("rest_frequency_hz")
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def _clock(path: str, times: NDArray[np.float64], common: Mapping[str, Any], mark: str
           ) -> tuple[RowClock, Any]:
    known = times[np.isfinite(times)]
    if not len(known):
        raise FormatError(path, "S/mjd has no UTC MJD")
    step = given_step(common)
    if step is None and len(known) < 2:
        raise FormatError(path, "S/mjd has only one time, so the step is not known; give "
                          "--set sample_rate=0.9934")
    clock = fit([seconds_of(times, int(known[0]))], step, fixed=step is not None, usual=FAST_STEPS)
    slots, row = clock.slots[0], clock.anchor[1]
    if (int(slots[-1]) + 1) * clock.step > _YEAR_S:
        raise FormatError(path, "S/mjd: the rows span more than a year")
    if clock.n_off:
        incomplete(path, f"mjd of {clock.n_off} of {len(slots)} rows deviates from a clock of "
                   f"{float(clock.step):.9g} s, by up to {clock.most_off:.3g} rows; rows keep "
                   "their order")
    back = 2 * int(slots[row]) + MARKS[mark]
    return clock, sample_time(exact_time(times[row]), -back, 2 / clock.step)
