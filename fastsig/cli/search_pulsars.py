"""``fastsig search pulsars``: search spectra and time series for periodic signals."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

import click

from fastsig.cli import common, driver, excision
from fastsig.work.counted import counted

__all__ = ["pulsars"]


@click.command("pulsars")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the candidates to this file: .ecsv, .accel (PRESTO) or .csv "
                      "(riptide).")
@click.option("--dm", "dms", metavar="LOW:HIGH", default="0:500", show_default=True,
              help="For spectra, search dispersion measures from LOW to HIGH, in pc cm^-3.")
@click.option("--loss", type=float, metavar="X", default=0.1, show_default=True,
              help="For spectra, choose dispersion measures such that a pulse as wide as one "
                   "sample, halfway between two dispersion measures, loses at most a fraction X "
                   "of its S/N.")
@click.option("--harmonics", type=click.Choice(["0", "1", "2", "4", "8", "16", "32"]),
              default="16", show_default=True,
              help="Sum up to this many harmonics in the Fourier spectrum; 0 skips the Fourier "
                   "search.")
@click.option("--accel", type=click.FloatRange(0, 948), metavar="Z", default=0.0,
              show_default=True,
              help="Also search for signals whose frequency drifts by up to Z Fourier bins, at the "
                   "highest harmonic, over the duration of the data. Z is at most 948, and less "
                   "with --jerk.")
@click.option("--jerk", type=click.FloatRange(0, 4200), metavar="W", default=0.0,
              show_default=True,
              help="Also search for signals whose drift changes by up to W Fourier bins, at the "
                   "highest harmonic, over the duration of the data. The Fourier search then "
                   "takes at least about 1 + W/10 times as long.")
@click.option("--period", metavar="LOW:HIGH|none", default="0.5s:1800s", show_default=True,
              help="Search for periods in this range, up to an eighth of the duration of the "
                   "data, by fast folding; the value none skips fast folding.")
@click.option("--duty", metavar="LOW:HIGH", default="1/240:20%", show_default=True,
              help="Search for pulses of these widths, as fractions of the period, by fast "
                   "folding.")
@click.option("--segment", metavar="LENGTH",
              help="Also search segments of this length, e.g. 10min, which overlap by half or "
                   "more and cover the data.")
@click.option("--threshold", type=float, metavar="X", default=6.0, show_default=True,
              help="Report signals whose significance, corrected for the number of trials, is at "
                   "least X standard deviations.")
@click.option("--zap", "zapped", metavar="LOW:HIGH", multiple=True,
              help="Leave out signals at frequencies in this range, e.g. 23.9Hz:24.1Hz. May be "
                   "repeated.")
@click.option("--mains", type=click.Choice(["50", "60"]),
              help="Leave out signals at the mains frequency, 50 or 60 Hz, and its harmonics.")
@click.option("--birds", multiple=True, metavar="FILE|find", type=common.InputPath(or_value=True),
              help="Leave out signals at the frequencies in a zaplist, or at those of the "
                   "interference in a table written by search beams; with find, leave out signals "
                   "that are strongest at DM 0. May be repeated.")
@click.option("--known", metavar="TABLE", type=common.InputPath(),
              help="Name candidates after the pulsars in TABLE with which they agree. TABLE has "
                   "the columns name, period (s) or frequency (Hz), dm and, if known, ra and dec.")
@click.option("--radius", metavar="ANGLE", default="1deg", show_default=True,
              help="With --known, do not compare a candidate with pulsars that are farther from it "
                   "than this angular distance.")
@click.option("--fold", "n_fold", type=click.IntRange(1, 1000), metavar="N",
              help="For spectra, also fold the N most significant candidates, refine their "
                   "periods, period derivatives and DMs, and draw each candidate (for x.ecsv, as "
                   "x.1.png, x.2.png and so on).")
@common.constant_option(default="that of the input if it is known, otherwise 1/2.41e-4")
@click.option("--barycenter", is_flag=True,
              help="Search for periods at the solar system's barycentre: resample the series "
                   "evenly in barycentric time, as dedisperse --barycenter does.")
@common.solar_system_option
@common.span_options
@excision.flag_option
@excision.excision_options
@driver.products_option
@common.format_option(["ecsv", "accel", "riptide"])
@common.run_options("Print the plan and the expected memory; write nothing.", explain=False)
def pulsars(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Search spectra or time series for pulsars.

    All files must belong to one scan, and are searched together. They contain either successive
    spectra or time series at different dispersion measures. Channels of spectra are normalised and
    summed for many dispersion measures. In the Fourier spectrum of each time series, harmonics are
    summed. Each series is also folded at all trial periods, and the profiles are matched with
    boxcars (fast folding). The detections of a signal and of its harmonics at neighbouring
    dispersion measures form one candidate. Samples of weight 0, such as flagged ones, do not
    contribute.
    """
    from fastsig.chain import open_chain
    from fastsig.io.files.safe import check_output
    from fastsig.run.pulsar_files import format_of

    kind = format_of(output, to)
    check_output(output, overwrite=options["overwrite"], inputs=files)
    overrides = common.parse_overrides(options["overrides"])
    with ExitStack() as stack:
        sources = [stack.enter_context(open_chain(some, **overrides))
                   for some in _series_of(files, overrides)]
        if options["verify"]:
            for source in sources:
                source.stream.verify()
        excised = excision.parameters_of(options)
        _search([_prepared(each, name, options, excised) for each, name in zip(
            sources, files, strict=False)], output, kind, options)


