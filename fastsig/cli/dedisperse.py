"""``fastsig dedisperse``: align spectra at a dispersion measure, or sum them to time series."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, driver

#: Formats that have no weights: spectra that lack channels are left out of them.
_COMPLETE = ("sigproc", "psrfits", "presto")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the product to this file; {file} in the name is replaced by the "
                      "file number.")
@click.option("--dm", required=True, metavar="DM",
              help="Remove the dispersion of this dispersion measure, pc cm^-3. It is added to "
                   "that of the input, if dispersion was removed before.")
@click.option("--series", is_flag=True,
              help="Sum the band to one time series: the mean of the channels, weighted by their "
                   "weights.")
@click.option("--ref", metavar="FREQ",
              help="Times are those at which the signal passes this frequency: top (the highest "
                   "channel), infinity, or a frequency such as 1500MHz.  [default: top, or that "
                   "of the input]")
@click.option("--constant", metavar="K",
              help="Use this dispersion constant, MHz^2 pc^-1 cm^3 s, such as 4148.808.  "
                   "[default: 1/2.41e-4, or that of the input]")
@click.option("--last", type=click.Choice(["keep", "drop"]),
              help="Keep or drop the spectra at the end, for which the lower channels were not "
                   "recorded.  [default: keep in fbh5, which has weights; drop in other formats]")
@driver.products_option
@driver.spectra_to_option
@driver.spectra_options
def dedisperse(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Remove the dispersion of a source from spectra.

    All FILEs must belong to one scan. Every channel is shifted by its delay after the highest
    channel, to the nearest spectrum. Samples without weight, such as flagged ones, do not
    contribute to a time series.
    """
    from fastsig.chain import open_chain
    from fastsig.errors import FormatError

    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        if source.stream.kind != "spectra":
            raise FormatError(files[0], f"contains {source.stream.kind}; allowed: spectra. Make "
                              "them with fastsig spectra")
        chain = driver.with_products(source, options["products"])
        made = chain.dedisperse(options["dm"], ref=options["ref"], constant=options["constant"],
                                last=options["last"] or _last(output, to))
        stream = made.to_series().stream if options["series"] else made.stream
        driver.copy_stream(stream, output, to, options)


def _last(output: str, to: str | None) -> str:
    """Return what becomes of spectra that lack channels, which depends on the format."""
    from fastsig.run.spectra_file import spectra_format

    return "drop" if spectra_format(output, to) in _COMPLETE else "keep"
