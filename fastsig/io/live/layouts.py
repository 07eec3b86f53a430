"""What packets are: FAST's samples and spectra from ROACH2 boards, and VDIF frames, by UDP.

FAST's packets have a header of 8 bytes, lowest byte first: bit 63 is 0 for spectra and 1 for
samples, bit 62 is 1 for the 19-beam receiver, bits 57 to 61 are the beam, bit 56 is 0 for AA and BB
and 1 for CR and CI or, for samples, the polarisation, and bits 0 to 55 are a counter. Then follow
4096 bytes: 8-bit samples of one polarisation, or two products of 2048 channels, interleaved. The
two packets of a spectrum have consecutive counters; that of the lower channels is even, which is an
assumption, as is the start of the counter at an epoch that the user specifies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from astropy.time import Time
from fastsig_kernels._packet_forms import VDIF, WORD, PacketForm

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import parse_time
from fastsig.errors import FormatError, UsageError
from fastsig.io.live.ring_layout import RingLayout
from fastsig.io.vdif.reader import (
    Geometry,
    geometry_of,
    header_of,
    inputs_of,
    is_channelized,
    levels_of,
    rate_of,
)
from fastsig.stream.header import Header, split_overrides

__all__ = ["LAYOUTS", "PacketLayout", "fast_adc", "fast_spectra", "vdif"]

#: Names of layouts that need no packet to be known.
LAYOUTS = ("fast-adc", "fast-spectra")

_ADC, _BEAM_AT, _PART_AT = 1 << 63, 57, 56
_PAYLOAD, _HEAD = 4096, 8
_CHANNELS = 4096
_N_BEAM = 19
_YEARS_S = 50 * 366 * 86400  # after its epoch, in which a counter may begin
_HOUR_S = 3600  # a jump by more begins a new stream
_MOST_THREADS = 64


@dataclass(frozen=True)
class PacketLayout:
    """A kind of packet, and the stream that such packets make.

    Parameters
    ----------
    name : str
    form : PacketForm
        The packet, for compiled code.
    ring : RingLayout
        The slots of the ring.
    header : Header
        The stream; its start time is that of counter 0, if this is known.
    has_epoch : bool
        Whether it is; otherwise row 0 has the time at which it arrives.
    """

    name: str
    form: PacketForm
    ring: RingLayout
    header: Header
    has_epoch: bool


def fast_adc(*, beam: int | None = None, n_pol: int = 2, epoch: Time | str | None = None,
             reorder: int = 256, **overrides: Any) -> PacketLayout:
    """Describe FAST's packets of samples.

    Parameters
    ----------
    beam : int, optional
        Number of the beam, 1 to 19; packets of others are counted and left out. By default, the
        beam is not looked at.
    n_pol : {1, 2}
        Polarisations; with 1, only packets of the first one are used.
    epoch : Time or ISO text, optional
        UTC of counter 0; by default, the first packet has the time at which it arrives.
    reorder : int
        Packets of a polarisation by which a packet may be late; others wait for it for so long.
    **overrides
        Common options of `fastsig.open`, such as ``sample_rate``; 1 GHz by default.

    Raises
    ------
    UsageError
        If a value is not possible.
    """
    if n_pol not in (1, 2):
        raise UsageError(f"n_pol = {n_pol!r}; allowed: 1, 2")
    rate = Fraction(10**9)
    header = Header(
        start_time=_epoch(epoch), sample_rate=rate, telescope="FAST", beam=_beam(beam),
        channels=ChannelAxis.band(Fraction(1250 * 10**6), rate / 2),
        polarization=PolBasis("linear", ("X", "Y")[:n_pol]))
    form = PacketForm(WORD, _HEAD + _PAYLOAD, _HEAD, n_pol, mask=_ADC, value=_ADC,
                      part_bit=_PART_AT, **_beam_bits(beam))
    ring = RingLayout("voltage", _PAYLOAD, n_pol, _PAYLOAD)
    return _made("fast-adc", form, ring, header, epoch, reorder, overrides)


def fast_spectra(*, beam: int | None = None, products: str = "AABBCRCI", cross_signed: bool = True,
                 epoch: Time | str | None = None, reorder: int = 64, **overrides: Any
                 ) -> PacketLayout:
    """Describe FAST's packets of spectra: 4096 channels of 8 bits.

    Parameters
    ----------
    products : {"AABBCRCI", "AABB"}
        Products; with AABB, packets of CR and CI are counted and left out.
    cross_signed : bool
        Whether CR and CI are in two's complement.
    beam, epoch, **overrides
        As for `fast_adc`; the sample rate is that of spectra, by default 1 / 49.152 us.
    reorder : int
        Spectra by which a packet may be late.

    Raises
    ------
    UsageError
        If a value is not possible.
    """
    if products not in ("AABBCRCI", "AABB"):
        raise UsageError(f"products = {products!r}; allowed: AABBCRCI, AABB")
    names = PRODUCTS[products]
    width = Fraction(500 * 10**6, _CHANNELS)
    header = Header(
        start_time=_epoch(epoch), sample_rate=1 / Fraction("0.000049152"), telescope="FAST",
        beam=_beam(beam), channels=ChannelAxis(10**9 + width / 2, width, _CHANNELS),
        polarization=PolBasis("linear", names), n_bits=8)
    form = PacketForm(WORD, _HEAD + _PAYLOAD, _HEAD, len(names), mask=_ADC, split_bits=1,
                      part_bit=_PART_AT, **_beam_bits(beam))
    ring = RingLayout("spectra", 1, len(names), _PAYLOAD, dtype="u1", n_chan=_CHANNELS, n_pol=2,
                      signed=tuple(cross_signed and name in ("CR", "CI") for name in names))
    return _made("fast-spectra", form, ring, header, epoch, reorder, overrides)


def vdif(packets: Sequence[bytes], *, reorder: int = 64, **overrides: Any) -> PacketLayout:
    """Describe VDIF frames, one in a packet, from some that have come.

    Parameters
    ----------
    packets : sequence of bytes
        Packets that contain a frame of every thread.
    reorder : int
        Frames of a thread by which a packet may be late.
    **overrides
        Common options of `fastsig.open`; ``sample_rate`` is needed if frames do not state it.

    Raises
    ------
    FormatError
        If no packet is a frame, or the frames have a form that cannot be received.
    """
    common, _ = split_overrides(overrides, (), "vdif")
    heads = [(packet, geometry_of(packet)) for packet in packets]
    sound = [(packet, g) for packet, g in heads if g is not None and len(packet) == g.frame_bytes]
    if not sound:
        raise FormatError("udp", f"none of {len(packets)} packets is a VDIF frame")
    forms = [g for _, g in sound]
    g = max(forms, key=forms.count)
    alike = [np.frombuffer(packet[:32], "<u4").tolist() for packet, each in sound if each == g]
    threads = sorted({words[3] >> 16 & 0x3FF for words in alike})
    rate = rate_of(alike[0], g, "udp", common.get("sample_rate"))
    _check_frames(g, threads, rate)
    return _made("vdif", _vdif_form(g, threads, rate, alike[0]), _vdif_ring(g, threads, alike[0]),
                 _vdif_header(g, threads, rate, alike[0]), "stated", reorder, common)


def _check_frames(g: Geometry, threads: list[int], rate: Fraction) -> None:
    """Refuse frames that cannot be received."""
    if len(threads) > _MOST_THREADS:
        raise FormatError("udp", f"{len(threads)} threads; allowed: up to {_MOST_THREADS}")
    if rate % g.n_time:
        raise FormatError("udp", f"sample_rate = {rate} Hz is not a whole number of frames of "
                          f"{g.n_time} samples per second")
    if not g.is_whole:
        raise FormatError("udp", f"samples of {g.n_bits} bits; allowed: 1, 2, 4, 8, 16")


def _vdif_form(g: Geometry, threads: list[int], rate: Fraction, words: list[int]) -> PacketForm:
    shape = words[2] & 0x1FFFFFFF | (words[3] & 0xFC000000) << 32
    fixed = (0x3F000000 << 32) | 0xC0000000  # the epoch; not invalid, and as old or new a header
    return PacketForm(
        VDIF, g.frame_bytes, g.header_bytes, len(threads), mask=fixed,
        value=(words[1] << 32 | words[0] & 0x40000000) & fixed,
        mask_2=0xFC000000 << 32 | 0x1FFFFFFF, value_2=shape, per_second=int(rate / g.n_time),
        threads=tuple(threads))


def _vdif_ring(g: Geometry, threads: list[int], words: list[int]) -> RingLayout:
    codes, bank = g.n_bits < 8, is_channelized({}, g)
    edv: int | str = "legacy" if g.header_bytes == 16 else words[4] >> 24
    half = 2 ** (g.n_bits - 1)
    levels = levels_of(g.n_bits, edv) or tuple(float(i - half) for i in range(2 * half))
    return RingLayout(
        "voltage", g.n_time, len(threads), g.frame_bytes - g.header_bytes,
        dtype="<u2" if g.n_bits == 16 else "u1", n_pol=1 if bank else g.n_chan,
        n_chan=g.n_chan if bank else 1, bits=g.n_bits if codes else 0,
        levels=levels if codes else ())


def _vdif_header(g: Geometry, threads: list[int], rate: Fraction, words: list[int]) -> Header:
    return header_of(words, g, threads, 0, rate, inputs_of(threads, g, is_channelized({}, g)))


def _made(name: str, form: PacketForm, ring: RingLayout, header: Header, epoch: Any, reorder: int,
          overrides: Mapping[str, Any]) -> PacketLayout:
    """Complete a layout with what depends on the sample rate."""
    common, _ = split_overrides(overrides, (), name)
    if "start_time" in common:
        raise UsageError(f"start_time with {name} packets; allowed: epoch, the time of counter 0")
    if not 1 <= reorder <= 2**20:
        raise UsageError(f"reorder = {reorder!r}; allowed: 1 to {2**20}")
    header = header.overridden({key: value for key, value in common.items()
                                if name != "vdif" or key != "sample_rate"})
    slots = header.sample_rate / ring.slot_rows  # per second
    most_first = int(_YEARS_S * slots) if epoch is not None else 2**62
    return PacketLayout(name, form._replace(
        reorder=reorder, most_jump=max(1, int(_HOUR_S * slots)), most_first=min(2**62, most_first),
        started_as=1 if epoch is not None else 2), ring, header, epoch is not None)


def _epoch(value: Time | str | None) -> Time:
    if value is None:
        return parse_time("2000-01-01T00:00:00")
    return value.utc if isinstance(value, Time) else parse_time(value)


def _beam(beam: int | None) -> int | None:
    if beam is not None and not 1 <= beam <= _N_BEAM:
        raise UsageError(f"beam = {beam!r}; allowed: 1 to {_N_BEAM}")
    return beam


def _beam_bits(beam: int | None) -> dict[str, Any]:
    return {} if beam is None else {"beam_mask": 31 << _BEAM_AT, "beam": beam << _BEAM_AT}
