"""The typed header of every stream, and the overrides that every reader accepts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, NamedTuple

from astropy.time import Time

from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import ChannelAxis, Sideband
from fastsig.axes.gain_noise import Noises
from fastsig.axes.polarization import PolBasis
from fastsig.axes.sky import declination, place, right_ascension
from fastsig.axes.time import as_iso, parse_rate, parse_time
from fastsig.axes.units import exact
from fastsig.errors import FormatError, UsageError
from fastsig.work.shown import Shown

__all__ = ["OVERRIDES", "FilterBank", "Header", "override_text", "split_overrides"]


class FilterBank(NamedTuple):
    """The polyphase filter bank that made the channels of spectra, which determines their noise.

    Parameters
    ----------
    n_tap : int
        Length of the prototype, in transforms.
    window : str
        Window of the prototype.
    oversample : Fraction
        Length of the transform divided by the hop.
    """

    n_tap: int
    window: str
    oversample: Fraction


#: Cards in which files state that their times are barycentric.
_BARYCENTRIC_CARDS = ("barycentric", "pulsarcentric", "barycentered")


@dataclass(frozen=True, repr=False)
class Header(Shown):
    """Fields common to all streams; `None` if a file does not state the value.

    Parameters
    ----------
    start_time : Time
        UTC of sample 0 (for a spectrum, the start of the hop at the middle of its window).
    sample_rate : Fraction
        Rows of the stream per second, Hz.
    channels : ChannelAxis or None
        Channel centres; one channel as wide as the band for an unchannelised stream.
    sideband : {"upper", "lower"}
        Whether the recorded frequency increases ("upper") or decreases ("lower") with the sky
        frequency. Spectra are always "upper".
    polarization : PolBasis
        Meaning of the polarisation axis.
    n_bits : int
        Number of bits of a recorded real number.
    is_complex : bool
        Whether samples are complex.
    n_sum : int
        Largest number of samples that are averaged in a value of the spectra.
    unit : str or None
        Unit of the values, "K" or "Jy"; None for the recorder's units.
    specsys : str or None
        Velocity frame of `channels`: one of `fastsig.telescopes.velocity_frames.FRAMES`, or another
        frame as named in the file.
    rest_hz : float or None
        Rest frequency of the observed line, Hz.
    bank : FilterBank or None
        The filter bank of the channels, if they were made by fastsig.
    n_eff : float or None
        Number of independent samples in a value divided by the product of channel width and
        integration time, if it is not that of the bank (`fastsig.calibration.radiometer.n_eff`).
    gain_noise : mapping of str to GainNoise, or None
        Noise of the gain that neighbouring channels share, for each product; None if it is not
        known, or if the spectra are not calibrated.
    dm : float or None
        Dispersion measure at which the data were dedispersed, pc cm^-3.
    dispersion_constant : Fraction
        Dispersion constant that was used to remove the dispersion, MHz^2 pc^-1 cm^3 s.
    dm_reference_hz : Fraction or None
        Sky frequency to which times refer after the dispersion was removed; infinite if None.
    coherent_dm : float or None
        Dispersion measure at which the data were dedispersed coherently within each channel, pc
        cm^-3. The delays between channels may remain.
    zero_dm : {"mean", "zdot"} or None
        How the mean over the band was removed at each time (`fastsig.stages.zero_dm`); None if it
        was not removed. If it was removed, the values are not powers, and pulses of low dispersion
        measure are weaker than they were.
    extra : Mapping
        Header cards of the file that have no field here, verbatim.
    origin : Mapping
        The origin of each value, with the names of the fields as keys.
    """

    start_time: Time
    sample_rate: Fraction
    channels: ChannelAxis | None = None
    sideband: Sideband = "upper"
    polarization: PolBasis = field(default_factory=PolBasis)
    n_bits: int = 8
    is_complex: bool = False
    telescope: str | None = None
    receiver: str | None = None
    backend: str | None = None
    source: str | None = None
    beam: int | None = None
    ra_deg: float | None = None
    dec_deg: float | None = None
    diode: DiodeSchedule | None = None
    n_sum: int = 1
    unit: str | None = None
    specsys: str | None = None
    rest_hz: float | None = None
    bank: FilterBank | None = None
    n_eff: float | None = None
    gain_noise: Noises | None = None
    dm: float | None = None
    dispersion_constant: Fraction = DISPERSION_CONSTANT
    dm_reference_hz: Fraction | None = None
    coherent_dm: float | None = None
    zero_dm: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Users see ISO text, whatever the time format of the file.
        object.__setattr__(self, "start_time", as_iso(self.start_time))

    def replace(self, **changes: Any) -> Header:
        """Return a copy with some fields changed."""
        return replace(self, **changes)

    def later(self, start_time: Time, seconds: Fraction) -> Header:
        """Return a copy with sample 0 at `start_time`, which is `seconds` later than before."""
        diode = None if self.diode is None else self.diode.shifted(seconds)
        return replace(self, start_time=start_time, diode=diode)

    def overridden(self, overrides: Mapping[str, str], n_chan: int = 1) -> Header:
        """Return a copy in which values specified by the user replace those in the file.

        Parameters
        ----------
        overrides : mapping
            Values, with the names of the overrides of `fastsig.open` as keys.
        n_chan : int
            Number of adjacent channels, for a file that does not state their frequency.
        """
        if "position" in overrides and {"ra", "dec"} & set(overrides):
            raise UsageError("position beside ra or dec; allowed: one of them")
        header = self
        given: dict[str, str] = {}
        for key in OVERRIDES:  # fixed order: the bandwidth default depends on the rate
            if key in overrides:
                if key == "frequency" and n_chan > 1 and header.channels is None:
                    axis = ChannelAxis.around(Fraction(0), header._bandwidth, n_chan)
                    header = header.replace(channels=axis)
                header = OVERRIDES[key](header, overrides[key])
                given |= dict.fromkeys(_FIELDS.get(key, (key,)), "override")
        if {"ra", "dec"} & set(overrides) and (header.ra_deg is None or header.dec_deg is None):
            raise UsageError("ra without dec, or dec without ra; allowed: both, or position")
        return replace(header, origin={**header.origin, **given}) if given else header

    @property
    def barycentric(self) -> bool:
        """Whether times are those of the barycentre (TDB), as a card of the file states."""
        return self.barycentric_card is not None

    @property
    def barycentric_card(self) -> str | None:
        """The first card of the file which states that its times are barycentric, if any does."""
        return next((key for key in _BARYCENTRIC_CARDS
                     if self.extra.get(key) not in (None, 0, "0", "")), None)

    @property
    def _bandwidth(self) -> Fraction:
        """Width of the band of voltages with this sample rate, Hz."""
        return self.sample_rate / (1 if self.is_complex else 2)

    def require_channels(self, path: str) -> ChannelAxis:
        """Return the frequency axis, or raise an error that names the option that supplies it."""
        if self.channels is None:
            raise FormatError(
                path, "the file does not state its sky frequency; give --set frequency=440MHz "
                "(centre of the band)"
            )
        return self.channels


def _set_rate(header: Header, text: str) -> Header:
    rate = parse_rate(exact(text, "Hz", "sample_rate") if _has_unit(text) else text)
    axis = header.channels
    if axis is not None and axis.n_chan == 1:  # the band's width follows the rate
        axis = ChannelAxis.band(axis.first_hz, rate if header.is_complex else rate / 2)
    return header.replace(sample_rate=rate, channels=axis)


def _has_unit(text: object) -> bool:
    return not isinstance(text, (int, float, Fraction)) and str(text).strip()[-1:].isalpha()


def _set_frequency(header: Header, text: Any) -> Header:
    if isinstance(text, (int, float)) or not str(text).strip()[-1:].isalpha():
        raise UsageError(f"frequency = {text!r} needs a unit, as in 1414MHz")
    center = exact(text, "Hz", "frequency")
    axis = header.channels
    if axis is None or axis.n_chan == 1:
        return header.replace(channels=ChannelAxis.band(center, header._bandwidth))
    lower, upper = axis.edges_hz
    return header.replace(
        channels=replace(axis, first_hz=axis.first_hz + center - (lower + upper) / 2)
    )


def _set_sideband(header: Header, text: str) -> Header:
    if text not in ("upper", "lower"):
        raise UsageError(f"sideband = {text!r}; allowed: upper, lower")
    return header.replace(sideband=text)


def _set_start_time(header: Header, value: Any) -> Header:
    time = value if isinstance(value, Time) else parse_time(str(value))
    return header.replace(start_time=time.utc)


def _set_feed(header: Header, text: Any) -> Header:
    if text not in ("linear", "circular"):
        raise UsageError(f"feed = {text!r}; allowed: linear, circular")
    return header.replace(polarization=replace(header.polarization, kind=text))


def _set_position(header: Header, value: Any) -> Header:
    ra, dec = place(value)
    return header.replace(ra_deg=ra, dec_deg=dec)


# Fields of the header that are set by overrides with other names.
_FIELDS = {"frequency": ("channels",), "feed": ("polarization",), "ra": ("ra_deg",),
           "dec": ("dec_deg",), "position": ("ra_deg", "dec_deg")}

# Keys that `--set KEY=VALUE` and `fs.open(..., KEY=VALUE)` accept for every format.
OVERRIDES: dict[str, Callable[[Header, Any], Header]] = {
    "sample_rate": _set_rate,
    "frequency": _set_frequency,
    "sideband": _set_sideband,
    "start_time": _set_start_time,
    "feed": _set_feed,
    "telescope": lambda header, text: header.replace(telescope=str(text)),
    "source": lambda header, text: header.replace(source=str(text)),
    "position": _set_position,
    "ra": lambda header, value: header.replace(ra_deg=right_ascension(value)),
    "dec": lambda header, value: header.replace(dec_deg=declination(value)),
}


def override_text(key: str, value: Any) -> str:
    """Return the text that is recorded for an override."""
    if key == "position":
        ra, dec = place(value)
        return f"{ra!r} deg, {dec!r} deg"
    return str(value)


def split_overrides(
    overrides: Mapping[str, Any], own: tuple[str, ...], format_name: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split overrides into those of all formats and a format's `own`; refuse unknown keys."""
    common = {key: value for key, value in overrides.items() if key in OVERRIDES}
    special = {key: value for key, value in overrides.items() if key in own}
    unknown = sorted(set(overrides) - set(common) - set(special))
    if unknown:
        allowed = ", ".join((*OVERRIDES, *own))
        raise UsageError(f"unknown override {unknown[0]!r} for {format_name}; allowed: {allowed}")
    return common, special
