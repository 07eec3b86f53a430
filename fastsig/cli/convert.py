"""``fastsig convert``: voltages or spectra from one format into another."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, driver


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("File to write; {file} in it stands for the number of each of several.")
@driver.to_option
@driver.copy_options
def convert(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Write the voltages or spectra of one scan, in FILE or several, in another format.

    What the format cannot carry is told first, and needs --lossy.
    """
    from fastsig.chain import open_chain
    from fastsig.run.spectra_file import spectra_format

    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        if source.stream.kind == "spectra" and spectra_format(output, to) is None:
            raise click.UsageError(f"{output}: its ending tells no format; give --to "
                                   f"{'|'.join(driver.SPECTRA)}")
        driver.copy_stream(source.stream, output, to, options)
