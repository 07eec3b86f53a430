"""Switched scans of SDFITS files: position and frequency switching, nodding and total power.

The results are those of GBTIDL's `getps`, `getfs`, `getnod` and `gettp`, and agree with their
output to within 3e-6 K. The scans of a pair are found from OBSMODE, PROCSEQN and PROCSIZE, and the
switching states from SIG and CAL; files in which these values are inconsistent are refused.

References
----------
GBTIDL user's guide; H. S. Liszt (1995), A FITS binary table convention for interchange of single
dish data.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import iso
from fastsig.axes.units import number
from fastsig.calibration import switching
from fastsig.errors import FastsigWarning, FormatError, UsageError, users_line
from fastsig.io.sdfits import reader as sdfits
from fastsig.reductions.switching.rows import Power, Scans, Selection
from fastsig.reductions.switching.spectrum import Spectrum
from fastsig.work.arguments import nearest

__all__ = ["frequency_switched", "nodded", "position_switched", "total_power"]

class _Pair(NamedTuple):
    """A feed, its scans on and off the source, and Tsys off it, K."""

    fdnum: int
    on: int
    off: int
    tsys: float


class _Row(NamedTuple):
    """A calibrated integration, channels in the file's order; see `Spectrum`."""

    values: NDArray[np.float64]
    tsys: float
    exposure: float
    expected: float
    row: int
    pairs: tuple[_Pair, ...] = ()


def position_switched(path: str | os.PathLike[str], scan: int, **picks: Any) -> Spectrum:
    """Return the antenna temperature of a position-switched pair, one row per integration.

    It is ``Tsys (sig - ref) / ref``, where sig and ref are the powers on and off the source. Tsys
    is that of the reference, measured with the noise diode unless `tsys` is given.

    Parameters
    ----------
    path : path
        An SDFITS file.
    scan : int
        Either scan of the pair.
    **picks
        `ifnum`, `plnum`, `fdnum`, `integrations`, `tsys`, `tcal`, `smooth_ref` and `n_eff`, as in
        `Selection`.

    Raises
    ------
    UsageError
        If the file contains no rows that match the selection; the message lists the rows that
        exist.
    FormatError
        If the scan is not position-switched, or if its partner or a state of the diode is missing.
    DataError
        If a spectrum contains only NaN, or the diode is not detected.
    """
    return _reduced(path, "position_switched", _selection(scan, picks), _position)


def frequency_switched(path: str | os.PathLike[str], scan: int, **picks: Any) -> Spectrum:
    """Return the folded antenna temperature of a frequency-switched scan, one row per integration.

    The states SIG = T and SIG = F are each other's reference. Only channels that are covered by
    both states are valid. See `fastsig.calibration.switching.frequency_switch`. Parameters and
    errors are those of `position_switched`.
    """
    return _reduced(path, "frequency_switched", _selection(scan, picks), _frequency)


def nodded(path: str | os.PathLike[str], scan: int, *, feeds: Sequence[int] | None = None,
           **picks: Any) -> Spectrum:
    """Return the antenna temperature of a pair of nodding scans, one row per integration.

    Two feeds take turns on the source.

    Parameters
    ----------
    path, scan, **picks
        As in `position_switched`, except for `fdnum`.
    feeds : sequence of int, optional
        FDNUM of the feed that is on the source in the first scan, and of the feed that is on it in
        the second scan; by default, the two lowest numbers in the scan.

    Raises
    ------
    FormatError
        As in `position_switched`, and if the scan has fewer than two feeds or lacks one of `feeds`.
    """
    if "fdnum" in picks:
        raise UsageError("fdnum is not an option of nodding; allowed: feeds, two of them")
    more: dict[str, Any] = {} if feeds is None else {"feeds": list(feeds)}
    return _reduced(path, "nodded", _selection(scan, picks),
                    lambda scans, asked: _nod(scans, asked, feeds), **more)


def total_power(path: str | os.PathLike[str], scan: int, *, sig: str = "T", **picks: Any
                ) -> Spectrum:
    """Return the mean power of the two states of the noise diode, one row per integration.

    The power is in the counts of the file. A scan may also contain only rows with the diode off;
    Tsys is then NaN, unless `tsys` is given.

    Parameters
    ----------
    path, scan, **picks
        As in `position_switched`.
    sig : {"T", "F"}
        Switching state (SIG) of the rows.
    """
    if sig not in ("T", "F"):
        raise UsageError(f"sig = {sig!r}; allowed: T, F")
    return _reduced(path, "total_power", _selection(scan, picks),
                    lambda scans, asked: _total(scans, asked, sig), unit="counts", sig=sig)


