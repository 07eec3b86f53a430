"""``fastsig cut``: a span and a band of a file, sample by sample."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, copying


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("File to write; {file} in it stands for the number of each of several.")
@common.span_options
@click.option("--to", type=click.Choice(copying.FORMATS),
              help="Format of voltages; by default what the ending of PATH stands for, else that "
              "of the input.")
@copying.copy_options
def cut(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Write a span and a band of one scan, in FILE or several: whole samples and whole channels.

    Voltages stay voltages, as recorded. Spectra (FBH5) stay spectra, of 32 bits.
    """
    from fastsig.chain import open_chain
    from fastsig.convert import target_format
    from fastsig.io import detect
    from fastsig.io.scan import scan_files
    from fastsig.registry import writers

    rows = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
    band = slice(options["fstart"], options["fstop"])
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        part = source[rows] if band == slice(None) else source[rows, band]
        if part.stream.kind == "spectra":
            _cut_spectra(part, output, to, options)
            return
        if target_format(output, to) is None:
            name = detect(scan_files(files)[0])[0]
            to = name if name in writers() else "native"
        copying.copy_voltages(part.stream, output, to, options)


def _cut_spectra(part: Any, output: str, to: str | None, options: dict[str, Any]) -> None:
    asked = {"--to": to, "--bits": options["bits"], "--file-size": options["file_size"],
             "--lossy": options["lossy"], "--scale": options["scale"] != 1}
    for name, value in asked.items():
        if value:
            raise click.UsageError(f"{name} is for voltages; {part.stream.path} holds spectra")
    if options["verify"]:
        part.verify()
    if options["dry_run"]:
        from fastsig.io.sizes import estimate_bytes

        size = estimate_bytes(part.shape, part.stream.weight_channels, 32)
        click.echo(f"would write {output}: up to {size / 1e6:.1f} MB")
        return
    part.write(output, overwrite=options["overwrite"], workers=options["workers"],
               hash_inputs=options["hash_inputs"])
    if options["as_json"]:
        common.print_json({"outputs": [output], "format": "fbh5", "shape": list(part.shape)})
    common.say(f"wrote {output}", options["quiet"])
