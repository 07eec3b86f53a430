"""The verbs that come with fastsig; written by docs/verb_stub.py from the stages."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Self

from astropy.coordinates import EarthLocation

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.calibration.stokes import MuellerTable
from fastsig.reductions.diode.calibration import DiodeMeasurement
from fastsig.reductions.switching.spectrum import Spectrum
from fastsig.run.engine import Progress
from fastsig.run.flag_shares import FlagShares
from fastsig.telescopes.pointing import CabinTrack, Refraction
from fastsig.telescopes.receiver import Receiver

__all__ = ["OwnVerbs"]

class OwnVerbs:
    """Verbs of chains that come with fastsig."""

    def channelize(
        self, n_chan: int, *, n_tap: int = 8, window: str = 'hamming',
        min_valid: float = 0.9, oversample: Fraction | str | int = 1,
    ) -> Self:
        """Split voltages into channels.

        ``X[m, k] = sum_i h[i] x[m n_fft + i] exp(-2 pi i k i / n_fft)`` over a frame of ``n_tap n_fft``
        samples, one frame every ``n_fft``; ``n_fft = 2 n_chan`` for real input (channel 0 kept, the
        Nyquist channel dropped) and ``n_chan`` for complex input. Channels ascend in sky frequency; a
        lower sideband is reversed and conjugated, so cross products keep their sign. White noise of
        variance s^2 gives a mean ``|X|^2`` of s^2 in every channel but channel 0 of real input. An
        oversampled bank has a frame every ``n_fft / oversample`` samples.

        Lost samples count as 0; a frame's energy is ``sum(h^2 valid) / sum(h^2)``, and frames below
        `min_valid` have energy 0.

        Parameters
        ----------
        n_chan : int
            Channels per input channel, even.
        n_tap : int
            Length of the prototype in units of n_fft.
        window : str
            Window of the prototype's sinc: see `fastsig_kernels.filters`.
        min_valid : float
            Least energy of a frame that counts, above 0 and at most 1 (strict).
        oversample : Fraction, str or int
            n_fft over hop: 1 (critically sampled), "4/3", "32/27", ...

        Raises
        ------
        PlanError
            Where the source is no voltage stream or shorter than one frame.
        UsageError
            Where a parameter is not allowed.
        """

    def detect(
        self, products: str = 'I', *, sign_q: int = 1, sign_v: int = 1,
    ) -> Self:
        """Products of the polarisations of every frame and channel.

        ``AA = |A|^2, BB = |B|^2, CR + i CI = A* B``; ``I = AA + BB, Q = AA - BB, U = 2 CR, V = 2 CI``
        for linear feeds. With one polarisation, I is its power.

        Parameters
        ----------
        products : {"I", "AABB", "AABBCRCI", "IQUV", "V"}
            What to make.
        sign_q, sign_v : {1, -1}
            Signs of Q and V, for recorders and users of the other convention; recorded.

        Raises
        ------
        PlanError
            Where the source holds no frames.
        UsageError
            Where the products cannot be made of these polarisations.
        """

    def flag(
        self, *, bands: Any = None, clip: float | None = 5.0,
        sum_threshold: float | None = 6.0, max_window: int = 64, protect: Any = None,
        together: bool = True, width: Any = None, smooth: Any = None,
        n_segment: int | None = None, noise_share: float | None = None,
    ) -> Self:
        """Spectra with weight 0 where there is interference.

        Segments of `n_segment` spectra, counted from the first, are judged each by itself. In a
        segment, channels whose median over time stands out from the running median over `width` are
        flagged as a whole; then samples that stand out from the median of their channel, less what
        changes smoothly over `smooth` of the band: gain and continuum are no interference. Samples are
        compared alone (`clip`) and in runs of up to `max_window` over time and over frequency
        (`sum_threshold`). Spectra with the noise diode on, off, and partly on are judged apart, where
        the header has its schedule. A channel whose values are all equal, 16 or more in a segment, is
        flagged: it is dead.

        Noise is measured, with its skewness and the steps of few bits, so that thresholds are those of
        a Gaussian whatever was integrated: of pure noise no more is flagged than `settings.noise_share`
        of each product, 0.15 % by default. Levels that were set for a recording in few bits, noise that
        is far above the radiometer equation's and does not follow them, are compared with the noise of
        a single sample. A pulse keeps 97 % of its signal to noise ratio up to 2.5 times the root of the
        number of channels.

        A signal that fills more than half of a segment, or of a window, is taken for the level. Lines
        that may not be lost belong in `protect`.

        Parameters
        ----------
        bands : str or sequence, optional
            What to flag whatever it looks like: tables of `fastsig.axes.interference.BANDS` and
            intervals.
        clip : float or None
            Largest deviation of a sample, in standard deviations; None or 0 for any.
        sum_threshold : float or None
            Threshold of SumThreshold for a single sample, in standard deviations; it falls by 1.5
            for every doubling of the run. None or 0 for none.
        max_window : int
            Longest run, a power of two.
        protect : str or sequence, optional
            Intervals that are never flagged.
        together : bool
            Whether a sample flagged in one product is flagged in all; else products that are made of
            both polarisations are flagged where any of these is.
        width, smooth : Quantity, str or int, optional
            As above, as a span of frequency or a number of channels. By default 51 channels, half
            the band at most, and 20 MHz, but 64 channels at least and the band at most.
        n_segment : int, optional
            Spectra of a segment; by default 2**20 values of a product, 32 to 1024 spectra.
        noise_share : float, optional
            Share of noise that may be flagged, of each product, 1e-9 to 0.1: `clip` and
            `sum_threshold` are changed in proportion.

        Raises
        ------
        PlanError
            Where the source holds no spectra.
        UsageError
            Where a parameter is not allowed.
        FormatError
            Where frequencies are given for a source without frequencies.

        References
        ----------
        A. R. Offringa et al., MNRAS 405, 155 (2010): SumThreshold.
        """

    def baseline(
        self, method: str = 'polynomial', *, protect: Any = (), **options: Any,
    ) -> Self:
        """Spectra less a model that is fitted to each of them.

        ``out = in - model``; weights stay. A spectrum to which nothing can be fitted, for too few of
        its channels count, gets the weight 0.

        Parameters
        ----------
        method : {"polynomial", "arpls", "ripple-fourier", "ripple-sine"}
            What is fitted.
        protect : window or sequence of windows
            Frequencies of lines, which no fit looks at: ``"1419MHz-1421.5MHz"``, or pairs of values.
        **options
            Of the method. Polynomial: `order` (3), `include` (windows that alone are fitted). arPLS:
            `lam` (1e8), `ratio` (0.01), `max_iter` (100). Ripples: `period` (1.08 MHz, or several),
            `width` (0.2) of the window of delay over the delay, `trend` (5), the order of the
            polynomial fitted with it, `n_rows` (1), the spectra averaged for each measurement, with the
            diode on and off separately where the header has its schedule; `harmonics` (1) of a sine.

        Raises
        ------
        PlanError
            Where the source holds no spectra, or spectra without frequencies.
        UsageError
            Where a parameter is not allowed, or a window has no channel.

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
        r"""Spectra as an observer at rest in another frame sees them.

        .. math:: f_{out} = F f_{in}, \quad F = \sqrt{(1 + \beta) / (1 - \beta)}

        with F of `fastsig.telescopes.velocity_frames.factor`,
        of each row's middle, position and the telescope. All rows
        come to lie on one evenly spaced axis, by `fastsig_kernels.resample`: band-limited, conserving
        flux. Values are not scaled: a spectral density stays one of its own, wider or narrower, channel
        (F differs from 1 by less than 2e-4). The column ``frame_m_s`` has c (F - 1) of every row.

        Parameters
        ----------
        to : {"topocentric", "geocentric", "barycentric", "heliocentric", "lsrk"}
            The new frame.
        rest : str or Quantity, optional
            Line that the spectra are about (`fastsig.axes.velocity.line`), for the product's header.
        source_frame : str, optional
            Frame of the source, in place of the header's; topocentric where both are missing.
        position : SkyCoord or pair of Quantity, optional
            ICRS, of all rows, in place of the position in the source.
        location : EarthLocation or str, optional
            Of the telescope, or its name; by default that of the header's telescope.
        width : Quantity, optional
            Of output channels; the source's by default.
        band : pair of Quantity, optional
            Lowest and highest centre of output channels, in the new frame.
        lobes, min_valid
            As of `fastsig_kernels.resample`.

        Notes
        -----
        Centres of output channels are whole multiples of their width: products of one width in one
        frame share their channels, whatever they were made from. By default as many channels as fill
        the source's band begin at the one that is nearest to where the source's first channel comes to
        lie, in the mean of the least and largest shift of five rows; rows that are shifted further lack
        a few channels at one end (weight 0).

        Raises
        ------
        PlanError
            Where the source holds no spectra, has no frequencies, or is in that frame already.
        UsageError
            Where the position, the telescope or the frame of the source is not known, or a parameter
            is not allowed.
        """

    def integrate(
        self, time: Any = None, *, n_int: int | None = None, n_freq: int = 1,
        flag_sigma: float | None = None, last: str = 'keep',
    ) -> Self:
        """Mean of `n_int` spectra and of `n_freq` neighbouring channels, weighted by validity.

        ``mean = sum(total) / sum(weight)`` over what is valid; the product's weight is the share of
        what could have been. A last partial integration is kept, with its weight, unless `last` says
        otherwise: programs without weights take it for a whole one.

        Parameters
        ----------
        time : Quantity or str, optional
            Integration time; rounded to whole spectra, one at least.
        n_int : int, optional
            Spectra to integrate, exactly; not with `time`.
        n_freq : int
            Channels to average; must divide the number of channels.
        flag_sigma : float, optional
            Leave out, for every 128 spectra (fewer at the end of an integration) and channel, what
            has a spectral kurtosis outside this many Gaussian sigmas in any polarisation. Needs
            detected frames, and integrations of at least 16 (more where frames overlap much).
            Weights then are per channel.
        last : {"keep", "drop"}
            What becomes of a last integration that spectra do not fill; where it is dropped the
            parameters record it.

        Raises
        ------
        PlanError
            Where the source holds no spectra.
        UsageError
            Where a parameter is not allowed.
        """

    def select(
        self, *, rows: Any = None, channels: Any = None, products: Any = None,
    ) -> Self:
        """A span of rows, a range of channels and some of the products, of voltages or spectra.

        A pair has its lower end first; of numbers, the upper one is the one behind the last, as of a
        slice. Frequencies are of channel centres, both ends included.

        Parameters
        ----------
        rows : pair or slice, optional
            Numbers of rows, times from the start, or times of day.
        channels : pair or slice, optional
            Numbers of channels, or frequencies.
        products : str or sequence of str, optional
            Names of products of spectra.

        Raises
        ------
        UsageError
            Where a range is empty or not within the stream.
        PlanError
            Where channels or products are asked of a stream that has none.
        """

    def calibrate(
        self, solution: Any, *, on: str = 'subtract', guard: Any = 0,
    ) -> Self:
        """Antenna temperatures, K; rows partly under an edge of the diode have the weight 0.

        Parameters
        ----------
        solution : DiodeSolution, or the result of `Chain.measure_diode`
        on : {"subtract", "blank"}
            Whether rows with the diode on are kept, less the diode, or have the weight 0.
        guard : Quantity, str or number of s
            By which the edges of the diode may be off.

        Raises
        ------
        PlanError, UsageError
            Where the solution is of other spectra.
        """

    def locate(
        self, track: CabinTrack, *, beam: int | None = None,
        refraction: Refraction | str | None = None, record: Mapping[str, Any] | None = None,
    ) -> Self:
        """The same spectra, with the position of the beam at the middle of each as columns.

        ``ra_deg``, ``dec_deg`` are ICRS; ``zenith_deg`` and ``parallactic_deg`` as seen;
        ``receiver_deg`` is the position angle of the receiver's Y axis, north through east; and
        ``extrapolated`` is 1 where the track has no row within 1 s.

        Parameters
        ----------
        track : CabinTrack
            Of `fastsig.io.fast.ky.read`.
        beam : int, optional
            By default the header's.
        refraction : Refraction or str, optional
            In place of the track's own air: also as text, ``"925,15,0.8,0.3m"``, or ``"none"``.
        record : mapping, optional
            Description of the track's file for the provenance; its name by default.

        Raises
        ------
        PlanError
            Where the source holds no spectra.
        UsageError
            Where the track is none, the beam is not known, or the refraction is none.
        """

    def barycenter(
        self, *, position: Any = None, location: EarthLocation | str | None = None,
    ) -> Self:
        r"""The same spectra, with the barycentric time of the middle of each as columns.

        .. math:: t_b = t_{TDB} + r \cdot n / c

        ``barycentric_mjd`` is that time, TDB, a day number in float64 (steps of 0.6 us);
        ``barycentric_s`` is the light-travel time r . n / c alone, which is good to 1 ns.
        `fastsig.telescopes.barycenter` says what is in it, and how close it is to TEMPO's.

        Parameters
        ----------
        position : SkyCoord, pair of Quantity, or str, optional
            ICRS, of all rows, in place of the source's.
        location : EarthLocation or str, optional
            Of the telescope, or its name; by default that of the header's telescope.

        Raises
        ------
        PlanError
            Where the source holds no spectra, or its times are of the barycentre.
        UsageError
            Where position or telescope are not known.
        """

    def stokes(
        self, products: str = 'IQUV', *, sign_q: int = 1, sign_v: int = 1,
        feed_angle: Any = None, mueller: MuellerTable | None = None, record: Any = None,
    ) -> Self:
        """Stokes parameters of integrated products.

        ``I = AA + BB``, ``Q = sign_q (AA - BB)``, ``U = 2 CR``, ``V = sign_v 2 CI``, with
        ``CR + i CI = <A* B>``. In the sky's frame Q and U are along north and east: they are turned
        by twice the position angle of feed A: the column ``receiver_deg`` + 90 deg + `feed_angle`.

        Parameters
        ----------
        products : {"IQUV", "I", "V"}
            Which.
        sign_q, sign_v : {1, -1}
            Signs; conventions differ.
        feed_angle : Quantity or str, optional
            Position angle of feed A less that of the line from M01 to M02, north through east: then Q
            and U are on the sky. It is not published for FAST, so there is no default.
        mueller : MuellerTable, optional
            Of the receiver, for signs of 1 and its own frame: taken off before Q and U are turned.
        record : optional
            Description of the table for the provenance.

        Raises
        ------
        PlanError
            Where the source lacks the products, or what turns them.
        UsageError
            Where a parameter is not allowed.
        """

    def flux(
        self, receiver: Receiver | None = None, *, gain: Any = None,
        zenith_angle: Any = None, temperature: Any = None, beam: int | None = None,
    ) -> Self:
        r"""Flux densities, Jy.

        .. math:: S_{AA} = T_{AA} / G, \quad S_I = (T_{AA} + T_{BB}) / 2 G

        Each of AA, BB, CR and CI is in units of a polarisation's: the flux density of I is the mean of
        those of AA and BB; I, Q, U and V, which are sums of both, are divided by 2 G. Columns of the
        noise that the radiometer equation gives, ``radiometer_NAME``, become Jy as well.

        Parameters
        ----------
        receiver : Receiver, optional
            Its gain depends on beam, frequency and zenith angle.
        gain : Quantity, optional
            K/Jy of a polarisation, in place of the receiver's: what a calibrator of known flux density
            (`fastsig.telescopes.calibrators`) gave.
        zenith_angle : Quantity, optional
            Of all spectra.
        temperature : Quantity, optional
            Ambient; its term is left out by default.
        beam : int, optional
            Of the receiver; by default the header's.

        Raises
        ------
        PlanError
            Where the source is not in K, or its beam or zenith angle is not known.
        """

    def measure_diode(
        self, tcal: Any, *, diode: Any = None, guard: Any = 0, gain_time: Any = '60s',
        smooth: Any = None, phase: bool = False, beam: int | None = None,
        workers: int | None = None, memory: int | None = None,
        progress: Progress | None = None,
    ) -> DiodeMeasurement:
        """Measure the noise diode in the spectra of a scan, in two passes.

        Parameters
        ----------
        tcal : Quantity, str, or path
            Temperature of the diode: one value, or one value per polarisation (``"1.1K,1.2K"``), or
            tables that `fastsig.telescopes.tcal` reads.
        diode : DiodeSchedule, mapping or str, optional
            Schedule of the diode, which is checked against the data: ``"mode=pulsar"``,
            ``"period=2s,on=1s,first=0s"``. By default the schedule is found in the data, and the
            header's schedule is checked against the data.
        guard : value, s
            Largest error of the times of the diode's edges.
        gain_time : value, s
            Time over which the gain is assumed to be steady.
        smooth : value, Hz, optional
            Width over which the diode's spectrum is smoothed by a local straight line; 0 for none. The
            default is 5 MHz, as in HiFAST, but at most a 32nd of the band.
        phase : bool
            Whether CR + i CI is rotated back by the phase of the diode, assumed to be at 45 degrees.
        beam : int, optional
            Beam whose temperatures the tables give; by default the header's beam.
        workers : int, optional
            Number of threads; by default as many as the process may use.
        memory : int, optional
            Largest number of bytes that the process may use.
        progress : callable, optional
            Called with the name of a pass, the input rows processed since the last call, and the
            number of rows in the pass.

        Raises
        ------
        DataError
            If no diode is found, if it is on all the time, or if it disagrees with `diode`; without a
            schedule, also if the data show it in less than half of the channels, in one cycle only, or
            in noise far above the radiometer equation's.
        PlanError, UsageError
            If the spectra cannot be calibrated, if a parameter is not allowed, or if `memory` is too
            small.
        """

    def on_off(
        self, period: Any, *, on: Any = None, first: Any = 0, settle: Any = 0,
        tsys: Any = None, tcal: Any = None, diode: DiodeSchedule | None = None,
        kelvin: bool | None = None, smooth_ref: int = 1, n_eff: float = 1.0,
    ) -> Spectrum:
        """Return the antenna temperature of a source observed on and off in turn, one row per cycle.

        For rows in K it is on - off. For rows in other units it is ``(on - off) / off Tsys``, computed
        for each state of the diode and averaged with their expected variances. Tsys of a cycle is that
        of its rows off the source; for the average, it is the root mean square of both states' Tsys.

        Parameters
        ----------
        period : Quantity or str
            Time from one start on the source to the next.
        on, first, settle : Quantity or str, optional
            Time on the source (half of the period), the start of the first phase on the source counted
            from the start of the stream (0 s), and the time left out after each move (0 s).
        tsys : Quantity or str, shape () or (product,), optional
            System temperature off the source, such as ``"20K"``, for rows without a diode.
        tcal : Quantity or str, shape (), (product,) or (product, chan), optional
            Temperature of the noise diode, whose two states give Tsys.
        diode : DiodeSchedule, optional
            Schedule of the diode; the header's by default. Without a schedule it is assumed to be off.
        kelvin : bool, optional
            Whether rows are in K; by default according to the header's unit.
        smooth_ref, n_eff
            As in `fastsig.reductions.switching.scans.position_switched`.

        Raises
        ------
        UsageError
            If the schedule, or the source of Tsys, makes no sense.
        PlanError
            If the stream does not contain spectra, or has no cycle of on and off.
        DataError
            If nothing is valid, or the diode is not seen.
        """

    def flag_shares(
        self, *, workers: int | None = None,
    ) -> FlagShares:
        """Shares of samples with weight 0 of spectra: a chain, a file or a stage. Reads all rows.

        Parameters
        ----------
        workers : int, optional
            Threads; as many as the process may use by default.

        Raises
        ------
        PlanError
            Where there are no spectra.
        """
