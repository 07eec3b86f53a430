"""Flag: find interference in spectra and give it weight 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import interference
from fastsig.axes.polarization import SIGNED
from fastsig.axes.units import exact, whole
from fastsig.errors import UsageError
from fastsig.stages.channel_masks import banned_channels, in_mhz, protected_channels
from fastsig.stages.flag_statistics import Settings, judge
from fastsig.stages.flagging import FlagStage, diode_states, shared
from fastsig.stream import SpectrumStream, Stream

__all__ = ["Flag"]

_CHANNELS = 51  # default window of the running median
_SMOOTH_HZ = 20 * 10**6
_SMOOTH_CHANNELS = 64  # enough that the noise of one channel changes their median little
_LONGEST = 2**20


class Flag(FlagStage):
    """Spectra in which samples with interference have weight 0.

    Segments of `n_segment` spectra, counted from the first, are treated separately. In each
    segment, a channel is flagged completely if its median over time deviates too much from the
    running median over `width`. Changes that are smooth over a span `smooth` of the band, such as
    those of gain and continuum, are then subtracted, and samples that deviate too much from the
    median of their channel are flagged. Samples are tested one by one (`clip`) and in runs of up to
    `max_window` samples in time and in frequency (`sum_threshold`). If the header contains the
    schedule of the noise diode, spectra with the diode on, off, and partly on are treated
    separately. If a channel has 16 or more values in a segment, and all of them are equal, it is
    considered dead and is flagged.

    The noise is measured, including its skewness and the quantisation steps of data with few bits,
    so that thresholds have the same meaning as for Gaussian noise, regardless of the number of
    integrated samples: at most a fraction `noise_share` of pure noise, 0.15 % by default, is
    flagged in each product. If the levels of a recording with few bits were set in such a way that
    the noise is far above that of the radiometer equation and not proportional to the levels, the
    levels are compared with the noise of a single sample. A pulse keeps 97 % of its signal-to-noise
    ratio if this ratio is at most 2.5 times the square root of the number of channels.

    `write`, `write_many` and all measurements of a chain except `on_off` and `drifting` issue a
    `FastsigWarning` if whole channels, or more than a tenth of the samples outside `bands`,
    were flagged in the rows that they needed.

    A signal that fills more than half of a segment, or of a window, is mistaken for the undisturbed
    level. Lines that must not be lost should be listed in `protect`.

    Parameters
    ----------
    source : SpectrumStream
        Spectra in any unit, with at least 16 channels if channels are to be compared.
    bands : str or sequence, optional
        Bands that are always flagged: names of tables in `fastsig.axes.interference.BANDS`, and
        frequency intervals.
    clip : float or None
        Largest deviation of a sample that is not flagged, in standard deviations; None or 0 for no
        limit.
    sum_threshold : float or None
        Threshold of SumThreshold for a single sample, in standard deviations; it decreases by a
        factor of 1.5 for every doubling of the length of the run. None or 0 for no SumThreshold.
    max_window : int
        Number of samples in the longest run, a power of two.
    protect : str or sequence, optional
        Frequency intervals that are never flagged.
    together : bool
        Whether a sample that is flagged in one product is flagged in all products. Otherwise,
        products that are computed from both polarisations are flagged where either polarisation is
        flagged.
    width, smooth : Quantity, str or int, optional
        The windows described above, as a frequency span or a number of channels. By default,
        `width` is 51 channels, but at most half the band; `smooth` is 20 MHz, but at least 64
        channels and at most the whole band.
    n_segment : int, optional
        Number of spectra in a segment; by default, 32 to 1024, chosen so that a product has about
        2**20 values in a segment.
    noise_share : float, optional
        Fraction of pure noise that may be flagged in each product, 1e-9 to 0.1: `clip` and
        `sum_threshold` are multiplied by the common factor that gives this fraction.

    Raises
    ------
    PlanError
        If the source contains no spectra.
    UsageError
        If a parameter is not allowed.
    FormatError
        If frequencies are given for a source without frequencies.

    References
    ----------
    A. R. Offringa et al., MNRAS 405, 155 (2010): SumThreshold.
    """

    name = "flag"
    source: SpectrumStream

    def __init__(
        self, source: Stream, *, bands: Any = None, clip: float | None = 5.0,
        sum_threshold: float | None = 6.0, max_window: int = 64, protect: Any = None,
        together: bool = True, width: Any = None, smooth: Any = None,
        n_segment: int | None = None, noise_share: float | None = None,
    ) -> None:
        super().__init__(source, n_segment)
        self.together = bool(together)
        self.bands = interference.bands(bands)
        self.protect = interference.intervals(protect, "protect")
        protected = protected_channels(self.source, self.protect)
        banned = banned_channels(self.source, self.bands)
        self.settings = Settings(
            _sigma("clip", clip), _sigma("sum_threshold", sum_threshold),
            _window(max_window), _CHANNELS if width is None else self._span("width", width),
            self._smooth() if smooth is None else self._span("smooth", smooth), protected,
            self._samples())
        if not self.bands and self.settings.clip is None and self.settings.sum_threshold is None:
            raise UsageError("nothing is flagged without bands, clip and sum_threshold; allowed: "
                             "at least one of them")
        if noise_share is not None:
            self.settings = self.settings.at_share(_share(noise_share))
        self._banned = banned & ~protected

    def _samples(self) -> float | None:
        """Largest number of independent samples in a value, from the radiometer equation."""
        axis = self.header.channels
        return None if axis is None else float(axis.step_hz / self.header.sample_rate)

    def _smooth(self) -> int:
        """Number of channels in 20 MHz, but enough for medians and no more than there are."""
        axis, n_chan = self.header.channels, self.shape[2]
        wanted = n_chan // 4 if axis is None else round(_SMOOTH_HZ / axis.step_hz)
        return min(n_chan, max(_SMOOTH_CHANNELS, wanted))

    def _span(self, name: str, value: Any) -> int:
        """Convert a window over frequency to a number of channels."""
        if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            channels = int(value)
        else:
            step = self.header.require_channels(self.path).step_hz
            channels = round(exact(value, "Hz", name) / step)
        if channels < 1:
            raise UsageError(f"{name} = {value!r}; allowed: one channel or more")
        return channels

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values; frequencies are edges, MHz."""
        diode = self.header.diode
        return {
            "bands_mhz": in_mhz(self.bands), "clip": self.settings.clip,
            "sum_threshold": self.settings.sum_threshold,
            "max_window": self.settings.max_window, "protect_mhz": in_mhz(self.protect),
            "together": self.together, "noise_share": float(f"{self.settings.noise_share:.3g}"),
            "width_channels": self.settings.width,
            "smooth_channels": self.settings.smooth, "n_segment": self.n_segment,
            "diode": None if diode is None else asdict(diode),
        }

    @property
    def banned(self) -> NDArray[np.bool_]:
        """Mask of the channels flagged by `bands`, (chan,)."""
        return self._banned

    @property
    def _flag_products(self) -> int:
        return 1 if self.together else self.shape[1]

    @property
    def _result_bytes(self) -> int:
        return self.n_segment * self.shape[2] * self._flag_products

    @property
    def _working_bytes(self) -> int:
        return self.n_segment * self.shape[2] * 48

    def _result(self, first: int, data: NDArray[np.float32], weight: NDArray[np.float32]
                ) -> NDArray[np.bool_]:
        """Return the flags of a segment that begins with row `first`, (n, 1 or product, chan)."""
        names = self.polarization.names
        powers = [k for k, name in enumerate(names) if name not in SIGNED]
        states = diode_states(self.header.diode, self.header.sample_rate, first, len(data))
        flags = np.zeros(data.shape, np.bool_)
        for k in powers or range(len(names)):
            valid = (weight[:, k] > 0) & ~self._banned
            x = np.where(valid, data[:, k], np.float32(np.nan))
            flags[:, k] = judge(x, states, power=bool(powers), settings=self.settings)
        flags[:, :, self._banned] = True
        return shared(flags, names, together=self.together)


def _sigma(name: str, value: float | None) -> float | None:
    if not value:
        return None
    if not 0 < float(value) < np.inf:
        raise UsageError(f"{name} = {value!r}; allowed: standard deviations above 0, or None")
    return float(value)


def _share(value: float) -> float:
    if not 1e-9 <= float(value) <= 0.1:
        raise UsageError(f"noise_share = {value!r}; allowed: 1e-9 to 0.1")
    return float(value)


def _window(value: int) -> int:
    value = whole("max_window", value)
    if not 1 <= value <= _LONGEST or value & (value - 1):
        raise UsageError(f"max_window = {value}; allowed: powers of two, 1 to {_LONGEST}")
    return value
