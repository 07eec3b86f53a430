"""``fastsig flux``: convert spectra from kelvin to flux densities."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, driver


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the product to this file; {file} in the name is replaced by the "
                      "file number.")
@click.option("--gain", metavar="K/JY",
              help="Divide by this gain of one polarisation, e.g. 16K/Jy, as measured on a "
                   "calibrator.  [default: the telescope's gain for --beam at --zenith-angle]")
@click.option("--zenith-angle", metavar="ANGLE",
              help="Use the telescope's gain at this zenith angle, e.g. 20deg.  [default: the "
                   "column zenith_deg of the file]")
@click.option("--beam", type=click.IntRange(1, 19), metavar="N",
              help="Use the telescope's gain for this beam.  [default: the beam stated in the "
                   "file]")
@common.span_options
@driver.products_option
@driver.spectra_to_option
@driver.spectra_options
def flux(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Convert spectra from K to Jy.

    All files must belong to one scan. I, Q, U and V of two polarisations are divided by twice the
    gain of one polarisation; the other products are divided by this gain.
    """
    from fastsig.chain import open_chain

    rows = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
    band = slice(options["fstart"], options["fstop"])
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        part = source[rows] if band == slice(None) else source[rows, band]
        part = driver.with_products(part, options["products"])
        driver.copy_stream(_in_jansky(part.stream, options), output, to, options)


def _in_jansky(stream: Any, options: dict[str, Any]) -> Any:
    """Convert the stream with the gain given, or with that of the telescope."""
    from fastsig.errors import UsageError
    from fastsig.stages.flux import Flux

    gain, angle, beam = options["gain"], options["zenith_angle"], options["beam"]
    if gain is not None:
        if angle is not None or beam is not None:
            raise UsageError("--zenith-angle and --beam apply to the telescope's gain; allowed: "
                             "without --gain")
        return Flux(stream, gain=gain)
    return Flux(stream, zenith_angle=angle, beam=beam)
