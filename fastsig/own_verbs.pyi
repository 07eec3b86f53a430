"""The verbs that come with fastsig; written by docs/verb_stub.py from the stages."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Self

from astropy.coordinates import EarthLocation
from numpy.typing import NDArray

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import Sideband
from fastsig.calibration.stokes import MuellerTable
from fastsig.pulsar.profiles import Profiles
from fastsig.reductions.diode.calibration import DiodeMeasurement
from fastsig.reductions.sources.fitted_lines import LineFit
from fastsig.reductions.switching.spectrum import Spectrum
from fastsig.run.engine import Progress
from fastsig.run.flag_shares import FlagShares
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.drift.hits import Hits
from fastsig.search.pulsars.candidates import PulsarCandidates
from fastsig.telescopes.pointing import CabinTrack, Refraction
from fastsig.telescopes.receiver import Receiver

__all__ = ["OwnVerbs"]

class OwnVerbs:
    """Verbs of chains that come with fastsig."""

    def channelize(
        self, n_chan: int, *, n_tap: int = 8, window: str = 'hamming',
        min_valid: float = 0.9, oversample: Fraction | str | int = 1,
    ) -> Self:
        """Voltages split into channels: frames of complex numbers.

        ``X[m, k] = sum_i h[i] x[m n_fft + i] exp(-2 pi i k i / n_fft)`` over a frame of ``n_tap n_fft``
        samples, with one frame every ``n_fft`` samples; ``n_fft`` is ``2 n_chan`` for real input
        (channel 0 is kept, the Nyquist channel is dropped) and ``n_chan`` for complex input. Channels
        ascend in sky frequency; a lower sideband is reversed and conjugated, so that cross products
        keep their sign. White noise of variance s^2 has a mean ``|X|^2`` of s^2 in every channel. An
        oversampled bank has one frame every ``n_fft / oversample`` samples.

        Lost samples are replaced by 0. The energy of a frame is ``sum(h^2 valid) / sum(h^2)``; if it is
        below `min_valid`, it is set to 0.

        Parameters
        ----------
        n_chan : int
            Number of channels per input channel, an even number.
        n_tap : int
            Length of the prototype filter in units of n_fft.
        window : str
            Window of the prototype's sinc function: see `fastsig_kernels.filters`.
        min_valid : float
            Smallest energy with which a frame is used, above 0 and at most 1; with 1, no sample of the
            frame may be lost.
        oversample : Fraction, str or int
            n_fft divided by the hop: 1 (critically sampled), "4/3", "32/27", ...

        Raises
        ------
        PlanError
            If the source contains no voltages or is shorter than one frame.
        UsageError
            If a parameter is not allowed.
        """

    def synthesize(
        self, *, oversample: Fraction | str | int | None = None, n_tap: int | None = None,
        window: str | None = None, taps: NDArray[Any] | None = None,
        real: bool | None = None, sideband: Sideband | None = None, min_valid: float = 0.9,
        noise: float | None = None, first_frame: int = 0,
    ) -> Self:
        """Voltages of a band, computed from those of its channels with a polyphase synthesis bank.

        ``x[n] = (1/N) sum_m g[n - m H] sum_k X[m, k] exp(2 pi i k n / N)`` where N is the length of the
        transform of the analysis bank that made the channels, H is its hop, and g is the dual of its
        prototype h (see `fastsig_kernels.Synthesizer`). Frames of `channelize` give the voltages from
        which they were made, nearly exactly (to -118 dB) if the bank is oversampled, and with an error
        of about -37 dB, which depends on `noise`, if it is critically sampled.

        For recorded channels, the parameters must describe the prototype of the recorder (by default 8
        taps and a Hamming window) and, if the bank is oversampled, the origin of the phases
        (`first_frame`); the error is larger if these are not exactly those of the recorder. The
        channels are complex, with zero frequency at the centre of each channel, and the time of a
        sample is the middle of its window. The result is a complex band from the lower edge of the
        lowest channel to the upper edge of the highest one. Within half a channel of these edges the
        spectrum is incomplete, because neighbouring channels are missing.

        The result is shorter than the source, because each voltage is computed from all rows that
        contain a part of it.

        Lost samples of channels are replaced by 0. The H voltages of a hop have an energy: the sum of
        g^2 over the rows that are valid, divided by the sum over all rows. If it is below `min_valid`,
        they are invalid. A frame is valid if its energy is above 0.

        Parameters
        ----------
        oversample : Fraction, str or int, optional
            Sample rate of a channel divided by the spacing of channels: 1, "4/3", "32/27", ...; by
            default, that of the header, which it must not contradict.
        n_tap : int, optional
            Length of the prototype of the analysis in units of N; by default, that of the bank that
            made the frames, or 8 for recorded channels.
        window : str, optional
            Window of the prototype's sinc function; by default, that of the bank that made the frames,
            or "hamming" for recorded channels.
        taps : ndarray, shape (n_tap, N), float32 or float64, optional
            The prototype itself, instead of `n_tap` and `window`, at the sample rate of the result.
            Phases refer to its first sample.
        real : bool, optional
            Whether the result is real, with the lowest channel (in a lower sideband the highest) at 0
            Hz. By default, frames of real voltages give real voltages, and all others complex ones.
        sideband : {"upper", "lower"}, optional
            Sideband of the result; by default, that of the voltages of the frames, or "upper".
        min_valid : float
            Smallest energy of valid voltages, above 0 and at most 1; with 1, none of the rows may be
            invalid.
        noise : float, optional
            Noise-to-signal power ratio for which g is optimal, 1e-12 to 1; by default 1e-3 for critical
            sampling, otherwise 1e-10. A smaller ratio gives a smaller error, a longer g and more noise.
        first_frame : int
            Number of the first sample of the recording, counted from a time at which the phases of all
            channels were 0. The number is used only for recorded channels that are oversampled.

        Raises
        ------
        PlanError
            If the source does not contain channels of one band, or is too short.
        UsageError
            If a parameter is not allowed.
        """

    def detect(
        self, products: str = 'I', *, sign_q: int = 1, sign_v: int = 1, engine: str = 'cpu',
    ) -> Self:
        """Return powers, cross products or Stokes parameters of voltages in channels.

        ``AA = |A|^2, BB = |B|^2, CR + i CI = A* B``; ``I = AA + BB, Q = AA - BB, U = 2 CR, V = 2 CI``
        for linear feeds. With a single polarisation, I is its power.

        Parameters
        ----------
        products : {"I", "AABB", "AABBCRCI", "IQUV", "V"}
            The products to compute.
        sign_q, sign_v : {1, -1}
            Signs of Q and V, for recorders and users with the opposite convention; output files record
            the signs.
        engine : str
            For frames of `channelize`: the engine that computes the spectra; see `DetectFrames`.

        Raises
        ------
        PlanError
            If the source contains no voltages in channels, or the engine cannot be used.
        UsageError
            If the products cannot be computed from the polarisations of the source.
        """

    def dedisperse(
        self, dm: Any, *, ref: Any = None, constant: Any = None,
        allow_negative: bool = False, last: str | None = None, n_chan: int | None = None,
        min_valid: float | None = None,
    ) -> Self:
        """Return a dedispersed stream: spectra, or voltages in channels.

        The channels of spectra are shifted by their delays relative to the highest channel, rounded to
        the nearest spectrum. Voltages are divided into channels, and dispersion is removed coherently
        within each of them; the delays between the channels remain, until the spectra that are made
        from these voltages are dedispersed with the same dispersion measure.

        Parameters
        ----------
        dm : float, str or Quantity
            Dispersion measure, pc cm^-3.
        ref : str or Quantity, optional
            For spectra: reference frequency of times, ``"top"``, ``"infinity"``, or a frequency such as
            ``"1500MHz"``; see `DedisperseSpectra`.
        constant : float or str, optional
            Dispersion constant K, MHz^2 pc^-1 cm^3 s; by default, that of the source if dispersion has
            already been removed from it, otherwise 1/2.41e-4.
        allow_negative : bool
            Whether `dm` may be negative, to restore dispersion.
        last : {"keep", "drop"}, optional
            For spectra: whether the spectra at the end that lack the lower channels are kept (the
            default) or dropped.
        n_chan : int, optional
            For voltages: number of channels into which each channel of the source is divided; 1 by
            default.
        min_valid : float, optional
            For voltages: a sample is used if at least this fraction of the samples over which its
            signal was dispersed is valid; 0.9 by default.

        Raises
        ------
        PlanError
            If the source contains neither spectra nor voltages, or is too short.
        UsageError
            If a parameter is not allowed, for this kind of source or at all.
        FormatError
            If the frequencies of the channels are not known.
        """

    def to_series(
        self,
    ) -> Self:
        r"""A time series: the mean of all channels, weighted by the weights of their values.

        .. math:: y_t = \sum_c w_{tc} x_{tc} / \sum_c w_{tc}

        The weight of the result is the mean weight of the channels. Nothing is subtracted, and channels
        are not normalised: those with a high level or high noise dominate. The header states the number
        of channels as ``extra["channels"]``.

        Sums are those of a binary tree, which halves the band repeatedly, in float32. After
        `dedisperse`, both stages are done in one pass, which takes a few operations per sample, does
        not hold the aligned spectra in memory, and gives identical values.

        Raises
        ------
        PlanError
            If the source contains no spectra.
        """

    def planes(
        self, dms: Any, *, constant: Any = None, track: str | None = None,
        last: str = 'keep',
    ) -> Self:
        r"""A DM-time plane of each product: the mean over the band for many dispersion measures.

        .. math:: y_{td} = \sum_c w x / \sum_c w, \quad x = x_{t + t_c(d), c}

        Each time series of the plane is what `dedisperse` and `to_series` return for its dispersion
        measure, except that delays are rounded as in a tree, in which sums of neighbouring channels are
        shared by neighbouring dispersion measures (FDMT, Zackay & Ofek 2017). For 4096 channels from
        1000 to 1500 MHz and 2048 samples of delay, the delay of a channel differs from the exact one by
        up to 2.2 samples, and by 0.5 samples rms; the mean difference over the channels is at most half
        a sample.

        Times are those at which the signal passes the centre of the highest channel, for all dispersion
        measures. The weight of a value is the mean weight of its channels; values are NaN where it is
        0. The last times lack channels, unless `last` is "drop".

        Parameters
        ----------
        dms : str, sequence of float, or Stretch
            Dispersion measures, pc cm^-3, ascending: numbers; text such as ``"0:1000:0.5"``, with the
            first, the last and the step; or a stretch of a plan made with `dm_plan`, or a plan that
            has only one stretch. The dispersion measures are added to that of the source, if its
            dispersion has already been removed.
        constant : float or str, optional
            Dispersion constant K, as for `dedisperse`; by default, that of the plan, if there is one.
        track : {"sample", "half", "exact"}, optional
            Rounding of delays: that of the tree; that of a tree with half samples, which takes up to
            twice the time; or the nearest sample, as in `dedisperse`, which takes a time proportional
            to the number of dispersion measures. The default is "exact" for up to 16 dispersion
            measures, and "sample" otherwise.
        last : {"keep", "drop"}
            Whether the times at the end for which channels are missing at the largest dispersion
            measure are kept or dropped.

        Raises
        ------
        PlanError
            If the source contains no spectra, has one channel, or is shorter than the largest delay; if
            the plan is for other spectra; or if the sums do not fit into memory.
        UsageError
            If a parameter is not allowed.
        FormatError
            If the frequencies of the channels are not known.

        References
        ----------
        B. Zackay and E. O. Ofek, ApJ 835, 11 (2017).
        """

    def integrate(
        self, time: Any = None, *, n_int: int | None = None, n_freq: int = 1,
        flag_sigma: float | None = None, last: str = 'keep',
    ) -> Self:
        """Weighted means over `n_int` spectra and `n_freq` neighbouring channels.

        ``mean = sum(total) / sum(weight)`` over all valid samples; the weight of a value in the result
        is the fraction of its samples that are valid. An incomplete last integration is kept, with its
        weight, unless `last` is "drop"; programs that do not read weights mistake it for a complete
        one.

        Parameters
        ----------
        time : Quantity or str, optional
            Integration time; rounded to whole spectra, at least one.
        n_int : int, optional
            Exact number of spectra to integrate; not allowed with `time`.
        n_freq : int
            Number of channels to average; must divide the number of channels.
        flag_sigma : float, optional
            For every 128 spectra (fewer at the end of an integration), leave out channels whose
            spectral kurtosis differs from that of noise, in any polarisation, by more than this many
            standard deviations of a Gaussian. This requires detected frames, and integrations of at
            least 16 spectra (more if frames overlap strongly). Each channel then has its own weight.
        last : {"keep", "drop"}
            Whether an incomplete last integration is kept or dropped; the parameters record the number
            of spectra dropped.

        Raises
        ------
        PlanError
            If the source contains no spectra, or if `flag_sigma` is given for spectra that are not
            detected frames.
        UsageError
            If a parameter is not allowed.
        """

    def mask(
        self, mask: Any, *, protect: Any = None,
    ) -> Self:
        """Spectra in which the regions of a mask have weight 0.

        A sample is masked if a region covers a twentieth or more of it both in time and in frequency.

        Parameters
        ----------
        mask : path, or sequence of str
            A file, or the lines of a text file. The times and frequencies of a ``.mask`` file of PRESTO
            are used, regardless of the channels of the spectra. In a text file, each line contains an
            interval of frequency, or ``*`` for all channels, and optionally an interval of time:
            ``1378MHz-1385MHz 3.2s-5s``, counted from the first spectrum, or ``*
            2023-12-01T16:30:03/2023-12-01T16:30:05``. Text after ``#`` is ignored.
        protect : str or sequence, optional
            Frequency intervals that are not masked.

        Raises
        ------
        PlanError
            If the source contains no spectra.
        UsageError
            If the mask is neither a file nor a sequence of lines.
        FormatError
            If the file cannot be read, or frequencies are given for a source without frequencies.
        """

    def flag_kurtosis(
        self, *, noise_share: float = 0.001, n_sum: Any = None, skewness: bool = True,
        n_segment: int | None = None, protect: Any = None, together: bool = True,
    ) -> Self:
        r"""Spectra in which channels with a kurtosis or skewness unlike that of noise have weight 0.

        The power of noise that was summed over N samples has a gamma distribution of shape k = N d,
        with d = 1 for AA and BB, and for I of a single recorded polarisation, and d = 2 for I of two
        polarisations of equal power (the default where a file does not record their number). In
        segments of `n_segment` spectra, counted from the first, the spectral kurtosis of M values with
        the sums S1 and S2 of their first and second powers,

        .. math:: SK = \frac{M k + 1}{M - 1} \left(\frac{M S_2}{S_1^2} - 1\right),

        is 1 for noise of any power (Nita and Gary 2010); intermittent interference increases it, and a
        steady carrier lowers it. The thresholds follow from the exact distribution for noise. With
        `skewness`, channels are also flagged if the third moment about the mean, divided by the third
        power of the mean, is larger than that of noise, whose moments are known exactly. At most a
        fraction `noise_share` of noise is flagged in each product, half of it by each test. If the
        header contains the schedule of the noise diode, spectra with the diode on, off, and partly on
        are tested separately.

        If there are 32 or more channels, spectra in which more than half of the channels deviate in the
        same direction from their means in the segment by more than their noise are flagged, and the
        channels are tested without these spectra. A short impulse in all channels, or spectra that were
        not recorded, would otherwise cause all channels to be flagged in the segment.

        Values must be powers, so that the value 0 means no power. This is not the case in recordings
        with few bits if the recorder has set the levels of the channels, in spectra minus a baseline,
        and after `zero_dm`: SK then differs from 1 in all channels. With `n_sum` "measured", k is
        the value for which the median SK of a segment is 1, the thresholds are approximate, and the
        skewness is not tested.

        Parameters
        ----------
        noise_share : float
            Fraction of pure noise that may be flagged in each product, 1e-8 to 0.1.
        n_sum : float or str, optional
            N, the number of independent samples in a value of one polarisation, or "measured". By
            default, it is the channel width times the integration time, times `n_eff` of the header: 6
            for spectra of FAST at 49.152 us with 4096 channels.
        skewness : bool
            Whether the skewness is also tested, unless `n_sum` is "measured".
        n_segment : int, optional
            Number of spectra in a segment, 16 or more; by default, 32 to 1024, chosen so that a product
            has about 2**20 values in a segment.
        protect : str or sequence, optional
            Frequency intervals that are never flagged.
        together : bool
            Whether a channel that is flagged in one product is flagged in all products.

        Raises
        ------
        PlanError
            If the source contains no spectra of powers.
        UsageError
            If a parameter is not allowed.
        FormatError
            If the number of samples or the frequencies are needed but not known.

        References
        ----------
        G. M. Nita and D. E. Gary, MNRAS 406, L60 (2010).
        """

    def iqrm(
        self, *, statistic: str = 'std', threshold: float = 3.0, radius: Any = 0.1,
        n_segment: int | None = None, protect: Any = None, together: bool = True,
    ) -> Self:
        """Spectra in which channels have weight 0 in segments where their statistics are outliers.

        In segments of `n_segment` spectra, counted from the first, a statistic of each channel is
        compared with that of the channels at lags of 1, 2, 3, 4, 6, 9, ... up to `radius`, in both
        directions (Morello 2022). A difference beyond `threshold` standard deviations, which are
        estimated from the interquartile range of all differences at this lag, is a vote. A channel is
        flagged if it has a vote from a channel that casts fewer votes than the flagged channel
        receives. Slow changes along the band are therefore not outliers. Only values that are too large
        are found.

        Parameters
        ----------
        statistic : {"std", "modulation", "mean", "skewness", "kurtosis"}
            Statistic of the values of a channel in a segment; "std" is the standard deviation,
            "modulation" is the ratio of the standard deviation to the mean (this ratio does not depend
            on the bandpass, and is computed for powers only), and "kurtosis" is the excess over the
            kurtosis of a Gaussian.
        threshold : float
            Smallest difference that is a vote, in standard deviations.
        radius : float or int
            Longest lag, as a fraction of the channels (below 1) or a number of channels.
        n_segment : int, optional
            Number of spectra in a segment; by default, 32 to 1024, chosen so that a product has about
            2**20 values in a segment.
        protect : str or sequence, optional
            Frequency intervals that are never flagged.
        together : bool
            Whether a channel that is flagged in one product is flagged in all products.

        Raises
        ------
        PlanError
            If the source contains no spectra, or too few channels.
        UsageError
            If a parameter is not allowed.
        FormatError
            If frequencies are given for a source without frequencies.

        References
        ----------
        V. Morello, K. M. Rajwade and B. W. Stappers, MNRAS 510, 1393 (2022).
        """

    def zero_dm(
        self, *, method: str = 'mean', n_segment: int | None = None,
    ) -> Self:
        r"""Spectra without the signals that arrive in all channels at the same time.

        With the method "mean" (Eatough 2009), the mean over the band is subtracted at each time:

        .. math:: y_c(t) = x_c(t) - s(t), \quad s(t) = \langle x_c(t) \rangle_c

        Only valid channels contribute to the mean, each as its deviation from its level in a segment of
        `n_segment` spectra, so that the mean does not change with the set of valid channels. With the
        method "zdot" (Men 2019), the strength of the signal may differ between channels: in each
        segment, the slope a of each channel as a function of s is fitted, and

        .. math:: y_c(t) = x_c(t) - s(t) - (a_c - 1)\,(s(t) - \langle s \rangle)

        Afterwards, the mean over the band is 0, so the values are no longer powers. A pulse of
        dispersion measure 0 is removed, and a dispersed pulse loses power if its delay T across the
        band is not much longer than its width: its Fourier transform is multiplied by 1 - sinc^2(f T)
        at the fluctuation frequency f. If T is much longer than the pulse, the mean over the band is
        small, and little power is lost.

        Parameters
        ----------
        method : {"mean", "zdot"}
            Method that determines what is subtracted, as described above.
        n_segment : int, optional
            Number of spectra in a segment; by default, 32 to 1024, chosen so that a product has about
            2**20 values in a segment.

        Raises
        ------
        PlanError
            If the source contains no spectra, or only one channel.
        UsageError
            If a parameter is not allowed.

        References
        ----------
        R. P. Eatough et al., MNRAS 395, 410 (2009); Y. P. Men et al., MNRAS 488, 3957 (2019).
        """

    def flag_runs(
        self, *, threshold: float = 6.0, max_window: int = 64,
        noise_share: float | None = None, n_segment: int | None = None,
        protect: Any = None, together: bool = True,
    ) -> Self:
        """Spectra in which samples and runs of samples that deviate have weight 0.

        In segments of `n_segment` spectra, counted from the first, the level and the noise of each
        channel are the mean and the standard deviation of its values over time, without outliers.
        If the header contains the schedule of the noise diode, spectra with the diode on, off, and
        partly on are treated separately; a group of fewer than 16 spectra in a segment is not tested.
        Deviations are converted to those of Gaussian noise using the skewness of all values, and
        samples and runs of up to `max_window` samples in time and in frequency are flagged if their
        mean deviates too much (SumThreshold, Offringa 2010).

        The stage takes at most a tenth of the time of `flag`. It is intended for searches, after `iqrm`
        or `flag_kurtosis` has removed channels with steady interference, and `zero_dm` has removed
        changes that are common to all channels: the stage does not compare channels with each other,
        and changes of gain within a segment are flagged if they are larger than the noise.

        Parameters
        ----------
        threshold : float
            Largest deviation of a single sample that is not flagged, in standard deviations; it
            decreases by a factor of 1.5 for every doubling of the length of the run.
        max_window : int
            Number of samples in the longest run, a power of two.
        noise_share : float, optional
            Fraction of pure noise that may be flagged in each product, 1e-9 to 0.1, instead of
            `threshold`.
        n_segment : int, optional
            Number of spectra in a segment; by default, 32 to 1024, chosen so that a product has about
            2**20 values in a segment.
        protect : str or sequence, optional
            Frequency intervals that are never flagged.
        together : bool
            Whether a sample that is flagged in one product is flagged in all products.

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
        A. R. Offringa et al., MNRAS 405, 155 (2010).
        """

    def flag(
        self, *, bands: Any = None, clip: float | None = 5.0,
        sum_threshold: float | None = 6.0, max_window: int = 64, protect: Any = None,
        together: bool = True, width: Any = None, smooth: Any = None,
        n_segment: int | None = None, noise_share: float | None = None,
    ) -> Self:
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

    def calibrate(
        self, solution: Any, *, on: str = 'subtract', guard: Any = 0,
    ) -> Self:
        """Antenna temperatures in K; spectra during which the diode switches have weight 0.

        Parameters
        ----------
        solution : DiodeSolution, or the result of `Chain.measure_diode`
            Solution with which the spectra are calibrated.
        on : {"subtract", "blank"}
            Whether the temperature of the diode is subtracted from rows in which it is on ("subtract"),
            or the weight of these rows is set to 0 ("blank").
        guard : Quantity, str or number of s
            Maximum error of the times at which the diode is switched.

        Raises
        ------
        PlanError
            If the source contains no spectra.
        UsageError
            If a parameter is not allowed, or the solution is for other products, other channels or
            spectra that begin at another time.
        """

    def locate(
        self, track: CabinTrack, *, beam: int | None = None,
        refraction: Refraction | str | None = None, record: Mapping[str, Any] | None = None,
    ) -> Self:
        """The same spectra, with columns for the position of the beam at the middle of each spectrum.

        ``ra_deg`` and ``dec_deg`` are ICRS; ``zenith_deg`` and ``parallactic_deg`` are apparent angles;
        ``receiver_deg`` is the position angle of the receiver's Y axis, north through east; and
        ``extrapolated`` is 1 if the track has no row within 1 s.

        Parameters
        ----------
        track : CabinTrack
            The track of the feed cabin, as returned by `fastsig.io.fast.ky.read`.
        beam : int, optional
            Number of the beam; by default, that in the header.
        refraction : Refraction or str, optional
            Atmospheric conditions for refraction, instead of those in the track; also as text, such as
            ``"925,15,0.8,0.3m"`` (pressure in hPa, temperature in deg C, relative humidity,
            wavelength), or ``"none"`` for no refraction.
        record : mapping, optional
            Description of the file of the track for the provenance; by default, its name.

        Raises
        ------
        PlanError
            If the source contains no spectra.
        UsageError
            If the track or the refraction is of another type, or the beam is not known.
        """

    def stokes(
        self, products: str = 'IQUV', *, sign_q: int = 1, sign_v: int = 1,
        feed_angle: Any = None, mueller: MuellerTable | None = None, record: Any = None,
    ) -> Self:
        """Stokes parameters of integrated products.

        ``I = AA + BB``, ``Q = sign_q (AA - BB)``, ``U = 2 CR``, ``V = sign_v 2 CI``, with ``CR + i CI =
        <A* B>``. In the frame of the sky, Q and U refer to north and east: they are rotated by twice
        the position angle of receptor A, which is the sum of the column ``receiver_deg``, 90 deg and
        `feed_angle`.

        Parameters
        ----------
        products : {"IQUV", "I", "V"}
            The Stokes parameters to compute.
        sign_q, sign_v : {1, -1}
            Signs of Q and V, since conventions differ.
        feed_angle : Quantity or str, optional
            Position angle of receptor A minus that of the line from M01 to M02, north through east. If
            it is specified, Q and U are in the frame of the sky. Its value has not been published for
            FAST, so there is no default.
        mueller : MuellerTable, optional
            Mueller matrices of the receiver, in its own frame and for `sign_q` and `sign_v` of 1; their
            effect is removed before Q and U are rotated.
        record : optional
            Description of the Mueller table for the provenance.

        Raises
        ------
        PlanError
            If the source lacks the necessary products or the angles needed to rotate them, or is in Jy.
        UsageError
            If a parameter is not allowed.
        """

    def flux(
        self, receiver: Receiver | None = None, *, gain: Any = None,
        zenith_angle: Any = None, temperature: Any = None, beam: int | None = None,
    ) -> Self:
        r"""Flux densities in Jy.

        .. math:: S_{AA} = T_{AA} / G, \quad S_I = (T_{AA} + T_{BB}) / (2 G)

        AA, BB, CR and CI are divided by the gain G of a single polarisation, so the flux density of I
        is the mean of those of AA and BB. I, Q, U and V, which combine both polarisations, are divided
        by 2 G; I of a single recorded polarisation is divided by G. Columns with the noise expected
        from the radiometer equation, ``radiometer_NAME``, are also converted to Jy.

        Parameters
        ----------
        receiver : Receiver, optional
            The receiver, with a gain that depends on beam, frequency and zenith angle; by default, the
            receiver of the telescope in the header, if it is known. The parameters record its name and
            the reference for its gain.
        gain : Quantity, optional
            Gain of one polarisation, K/Jy, instead of that of the receiver; for example, a gain
            measured with a calibrator of known flux density (`fastsig.telescopes.calibrators`).
        zenith_angle : Quantity, optional
            Zenith angle of all spectra.
        temperature : Quantity, optional
            Ambient temperature; by default, its term in the gain is left out.
        beam : int, optional
            Beam of the receiver; by default, that in the header.

        Raises
        ------
        PlanError
            If the source is not in K, or the gain is not known in any channel.
        UsageError
            If the telescope, its gain, the beam or the zenith angle is not known, or an argument is
            not allowed.
        """

    def baseline(
        self, method: str = 'polynomial', *, protect: Any = (), **options: Any,
    ) -> Self:
        """Spectra minus a model that is fitted to each spectrum.

        ``out = in - model``; weights are unchanged, except that a spectrum with too few channels of
        non-zero weight for a fit is given weight 0.

        Parameters
        ----------
        method : {"polynomial", "arpls", "ripple-fourier", "ripple-sine"}
            The model that is fitted.
        protect : window or sequence of windows
            Frequencies of lines, which are excluded from every fit: ``"1419MHz-1421.5MHz"``, or pairs
            of values.
        **options
            Options of the method, with their defaults in parentheses. Polynomial: `order` (3);
            `include`, the only windows that are fitted. arPLS: `lam` (1e8), `ratio` (0.01), `max_iter`
            (100). Ripples: `period` (1.08 MHz, or several); `width` (0.2), the width of the delay
            window divided by the delay; `trend` (5), the order of the polynomial fitted with the
            ripple; `n_rows` (1), the number of spectra averaged for each measurement, with the diode on
            and off separately if the header has its schedule; `harmonics` (1) of a sine.

        Raises
        ------
        PlanError
            If the source contains no spectra, or spectra without frequencies.
        UsageError
            If a parameter is not allowed, or a window has no channel.

        References
        ----------
        See `fastsig.calibration.baseline` and `fastsig.calibration.ripple`.
        """

    def frame(
        self, to: str, *, rest: Any = None, source_frame: str | None = None,
        position: Any = None, location: EarthLocation | str | None = None,
        width: Any = None, band: Any = None, lobes: int | None = None,
        min_valid: float = 0.9,
    ) -> Self:
        r"""Spectra as seen by an observer at rest in another frame.

        .. math:: f_{out} = F f_{in}, \quad F = \sqrt{(1 + \beta) / (1 - \beta)}

        where `fastsig.telescopes.velocity_frames.factor` computes F for the time of the middle of each
        row, its position, and the telescope. `fastsig_kernels.resample` resamples all rows to one
        evenly spaced frequency axis; the interpolation is band-limited and conserves flux. Values are
        not scaled: a spectral density still refers to its own channel, which has become wider or
        narrower (F differs from 1 by less than 2e-4). The column ``frame_m_s`` contains c (F - 1) for
        every row.

        Parameters
        ----------
        to : {"topocentric", "geocentric", "barycentric", "heliocentric", "lsrk"}
            The new frame.
        rest : str or Quantity, optional
            The line that was observed (`fastsig.axes.velocity.line`), or its rest frequency, for the
            header of the product.
        source_frame : str, optional
            Frame of the source, instead of that in the header; topocentric if both are missing.
        position : SkyCoord or pair of Quantity, optional
            Position of all rows, ICRS, instead of that in the source.
        location : EarthLocation or str, optional
            Location of the telescope, or its name; by default, the telescope in the header.
        width : Quantity, optional
            Width of output channels; by default, that of the source.
        band : pair of Quantity, optional
            Lowest and highest centre of output channels, in the new frame.
        lobes, min_valid
            As for `fastsig_kernels.resample`.

        Notes
        -----
        The centres of output channels are integer multiples of their width, so products with the same
        width in the same frame share their channels, whatever their sources. By default, the number of
        channels is that which fills the band of the source. The first output channel is the one nearest
        to the first channel of the source after a shift by the mean of the smallest and the largest
        shift among five evenly spaced rows. Rows with other shifts lack a few channels at one end;
        these have weight 0.

        Raises
        ------
        PlanError
            If the source contains no spectra, has no frequencies, or is already in the new frame.
        UsageError
            If the position, the telescope or the frame of the source is not known, or a parameter is
            not allowed.
        """

    def barycenter(
        self, *, position: Any = None, location: EarthLocation | str | None = None,
    ) -> Self:
        r"""The same spectra, with columns for the barycentric time of the middle of each spectrum.

        .. math:: t_b = t_{TDB} + r \cdot n / c

        ``barycentric_mjd`` is this time in TDB as a float64 day number, with a resolution of 0.6 us;
        ``barycentric_s`` is the light-travel time r . n / c alone, interpolated to better
        than 1 ns. `fastsig.telescopes.barycenter` describes which terms are included, and how closely
        the times agree with those of TEMPO.

        Parameters
        ----------
        position : SkyCoord, pair of Quantity, or str, optional
            Position of all rows, ICRS, instead of that in the source.
        location : EarthLocation or str, optional
            Location of the telescope, or its name; by default, the telescope in the header.

        Raises
        ------
        PlanError
            If the source contains no spectra, or its times are already barycentric.
        UsageError
            If the position or the telescope is not known.
        """

    def to_barycenter(
        self, *, position: Any = None, location: EarthLocation | str | None = None,
        ephemeris: str | None = None,
    ) -> Self:
        r"""Return rows that are evenly spaced in time at the solar system's barycentre.

        .. math:: n_k = \mathrm{round}(t_b^{-1}(t_b(0) + (k + 1/2) \Delta t) / \Delta t - 1/2)

        Row k of the result is row n_k of the source. About one row in 10000 is left out or repeated,
        where the clocks of the telescope and the barycentre have drifted apart by half a row. PRESTO's
        prepdata does the same, but inserts a mean value instead of repeating a row. The Einstein,
        Roemer and Shapiro delays are included. The start is a barycentric time (TDB), written as if it
        were UTC, and ``extra["barycentered"]`` is 1.

        Dispersion delays are not corrected to the barycentre: remove the dispersion first, at the
        frequencies of the telescope.

        Parameters
        ----------
        position : SkyCoord, pair of Quantity, or str, optional
            Position of the source, ICRS, instead of that in the header.
        location : EarthLocation or str, optional
            Location of the telescope, or its name; by default, the telescope in the header.
        ephemeris : str, optional
            A JPL kernel (.bsp), or ``"erfa"`` for ERFA's series; by default, the kernel of the extra
            ``[pulsar]`` if it is installed, and otherwise ERFA's series. With a kernel, times agree
            with PINT's to 1 us. Times from the series differ from those of a kernel by up to 0.43 ms,
            and this difference changes by up to 0.03 ms per month.

        Raises
        ------
        PlanError
            If the source contains neither spectra nor planes, its times are already barycentric, or its
            rows are longer than 100 s.
        UsageError
            If the position or the telescope is not known.
        FormatError
            If the kernel does not exist, or does not cover the times.
        """

    def select(
        self, *, rows: Any = None, channels: Any = None, products: Any = None,
    ) -> Self:
        """Return selected rows, channels and products of voltages or spectra.

        The lower end of a pair comes first. If the ends are row or channel numbers, the upper end is
        excluded, as in a slice. If they are frequencies, they refer to channel centres, and both ends
        are included.

        Parameters
        ----------
        rows : pair or slice, optional
            Row numbers, times from the start, or UTC dates and times.
        channels : pair or slice, optional
            Channel numbers, or frequencies.
        products : str or sequence of str, optional
            Names of products of spectra.

        Raises
        ------
        UsageError
            If a range is empty or not within the stream.
        PlanError
            If channels or products are selected from a stream without them.
        """

    def measure_diode(
        self, tcal: Any, *, diode: Any = None, guard: Any = 0, gain_time: Any = '60s',
        smooth: Any = None, phase: bool = False, beam: int | None = None,
        workers: int | None = None, memory: int | None = None,
        progress: Progress | None = None,
    ) -> DiodeMeasurement:
        """Return timing and spectrum of the noise diode, and the gain, from two passes over a scan.

        Parameters
        ----------
        tcal : Quantity, str, or path
            Temperature of the diode: one value, one value per polarisation (``"1.1K,1.2K"``), or
            tables that `fastsig.telescopes.tcal` reads.
        diode : DiodeSchedule, mapping or str, optional
            Schedule of the diode, such as ``"mode=pulsar"`` or ``"period=2s,on=1s,first=0s"``, which is
            checked against the data. By default, the schedule in the header is checked in the same way;
            if it disagrees with the data, or if there is none, the schedule found in the data is used.
        guard : value, s
            Maximum error of the times at which the diode is switched.
        gain_time : value, s
            Largest interval between the knots of the gain, which is modelled as piecewise linear in
            time.
        smooth : value, Hz, optional
            Width over which the spectrum of the diode is smoothed by fitting local straight lines; 0
            for no smoothing. The default is 5 MHz, as in HiFAST, but at most 1/32 of the band. Where
            the lines do not follow the spectrum within the noise, the residuals are smoothed too, and
            are added to the lines.
        phase : bool
            Whether the phase of the diode is removed from CR + i CI; the signal of the diode is assumed
            to be injected at 45 degrees to both receptors.
        beam : int, optional
            Beam for which temperatures are read from the tables; by default, that in the header.
        workers : int, optional
            Number of threads; by default, as many as the process may use.
        memory : int, optional
            Maximum number of bytes that the process may use.
        progress : callable, optional
            Called with the name of a pass, the number of input rows processed since the last call, and
            the number of rows in the pass.

        Raises
        ------
        DataError
            If no diode is found, if it is on all the time, or if it disagrees with `diode`. Without a
            schedule, also if the diode is detected in fewer than half of the channels or in only one
            cycle, if its power is negative in more than a quarter of the channels or changes
            gradually, or if the noise is far above that of the radiometer equation.
        PlanError, UsageError
            If the spectra cannot be calibrated, if a parameter is not allowed, or if `memory` is too
            small.
        """

    def on_off(
        self, period: Any, *, on: Any = None, first: Any = 0, settle: Any = 0,
        tsys: Any = None, tcal: Any = None, diode: DiodeSchedule | None = None,
        kelvin: bool | None = None, smooth_ref: int = 1, n_eff: float = 1.0,
    ) -> Spectrum:
        """Return antenna temperatures from spectra on and off a source, one spectrum per cycle.

        For rows in K, the temperature is ``on - off``. For rows in other units, it is ``Tsys (on - off)
        / off``, computed for each state of the diode and averaged with weights from the expected
        variances. Tsys of a cycle is that of its rows off the source; for the average, it is the
        weighted root mean square of the Tsys of the two states.

        Parameters
        ----------
        period : Quantity or str
            Time from the start of one phase on the source to the start of the next.
        on, first, settle : Quantity or str, optional
            Time on the source (by default, half of the period); start of the first phase on the source,
            counted from the start of the stream (by default, 0 s); time that is left out after each
            move (by default, 0 s).
        tsys : Quantity or str, shape () or (product,), optional
            System temperature off the source with the noise diode off, such as ``"20K"``. Only rows
            with the diode off are then used.
        tcal : Quantity or str, shape (), (product,) or (product, chan), optional
            Temperature of the noise diode. Tsys is then computed from the two states of the diode.
        diode : DiodeSchedule, optional
            Schedule of the diode; by default, that in the header. Without a schedule, the diode is
            assumed to be off.
        kelvin : bool, optional
            Whether rows are in K; by default, this is determined by the unit in the header.
        smooth_ref, n_eff
            As in `fastsig.reductions.switching.scans.position_switched`.

        Raises
        ------
        UsageError
            If the times on the source, the arguments for Tsys, or `n_eff` are invalid.
        PlanError
            If the stream does not contain spectra, or no cycle has rows both on and off the source.
        DataError
            If no data are valid, or the diode is not detected.
        """

    def flag_shares(
        self, *, workers: int | None = None,
    ) -> FlagShares:
        """Return the fractions of the samples that have weight 0. All rows are read.

        ``total`` is the sum of two fractions: ``new``, that of the samples to which the flagging stages
        of the chain gave weight 0, and ``before``, that of the samples that have weight 0 without these
        stages, such as samples flagged in the file.

        A `FastsigWarning` is issued if a stage `flag` of the chain flagged whole channels, or more
        than a tenth of the samples outside the requested bands.

        Parameters
        ----------
        workers : int, optional
            Number of threads; by default, as many as the process may use.

        Raises
        ------
        PlanError
            If the chain contains no spectra.
        """

    def fold(
        self, predictor: Any = None, *, period: Any = None, pdot: Any = None,
        acceleration: Any = None, dm: Any = None, n_bin: int | None = None,
        n_chan: int | None = None, subint: Any = '10s', single: bool = False,
        constant: Any = None, tcal: Any = None, diode: Any = None, beam: int | None = None,
        gain: Any = None, workers: int | None = None, memory: int | None = None,
    ) -> Profiles:
        """Return the profiles of a pulsar, folded from spectra.

        Channels are aligned at the centre of the band, or at the frequency to which the times of
        dedispersed spectra refer. Every sample is added to the bin that contains the phase at the
        centre of the sample in time and in frequency.

        Parameters
        ----------
        predictor : Predictor or path, optional
            Predictor of the phase of the pulsar, such as `fastsig.pulsar.polyco.Polyco`; path of a file
            of polycos; or path of an ephemeris (.par), which requires PINT. The ephemeris and its
            position are stored in the profiles.
        period : Quantity or str, optional
            Period at the telescope, at the start of the data, such as ``"0.7s"``, instead of a
            predictor.
        pdot : float, optional
            Derivative of the period.
        acceleration : Quantity or str, optional
            Acceleration along the line of sight, such as ``"20m/s2"``, positive towards the observer.
        dm : float, str or Quantity, optional
            Dispersion measure, pc cm^-3; by default, that of the predictor, or that which was removed
            from the spectra, between channels or within channels. If none is known, channels are not
            aligned.
        n_bin : int, optional
            Number of bins in a period; by default, the largest power of two up to 256 that does not
            exceed the number of samples in a period.
        n_chan : int, optional
            Number of channels of the profiles, a divisor of the number of channels of the spectra; by
            default, the largest divisor that does not exceed 128.
        subint : Quantity or str, optional
            Duration of a subintegration; None makes a single subintegration.
        single : bool
            Whether each complete period is a subintegration. Channels are then first dedispersed to the
            nearest sample.
        constant : float, optional
            Dispersion constant, MHz^2 pc^-1 cm^3 s; by default, that in the header, or 1/2.41e-4.
        tcal : Quantity, str or path, optional
            Temperature of the noise diode, as for `measure_diode`. If it is given, the diode is
            measured and the spectra are calibrated before they are folded. The profiles are then in K,
            and are free of the differences in gain and phase between the receptors. The diode's signal
            must be injected at 45 degrees to both receptors.
        diode, beam : optional
            As for `measure_diode`.
        gain : Quantity or str, optional
            Gain of one polarisation, K/Jy, for Stokes parameters in Jy; allowed only with `tcal`.
        workers, memory : int, optional
            As for `fastsig.run.engine.run`.

        Returns
        -------
        Profiles

        Raises
        ------
        UsageError
            If an argument is not allowed, if neither or both of `predictor` and `period` are given, if
            the period is shorter than two samples, or if the predictor does not cover the data.
        PlanError
            If the chain does not contain spectra with known frequencies, or `single` is not possible.
        """

    def bursts(
        self, dms: Any = (0, 3000), *, width: Any = None, threshold: float = 7.0,
        loss: Any = 0.05, constant: Any = None, switch: float = 1.5,
        n_chan: int | None = None, time: Any = None, workers: int | None = None,
        memory: int | None = None,
        on_candidates: Callable[[Candidates], None] | None = None,
    ) -> Candidates:
        """Return the single pulses and bursts that are found in spectra or voltages.

        Voltages are divided into channels, in which the dispersion is removed coherently at widely
        spaced dispersion measures. Around each of these dispersion measures, the powers are searched in
        the same way as spectra.

        Channels are normalised, the sampling rate is halved where the dispersion within channels allows
        it, spectra are summed for all dispersion measures by a tree algorithm, and boxcars of many
        widths are applied to each time series. Boxcars above the threshold that are neighbours in
        dispersion measure and time form one candidate.

        Parameters
        ----------
        dms : pair, or text such as "0:3000"
            Lowest and highest dispersion measure, pc cm^-3.
        width : pair of Quantity, or text such as "0.1ms:100ms", optional
            Shortest and longest width; from one sample to 100 ms by default.
        threshold : float
            Lowest S/N of a candidate.
        loss : float or str
            Largest fraction of its S/N, such as 0.05 or ``"5%"``, that a pulse may lose between two
            widths, or halfway between two dispersion measures.
        constant : value, optional
            Dispersion constant, MHz^2 pc^-1 cm^3 s; by default, that of the spectra, or 1/2.41e-4.
        switch : float
            The sampling rate is halved where the smearing within a channel is at least `switch` times
            the smearing that the plan adds, and a pulse of ten spectra (or of the shortest width, if
            this is longer), widened by the smearing within a channel, still spans at least ``2 switch``
            samples. With smaller values, the search takes less time, but short pulses lose more S/N.
        n_chan : int, optional
            Number of channels into which each channel of voltages is divided; required for voltages.
        time : Quantity or str, optional
            Integration time of the powers of voltages; by default, half of the shortest width in
            `width`, or one sample of a channel if no width is given.
        workers, memory : int, optional
            As for `fastsig.run.engine.run`.
        on_candidates : callable, optional
            Function that is called during the search with each group of candidates, as soon as no later
            spectrum can change them.

        Returns
        -------
        Candidates
            The candidates, the brightest first.

        Raises
        ------
        UsageError
            If an argument is not allowed, or the dispersion has already been removed.
        PlanError
            If the chain contains neither voltages nor spectra with known frequencies and one intensity,
            or if the data are too short.
        """

    def drifting(
        self, drift: Any = ('-4 Hz/s', '4 Hz/s'), *, snr: float = 10.0, width: Any = None,
        coarse: int | None = None, dc: bool = False, smeared: bool = True,
        folder: str | None = None, workers: int | None = None, memory: int | None = None,
        progress: Progress | None = None,
    ) -> Hits:
        """Return the hits of drifting carriers in spectra.

        Parameters
        ----------
        drift : pair of Quantity, or text such as "-4:4"
            Lowest and highest drift rate, Hz/s.
        snr : float
            Lowest S/N of a hit, 5 or more.
        width : Quantity or str, optional
            Widest boxcar for carriers that drift slowly, as a frequency; 8 channels by default.
        coarse : int, optional
            Number of coarse channels. By default, it is that of the voltages from which the spectra
            were made, or that of recordings of Breakthrough Listen at Green Bank if the band consists
            of a whole number of their coarse channels.
        dc : bool
            Whether the two central channels of each coarse channel are also searched. One of them
            contains the DC component.
        smeared : bool
            Whether carriers spread over the channels that they cross during a spectrum, as recorded
            carriers do; see `DriftPlan`.
        folder : str, optional
            Folder for a copy of the spectra, which is made if channels cannot be read separately; by
            default, the folder for temporary files.
        workers, memory : int, optional
            As for `fastsig.run.engine.run`.
        progress : callable, optional
            As for `fastsig.run.engine.run`.

        Returns
        -------
        Hits
            The hits, the strongest first.

        Raises
        ------
        UsageError
            If an argument is not allowed.
        PlanError
            If the chain does not contain spectra with known frequencies and one intensity.
        """

    def pulsars(
        self, dms: Any = (0, 500), *, harmonics: int = 16, accel: float = 0.0,
        jerk: float = 0.0, period: Any = ('0.5s', '1800s'),
        duty: Any = (0.004166666666666667, 0.2), threshold: float = 6.0, loss: float = 0.1,
        zap: Any = (), mains: float | None = None, birds: Any = (), known: Any = None,
        radius: Any = '1deg', constant: Any = None, barycenter: bool = False,
        ephemeris: str | None = None, segment: Any = None, others: Sequence[Any] = (),
        folder: str | None = None, workers: int | None = None, memory: int | None = None,
        progress: Progress | None = None,
    ) -> PulsarCandidates:
        """Return pulsar candidates that a Fourier search and fast folding find in spectra or series.

        One search uses the Fourier transform, and the other uses fast folding.

        Channels are normalised and summed for all dispersion measures. In each of these time series,
        sums of harmonics of the whitened Fourier spectrum, with and without a drift of the frequency,
        are compared with the noise. The series is also folded at all trial periods, and the profiles
        are matched with boxcars. Detections at neighbouring dispersion measures and frequencies, and
        their harmonics, form one candidate.

        Parameters
        ----------
        dms : pair, or text such as "0:500"
            Lowest and highest dispersion measure, pc cm^-3.
        harmonics : int
            Largest number of harmonics that are summed: 1, 2, 4, 8, 16 or 32; 0 skips the Fourier
            search.
        accel : float
            Largest drift of the highest harmonic over the duration of the data, in Fourier bins.
        jerk : float
            Largest change of this drift over the duration of the data, in Fourier bins. The
            Fourier search then takes at least about 1 + jerk / 10 times as long.
        period : pair of Quantity, or text such as "0.5s:1800s", or None
            Shortest and longest period of fast folding; the longest is at most an eighth of the
            duration of the data. None skips fast folding.
        duty : pair of float, or text such as "0.5%:20%"
            Smallest and largest width of a pulse in fast folding, as a fraction of the period.
        threshold : float
            Lowest significance of a candidate, corrected for the number of trials, in standard
            deviations.
        loss : float
            Largest fraction of its S/N that a pulse as wide as one sample may lose halfway between two
            dispersion measures.
        zap : sequence of pairs
            Lower and upper edges, in Hz, of ranges of frequencies in which signals are left out.
        mains : float, optional
            Frequency of the mains, 50 or 60 Hz. Signals at this frequency and its harmonics are left
            out.
        birds : sequence of path or "find"
            Files of frequencies at which signals are left out. Each line of a text file contains a
            frequency and a full width in Hz and, optionally, a number of harmonics. If a file is a
            table made with `compare_pulsar_beams`, its rows of interference are used. With ``"find"``,
            signals that are strongest at DM 0 are left out.
        known : path or sequence of Pulsar, optional
            Known pulsars, or a table of them, after which candidates are named.
        radius : Quantity or str
            Largest angular distance of a known pulsar from the position of the data.
        constant : value, optional
            Dispersion constant, MHz^2 pc^-1 cm^3 s; by default, that of the spectra, or 1/2.41e-4.
        barycenter : bool
            Whether series are sampled evenly at the solar system's barycentre, as by `to_barycenter`.
        ephemeris : str, optional
            As for `to_barycenter`.
        segment : Quantity or str, optional
            Length of segments, such as ``"10min"``, that are searched in addition to the whole.
            Segments have the same length, and overlap by half or more.
        others : sequence of Chain or stream
            If the chain is a time series, the time series of the same scan at other dispersion
            measures.
        folder : str, optional
            Folder for series that do not fit into memory; by default, the folder for temporary files.
        workers, memory, progress : optional
            As for `fastsig.run.engine.run`.

        Returns
        -------
        PulsarCandidates
            The candidates, the most significant first.

        Raises
        ------
        UsageError
            If an argument is not allowed.
        PlanError
            If the chain does not contain spectra with known frequencies and one intensity, if they are
            too short, or if `others` do not belong to the time series.
        """

    def fit_gaussians(
        self, n: int = 1, *, product: str | None = None, window: Any = None,
        baseline: int | None = 0, convention: str = 'radio', rest: Any = None,
        sigma: Any = None, correlation: Sequence[float] | None = None,
    ) -> LineFit:
        """Return Gaussians and a baseline fitted to a spectrum, with errors.

        The spectra of a chain are first averaged over all rows, weighted by their weights. To fit only
        part of the rows or channels, use a slice: ``scan["00:10:00":, "1419MHz":"1421MHz"]`` excludes
        the band edges. Velocities are those of the channel centres, in the frame of the spectra (which
        the verb `frame` can change), and are positive for recession. The models are averaged over each
        channel.

        The noise of a channel is ``sigma / sqrt(weight)``, with the weight of the mean spectrum. Unless
        `sigma` is given, it is measured from differences between channels that are four channels apart,
        and is measured again without the channels of the fitted lines. The correlation between channels
        that are closer together, such as that from Hann smoothing, is measured if it is significant. If
        there are fewer than 200 channels, the channels are assumed to be independent.

        The errors include the noise of the gain (``header.gain_noise``), which all spectra and
        neighbouring channels share, and the higher noise on a line. If the spectra do not record the
        noise of their gain, the noise is assumed to be the same on and off the line, although a line as
        bright as the system temperature doubles it. A `FastsigWarning` is issued if the noise does not
        explain the differences between the spectrum and the fit.

        Parameters
        ----------
        n : int
            Number of lines, 1 to 10.
        product : str, optional
            The product to fit; by default, I, or the only product.
        window : pair of Quantity, optional
            Range of velocities in which to fit; all velocities by default.
        baseline : int or None
            Order of the polynomial that is fitted together with the lines; None for no polynomial.
        convention : {"radio", "optical", "relativistic"}
            Convention in which velocities are computed.
        rest : str or Quantity, optional
            Rest frequency, instead of that of the spectrum: "HI", another line, or a frequency.
        sigma : Quantity, optional
            Noise of a channel with weight 1 in the mean spectrum, instead of the measured noise.
        correlation : sequence of float, optional
            Correlation of the noise of channels that are 1, 2, ... channels apart, instead of the
            measured correlation.

        Raises
        ------
        DataError
            If there is no line, the noise cannot be measured, or the fit does not converge.
        UsageError
            If an option is not valid, or the product, the rest frequency or the frequencies are not
            known.
        """
