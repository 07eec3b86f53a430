"""Conversion of a SIGPROC header to the common header of streams.

References
----------
D. R. Lorimer, SIGPROC: (Pulsar) Signal Processing Programs, section on header information: `fch1`
is the centre of the first channel, `foff` is negative if that is the highest, and `src_raj` is
written as hhmmss.s.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from fastsig.axes.dispersion import top_hz
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import time_from_mjd
from fastsig.errors import FormatError, UsageError
from fastsig.io.files.cards import FIRST_DAY, LAST_DAY, Cards
from fastsig.io.sigproc.header import Keywords, products_of
from fastsig.io.sigproc.numbers import TELESCOPES, day_of, degrees_of
from fastsig.io.sigproc.samples import BITS, SampleLayout
from fastsig.stream.header import Header

__all__ = ["OWN", "choice", "fields", "within"]

#: Overrides of this format.
OWN = ("nchans", "nbits", "nifs", "fch1", "foff", "signed", "products", "trim")

_MOST_IFS, _MOST_CHANNELS, _LONGEST_S = 1024, 2**28, 10**6
_EVEN = 1e-3  # largest offset of a channel in a table from even spacing, in channels
_TYPED = ("nchans", "nbits", "nifs", "fch1", "foff", "tstart", "tsamp", "source_name")


def fields(keys: Keywords, own: Mapping[str, Any], common: Mapping[str, Any]
           ) -> tuple[Header, SampleLayout]:
    """Return the header of a file, before the `common` overrides, and the layout of its samples.

    Raises
    ------
    FormatError
        If a value is missing or not allowed; the message names the override that supplies it.
    UsageError
        If an override has no meaning.
    """
    texts = {key: value if isinstance(value, str) else repr(value)
             for key, value in keys.values.items()}
    cards = Cards({**texts, **{key: str(own[key]) for key in own}}, keys.path, "header")
    if texts.get("data_type") == "3":
        raise cards.error("data_type", "1 (filterbank) or 2 (time series); 3 is a folded profile")
    n_chan = _whole(cards, "nchans", _MOST_CHANNELS)
    n_if = cards.integer("nifs", 1, least=1, most=_MOST_IFS)
    n_bits = _whole(cards, "nbits", max(BITS))
    if n_bits not in BITS:
        raise cards.error("nbits", ", ".join(map(str, BITS)))
    channels, descending = _channels(cards, keys, own, n_chan)
    signed = _signed(texts, own, n_bits)
    day = within(cards, "tstart", (FIRST_DAY, LAST_DAY), "start_time=2026-01-01T00:00:00", common)
    if FIRST_DAY < keys.values.get("tstart", 0.0) < LAST_DAY:
        day = day_of(keys.values["tstart"])
    tsamp = within(cards, "tsamp", (0, _LONGEST_S), "sample_rate=10kHz", common)
    ra, dec = _position(cards)
    name = os.path.basename(keys.path)
    pol, whence = _products(n_if, own, str(keys.values.get("rawdatafile", "")))
    header = Header(
        start_time=time_from_mjd(int(day // 1), day % 1 * 86400), sample_rate=1 / tsamp,
        channels=channels, polarization=pol, n_bits=n_bits,
        telescope=TELESCOPES.get(cards.integer("telescope_id", -1, least=-2**31)),
        source=cards.text("source_name"), beam=cards.index("ibeam") or None, ra_deg=ra, dec_deg=dec,
        extra=_extra(keys.values, channels is None) | {"codes": _codes(n_bits, signed)},
        origin={field: f"{name}:{key}" for field, key in (
            ("start_time", "tstart"), ("sample_rate", "tsamp"), ("channels", "fch1"),
            ("n_bits", "nbits"), ("telescope", "telescope_id"), ("source", "source_name"))}
        | {"polarization": f"{name}:rawdatafile" if whence == "rawdatafile" else whence},
    )
    return _dedispersed(header, keys), SampleLayout(n_chan, n_if, n_bits, signed, descending)


def _dedispersed(header: Header, keys: Keywords) -> Header:
    """Return the header with the dispersion that was removed, if the file states it.

    `refdm` of a filterbank (data_type 1) may be that of a source, with nothing removed.
    """
    kind, dm = keys.values.get("data_type"), keys.values.get("refdm")
    axis, reference = header.channels, keys.values.get("fch1")
    if kind not in (2, 6) or dm is None or not math.isfinite(dm):
        return header
    if axis is not None and (kind == 6 or axis.n_chan > 1):
        reference_hz: Fraction | None = top_hz(axis)
    else:
        known = reference is not None and math.isfinite(reference) and reference > 0
        reference_hz = Fraction(repr(reference)) * 10**6 if known else None
    name = os.path.basename(keys.path)
    return header.replace(dm=dm, dm_reference_hz=reference_hz,
                          origin={**header.origin, "dm": f"{name}:refdm"})


def _whole(cards: Cards, key: str, most: int) -> int:
    if key not in cards:
        raise cards.error(key, f"a whole number; --set {key}=... supplies it")
    return cards.integer(key, least=1, most=most)


def within(cards: Cards, key: str, limits: tuple[int, int], option: str,
            common: Mapping[str, Any]) -> Fraction:
    """Return a number between two limits; any number if the user overrides it."""
    value = cards.number(key)
    if value is not None and limits[0] < value < limits[1]:
        return cards.exact(key)
    if option.partition("=")[0] in common:
        return Fraction(limits[0] + 1)
    raise cards.error(key, f"above {limits[0]} and below {limits[1]}; --set {option} replaces it")


def _channels(cards: Cards, keys: Keywords, own: Mapping[str, Any], n_chan: int
              ) -> tuple[ChannelAxis | None, bool]:
    """Return the channels, None for a series without a band, and whether they are descending."""
    if keys.table and not {"fch1", "foff"} & set(own):
        first, step = _even_table(keys, n_chan)
    elif "foff" not in cards and n_chan == 1:
        return None, False
    else:
        for key in ("fch1", "foff"):
            if key not in cards:
                raise cards.error(key, f"a number; --set {key}=... (MHz) supplies it")
        first, step = cards.exact("fch1"), cards.exact("foff")
    if step == 0:
        raise cards.error("foff", "a number other than 0; --set foff=-0.25 (MHz) replaces it")
    lowest = first + (n_chan - 1) * step if step < 0 else first
    if lowest < 0:
        raise cards.error("fch1", f"a value that puts {n_chan} channels of {float(step):g} MHz "
                          "above 0; --set fch1=1500 (MHz) replaces it")
    return ChannelAxis(lowest * 10**6, abs(step) * 10**6, n_chan), step < 0


def _even_table(keys: Keywords, n_chan: int) -> tuple[Fraction, Fraction]:
    """Return the first channel and the step of a table of frequencies, MHz."""
    table = keys.table
    found = np.array(table)
    if len(table) != n_chan or n_chan < 2 or not np.isfinite(found).all():
        raise FormatError(keys.path, f"FREQUENCY_START: {len(table)} channels, {table[:4]}...; "
                          f"allowed: nchans = {n_chan} finite numbers, two or more")
    with np.errstate(over="ignore", invalid="ignore"):
        step = (found[-1] - found[0]) / (n_chan - 1)
        off = np.abs(found - (found[0] + step * np.arange(n_chan)))
    worst = int(off.argmax())
    if not off[worst] <= _EVEN * abs(step):
        raise FormatError(keys.path, f"FREQUENCY_START: channel {worst} is {off[worst]:g} MHz "
                          f"off; allowed: channels every {step:g} MHz, to {_EVEN:g} of that")
    first, last = Fraction(repr(table[0])), Fraction(repr(table[-1]))
    return first, (last - first) / (n_chan - 1)


def _signed(texts: Mapping[str, str], own: Mapping[str, Any], n_bits: int) -> bool:
    """Whether codes are in two's complement; by default, the header decides for 8 bits."""
    given = choice(own, "signed")
    if given is not None and n_bits not in (8, 16):
        raise UsageError(f"signed = {own['signed']!r} with {n_bits} bits; allowed: with 8 and 16")
    return n_bits == 8 and texts.get("signed", "0") != "0" if given is None else given


