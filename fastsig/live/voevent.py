"""VOEvent: a burst as an XML document, which brokers pass on to other telescopes.

References
----------
Seaman et al. 2011, Sky Event Reporting Metadata, version 2.0 (IVOA recommendation).
Petroff et al. 2017, arXiv:1710.08155: names of the parameters of fast radio bursts.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from fastsig import __version__
from fastsig.errors import UsageError

__all__ = ["check_stream", "document"]

_SPACE, _SCHEMA = "http://www.ivoa.net/xml/VOEvent/v2.0", "http://www.w3.org/2001/XMLSchema-instance"
_STREAM = re.compile(r"ivo://[A-Za-z0-9][A-Za-z0-9._~-]{2,}(/[A-Za-z0-9._~+=-]+)+")
_FRAME = "UTC-ICRS-TOPO"


def check_stream(stream: str) -> str:
    """Return the identifier of a stream of events.

    Raises
    ------
    UsageError
        If it is not one.
    """
    if not _STREAM.fullmatch(stream):
        raise UsageError(f"voevent = {stream}; allowed: ivo://AUTHORITY/STREAM")
    return stream


def document(line: Mapping[str, Any], stream: str, now: str) -> str:
    """Return the document of a burst, without line breaks.

    Parameters
    ----------
    line : mapping
        The burst, as posted in JSON: `time` is the UTC of arrival at the upper edge of the band.
    stream : str
        Identifier of the stream of events, ``ivo://AUTHORITY/STREAM``.
    now : str
        UTC at which the document is made.
    """
    event = ET.Element("voe:VOEvent", {
        "xmlns:voe": _SPACE, "xmlns:xsi": _SCHEMA,
        "xsi:schemaLocation": f"{_SPACE} {_SPACE}/VOEvent-v2.0.xsd", "version": "2.0",
        "role": "observation", "ivorn": f"{stream}#{_local_name(line)}"})
    who = _added(event, "Who")
    _added(who, "AuthorIVORN", stream.rpartition("/")[0])
    _added(who, "Date", now[:19])
    what = _added(event, "What")
    group = _added(what, "Group", name="observatory parameters")
    low, high = line["low_mhz"], line["high_mhz"]
    _parameter(group, "bandwidth", None if None in (low, high) else high - low, "MHz")
    _parameter(group, "centre_frequency", None if None in (low, high) else (low + high) / 2, "MHz",
               "em.radio;em.freq")
    _parameter(group, "beam", line["beam"])
    _parameter(group, "ra", line["ra_deg"], "deg", "pos.eq.ra")
    _parameter(group, "dec", line["dec_deg"], "deg", "pos.eq.dec")
    _parameter(group, "backend", f"fastsig {__version__}")
    _parameter(group, "source", line["source"])
    _parameter(group, "raw_data", line["raw"])
    group = _added(what, "Group", name="event parameters")
    _parameter(group, "dm", line["dm"], "pc/cm^3", "phys.dispMeasure")
    _parameter(group, "dm_err", line["dm_error"], "pc/cm^3", "stat.error;phys.dispMeasure")
    width = line["width"]
    _parameter(group, "width", None if width is None else 1000 * width, "ms",
               "time.duration;src.var.pulse")
    _parameter(group, "snr", line["snr"], None, "stat.snr")
    place = _added(_added(event, "WhereWhen"), "ObsDataLocation")
    _added(place, "ObservatoryLocation", id=line["telescope"] or "unknown")
    where = _added(place, "ObservationLocation")
    _added(where, "AstroCoordSystem", id=_FRAME)
    moment = _added(_added(where, "AstroCoords", coord_system_id=_FRAME), "Time", unit="s")
    _added(_added(moment, "TimeInstant"), "ISOTime", line["time"])
    return ET.tostring(event, encoding="unicode", xml_declaration=False)


def _local_name(line: Mapping[str, Any]) -> str:
    """Return the name of a burst in its stream, from its source, time and dispersion measure."""
    return f"{line['label'] and line['label'] + '-'}{line['time']}-DM{line['dm']:.2f}"


def _added(parent: ET.Element, tag: str, text: str | None = None, **about: str) -> ET.Element:
    made = ET.SubElement(parent, tag, about)
    made.text = text
    return made


def _parameter(group: ET.Element, name: str, value: Any, unit: str | None = None,
               ucd: str | None = None) -> None:
    """Add a parameter, unless its value is not known."""
    if value is None:
        return
    kind = "string" if isinstance(value, str) else "int" if isinstance(value, int) else "float"
    about = {"name": name, "value": str(value), "dataType": kind, "unit": unit, "ucd": ucd}
    ET.SubElement(group, "Param", {key: text for key, text in about.items() if text is not None})
