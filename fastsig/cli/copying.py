"""What ``convert`` and ``cut`` have in common: options, plan, refusal, copy, report."""

from __future__ import annotations

import os
import shutil
from typing import Any

import click

from fastsig.cli import common

FORMATS = ("native", "guppi", "dada", "vdif")

copy_options = common.options(
    click.option("--bits", type=click.Choice(["1", "2", "4", "8", "16", "32"]),
                 help="Of a number in the file; by default as recorded, or the fewest that carry "
                 "all values."),
    click.option("--scale", type=float, default=1.0, show_default=True,
                 help="What samples are multiplied by before they are rounded."),
    click.option("--file-size", metavar="SIZE",
                 help="Most samples of a file, e.g. 4GB, for a recording in several; -o then has "
                 "{file} in it, for their numbers."),
    click.option("--lossy", is_flag=True,
                 help="Write although the format cannot carry everything."),
    common.workers_option,
    click.option("--memory", metavar="SIZE", help="Bound on the whole process, e.g. 500MB."),
    click.option("--verify", is_flag=True, help="Compare the input's checksums first."),
    click.option("--hash-inputs", is_flag=True,
                 help="Hash all of the input for the provenance."),
    click.option("--dry-run", is_flag=True,
                 help="Tell what would be written and lost; touch nothing."),
    common.json_option,
    common.set_option,
    common.quiet_options,
    common.debug_option,
)


def copy_voltages(stream: Any, output: str, to: str | None, options: dict[str, Any]) -> None:
    """Write the voltages of a stream as a file of some format, and tell of it."""
    from fastsig import convert
    from fastsig.memory import parse_bytes

    quiet, workers = options["quiet"], options["workers"]
    memory, size = (None if options[name] is None else parse_bytes(options[name])
                    for name in ("memory", "file_size"))
    if options["verify"]:
        stream.verify()
    bits = options["bits"] and int(options["bits"])
    writer = convert.plan(stream, output, to=to, bits=bits, scale=options["scale"],
                          file_bytes=size, workers=workers, memory=memory,
                          hash_inputs=options["hash_inputs"])
    if options["dry_run"]:
        _tell(writer, output, options["as_json"])
        return
    convert.refuse_losses(writer, options["lossy"])
    for loss in writer.losses:
        common.say(f"lossy: {loss}", quiet)
    rows = sum(n for _, n in writer.pieces())
    with common.progress(rows, "copy", quiet=quiet) as advance:
        convert.copy(writer, stream, workers=workers, memory=memory,
                     overwrite=options["overwrite"], progress=advance)
    _report(writer, options)


def _tell(writer: Any, output: str, as_json: bool) -> None:
    """What would be written, and what lost."""
    free = _free_bytes(output)
    if as_json:
        common.print_json({**_record(writer), "dry_run": True, "free_bytes": free})
        return
    for name, size in writer.files:
        click.echo(f"would write {name}: {size / 1e6:.1f} MB of {writer.n_bits} bits, "
                   f"{free / 1e6:.0f} MB free")
    for loss in writer.losses:
        click.echo(f"would lose: {loss}")


def _free_bytes(output: str) -> int:
    """Room in the folder of a name."""
    from fastsig.errors import OutputError

    folder = os.path.dirname(output) or "."
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(output, f"the folder {folder}: {error.strerror}") from error


def _record(writer: Any) -> dict[str, Any]:
    """What is written, for ``--json``."""
    return {
        "outputs": [name for name, _ in writer.files], "bytes": [size for _, size in writer.files],
        "format": writer.NAME, "n_time": writer.rows[1] - writer.rows[0],
        "n_bits": writer.n_bits, "losses": writer.losses,
    }


def _report(writer: Any, options: dict[str, Any]) -> None:
    quiet = options["quiet"]
    if writer.n_clipped:
        common.say(f"{writer.n_clipped} numbers were clipped to {writer.n_bits} bits", quiet)
    if options["as_json"]:
        common.print_json({**_record(writer), "n_clipped": writer.n_clipped})
    for name, _ in writer.files:
        common.say(f"wrote {name}", quiet)