def _series_of(files: tuple[str, ...], overrides: dict[str, Any]) -> list[list[str]]:
    """Return the files of each stream: one for each time series, or all those of spectra."""
    from fastsig.chain import open_chain

    if len(files) == 1:
        return [list(files)]
    with open_chain(files[0], **overrides) as first:
        stream = first.stream
        is_series = stream.kind == "spectra" and stream.shape[2] == 1
    return [[each] for each in files] if is_series else [list(files)]


def _prepared(source: Any, path: str, options: dict[str, Any], excised: dict[str, Any]) -> Any:
    """Return the intensity to search: of the rows and the band wanted, without interference."""
    from fastsig.errors import FormatError
    from fastsig.reductions.intensity import intensity_of

    if source.stream.kind != "spectra":
        raise FormatError(path, f"contains {source.stream.kind}; allowed: spectra or a time series")
    chain = source[common.parse_end(options["tstart"]) : common.parse_end(options["tstop"])]
    band = slice(options["fstart"], options["fstop"])
    chain = driver.with_products(chain if band == slice(None) else chain[:, band],
                                 options["products"])
    return intensity_of(excision.excise(chain.flag() if options["flagged"] else chain,
                                        excised).stream)


def _request(streams: list[Any], options: dict[str, Any]) -> Any:
    from fastsig.reductions.periodic.birds import birds_of
    from fastsig.reductions.periodic.request import Request, settings_of
    from fastsig.work.memory import parse_bytes

    settings = settings_of(
        int(options["harmonics"]), options["accel"],
        None if options["period"] == "none" else options["period"], options["duty"],
        options["threshold"],
        [_range(each) for each in options["zapped"]],
        None if options["mains"] is None else float(options["mains"]), birds_of(options["birds"]),
        jerk=options["jerk"])
    return Request.of(streams, options["dms"], settings, loss=options["loss"],
                      constant=options["constant"], barycenter=options["barycenter"],
                      ephemeris=options["ephemeris"], segment=options["segment"],
                      workers=options["workers"],
                      memory=None if options["memory"] is None else parse_bytes(options["memory"]))


def _range(text: str) -> tuple[float, float]:
    """Return the edges of a range of frequencies, Hz."""
    from fastsig.axes.units import number

    parts = text.split(":")
    if len(parts) != 2:
        raise click.UsageError(f"--zap {text}; allowed: two frequencies, such as 23.9Hz:24.1Hz")
    low, high = (number(each, "Hz", "--zap") for each in parts)
    return low, high


def _search(streams: list[Any], output: str, kind: str, options: dict[str, Any]) -> None:
    from fastsig.reductions.periodic.birds import FIND
    from fastsig.reductions.periodic.searching import found_pulsars
    from fastsig.run.pulsar_files import write_pulsars
    from fastsig.search.pulsars.exports import check_accel

    request = _request(streams, options)
    _check_format(request, kind)
    if kind == "accel":
        check_accel(in_segments=bool(request.segments))
    _check_pictures(request, output, options)
    if options["dry_run"]:
        request.check_memory()
        _print_dry_run(request, output, options)
        return
    with (common.compiling(options["quiet"]),
          common.progress_of_passes(options["quiet"]) as advance):
        found = found_pulsars(request, find_birds=FIND in options["birds"],
                              known=options["known"], radius=options["radius"],
                              folder=os.path.dirname(os.path.abspath(output)), progress=advance,
                              hash_inputs=options["hash_inputs"])
        found, pictures = _folded(found, request, output, options, advance)
    write_pulsars(found, output, to=kind, overwrite=options["overwrite"])
    _report(found, output, kind, options, pictures)


