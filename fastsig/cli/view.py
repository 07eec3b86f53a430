"""``fastsig view``: a picture of a file, or of a scan."""

from __future__ import annotations

import click

from fastsig.cli import common


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Picture (.png, .pdf, .svg) or page (.html) to write.")
@click.option("--product", metavar="NAME", help="Product to draw, e.g. I; the first by default.")
@common.span_options
@common.set_option
@common.quiet_options
@common.debug_option
def view(
    files: tuple[str, ...], output: str, overwrite: bool, product: str | None, tstart: str | None,
    tstop: str | None, fstart: str | None, fstop: str | None, overrides: tuple[str, ...],
    quiet: bool, debug: bool,
) -> None:
    """Draw one scan, in FILE or several.

    Of spectra a waterfall and its marginals, of voltages histogram, power and bandpass.
    """
    from fastsig.chain import open_chain
    from fastsig.io.safe import check_output
    from fastsig.view import check_picture, draw

    check_picture(output)
    check_output(output, overwrite=overwrite)
    with open_chain(files, **common.parse_overrides(overrides)) as source:
        rows = slice(common.parse_end(tstart), common.parse_end(tstop))
        band = slice(fstart, fstop)
        chain = source[rows] if band == slice(None) else source[rows, band]
        draw(chain.stream, output, overwrite=overwrite, product=product)
    common.say(f"wrote {output}", quiet)
