"""The SIGPROC header of spectra, and the values that it cannot store.

References
----------
D. R. Lorimer, SIGPROC: (Pulsar) Signal Processing Programs, section on header information: numbers
are float64, times days (MJD), frequencies MHz.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.dispersion import top_hz
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import mjd_and_seconds
from fastsig.errors import PlanError
from fastsig.io.files.outputs import more_values
from fastsig.io.fits.pulsar_cards import says_nothing
from fastsig.io.sigproc.header import KEYWORDS, PRODUCTS_MARK, products_of
from fastsig.io.sigproc.numbers import day_of, packed_angle, telescope_number
from fastsig.stream.header import Header

__all__ = ["cards", "channels_of", "is_series", "lost_fields", "lost_places", "single_product"]

_LONGEST_TEXT = 80  # limit of SIGPROC's own programs
# Keywords of a SIGPROC input that are copied unchanged, with their types.
_KEPT = {"rawdatafile": str, "machine_id": int, "az_start": float, "za_start": float,
         "barycentric": int, "pulsarcentric": int, "nbeams": int, "refdm": float}
_LEAST_S = Fraction(1, 10**9)  # least rounding error that is reported
_LEAST_CHANNEL = Fraction(1, 10**6)


def cards(header: Header, shape: tuple[int, ...], n_bits: int, descending: bool) -> dict[str, Any]:
    """Return the keywords of a filterbank and their values.

    Raises
    ------
    PlanError
        If the spectra have no frequencies, or their shape disagrees with their header.
    """
    axis = header.channels
    if axis is None:
        raise PlanError("SIGPROC needs the frequency of channels; give --set frequency=440MHz "
                        "(centre of the band)")
    if shape[1:] != (header.polarization.n_pol, axis.n_chan):
        raise PlanError(f"spectra of {shape[1:]} products and channels; their header states "
                        f"{(header.polarization.n_pol, axis.n_chan)}")
    low, step = axis.first_hz / 10**6, axis.step_hz / 10**6
    # 0 and 0 mean no position, as in SIGPROC's programs: `your` requires both keywords.
    position: dict[str, Any] = {"src_raj": 0.0, "src_dej": 0.0}
    if header.ra_deg is not None and header.dec_deg is not None:
        position = {"src_raj": packed_angle(header.ra_deg % 360, 15),
                    "src_dej": packed_angle(header.dec_deg, 1)}
    band = {"fch1": float(low + (axis.n_chan - 1) * step if descending else low),
            "foff": float(-step if descending else step)}
    if is_series(header):  # only the frequency of its times, as by SIGPROC's own programs
        band = {"fch1": float((header.dm_reference_hz or 0) / Fraction(10**6))}
    return {
        "telescope_id": telescope_number(header.telescope) or 0,
        "machine_id": 0, "data_type": _data_type(header), **_kept(header),
        **({} if header.dm is None else {"refdm": header.dm}), **_raw_file(header),
        "source_name": _text(header.source or "unknown"), **position,
        **band, "nchans": axis.n_chan,
        **({} if header.beam is None else {"ibeam": header.beam}),
        "nbits": n_bits, "tstart": _day(header), "tsamp": float(1 / header.sample_rate),
        "nifs": shape[1],
    }


def is_series(header: Header) -> bool:
    """Whether spectra are a dedispersed time series: one channel, the delays of which are gone."""
    return header.dm is not None and header.channels is not None and header.channels.n_chan == 1


def _data_type(header: Header) -> int:
    """Return 1 for a filterbank, 2 for a time series, 6 for a filterbank of aligned channels."""
    return 1 if header.dm is None else 2 if is_series(header) else 6


def _kept(header: Header) -> dict[str, Any]:
    """Return the values of `_KEPT` in a header that have the right type."""
    found = {key: header.extra[key] for key, kind in _KEPT.items()
             if isinstance(header.extra.get(key), kind)}
    if header.barycentric and not found.get("pulsarcentric"):  # PRESTO's card has another name
        found["barycentric"] = 1
    return {key: _text(value) if isinstance(value, str) else value for key, value in found.items()
            if not isinstance(value, int) or abs(value) < 2**31}


def _raw_file(header: Header) -> dict[str, str]:
    """Return the name of the original file, followed by the names of products.

    An unknown keyword would make other programs refuse the file; this one is free text.
    """
    name, products = header.extra.get("rawdatafile"), _named(header)
    name = name if isinstance(name, str) else ""
    if products is None:
        return {"rawdatafile": _text(name)} if name else {}
    name = _text(name)[: _LONGEST_TEXT - len(products) - 1]
    return {"rawdatafile": f"{name} {products}".strip()}


def _named(header: Header) -> str | None:
    """Return the text that names the products; None if it is not needed, or too long."""
    names = header.polarization.names
    text = PRODUCTS_MARK + ",".join(names)
    if names == PRODUCTS["I"] or len(text) > _LONGEST_TEXT or products_of(text) != ("", names):
        return None
    return text


def _text(value: str) -> str:
    return value.encode("ascii", "replace").decode("ascii")[:_LONGEST_TEXT]


def _day(header: Header) -> float:
    """Return the MJD, the day number plus seconds of day / 86400, as readers expect."""
    day, seconds = mjd_and_seconds(header.start_time)
    if seconds >= 86400:
        raise PlanError("the first spectrum lies within a leap second, which a day number cannot "
                        "express")
    return float(day + seconds / 86400)


def lost_fields(header: Header, shape: tuple[int, ...]) -> Iterator[str]:
    """Describe the fields of a header that SIGPROC cannot store."""
    missing = [text for text, value in (
        ("the receiver", header.receiver), ("the backend", header.backend),
        ("the schedule of the noise diode", header.diode),
        ("the dispersion measure that was removed within channels", header.coherent_dm),
        ("the removal of the mean over the band", header.zero_dm),
    ) if value is not None]
    if header.telescope is not None and telescope_number(header.telescope) is None:
        missing.append(f"the telescope {header.telescope!r}, which has no number")
    if header.channels is not None and header.channels.half_channel is not None:
        missing.append("the number of the channel that is only half inside the band")
    if header.n_sum > channels_of(header):
        missing.append("the number of samples averaged in a value")
    if header.unit is not None:
        missing.append(f"the unit of values, {header.unit}")
    missing += _lost_dispersion(header)
    pol = header.polarization
    if pol.names != PRODUCTS["I"] and _named(header) is None:
        missing.append(f"the names of its products ({', '.join(pol.names)}; --set products= "
                       "specifies them again)")
    usual = PolBasis("unknown", pol.names)
    if pol.n_recorded != usual.n_recorded:
        missing.append("the number of polarisations in I")
    if replace(pol, n_recorded=usual.n_recorded) != usual:
        missing.append("feeds, signs and frame of its products")
    others = [key for key, value in header.extra.items()
              if key not in _KEPT and key not in (*KEYWORDS, "codes", "channels", "barycentered")
              and not says_nothing(key, value)]
    missing += more_values(others)
    if missing:
        yield f"SIGPROC has no place for {', '.join(missing)}"
    written = products_of(_raw_file(header).get("rawdatafile", ""))[0]
    for name, value, new in (
            ("source", header.source, _text(header.source or "")),
            ("rawdatafile", header.extra.get("rawdatafile"), written)):
        if isinstance(value, str) and new != value:
            yield f"{name} becomes {new!r}, at most {_LONGEST_TEXT} ASCII characters"


def channels_of(header: Header) -> int:
    """Return the number of channels of which a series is the mean, or 1 if it is not known."""
    text = str(header.extra.get("channels", 1))
    return int(text) if text.isdigit() else 1


def _lost_dispersion(header: Header) -> Iterator[str]:
    """Describe what SIGPROC cannot store of the dispersion that was removed."""
    axis = header.channels
    if header.dm is None or axis is None:
        return
    if header.dispersion_constant != DISPERSION_CONSTANT:
        yield f"the dispersion constant {float(header.dispersion_constant):.9g}"
    if header.dm_reference_hz is None:
        yield "an infinite reference frequency"
    elif not is_series(header) and header.dm_reference_hz != top_hz(axis):
        yield (f"the reference frequency {float(header.dm_reference_hz) / 1e6:.9g} MHz, other than "
               "that of the highest channel")


def lost_places(header: Header, shape: tuple[int, ...]) -> Iterator[str]:
    """Describe the rounding of times and frequencies by float64."""
    day, seconds = mjd_and_seconds(header.start_time)
    error = (day_of(_day(header)) - day) * 86400 - seconds
    if abs(error) >= _LEAST_S:
        yield f"the start is rounded, by {float(error) * 1e9:.0f} ns"
    period = 1 / header.sample_rate
    drift = (_exact(float(period)) - period) * shape[0]
    if abs(drift) >= _LEAST_S:
        yield f"the time between spectra is rounded: the end is {float(drift) * 1e9:.0f} ns off"
    axis = header.channels
    if axis is not None:
        step = _exact(float(axis.step_hz / 10**6)) * 10**6 - axis.step_hz
        first = _exact(float(axis.first_hz / 10**6)) * 10**6 - axis.first_hz
        worst = abs(first) + abs(step) * axis.n_chan
        if worst > axis.step_hz * _LEAST_CHANNEL:
            yield f"frequencies are rounded, by up to {float(worst):.2g} Hz"


def _exact(value: float) -> Fraction:
    """Return the decimal number as which a float is read."""
    return Fraction(repr(value))


def single_product(header: Header) -> str:
    """Name the option of convert, and the verb in Python, for one product of several."""
    names, in_jansky = header.polarization.names, (header.unit or "").startswith("Jy")
    if names[:2] == ("AA", "BB") and not in_jansky:
        return "fastsig convert --products I (in Python chain.stokes('I'))"
    name = "I" if "I" in names else names[0]
    return f"fastsig convert --products {name} (in Python chain[{name!r}])"
