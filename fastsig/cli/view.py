"""``fastsig view``: a picture or a page of a file, whatever kind of product it holds."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Picture (.png, .pdf, .svg) or page (.html) to write.")
@click.option("--product", metavar="NAME", help="Product to draw, or that a page shows first; of a "
                                                "cube the Stokes parameter; the first by default.")
@click.option("--what", type=click.Choice(["sheet", "coverage", "channels", "moments", "spectrum",
                                           "waterfall", "power", "histogram", "bandpass"]),
              help="Picture of a cube: sheet to spectrum, sheet by default; or one panel alone, "
                   "waterfall, spectrum or power of spectra, histogram, power or bandpass of "
                   "voltages.")
@click.option("--cmap", metavar="NAME", help="Of spectra: matplotlib's name of the colours.  "
                                             "[default: viridis; RdBu_r of Q, U, V, CR, CI]")
@click.option("--vmin", type=float, metavar="X", help="Of spectra: lower limit of the colours, or "
                                                      "of a line alone, in the file's unit.")
@click.option("--vmax", type=float, metavar="X", help="Upper limit, as of --vmin.")
@click.option("--scale", type=click.Choice(["linear", "asinh", "db"]),
              help="Of spectra: scale of the colours; with db lines are in dB too.  [default: "
                   "linear, or asinh where few values are far above all others]")
@click.option("--percent", type=float, metavar="P",
              help="Of spectra: let the limits hold this share of the values, in the middle.  "
                   "[default: from the lowest 1 % to the highest 0.5 %]")
@click.option("--at", metavar="RA,DEC", help="Of a cube, with --what spectrum: the place.")
@click.option("--rest", metavar="LINE", help="Of a cube: line or rest frequency for velocities.")
@click.option("--page-size", metavar="SIZE", help="Most bytes of a page.  [default: 3MB]")
@common.span_options
@common.set_option
@common.quiet_options
@common.debug_option
def view(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Draw one scan, in FILE or several, or a cube of maps, or a spectrum of extract.

    Of spectra a waterfall and its marginals, of voltages histogram, power and bandpass, of a cube
    integral, coverage and mean spectrum. A page of spectra or of a cube can be zoomed and cut.
    """
    from fastsig.products.view import Wanted, draw_file

    wanted = Wanted(
        tstart=common.parse_end(options["tstart"]), tstop=common.parse_end(options["tstop"]),
        page_size=_page_bytes(output, options["page_size"]),
        overrides=common.parse_overrides(options["overrides"]),
        **{name: options[name] for name in (
            "what", "at", "rest", "product", "fstart", "fstop", "cmap", "vmin", "vmax", "scale",
            "percent")})
    draw_file(files, output, wanted, overwrite=options["overwrite"])
    common.say(f"wrote {output}", options["quiet"])


def _page_bytes(output: str, text: str | None) -> int | None:
    from fastsig.work.memory import parse_bytes

    if text is not None and not output.lower().endswith(".html"):
        raise click.UsageError(f"--page-size {text}: {output} is no page; allowed: with .html")
    return None if text is None else parse_bytes(text)
