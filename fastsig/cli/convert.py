"""``fastsig convert``: voltages or spectra from one format into another."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, driver


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("File to write; {file} in it stands for the number of each of several.")
@driver.to_option
@driver.vdif_options
@driver.copy_options
def convert(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Write the voltages or spectra of one scan, in FILE or several, in another format.

    What the format cannot carry is told first, and needs --lossy.
    """
    from fastsig.products.convert import convertible

    changes = common.parse_overrides(options["overrides"])
    with convertible(files, output, to, **changes) as source:
        driver.copy_stream(source.stream, output, to, options)
