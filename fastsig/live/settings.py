"""What a live session makes, and of which sources; all of it can be passed to other processes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from fastsig.axes.units import exact
from fastsig.errors import UsageError

__all__ = ["KINDS", "Settings", "Source", "sources_of"]

#: Kinds of sinks, the most important first.
KINDS = ("record", "spectra", "fold", "bursts", "picture")

_LEAST_ROLL_S = Fraction(1, 100)
_PROCESSORS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@dataclass(frozen=True)
class Source:
    """A source: its address, the label of its products, and its ring.

    Parameters
    ----------
    url : str
        ``udp://HOST:PORT``, ``ring:NAME``, ``psrdada:KEY``, a file that grows, the name of a pipe,
        or ``-``.
    label : str
        Beginning of the names of its products, such as ``s1-``; empty if there is one source.
    ring : str
        Name of the ring in shared memory that contains its data.
    """

    url: str
    label: str
    ring: str

    def with_ring(self, number: int) -> Source:
        """Return the same source with a further ring."""
        return replace(self, ring=f"{self.ring.partition('.')[0]}.{number}")


@dataclass(frozen=True)
class Settings:
    """The products of a live session, and how they are made.

    Parameters
    ----------
    folder : str
        Folder of the products.
    record : str, optional
        Format in which voltages are recorded.
    spectra : bool
        Whether spectra are written.
    n_chan, time, products, to
        Channels, integration time, products and format of spectra.
    pars, polycos : tuple of str
        Ephemerides by which spectra are folded.
    fold : mapping
        Options of the fold.
    bursts : str, optional
        Range of dispersion measures in which bursts are searched for.
    threshold : float
        Lowest S/N of bursts.
    keep_s : Fraction, optional
        Time for which raw data are kept in memory after the search, so that bursts can be copied
        from them; None if bursts are not copied.
    around_s : Fraction
        Time that is copied before and after a burst, s.
    post : str, optional
        File, FIFO or socket to which a line of JSON is written for each burst.
    voevent : str, optional
        Stream of events, ``ivo://AUTHORITY/STREAM``, of which VOEvent documents are written
        instead.
    picture : bool
        Whether a picture is drawn every `every_s` seconds.
    roll_s : Fraction
        Duration of a file, s.
    ring_bytes : int, optional
        Size of the ring of each source, bytes.
    workers, memory : int, optional
        As for `fastsig.run.engine.run`, for each sink.
    follow_s : float, optional
        Seconds without growth after which a file is taken to be complete.
    overrides : mapping
        Values that replace those of headers.
    packets : str
        Kind of packets: fast-adc, fast-spectra or vdif.
    beam : int, optional
        Beam of FAST's packets; packets of other beams are left out.
    epoch : str, optional
        UTC of counter 0 of FAST's packets.
    cpus : tuple of int, optional
        Processors of the session, divided between the sources.
    buffer_bytes : int
        Buffer of the operating system for packets that have not been read, bytes.
    """

    folder: str
    record: str | None = None
    spectra: bool = False
    n_chan: int | None = None
    time: str | None = None
    products: str = "I"
    to: str | None = None
    pars: tuple[str, ...] = ()
    polycos: tuple[str, ...] = ()
    fold: Mapping[str, Any] = field(default_factory=dict)
    bursts: str | None = None
    threshold: float = 7.0
    keep_s: Fraction | None = None
    around_s: Fraction = Fraction(1, 10)
    post: str | None = None
    voevent: str | None = None
    picture: bool = False
    every_s: float = 5.0
    roll_s: Fraction = Fraction(60)
    ring_bytes: int | None = None
    workers: int | None = None
    memory: int | None = None
    follow_s: float | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    packets: str = "fast-adc"
    beam: int | None = None
    epoch: str | None = None
    cpus: tuple[int, ...] | None = None
    buffer_bytes: int = 2**26

    @property
    def n_readers(self) -> int:
        """Number of readers of a ring."""
        return len(self.kinds()) + (self.keep_s is not None)

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of products that are requested.

        Raises
        ------
        UsageError
            If no product is requested, or data are kept without a search for bursts.
        """
        asked = {"record": self.record, "spectra": self.spectra,
                 "fold": self.pars or self.polycos, "bursts": self.bursts, "picture": self.picture}
        found = tuple(kind for kind in KINDS if asked[kind])
        if not found:
            raise UsageError("no product is requested; allowed: one or more of --record, "
                             "--spectra, --fold, --bursts and --picture")
        if self.keep_s is not None and not self.bursts:  # nothing would release what is kept
            raise UsageError("--keep without --bursts, which finds what is copied; allowed: both")
        return found


def processors_of(text: str) -> tuple[int, ...]:
    """Return the numbers of processors in a list such as ``0,4-7``.

    Raises
    ------
    UsageError
        If it is not a list, or this process may not use one of them.
    """
    found: list[int] = []
    for part in text.split(","):
        match = _PROCESSORS.fullmatch(part)
        if match is None:
            raise UsageError(f"cpus = {text}; allowed: numbers and ranges, such as 0,4-7")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    there = os.sched_getaffinity(0)
    if not found or len(set(found)) < len(found) or not there.issuperset(found):
        raise UsageError(f"cpus = {text}; allowed: each of {', '.join(map(str, sorted(there)))} "
                         "once at most")
    return tuple(found)


def seconds(value: Any, name: str, least: Fraction = _LEAST_ROLL_S) -> Fraction:
    """Return a duration that the user specified.

    Raises
    ------
    UsageError
        If the value is not a duration, or is too short.
    """
    found = exact(value, "s", name)
    if found < least:
        raise UsageError(f"{name} = {value}; allowed: {float(least):g} s or more")
    return found


def sources_of(urls: tuple[str, ...], session: str) -> list[Source]:
    """Return the sources, with the names of their rings.

    Raises
    ------
    UsageError
        If one is named twice, or standard input is one of several.
    """
    if len(set(urls)) < len(urls):
        raise UsageError(f"{', '.join(urls)}: a source is named twice; allowed: different sources")
    if not urls:
        raise UsageError("no source; allowed: udp://HOST:PORT, ring:NAME, psrdada:KEY, a pipe, a "
                         "file, or -")
    width = len(str(len(urls)))
    return [Source(url, "" if len(urls) == 1 else f"s{number:0{width}d}-",
                   url.partition(":")[2] if url.startswith("ring:")
                   else f"live-{os.getpid()}-{session}-{number}")
            for number, url in enumerate(urls, 1)]