def _check_format(request: Any, kind: str) -> None:
    """Refuse a format of one of the two searches, before the other one is made alone."""
    for name, part, about in (("riptide", "folding", "fast folding"),
                              ("accel", "fourier", "the Fourier search")):
        if kind == name and not any(getattr(each, part) for each in request.searches):
            raise click.UsageError(f"the format {name} contains the candidates of {about}, which "
                                   "this search does not include; allowed: ecsv")


def _check_pictures(request: Any, output: str, options: dict[str, Any]) -> None:
    """Refuse to fold what cannot be folded, or to replace a picture, before the search begins."""
    if options["n_fold"] is not None:
        from fastsig.io.files.safe import check_output
        from fastsig.reductions.periodic.folding import check_channels

        check_channels(request.stream)
        for row in range(options["n_fold"]):
            check_output(_picture(output, row), overwrite=options["overwrite"])


def _picture(output: str, row: int) -> str:
    """Return the name of the picture of a candidate."""
    return f"{os.path.splitext(output)[0]}.{row + 1}.png"


def _folded(found: Any, request: Any, output: str, options: dict[str, Any],
            advance: Any) -> tuple[Any, list[str]]:
    """Fold the first candidates and draw them; return the table and the names of the pictures."""
    if options["n_fold"] is None:
        return found, []
    from fastsig.reductions.periodic.folding import fold_candidates
    from fastsig.view.profiles import Trials

    made, folded = fold_candidates(request.stream, found, options["n_fold"], clock=request.clock,
                                   workers=request.workers, memory=request.memory,
                                   progress=advance)
    pictures = [_picture(output, each.row) for each in folded]
    for each, name in zip(folded, pictures, strict=True):
        each.best.plot(name, trials=Trials.of(each.improvement), overwrite=options["overwrite"])
    return made, pictures


def _print_dry_run(request: Any, output: str, options: dict[str, Any]) -> None:
    if options["as_json"]:
        common.print_json({"output": output, "n_dm": request.n_dm, "dry_run": True,
                           "memory_bytes": request.memory_bytes, "workers": request.workers,
                           "series_bytes": request.series_bytes,
                           "n_segment": len(request.segments[0].starts) if request.segments else 0,
                           "series_in_memory": request.in_memory,
                           "free_bytes": driver.free_bytes(output)})
        return
    click.echo(f"memory {request.memory_bytes / 1e6:.3g} MB on "
               f"{counted(request.workers, 'thread')}")
    click.echo(f"series {request.series_bytes / 1e6:.3g} MB, {request.series_are}")
    for each in request.trials:
        click.echo(f"DM {each.dms[0]:g} to {each.dms[-1]:g} in {len(each.dms)} series of "
                   f"{each.n_sample} samples of {1e3 * each.sample_s:.4g} ms")
    if request.segments:
        each = request.segments[0]
        click.echo(f"{len(each.starts)} segments of {each.duration_s:.6g} s, each "
                   f"{(each.starts[1] - each.starts[0]) * each.sample_s:.6g} s after the previous "
                   "one")
    click.echo(f"would write {output}")


def _report(found: Any, output: str, kind: str, options: dict[str, Any], pictures: list[str]
            ) -> None:
    """Report the candidates that were written."""
    dropped = found.meta["n_dropped"]
    if options["as_json"]:
        names = ("period", "frequency", "fdot", "dm", "sigma", "snr", "method", "n_member")
        common.print_json({"output": output, "format": kind, "n_candidate": len(found),
                           "n_detection": found.meta["n_detection"], "n_dropped": dropped,
                           "pictures": pictures,
                           "candidates": [{name: found.values(name)[k].item() for name in names}
                                          for k in range(len(found))]})
    if dropped:
        common.say(f"fastsig: warning: {counted(dropped, 'detection')} of the weakest "
                   "signals were left out, because there were too many: use --zap, --mains or "
                   "--flag")
    common.say(f"{counted(len(found), 'candidate')} of "
               f"{counted(found.meta['n_detection'], 'detection')}", options["quiet"])
    for name in (output, *pictures):
        common.say(f"wrote {name}", options["quiet"])