def _selection(scan: int, picks: dict[str, Any]) -> Selection:
    allowed = Selection._fields[1:]
    unknown = sorted(set(picks) - set(allowed))
    if unknown:
        raise UsageError(f"{unknown[0]} is not an option; {nearest(unknown[0], allowed)}allowed: "
                         f"{', '.join(allowed)}")
    given = {name: number(picks[name], "K", name) for name in ("tsys", "tcal")
             if picks.get(name) is not None}
    found = Selection(scan, **{**picks, **given})
    for name in ("tsys", "tcal", "n_eff"):
        value = getattr(found, name)
        if value is not None and not 0 < value < np.inf:
            raise UsageError(f"{name} = {value}; allowed: above 0")
    return found


def _reduced(path: str | os.PathLike[str], name: str, asked: Selection,
             mode: Callable[[Scans, Selection], Iterable[_Row]], unit: str = "K", **more: Any
             ) -> Spectrum:
    """Run a mode over a file and put its rows together."""
    scans = Scans(path)
    try:
        rows = list(mode(scans, asked))
        header = sdfits.header_of(scans.table, [each.row for each in rows])
        starts = [iso(each) for each in scans.table.times([each.row for each in rows])]
        falls = scans.table.line(rows[0].row)[1] < 0
        width = scans.width(rows[0].row)
    finally:
        scans.close()
    values = np.array([each.values for each in rows])[:, np.newaxis, :: -1 if falls else 1]
    stage = {"stage": name, "parameters": {**_given(asked), **more, **_beams(rows)}}
    return Spectrum(
        values=values, weight=np.isfinite(values).astype(np.float32),
        header=header.replace(unit="K" if unit == "K" else None),
        tsys=np.array([[each.tsys] for each in rows]),
        exposure=np.array([each.exposure for each in rows]),
        expected=np.array([[each.expected] for each in rows]), width_hz=width, starts=starts,
        path=scans.path, files=[scans.path], stages=[stage], unit=unit)


def _beams(rows: Sequence[_Row]) -> dict[str, Any]:
    """Return the scans on and off the source, and the mean Tsys of each feed."""
    if not rows[0].pairs:
        return {}
    return {"beams": [{"fdnum": first.fdnum, "on_scan": first.on, "off_scan": first.off,
                       "tsys_k": round(float(np.mean([row.pairs[k].tsys for row in rows])), 6)}
                      for k, first in enumerate(rows[0].pairs)]}


def _given(asked: Selection) -> dict[str, Any]:
    """Return the options that determine the values, for the provenance."""
    values = {key: value for key, value in asked._asdict().items() if value is not None}
    if asked.integrations is not None:
        values["integrations"] = [int(each) for each in asked.integrations]
    return values


def _position(scans: Scans, asked: Selection) -> Iterator[_Row]:
    row = scans.rows(asked.scan, asked)[0]
    other = scans.partner(asked.scan, row, ("OnOff", "OffOn"))
    on, off = (asked.scan, other) if _is_on(scans, row) else (other, asked.scan)
    for scan in (on, off):
        if scans.rows(scan, asked, "F"):
            raise FormatError(scans.path, f"scan {scan} has rows with SIG = 'F': it was switched "
                              "in frequency; allowed: only SIG = T; try --mode fs")
    pairs = _in_step(scans, (on, off), asked)
    for sig, ref in pairs:
        yield _difference(scans, sig, ref, asked, (on, off))


def _is_on(scans: Scans, row: int) -> bool:
    """Return whether a row was recorded on the source, according to OBSMODE."""
    name, state, number, _ = scans.procedure(row)
    if state in ("PSWITCHON", "PSWITCHOFF"):
        return state == "PSWITCHON"
    return (name == "OnOff") == (number == 1)


def _in_step(scans: Scans, states: Sequence[int], asked: Selection
             ) -> list[tuple[Power, Power]]:
    """Pair the integrations of two scans in their order."""
    on, off = (scans.powers(scan, asked) for scan in states)
    if len(on) != len(off):
        warnings.warn(f"{scans.path}: scans {states[0]} and {states[1]} have {len(on)} and "
                      f"{len(off)} integrations; the last ones of the longer scan are left out",
                      FastsigWarning, stacklevel=users_line())
    return list(zip(on, off, strict=False))


def _difference(scans: Scans, sig: Power, ref: Power, asked: Selection,
                numbers: tuple[int, int]) -> _Row:
    """Calibrate an integration on the source with one off it; `numbers` are those of the scans."""
    _alike(scans, sig, ref)
    values = switching.position_switch(sig.values, ref.values, ref.tsys, asked.smooth_ref)
    exposure = float(switching.effective_exposure(sig.exposure, ref.exposure, asked.smooth_ref))
    on = sig._replace(tsys=ref.tsys + _level(values))
    noise = on.tsys * float(np.hypot(
        _part(scans, on, asked), _part(scans, ref, asked) / np.sqrt(asked.smooth_ref | 1)))
    return _Row(values, ref.tsys, exposure, noise, sig.row,
                (_Pair(asked.fdnum, *numbers, ref.tsys),))


