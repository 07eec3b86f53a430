"""Pictures of streams for a first look, with units, UTC and sensible limits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastsig.errors import UsageError
from fastsig.io.files.provenance import input_files
from fastsig.stream import Block, Sink, SpectrumStream, Stream, spectra_of, stream_of
from fastsig.view.drawing import draw
from fastsig.view.figures import title
from fastsig.view.saving import check_picture, drawn, write_page
from fastsig.work.arguments import checked

if TYPE_CHECKING:
    from astropy.time import Time
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    from fastsig.cubes.cube import Cube
    from fastsig.pulsar.plan import DMPlan
    from fastsig.pulsar.profiles import Profiles
    from fastsig.reductions.diode.calibration import DiodeMeasurement
    from fastsig.reductions.sources.sky_spectrum import SkySpectrum
    from fastsig.search.bursts.candidates import Candidates
    from fastsig.search.drift.hits import Hits
    from fastsig.search.pulsars.candidates import PulsarCandidates
    from fastsig.stages.baseline import Baseline, Fits
    from fastsig.view.burst import BeamFacts
    from fastsig.view.profiles import Trials

__all__ = ["baseline_rows", "check_picture", "draw", "draw_baseline", "draw_burst",
           "draw_calibration", "draw_candidates",
           "draw_cube", "draw_dm_plan", "draw_flags", "draw_hits", "draw_made", "draw_position",
           "draw_profiles", "draw_pulsars", "draw_switched", "flag_pixels", "write_bursts_page",
           "write_hits_page", "write_page", "write_pulsars_page"]


@checked
def draw_baseline(
    stage: Baseline, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False,
    product: str | None = None, tsys: Any = None, rows: Block | None = None,
) -> Figure:
    """Draw the effect of a `Baseline` on up to 256 spectra from the middle of its stream.

    The panels show the mean spectrum with the model, the mean residual, the amplitude as a function
    of delay, and the scatter along frequency as a function of the averaging time. The last three
    also show the noise expected from the radiometer equation.

    Parameters
    ----------
    stage : Baseline
        The stage.
    path, overwrite, product
        As for `draw`.
    tsys : Quantity, str or float, optional
        System temperature in the unit of the spectra, or a plain number if they have none; by
        default, the mean spectrum itself, which is correct if the spectra contain the total power.
    rows : Block, optional
        The result of the sink of `baseline_rows` in a pass; by default, the rows are read here.

    Raises
    ------
    UsageError
        If the product or the extension of the path is unknown, or no data are valid.
    """
    from fastsig.stages.baseline import Baseline
    from fastsig.view.baseline import draw_removal

    stage = getattr(stage, "stream", stage)
    if not isinstance(stage, Baseline):
        raise UsageError(f"a {type(stage).__name__} is not a baseline; allowed: a chain that ends "
                         "with baseline(...)")
    return drawn(lambda: draw_removal(stage, product, tsys, rows), stage, path, overwrite,
                 input_files(stage))


def baseline_rows(fits: Fits) -> Sink:
    """Return the sink that collects the rows for `draw_baseline`.

    The sink is used in a pass over both results of a stage.

    Parameters
    ----------
    fits : Fits
        The source of both results of `Baseline.kept`.
    """
    from fastsig.view.baseline import MiddleRows

    return MiddleRows(fits)


@checked
def draw_burst(
    chain: Any, time: Any, dm: Any, width: Any = None,
    path: str | os.PathLike[str] | None = None, *, overwrite: bool = False, constant: Any = None,
    facts: Sequence[str] = (), beams: BeamFacts | None = None,
    measured: tuple[float, Time, float] | None = None,
) -> Figure:
    """Draw a burst, aligned and as recorded, with its profile and its S/N as a function of DM.

    The beams in which it was found can also be drawn.

    Parameters
    ----------
    chain : chain or SpectrumStream
        Spectra.
    time : Time, Quantity or str
        Time of the burst at the highest channel: a date and time, or a time after the start.
    dm : float, str or Quantity
        Dispersion measure, pc cm^-3.
    width : Quantity or str, optional
        Width of the burst; by default, that of the best boxcar within 0.1 s of the time.
    path, overwrite
        As for `draw`.
    constant : float or str, optional
        Dispersion constant, MHz^2 pc^-1 cm^3 s.
    facts : sequence of str
        Further lines of text.
    beams : BeamFacts, optional
        Beams in which the burst was found.
    measured : float, Time and float, optional
        Measured S/N, time, and time after the start of the data in s; by default, those of the
        boxcar that is drawn.

    Raises
    ------
    PlanError
        If the chain contains no spectra, or is shorter than the dispersion delay.
    UsageError
        If an argument is not allowed, or the time lies outside the data.
    DataError
        If there are no valid data.
    """
    from fastsig.axes.dispersion import dm_of
    from fastsig.reductions.bursts.measurement import find_burst
    from fastsig.reductions.bursts.window import seconds_of, total_power
    from fastsig.view.burst import draw_candidate

    stream = total_power(chain)
    at_s, measure = seconds_of(stream, time), float(dm_of(dm))

    def make() -> Figure:
        burst = find_burst(stream, at_s, measure, width=width, constant=constant)
        return draw_candidate(burst, facts, beams, measured)

    return drawn(make, stream, path, overwrite, input_files(stream))


@checked
def draw_candidates(candidates: Candidates, path: str | os.PathLike[str] | None = None, *,
                    overwrite: bool = False, name: str = "") -> Figure:
    """Draw the candidates of a burst search: DM against time, and histograms of DM and S/N.

    Parameters
    ----------
    candidates : Candidates
        Candidates of a burst search.
    path, overwrite
        As for `draw`; `write_bursts_page` writes an interactive page of the table.
    name : str
        Title, such as the name of the table.

    Raises
    ------
    PlanError
        If there is no candidate.
    """
    from fastsig.view.night import draw_night

    return drawn(lambda: draw_night(candidates, name),
                 lambda: {"title": name or "candidates", "candidates": len(candidates)}, path,
                 overwrite, [])


@checked
def draw_pulsars(candidates: PulsarCandidates, path: str | os.PathLike[str] | None = None, *,
                 overwrite: bool = False, name: str = "") -> Figure:
    """Draw the candidates of a pulsar search: DM against period, and histograms.

    Parameters
    ----------
    candidates : PulsarCandidates
        Candidates of a pulsar search.
    path, overwrite
        As for `draw`.
    name : str
        Title, such as the name of the table.

    Raises
    ------
    PlanError
        If there is no candidate.
    """
    from fastsig.view.periods import draw_periods

    return drawn(lambda: draw_periods(candidates, name),
                 lambda: {"title": name or "pulsar candidates", "candidates": len(candidates)},
                 path, overwrite, [])


def write_bursts_page(
    candidates: Candidates, path: str | os.PathLike[str], *,
    data: Iterable[str | os.PathLike[str]] = (), overwrite: bool = False, name: str = "",
    page_size: int | None = None, advance: Callable[[int], None] | None = None,
) -> dict[int, str]:
    """Write a page with pictures, on which burst candidates can be sorted, filtered and marked.

    Parameters
    ----------
    candidates : Candidates
        Candidates of a burst search.
    path : path
        The page (.html) to write.
    data : iterable of path
        Files in which the candidates were found, and folders that contain them.
    overwrite : bool
        Whether an existing file may be replaced.
    name : str
        Title, such as the name of the table.
    page_size : int, optional
        Maximum size of the page in bytes, 10 MB by default. If the pictures of all candidates do
        not fit, only the first candidates have pictures.
    advance : function, optional
        Called with 1 after each candidate.

    Returns
    -------
    dict
        Reasons why candidates have no picture; the keys are the numbers of the candidates.

    Raises
    ------
    UsageError
        If the extension of the path is not that of a page, or a path in `data` does not exist.
    OutputError
        If the file exists or cannot be written.
    """
    from fastsig.view.burst_thumbnails import BurstPictures
    from fastsig.view.page.layouts import BURSTS
    from fastsig.view.page.writing import write_findings_page

    return write_findings_page(candidates, BURSTS, BurstPictures(candidates), path, data=data,
                               overwrite=overwrite, name=name, page_size=page_size,
                               advance=advance)


def write_hits_page(
    hits: Hits, path: str | os.PathLike[str], *, data: Iterable[str | os.PathLike[str]] = (),
    overwrite: bool = False, name: str = "", page_size: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> dict[int, str]:
    """Write a page with pictures, on which drifting carriers can be sorted, filtered and marked.

    Parameters
    ----------
    hits : Hits
        Hits of one or several scans, or the events of a cadence.
    path, data, overwrite, name, page_size, advance
        As for `write_bursts_page`.

    Returns
    -------
    dict
        Reasons why hits have no picture; the keys are the numbers of the hits.

    Raises
    ------
    UsageError
        If the extension of the path is not that of a page, or a path in `data` does not exist.
    OutputError
        If the file exists or cannot be written.
    """
    from fastsig.view.hit_thumbnails import HitPictures
    from fastsig.view.page.layouts import HITS
    from fastsig.view.page.writing import write_findings_page

    with HitPictures(hits) as draw:
        return write_findings_page(hits, HITS, draw, path, data=data, overwrite=overwrite,
                                   name=name, page_size=page_size, advance=advance)


def write_pulsars_page(
    candidates: PulsarCandidates, path: str | os.PathLike[str], *,
    data: Iterable[str | os.PathLike[str]] = (), overwrite: bool = False, name: str = "",
    page_size: int | None = None, advance: Callable[[int], None] | None = None,
) -> dict[int, str]:
    """Write a page with profiles, on which pulsar candidates can be sorted, filtered and marked.

    Parameters
    ----------
    candidates : PulsarCandidates
        Candidates of one or several searches, or of a comparison of beams.
    path, data, overwrite, name, page_size, advance
        As for `write_bursts_page`. Up to 64 candidates of a recording are folded in one pass over
        it, or fewer if it has many channels.

    Returns
    -------
    dict
        Reasons why candidates have no picture; the keys are the numbers of the candidates.

    Raises
    ------
    UsageError
        If the extension of the path is not that of a page, or a path in `data` does not exist.
    OutputError
        If the file exists or cannot be written.
    """
    from fastsig.view.page.findings import FINDINGS_PAGE_SIZE, pictures_that_fit
    from fastsig.view.page.layouts import PULSARS
    from fastsig.view.page.writing import write_findings_page
    from fastsig.view.pulsar_thumbnails import PulsarPictures

    most = pictures_that_fit(PULSARS, len(candidates), page_size or FINDINGS_PAGE_SIZE)
    return write_findings_page(candidates, PULSARS, PulsarPictures(candidates, most), path,
                               data=data, overwrite=overwrite, name=name, page_size=page_size,
                               advance=advance)


@checked
def draw_hits(hits: Hits, path: str | os.PathLike[str] | None = None, *,
              data: Iterable[str | os.PathLike[str]] = (), overwrite: bool = False, name: str = ""
              ) -> Figure:
    """Draw drifting carriers.

    Without `data`, the drift rates are drawn against frequency; with `data`, the spectra of the
    strongest carrier are drawn.

    Parameters
    ----------
    hits : Hits
        Hits of one scan, or the events of a cadence. Of the latter, the strongest accepted event is
        drawn in all scans, or the strongest event if none is accepted.
    path, overwrite
        As for `draw`.
    data : iterable of path
        Files in which the hits were found, and folders that contain them.
    name : str
        Title, such as the name of the table.

    Raises
    ------
    PlanError
        If there is no hit.
    UsageError
        If a file that is needed is not among the data.
    """
    from fastsig.view.hits import draw_band, draw_tracks
    from fastsig.view.hits_scans import strongest, with_scans

    places = list(data)

    def make() -> Figure:
        if not places or not len(hits):
            return draw_band(hits, name)
        hit = strongest(hits)
        with with_scans(hits, hit, places) as scans:
            return draw_tracks(hit, scans, name)

    return drawn(make, lambda: {"title": name or "drifting carriers", "hits": len(hits)}, path,
                 overwrite, [])


@checked
def draw_calibration(
    found: DiodeMeasurement, stream: Stream, path: str | os.PathLike[str] | None = None, *,
    overwrite: bool = False,
) -> Figure:
    """Draw the noise diode as measured in a scan: gains, spectrum, temperatures and scatter.

    Parameters
    ----------
    found : DiodeMeasurement
        Measurement, as returned by `fastsig.reductions.diode.calibration.solve`.
    stream : SpectrumStream
        The spectra in which the diode was measured.
    path, overwrite
        As for `draw`.
    """
    from fastsig.view.calibration import draw_measurement
    stream = stream_of(stream)
    return drawn(lambda: draw_measurement(found, title(stream)), stream, path, overwrite,
                 input_files(stream))


@checked
def draw_flags(
    before: SpectrumStream, after: SpectrumStream, path: str | os.PathLike[str] | None = None, *,
    overwrite: bool = False, product: str | None = None, seen: Sequence[Any] | None = None,
) -> Figure:
    """Draw spectra before and after flagging, on one colour scale, and the flagged fractions.

    A fraction is the number of samples to which flagging gave weight 0, divided by the number of
    all samples, including those that had weight 0 before.

    Parameters
    ----------
    before, after : SpectrumStream
        The same spectra without and with flags.
    path, overwrite, product
        As for `draw`.
    seen : sequence, optional
        The results of the sinks of `flag_pixels` in a pass; by default, all rows are read here.

    Raises
    ------
    UsageError
        If the product or the extension of the path is unknown.

    Examples
    --------
    >>> import fastsig as fs
    >>> scan = fs.open("data/samples/SIMHI_onoff-M01_W_0001.fits")
    >>> flagged = scan.flag(protect="1419.7MHz-1421.7MHz")
    >>> figure = fs.view.draw_flags(scan, flagged, product="BB")
    >>> len(figure.axes)
    6
    """
    from fastsig.view.flags import draw_before_after

    before, after = spectra_of(before), spectra_of(after)
    return drawn(lambda: draw_before_after(before, after, product, seen), after, path, overwrite,
                 input_files(before))


def flag_pixels(before: SpectrumStream, after: SpectrumStream, product: str | None = None
                ) -> list[Sink]:
    """Return the sinks that collect the pixels and the fractions for `draw_flags`.

    The sinks are used in a pass over both streams.

    Raises
    ------
    UsageError
        If the product is unknown.
    """
    from fastsig.view.flags import flag_sinks

    return flag_sinks(before, after, product)


@checked
def draw_switched(
    mean: SpectrumStream, rows: SpectrumStream, path: str | os.PathLike[str] | None = None, *,
    overwrite: bool = False, notes: Sequence[str] = (),
) -> Figure:
    """Draw a reduced spectrum with its expected noise, and the rows of which it is the mean.

    Parameters
    ----------
    mean : SpectrumStream
        One row, with a column ``radiometer_NAME`` for each product.
    rows : SpectrumStream
        The rows that were averaged; those of the first product are drawn.
    path, overwrite
        As for `draw`.
    notes : sequence of str
        Lines below the title.
    """
    from fastsig.view.switched import draw_mean

    mean, rows = spectra_of(mean), spectra_of(rows)
    return drawn(lambda: draw_mean(mean, rows, notes), mean, path, overwrite,
                 input_files(mean))


@checked
def draw_cube(
    cube: Cube, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False,
    what: str = "sheet", at: Any = None, frange: Any = None, rest: Any = None,
    cmap: str | Colormap | None = None, vmin: Any = None, vmax: Any = None,
) -> Figure:
    """Draw a cube of maps.

    Parameters
    ----------
    cube : Cube
        Cube, as returned by `fastsig.open_cube`.
    path, overwrite
        As for `draw`.
    what : {"sheet", "coverage", "channels", "moments", "spectrum"}
        "sheet" draws the integral, the coverage and the mean spectrum together; "coverage" the
        effective integration time and the noise; "channels" maps of up to 12 ranges of channels;
        "moments" the integral, the mean velocity and the velocity dispersion; and "spectrum" the
        spectrum at a position, or the mean spectrum.
    at : SkyCoord or str, optional
        The position, for "spectrum".
    frange : pair of Quantity, optional
        Lower and upper limit of the frequencies to draw; by default, all frequencies are drawn.
    rest : str or Quantity, optional
        Rest frequency, instead of that in the file.
    cmap : str or Colormap, optional
        Colour map of matplotlib for maps of values; by default, viridis.
    vmin, vmax : float or Quantity, optional
        Limits of the colour scale of these maps, in the unit of the colour bar.

    Raises
    ------
    UsageError
        If an option or the extension of the path is unknown, or the cube lacks what is to be drawn.
    """
    from fastsig.io.fits.cube import info
    from fastsig.view.cube import draw_maps
    from fastsig.view.look import Look

    look = Look(cmap, vmin, vmax)
    return drawn(lambda: draw_maps(cube, what, at=at, frange=frange, rest=rest, look=look),
                 lambda: info(cube.path), path, overwrite, cube.file.files)


@checked
def draw_position(
    spectrum: SkySpectrum, path: str | os.PathLike[str] | None = None, *,
    fit: Mapping[str, Any] | None = None, overwrite: bool = False,
) -> Figure:
    """Draw the spectrum at a position with its noise, its fit and the residual of the fit.

    Parameters
    ----------
    spectrum : SkySpectrum
        The spectrum.
    fit : mapping, optional
        Fit, as returned by `fastsig.reductions.sources.position.PositionSpectrum.read_with_fit`.
    path, overwrite
        As for `draw`.
    """
    from fastsig.view.position import draw_spectrum, facts

    return drawn(lambda: draw_spectrum(spectrum, fit or {}), lambda: facts(spectrum, fit or {}),
                 path, overwrite, [spectrum.path] if os.path.exists(spectrum.path) else [])


@checked
def draw_dm_plan(plan: DMPlan, path: str | os.PathLike[str] | None = None, *,
                 overwrite: bool = False) -> Figure:
    """Draw a plan of dispersion measures: the effects that widen a pulse, and the remaining S/N.

    Parameters
    ----------
    plan : DMPlan
        Plan, as made by `fastsig.dm_plan`.
    path, overwrite
        As for `draw`.

    Raises
    ------
    UsageError
        If the extension of the path is unknown.
    """
    from fastsig.view.dm_plan import draw_plan

    return drawn(lambda: draw_plan(plan), lambda: {"title": "Plan of dispersion measures",
                                                   "DMs": plan.n_dm, "stretches": len(plan)},
                 path, overwrite, [])


@checked
def draw_profiles(
    profiles: Profiles, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False,
    product: str | None = None, trials: Trials | None = None,
    cmap: str | Colormap | None = None, vmin: Any = None, vmax: Any = None,
    scale: str | None = None, percent: float | None = None,
) -> Figure:
    """Draw two periods of the mean profile, and profiles as functions of time and of frequency.

    The channels are aligned for the dispersion measure. If the products are Stokes parameters, or
    AA, BB, CR and CI, the picture of the profile includes the linear polarisation (corrected for
    bias), V, and the position angle with its error. Values in recorded units are drawn in units of
    the noise of each subintegration and channel; all values are relative to the mean of the
    off-pulse bins.

    Parameters
    ----------
    profiles : Profiles
        Folded profiles.
    path, overwrite
        As for `draw`.
    product : str, optional
        The product to draw; by default, Stokes I.
    trials : Trials, optional
        Chi^2 as a function of the dispersion measures, periods and derivatives that were tried.
    cmap, vmin, vmax, scale, percent
        As for `draw`.

    Raises
    ------
    UsageError
        If an option or the extension of the path is unknown.
    PlanError
        If no profile has data.
    """
    from fastsig.view.look import Look
    from fastsig.view.profile_facts import all_facts
    from fastsig.view.profiles import draw_page

    look = Look(cmap, vmin, vmax, scale, percent)
    return drawn(lambda: draw_page(profiles, product, look, trials), lambda: all_facts(profiles),
                 path, overwrite, [profiles.path] if os.path.exists(profiles.path) else [])


def draw_made(make: Callable[[], Figure], facts: Callable[[], Mapping[str, Any]],
              path: str | os.PathLike[str], *, inputs: Sequence[str], overwrite: bool = False
              ) -> Figure:
    """Save a figure that another package made, as a picture or a page.

    Parameters
    ----------
    make, facts : function
        Functions that return the figure, and the facts that a page lists about it.
    path, overwrite
        As for `draw`.
    inputs : sequence of str
        Files that must not be overwritten.
    """
    return drawn(make, facts, path, overwrite, inputs)