def _codes(n_bits: int, signed: bool) -> str:
    return "floats" if n_bits == 32 else "two's complement" if signed else "unsigned"


def choice(own: Mapping[str, Any], key: str) -> bool | None:
    """Return a yes or no given by the user as a bool, or None if it is not given."""
    if key not in own:
        return None
    found = {"yes": True, "no": False, "True": True, "False": False}.get(str(own[key]))
    if found is None:
        raise UsageError(f"{key} = {own[key]!r}; allowed: yes, no")
    return found


def _position(cards: Cards) -> tuple[float | None, float | None]:
    """Return RA and Dec in degrees; None if they are unset or not a position."""
    try:
        ra, dec = cards.exact("src_raj"), cards.exact("src_dej")
    except FormatError:
        return None, None
    if ra == dec and ra in (0, -1):  # written by SIGPROC's programs for an unknown position
        return None, None
    return degrees_of(ra, 15), degrees_of(dec, 1)


def _extra(values: Mapping[str, Any], is_series: bool) -> dict[str, Any]:
    """Return the values that have no field in `Header`; those that are not finite as text.

    A time series without a band keeps `fch1`, the reference frequency of its delays.
    """
    found = {key: repr(value) if isinstance(value, float) and not math.isfinite(value) else value
             for key, value in values.items()
             if key not in _TYPED or (key == "fch1" and is_series)}
    file, names = products_of(str(found.get("rawdatafile", "")))
    if names:  # they are in `polarization`
        del found["rawdatafile"]
    return found | ({"rawdatafile": file} if names and file else {})


def _products(n_if: int, own: Mapping[str, Any], raw_file: str) -> tuple[PolBasis, str]:
    """Return the products, and whether they are an override, in `rawdatafile` or the default."""
    if "products" in own:
        text = str(own["products"])
        names = PRODUCTS.get(text) or tuple(part.strip() for part in text.split(","))
        if len(names) != n_if or not all(names):
            raise UsageError(f"products = {text!r}; allowed: {n_if} of them, as in "
                             f"{', '.join(PRODUCTS)} or XX,YY")
        return PolBasis("unknown", names), "override"
    named = products_of(raw_file)[1]
    if len(named) == n_if and len(set(named)) == n_if:
        return PolBasis("unknown", named), "rawdatafile"
    found = {1: PRODUCTS["I"], 2: PRODUCTS["AABB"], 4: PRODUCTS["AABBCRCI"]}.get(n_if)
    return PolBasis("unknown", found or tuple(f"IF{index}" for index in range(n_if))), "default"
