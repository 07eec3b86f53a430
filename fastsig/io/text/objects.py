"""Spectra from tables of astropy and spectra of specutils."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.io.text.spectrum import Pieces, wanted
from fastsig.stream.header import Header

__all__ = ["pieces_of_spectrum", "pieces_of_table"]


def pieces_of_table(table: Any, overrides: Mapping[str, Any]) -> Pieces | None:
    """Return the axis of frequency or velocity of an astropy table, and its columns of values.

    Returns
    -------
    Pieces or None
        None if no column is an axis of frequency or velocity.

    Raises
    ------
    UsageError
        If a requested column does not exist.
    """
    names = [name for name in table.colnames if _is_numbers(table[name])]
    axis = next((name for name in names if _is_axis(table[name])), None)
    if axis is None and "frequency_unit" in overrides and len(names) > 1:
        axis = names[0]
    if axis is None:
        return None
    others = [name for name in names if name != axis]
    if not others:
        raise UsageError(f"the table has no column of numbers except {axis}; allowed: a spectrum")
    picks = [others[i] for i in wanted(others, overrides.get("columns"))]
    units = {_unit(table[name]) for name in picks}
    return Pieces(_numbers(table[axis]), _unit(table[axis]),
                  np.stack([_numbers(table[name]) for name in picks])[None], picks,
                  units.pop() if len(units) == 1 else None,
                  {str(key).casefold(): value for key, value in table.meta.items()})


def pieces_of_spectrum(spectrum: Any) -> Pieces:
    """Return the axis and values of a Spectrum of specutils, of fastsig or another program.

    Flux is (chan,), (time, chan) or (time, product, chan); masked values become NaN.

    Raises
    ------
    UsageError
        If the argument is not a Spectrum, or has another shape.
    """
    try:
        flux, axis = spectrum.flux, spectrum.spectral_axis
        unit, mask, meta = flux.unit, spectrum.mask, dict(spectrum.meta or {})
    except AttributeError as error:
        raise UsageError(f"{spectrum!r:.80}; allowed: a Spectrum of specutils") from error
    values = np.array(flux.value, np.float32)
    if mask is not None:
        values[np.broadcast_to(mask, values.shape)] = np.nan
    if not 1 <= values.ndim <= 3:
        raise UsageError(f"flux of {values.ndim} axes; allowed: (chan,), (time, chan) or (time, "
                         "product, chan)")
    if values.ndim < 3:
        values = values.reshape(-1, 1, values.shape[-1])
    header = meta.get("header")
    if not isinstance(header, Header) or header.polarization.n_pol != values.shape[1]:
        header = None
    names = ["I"] if values.shape[1] == 1 else [f"product {i}" for i in range(values.shape[1])]
    if header is not None:
        names = list(header.polarization.names)
    known = {str(key).casefold(): value for key, value in meta.items() if value is not None}
    rest = getattr(axis, "doppler_rest", None)
    if rest is not None:
        known["rest_frequency_hz"] = float(rest.to_value(u.Hz, u.spectral()))
    return Pieces(np.asarray(axis.value, np.float64), axis.unit.to_string(), values, names,
                  None if unit == u.dimensionless_unscaled else unit.to_string(), known, header)


def _is_numbers(column: Any) -> bool:
    kind = getattr(getattr(column, "dtype", None), "kind", "")
    return kind in "fiu" and bool(kind) and np.ndim(column) == 1


def _is_axis(column: Any) -> bool:
    unit = getattr(column, "unit", None)
    return unit is not None and (unit.is_equivalent(u.Hz) or unit.is_equivalent(u.m / u.s))


def _unit(column: Any) -> str | None:
    unit = getattr(column, "unit", None)
    return None if unit is None else str(unit.to_string())


def _numbers(column: Any) -> NDArray[np.float64]:
    """Return the values of a column; masked values become NaN."""
    mask = getattr(column, "mask", None)
    bare = getattr(column, "unmasked", column)
    values = np.array(getattr(bare, "value", bare), np.float64)
    if mask is not None:
        values[np.broadcast_to(mask, values.shape)] = np.nan
    return values
