"""Folded profiles in ECSV: tables with a row for each subintegration, channel and bin.

`fastsig.pulsar.profile_table` makes them. Values and weights are exact; the polynomials of the
phase and the par file are not in them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.dispersion import constant_of, dm_of
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import elapsed, mjd_and_seconds, parse_time, time_from_mjd
from fastsig.axes.units import exact
from fastsig.errors import FormatError, UsageError
from fastsig.io.ecsv import reader
from fastsig.io.ecsv.tables import read_table
from fastsig.io.probe import Probe
from fastsig.io.psrfits_fold.description import describe
from fastsig.pulsar.profiles import Profiles
from fastsig.stream.header import Header, split_overrides

__all__ = ["KINDS", "NAME", "NO_STREAM", "OPTIONS", "info", "read_profiles", "sniff", "verify"]

NAME, KINDS = "ecsv_profiles", ("profiles",)

#: The error message where a stream in time is needed.
NO_STREAM = ("a table of folded profiles; allowed here: a stream in time. For profiles use fastsig "
             "info, validate, view, convert and cut, and fastsig.open_profiles")

#: Overrides of this format.
OPTIONS = ("period", "dm")

F8 = NDArray[np.float64]

_KIND = re.compile(rb"^# *-? *\{?kind: profiles\}?\s*$", re.MULTILINE)


def sniff(probe: Probe) -> bool:
    """Whether the header of a table states that it contains profiles."""
    return reader.sniff(probe) and _KIND.search(probe.head) is not None


def read_profiles(path: str | os.PathLike[str], **overrides: Any) -> Profiles:
    """Read a table of profiles.

    Parameters
    ----------
    path : path
        The file.
    **overrides
        The common overrides of `fastsig.open`, and ``period=0.7s`` and ``dm=30`` instead of the
        values of the file.

    Raises
    ------
    FormatError
        If the file is not such a table, or its header or rows are invalid.
    DataError
        If the table is truncated, or has changed.
    UsageError
        If an override is not allowed.
    """
    name = os.fspath(path)
    common, special = split_overrides(dict(overrides), OPTIONS, NAME)
    table = read_table(name, kind="profiles")
    try:
        found = _made(table, name)
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise FormatError(name, f"its columns or meta are invalid: {error}") from error
    header = found.header.overridden(common)
    if "dm" in special:
        found = found.replace(dm=float(dm_of(special["dm"], allow_negative=True)))
    if "period" in special:
        period = float(exact(special["period"], "s", "period"))
        if not 0 < period < float("inf"):
            raise UsageError(f"period = {special['period']}; allowed: above 0 s")
        found = found.replace(periods=np.full(found.n_subint, period))
    if "start_time" in common:
        found = found.replace(reference=mjd_and_seconds(header.start_time))
    return found.replace(header=header)


def _made(table: Any, path: str) -> Profiles:
    meta = table.meta
    names = tuple(each.removeprefix("weight_") for each in table.colnames
                  if each.startswith("weight_"))
    shape = (len(meta["epochs"]), int(table["channel"].max()) + 1, int(meta["n_bin"]))
    _check_places(table, shape)
    data, weights = (np.stack([_values(table[f"{prefix}{name}"], dtype).reshape(shape)
                               for name in names], axis=1)
                     for prefix, dtype in (("", np.float32), ("weight_", np.float64)))
    mhz = _values(table["frequency"].to("MHz"), np.float64).reshape(shape)[0, :, 0]
    axis, centers = _axis(meta, mhz)
    start = parse_time(str(meta["start_time"]))
    reference = mjd_and_seconds(start)
    offsets = np.array([_offset(reference, int(day), Fraction(text))
                        for day, text in meta["epochs"]])
    header = _header(meta, names, axis, start, str(table[names[0]].unit or "") or None)
    return Profiles(
        data, weights, reference, offsets, _floats(meta["durations_s"]), _floats(meta["periods_s"]),
        header, dm=_number(meta, "dm"), rm=_number(meta, "rm"),
        rm_removed=bool(meta.get("rm_removed")), reference_mhz=_number(meta, "reference_mhz"),
        centers_mhz=centers, folded_mhz=_number(meta, "folded_mhz"),
        provenance=dict(meta.get("provenance") or {}), path=path)


def _check_places(table: Any, shape: tuple[int, ...]) -> None:
    """Refuse rows that are not in the order of subintegrations, channels and bins."""
    places = np.indices(shape).reshape(3, -1)
    if len(table) != places.shape[1] or any(
            (np.asarray(table[name]) != numbers).any() for name, numbers in zip(
                ("subint", "channel", "bin"), places, strict=True)):
        raise ValueError(f"{len(table)} rows are not those of {shape} subintegrations, channels "
                         "and bins")


def _values(column: Any, dtype: Any) -> NDArray[Any]:
    return np.array(getattr(column, "value", column), dtype)


def _floats(values: Any) -> F8:
    return np.array([float(each) for each in values])


def _number(meta: Mapping[str, Any], key: str) -> float | None:
    return None if meta.get(key) is None else float(meta[key])


def _axis(meta: Mapping[str, Any], mhz: F8) -> tuple[ChannelAxis, F8 | None]:
    """Return the channels, and their centres if these are not evenly spaced."""
    if "channel_hz" in meta:
        first, step = (Fraction(each) for each in meta["channel_hz"])
        axis = ChannelAxis(first, step, len(mhz))
    else:
        step = Fraction(float(mhz[-1] - mhz[0])) / (len(mhz) - 1)
        axis = ChannelAxis(Fraction(float(mhz[0])) * 10**6, step * 10**6, len(mhz))
    even = np.allclose(axis.centers.to_value("MHz"), mhz, rtol=1e-12, atol=0)
    return axis, None if even else mhz


def _offset(reference: tuple[int, Fraction], day: int, seconds: Fraction) -> float:
    if day == reference[0]:
        return float(seconds - reference[1])
    return float(elapsed(time_from_mjd(*reference), time_from_mjd(day, seconds)))


def _header(meta: Mapping[str, Any], names: tuple[str, ...], axis: ChannelAxis, start: Any,
            unit: str | None) -> Header:
    basis = PolBasis(meta["feed"], names, meta["handedness"], meta["frame"], int(meta["sign_q"]),
                     int(meta["sign_v"]), bool(meta.get("calibrated")),
                     int(meta.get("n_recorded", 2)))
    known: dict[str, Any] = {key: meta.get(key) for key in (
        "telescope", "receiver", "backend", "source", "beam")}
    if meta["dedispersed"]:
        mhz = meta["dm_reference_mhz"]
        known |= {"dm": float(meta["dm"]), "dm_reference_hz": None if mhz == "infinity" else
                  Fraction(repr(float(mhz))) * 10**6}
    if "dispersion_constant" in meta:
        known["dispersion_constant"] = constant_of(Fraction(meta["dispersion_constant"]))
    rate = Fraction(meta["sample_rate_hz"]) if "sample_rate_hz" in meta else (
        Fraction(repr(float(meta["n_bin"]))) / Fraction(repr(float(meta["periods_s"][0]))))
    return Header(
        start, rate, axis, polarization=basis, n_bits=32, unit=unit,
        coherent_dm=_number(meta, "coherent_dm"), ra_deg=_number(meta, "ra_deg"),
        dec_deg=_number(meta, "dec_deg"), **known)


def info(path: str | os.PathLike[str], *, deep: bool = False, **overrides: Any) -> dict[str, Any]:
    """Return the fields of ``fastsig info --json``; all values are read in any case.

    Raises
    ------
    FormatError, DataError, UsageError
        As for `read_profiles`.
    """
    return describe(read_profiles(path, **overrides), NAME)


def verify(path: str | os.PathLike[str], **overrides: Any) -> bool:
    """Read a whole table and verify its checksum; return False if it has none.

    Raises
    ------
    FormatError, DataError, UsageError
        As for `read_profiles`.
    """
    read_profiles(path, **overrides)
    return reader.verify(path)
