"""``fastsig convert``: voltages from one format into another."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, copying


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("File to write; {file} in it stands for the number of each of several.")
@click.option("--to", type=click.Choice(copying.FORMATS),
              help="Format; by default what the ending of PATH stands for: .h5 native, .raw guppi, "
              ".dada, .vdif.")
@copying.copy_options
def convert(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Write the voltages of one scan, in FILE or several, in another format.

    What the format cannot carry is told first, and needs --lossy.
    """
    from fastsig.chain import open_chain
    from fastsig.errors import FormatError

    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        if source.stream.kind != "voltage":
            raise FormatError(files[0], f"holds {source.stream.kind}; convert takes voltages")
        copying.copy_voltages(source.stream, output, to, options)
