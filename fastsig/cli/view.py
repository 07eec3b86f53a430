"""``fastsig view``: draw a picture or make a page of a file with any kind of product."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write this picture (.png, .pdf or .svg) or page (.html).")
@click.option("--product", metavar="NAME",
              help="Plot this polarisation product or, for a cube, this Stokes parameter.  "
                   "[default: the first one; for folded profiles, I if it is known; for a single "
                   "spectrum or channel, all]")
@click.option("--what", type=click.Choice(["sheet", "coverage", "channels", "moments", "spectrum",
                                           "waterfall", "power", "histogram", "bandpass"]),
              metavar="NAME",
              help="Draw this picture of a cube (sheet, coverage, channels, moments or spectrum) "
                   "or this panel of spectra (waterfall, spectrum or power) or of voltages "
                   "(histogram, power or bandpass).")
@click.option("--cmap", metavar="NAME", help="Use this matplotlib colour map.  [default: viridis; "
                                             "RdBu_r for Q, U, V, CR and CI]")
@click.option("--vmin", type=float, metavar="X",
              help="Start the colour scale, or the value axis of a line plot, at this value, in "
                   "the unit of the colour bar or axis (with --scale db, in dB).")
@click.option("--vmax", type=float, metavar="X",
              help="End the colour scale, or the value axis of a line plot, at this value, in "
                   "the unit of the colour bar or axis (with --scale db, in dB).")
@click.option("--scale", type=click.Choice(["linear", "asinh", "db"]),
              help="Use this colour scale. The scale db also applies to line plots; it cannot be "
                   "used for Q, U, V, CR or CI.  [default: linear; asinh if a few values far "
                   "exceed all others]")
@click.option("--percent", type=float, metavar="P",
              help="Limit the colour scale to the central P per cent of the values.  [default: all "
                   "but the lowest 1 % and the highest 0.5 %]")
@click.option("--at", metavar="RA,DEC",
              help="With --what spectrum, plot the spectrum of a cube at this position, e.g. "
                   "187.7,12.39 (in degrees).  [default: the mean spectrum]")
@click.option("--rest", metavar="LINE|FREQ",
              help="For the velocities of a cube, use this rest frequency: a line such as HI, "
                   "OH1667 or H166a, or a frequency.  [default: that stated in the file]")
@click.option("--data", type=common.InputPath(), multiple=True, metavar="PATH",
              help="For a table of hits or (on a page only) of candidates, draw the data around "
                   "them, using this recording or the recordings in this folder. May be repeated.  "
                   "[default: draw no data]")
@click.option("--page-size", metavar="SIZE",
              help="Limit the size of an interactive page.  [default: 3MB; 10MB for candidates and "
                   "hits]")
@common.span_options
@common.set_option
@common.quiet_options
@common.debug_option
def view(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Draw a file as a picture or an interactive page.

    If several files are given, they must belong to one scan. A cube, a DM-time plane, an archive of
    folded profiles or a table (such as a spectrum written by extract) must be the only FILE. The
    picture of spectra shows a waterfall, the mean spectrum and the mean over the band; a single
    spectrum or channel is drawn as a line. The picture of voltages shows a histogram, the power
    over time and the bandpass. The picture of a cube shows its integral over velocity, its coverage
    and its mean spectrum. The picture of a DM-time plane shows the S/N against time and dispersion
    measure, and the highest S/N at each dispersion measure. The picture of folded profiles shows
    two periods of the mean profile with its polarisation, and the profiles against time and against
    frequency. The DM is plotted against time for burst candidates, and against period for pulsar
    candidates. The drift rate of carriers is plotted against frequency; with --data, the spectra
    around the strongest accepted hit (or the strongest hit, if none is accepted) are drawn instead.
    On a page, spectra and cubes can be zoomed and sliced, and candidates and hits can be sorted,
    filtered and marked.
    """
    from fastsig.products.view import Wanted, draw_file

    wanted = Wanted(
        tstart=common.parse_end(options["tstart"]), tstop=common.parse_end(options["tstop"]),
        page_size=_page_bytes(output, options["page_size"]), data=options["data"] or None,
        overrides=common.parse_overrides(options["overrides"]),
        **{name: options[name] for name in (
            "what", "at", "rest", "product", "fstart", "fstop", "cmap", "vmin", "vmax", "scale",
            "percent")})
    draw_file(files, output, wanted, overwrite=options["overwrite"])
    common.say(f"wrote {output}", options["quiet"])


def _page_bytes(output: str, text: str | None) -> int | None:
    from fastsig.work.memory import parse_bytes

    if text is not None and not output.lower().endswith(".html"):
        raise click.UsageError(f"--page-size {text}: {output} is not a page; allowed: with .html")
    return None if text is None else parse_bytes(text)