def _alike(scans: Scans, first: Power, second: Power) -> None:
    if len(first.values) != len(second.values):
        raise FormatError(scans.path, f"{scans.where(second.row)} has {len(second.values)} "
                          f"channels, {scans.where(first.row)} has {len(first.values)}; allowed: "
                          "equal numbers")
    steps = [scans.table.line(each.row)[1] for each in (first, second)]
    if steps[0] != steps[1]:
        raise FormatError(scans.path, f"{scans.where(second.row)}: CDELT1 = {float(steps[1])}; "
                          f"allowed: as in {scans.where(first.row)}, {float(steps[0])}")


def _level(values: NDArray[np.float64]) -> float:
    """Return the level that a source adds to the noise: the middle of its spectrum."""
    return float(np.nanmedian(values[switching.inner_channels(len(values))]))


def _part(scans: Scans, power: Power, asked: Selection) -> float:
    """Return the noise of a power divided by the power itself."""
    tsys, diode = (power.tsys, power.tcal) if np.isfinite(power.tsys) else (1.0, 0.0)
    noise = switching.switched_noise(tsys, diode)
    return float(switching.radiometer(noise, scans.width(power.row), power.exposure,
                                      n_eff=asked.n_eff)) / tsys


def _frequency(scans: Scans, asked: Selection) -> Iterator[_Row]:
    sigs, refs = (scans.powers(asked.scan, asked, state) for state in "TF")
    if len(sigs) != len(refs):
        raise FormatError(scans.path, f"scan {asked.scan} has {len(sigs)} integrations with "
                          f"SIG = T and {len(refs)} with F; allowed: equal numbers")
    for sig, ref in zip(sigs, refs, strict=True):
        _alike(scans, sig, ref)
        first, step = scans.table.line(sig.row)
        shift = float((scans.table.line(ref.row)[0] - first) / step)
        values, tsys = switching.frequency_switch(
            sig.values, ref.values, sig.tsys, ref.tsys, shift, asked.smooth_ref)
        exposure = 2 * float(switching.effective_exposure(
            sig.exposure, ref.exposure, asked.smooth_ref))
        noise = float(tsys) / np.sqrt(2) * float(np.hypot(
            _part(scans, sig, asked), _part(scans, ref, asked) / np.sqrt(asked.smooth_ref | 1)))
        yield _Row(values, float(tsys), exposure, noise, sig.row)


def _nod(scans: Scans, asked: Selection, feeds: Sequence[int] | None) -> Iterator[_Row]:
    feeds = _feeds(scans, asked, feeds)
    first = asked._replace(fdnum=feeds[0])
    row = scans.rows(asked.scan, first)[0]
    other = scans.partner(asked.scan, row, ("Nod",))
    second = asked._replace(fdnum=feeds[1])
    early, late = sorted((asked.scan, other))
    a = _in_step(scans, (early, late), first)
    b = _in_step(scans, (late, early), second)
    for one, two in zip(a, b, strict=False):
        _alike(scans, one[0], two[0])
        yield _turns(_difference(scans, *one, first, (early, late)),
                     _difference(scans, *two, second, (late, early)))


def _feeds(scans: Scans, asked: Selection, feeds: Sequence[int] | None) -> Sequence[int]:
    there = scans.all_of("FDNUM", asked.scan, ifnum=asked.ifnum, plnum=asked.plnum)
    if feeds is not None and (len(feeds) != 2 or feeds[0] == feeds[1]):
        raise UsageError(f"feeds = {list(feeds)}; allowed: two different ones")
    missing = [each for each in feeds or () if each not in there]
    if missing or len(there) < 2:
        listed = ", ".join(map(str, there)) or "none"
        wanted = f"lacks feed {missing[0]}" if missing else "lacks a second feed"
        raise FormatError(scans.path, f"scan {asked.scan} {wanted}: nodding needs two; its FDNUM "
                          f"for ifnum {asked.ifnum}, plnum {asked.plnum}: {listed}")
    return feeds or sorted(there)[:2]


def _turns(one: _Row, two: _Row) -> _Row:
    """Return the weighted mean of the two feeds."""
    tsys = np.array([one.tsys, two.tsys])
    weight = np.array([one.exposure, two.exposure]) / tsys**2
    weight /= weight.sum()
    noise = float(np.hypot(*(weight * (one.expected, two.expected))))
    values = weight[0] * one.values + weight[1] * two.values
    return _Row(values, float(switching.average_tsys(tsys, weight)), one.exposure + two.exposure,
                noise, one.row, one.pairs + two.pairs)


def _total(scans: Scans, asked: Selection, sig: str) -> Iterator[_Row]:
    for power in scans.powers(asked.scan, asked, sig, diode=False):
        noise = _level(power.values) * _part(scans, power, asked)
        yield _Row(power.values, power.tsys, power.exposure, noise, power.row)
