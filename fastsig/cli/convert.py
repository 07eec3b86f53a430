"""``fastsig convert``: write voltages, spectra, profiles or findings in another format."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, driver


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the product to this file; {file} in the name is replaced by the "
                      "file number.")
@driver.products_option
@driver.to_option
@driver.vdif_options
@driver.copy_options
def convert(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Convert files to another format.

    Files of voltages or spectra must belong to one scan; only one file of folded profiles is
    allowed. If the format cannot hold all the information in voltages or spectra, the losses are
    reported first, and the product is written only with --lossy. Folded profiles can be written as
    fold-mode PSRFITS, or as a table with a row for each subintegration, channel and bin. Tables
    written by a search can be joined into one table (.ecsv). A table can also be written in the
    format of another program. Burst candidates can be written for PRESTO (.singlepulse), heimdall
    (.cand) or TransientX (.cands). Pulsar candidates can be written for PRESTO (.accel) or riptide
    (.csv), and drifting carriers for turboSETI (.dat).
    """
    from fastsig.cli.findings import copy_findings, table_of_findings
    from fastsig.cli.profiles import copy_profiles, has_profiles
    from fastsig.products.convert import convertible

    if has_profiles(files):
        copy_profiles(files, output, to, options)
        return
    kind = table_of_findings(files)
    if kind is not None:
        copy_findings(kind, files, output, to, options)
        return
    changes = common.parse_overrides(options["overrides"])
    with convertible(files, output, to, **changes) as source:
        part = driver.with_products(source, options["products"])
        driver.copy_stream(part.stream, output, to, options)
