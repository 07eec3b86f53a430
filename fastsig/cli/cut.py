"""``fastsig cut``: copy a time span and a band of a file, sample by sample."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, driver


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the product to this file; {file} in the name is replaced by the "
                      "file number.")
@common.span_options
@driver.products_option
@driver.to_option
@driver.vdif_options
@driver.copy_options
def cut(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Copy a time span and a band of a recording.

    All FILEs must belong to one scan. Whole samples and whole channels are copied: voltages remain
    voltages and spectra remain spectra. Of folded profiles, the subintegrations whose epochs are
    within the span are copied. If neither --to nor the extension of PATH specifies a format, the
    format of the input is used.
    """
    from fastsig.chain import open_chain
    from fastsig.cli.profiles import copy_profiles, has_profiles

    rows = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
    band = slice(options["fstart"], options["fstop"])
    if has_profiles(files):
        copy_profiles(files, output, to, options, rows, band, usual="psrfits")
        return
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        part = source[rows] if band == slice(None) else source[rows, band]
        part = driver.with_products(part, options["products"])
        to = to or _format(part.stream.kind, source.stream.format_name, output)
        driver.copy_stream(part.stream, output, to, options)


def _format(kind: str, name: str, output: str) -> str | None:
    """Return the format of the input if the extension of the output specifies none."""
    from fastsig.run.products import SINKS

    sink = SINKS[kind]
    if sink.format_of(output) is not None:
        return None
    return name if name in sink.formats() else sink.formats()[0]
