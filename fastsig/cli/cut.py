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
@click.option("--hits", type=common.InputPath(), metavar="TABLE",
              help="Keep only the channels around the track of a hit in this table, written by "
                   "search drift; the track is extrapolated to the time of FILE.")
@click.option("--row", type=click.IntRange(1), default=1, show_default=True, metavar="N",
              help="With --hits, select the hit in row N of the table; row 1 contains the "
                   "strongest hit.")
@click.option("--side", metavar="W",
              help="With --hits, keep a band of this width on either side of the track, e.g. "
                   "200Hz.  [default: 100 times the width of the hit]")
@driver.products_option
@driver.to_option
@driver.vdif_options
@driver.copy_options
def cut(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Copy a time span and a band of a recording.

    Files of voltages or spectra must belong to one scan; only one file of folded profiles is
    allowed. Whole samples and whole channels are copied. Voltages remain voltages, and spectra
    remain spectra. From folded profiles, the subintegrations whose epochs are within the span, and
    the channels centred within the band, are copied. If neither --to nor the extension of PATH
    specifies a format, folded profiles are written as fold-mode PSRFITS; voltages and spectra are
    written in the format of the input or, if fastsig cannot write it, in the native format
    (voltages) or FBH5 (spectra).
    """
    from fastsig.chain import open_chain
    from fastsig.cli.profiles import copy_profiles, has_profiles

    rows = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
    band = slice(options["fstart"], options["fstop"])
    if has_profiles(files):
        if options["hits"] is not None:
            raise click.UsageError("--hits has no meaning for folded profiles")
        copy_profiles(files, output, to, options, rows, band, usual="psrfits")
        return
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        part = source[rows] if band == slice(None) else source[rows, band]
        part = _around_hit(part, options)
        part = driver.with_products(part, options["products"])
        to = to or _format(part.stream.kind, source.stream.format_name, output)
        driver.copy_stream(part.stream, output, to, options)


def _around_hit(part: Any, options: dict[str, Any]) -> Any:
    """Return the band around a hit, if there is a table of hits."""
    if options["hits"] is None:
        if options["row"] != 1 or options["side"] is not None:
            raise click.UsageError("--row and --side belong to --hits; allowed: with --hits TABLE")
        return part
    from fastsig.reductions.drifting.cutting import around_hit
    from fastsig.run.hit_files import read_hits

    return around_hit(part, read_hits(options["hits"]), options["row"] - 1, side=options["side"])


def _format(kind: str, name: str, output: str) -> str | None:
    """Return the format of the input if the extension of the output specifies none."""
    from fastsig.run.products import SINKS

    sink = SINKS[kind]
    if sink.format_of(output) is not None:
        return None
    return name if name in sink.formats() else sink.formats()[0]
