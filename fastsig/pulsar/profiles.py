"""Profiles: the result of a fold, pulse profiles by time, product, channel and phase."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastsig import registry
from fastsig.errors import UsageError
from fastsig.pulsar.alignment import aligned, turned
from fastsig.pulsar.averages import averaged
from fastsig.pulsar.polyco import Polyco
from fastsig.pulsar.polyco_rows import block_of
from fastsig.pulsar.profile_data import ProfileData
from fastsig.pulsar.profile_slices import sliced
from fastsig.pulsar.profile_table import profile_table
from fastsig.pulsar.sky_frame import in_sky_frame
from fastsig.pulsar.stokes_profiles import stokes_of
from fastsig.work.arguments import check_options, checked

if TYPE_CHECKING:
    import os

    from astropy.table import QTable
    from matplotlib.figure import Figure

__all__ = ["Profiles"]

_AXES = ("time", "frequency")


@dataclass(frozen=True, repr=False, eq=False)
class Profiles(ProfileData):
    """Pulse profiles in memory, with their axes: the contents of a fold-mode archive.

    The phase of bin k runs from ``k / n_bin`` to ``(k + 1) / n_bin`` turns, so that phase 0 is the
    beginning of bin 0. The epoch of a subintegration is a time, near its middle, at which the
    phase is 0.

    Parameters
    ----------
    data : ndarray, shape (subint, product, chan, bin), float32
        Mean values; NaN where the weight is 0. Channels ascend in frequency.
    weights : ndarray, float64
        Weights with the same number of axes as `data`, each of which may have length 1: 0 where
        there are no data, and otherwise proportional to the number of samples in a value (for a
        fold, equal to this number). Weights add up where values are averaged. A PSRFITS file
        contains one weight for each subintegration and channel.
    reference : (int, Fraction)
        UTC from which `offsets` are counted: day number (MJD), and exact seconds of that day.
    offsets : ndarray, shape (subint,), float64
        Epochs of the subintegrations, s after `reference`; elapsed seconds, leap seconds included.
    durations : ndarray, shape (subint,), float64
        Time that was observed in each subintegration, s.
    periods : ndarray, shape (subint,), float64
        Folding period at each epoch, s; NaN if it is not known.
    header : Header
        Source, telescope, band, and polarisation with the names and signs of products;
        ``start_time`` is that of the first subintegration, and ``sample_rate`` that of the folded
        samples. ``dm``, ``dm_reference_hz`` and ``dispersion_constant`` are those of the
        dispersion between channels that was removed; ``dm`` is None if the channels are not
        aligned.
    dm : float or None
        Dispersion measure of the pulsar, pc cm^-3, whether or not its dispersion was removed.
    rm : float or None
        Rotation measure of the pulsar, rad m^-2.
    rm_removed : bool
        Whether the rotation of the plane of polarisation between channels was removed.
    reference_mhz : float or None
        Frequency to which a file refers its dispersion, MHz; None for the centre of the band.
    centers_mhz : ndarray, shape (chan,), float64, or None
        Centres of channels if they are not evenly spaced, as after a weighted mean over channels;
        None if those of ``header.channels`` are exact.
    folded_mhz : float or None
        Width of the channels of the spectra that were folded, MHz, within which dispersion smears
        the pulse, except for the part removed with ``header.coherent_dm``; None if not known.
    predictor : tuple of mapping
        Rows of the polyco of the fold, with the names of the columns of PSRFITS as keys: ``NSPAN``
        (min), ``NSITE``, ``REF_FREQ`` (MHz), ``REF_MJD``, ``REF_PHS`` (turns), ``REF_F0`` (Hz),
        ``COEFF``, and others. `fastsig.pulsar.polyco_rows.rows_of` makes them from the blocks of a
        `Polyco`.
    ephemeris : str
        Text of the par file.
    history : tuple of (str, str)
        Steps in which the profiles were made: dates and commands, as recorded by each program.
    provenance : mapping
        Versions, inputs and parameters of the fold.
    path : str
        The file from which the profiles were read, for messages.
    """

    def __getitem__(self, key: Any) -> Profiles:
        """Slice as for data of streams: ``profiles[t0:t1, f0:f1, "I"]``; arrays are views.

        Subintegrations are chosen by number, or by the time of their epochs: UTC dates and times,
        or seconds after the start.
        """
        return sliced(self, key)

    @checked
    def rotate(self, turns: Any, *, keep_times: bool = False) -> Profiles:
        """Move the profiles to later phases by a number of turns, which need not be whole.

        Parameters
        ----------
        turns : float or ndarray
            The shift, in turns: one number, or an array of shape (subint,), (subint, 1, chan) or
            (subint, product, chan).
        keep_times : bool
            Whether the epochs move by the same amount in the opposite direction, so that every bin
            keeps its time. This requires one shift for each subintegration. By default, the epochs
            are unchanged, and the profiles have a different phase 0.
        """
        return turned(self, turns, keep_times)

    @checked
    def dedisperse(self, dm: Any = None, ref: Any = None, *, constant: Any = None) -> Profiles:
        """Align the channels by rotation, and return the aligned profiles.

        Parameters
        ----------
        dm : float, str or Quantity, optional
            The total dispersion measure to remove, pc cm^-3; by default, `dm` of the profiles. 0
            restores the dispersion.
        ref : str or Quantity, optional
            Reference frequency: ``"top"`` for the centre of the highest channel, ``"infinity"``, or
            a frequency such as ``"1500MHz"``. By default, that of the dispersion that was already
            removed, or else `reference_mhz`, or the centre of the band.
        constant : float or str, optional
            Dispersion constant, MHz^2 pc^-1 cm^3 s; by default, that of the header.
        """
        return aligned(self, dm, ref, constant)

    @checked
    def mean(self, *axes: str) -> Profiles:
        """Return weighted means over all subintegrations, all channels, or both.

        Parameters
        ----------
        *axes : {"time", "frequency"}
            Axes over which the mean is taken. If the channels are not aligned and a dispersion
            measure is known, they are first aligned, as in `dedisperse`.
        """
        unknown = [each for each in axes if each not in _AXES]
        if unknown or not axes:
            raise UsageError(f"mean over {', '.join(map(repr, axes)) or 'nothing'}; allowed: "
                             f"{', '.join(_AXES)}")
        return self.grouped(n_subint=max(1, self.n_subint) if "time" in axes else 1,
                            n_chan=self.n_chan if "frequency" in axes else 1)

    @checked
    def grouped(self, *, n_subint: int = 1, n_chan: int = 1, n_bin: int = 1) -> Profiles:
        """Return weighted means of neighbouring subintegrations, channels or bins.

        The levels of profiles, which are the medians of their bins, are averaged separately from
        the deviations from the levels, so that weights that vary from bin to bin do not distort
        means.

        Parameters
        ----------
        n_subint : int
            Number of subintegrations to average; the last mean may contain fewer. The epoch of a
            mean is that of its subintegration nearest to the middle.
        n_chan, n_bin : int
            Numbers of channels and of bins to average, which must divide those of the profiles. If
            the channels are not aligned and a dispersion measure is known, they are first aligned,
            as in `dedisperse`.
        """
        return averaged(self, n_subint, n_chan, n_bin)

    @checked
    def stokes(self, products: str = "IQUV") -> Profiles:
        """Return Stokes parameters of the products AA, BB, CR and CI.

        ``I = AA + BB``; for linear feeds ``Q = AA - BB``, ``U = 2 CR``, ``V = 2 CI``; for circular
        feeds ``Q = 2 CR``, ``U = 2 CI``, ``V = AA - BB``. Q and V have the signs that the header
        states.

        Parameters
        ----------
        products : {"IQUV", "I", "V"}
            The Stokes parameters to compute.

        Raises
        ------
        PlanError
            If the profiles lack the products that are required.
        """
        if products not in ("IQUV", "I", "V"):
            raise UsageError(f"products = {products!r}; allowed: IQUV, I, V")
        basis = self.header.polarization
        data, weights = stokes_of(self.data, self.weights, basis, products, self.path)
        return replace(self, data=data, weights=weights, header=self.header.replace(
            polarization=replace(basis, names=tuple(products))))

    @checked
    def to_sky(self, feed_angle: Any) -> Profiles:
        """Return I, Q, U, V, with Q and U rotated by the parallactic angle to the frame of the sky.

        Parameters
        ----------
        feed_angle : Quantity or str
            Angle of receptor A from the direction of the zenith, positive from north through east,
            as position angles are.

        Raises
        ------
        PlanError
            If the products, the position or the telescope are not known, or the frame is already
            that of the sky.
        """
        return in_sky_frame(self, feed_angle)

    def polyco(self) -> Polyco | None:
        """Return the predictor of the fold, from the rows of `predictor`; None if there is none."""
        if not self.predictor:
            return None
        source = self.header.source or ""
        return Polyco([block_of(row, source, self.dm) for row in self.predictor], self.path)

    @checked
    def to_table(self) -> QTable:
        """Return an astropy table with a row for each subintegration, channel and bin."""
        return profile_table(self)

    def write(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the profiles to a file with `fastsig.run.profile_files.write_profiles`.

        Parameters
        ----------
        path : path
            The file: PSRFITS for .ar and .fits, a table for .ecsv.
        **options
            Options `to`, `overwrite` and `bits` of `write_profiles`.
        """
        write = registry.profile_function("write_profiles")
        check_options("write", write, options)
        write(self, path, **options)

    def plot(self, path: str | os.PathLike[str] | None = None, **options: Any) -> Figure:
        """Draw the profiles, and save the picture if `path` is given."""
        draw = registry.drawing("draw_profiles")
        check_options("plot", draw, options)
        figure: Figure = draw(self, path, **options)
        return figure
