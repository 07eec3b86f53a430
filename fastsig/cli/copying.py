"""What ``convert`` and ``cut`` have in common: options, plan, refusal, copy, report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import click

from fastsig.cli import common

VOLTAGES = ("native", "guppi", "dada", "vdif")
SPECTRA = ("fbh5", "sigproc", "psrfits", "presto", "hifast")

to_option = click.option(
    "--to", type=click.Choice(VOLTAGES + SPECTRA),
    help="Format; by default what the ending of PATH stands for. Voltages: .h5 native, .raw guppi, "
    ".dada, .vdif; spectra: .h5 fbh5, .fil sigproc, .fits psrfits, .dat presto.")

spectra_to_option = click.option(
    "--to", type=click.Choice(SPECTRA),
    help="Format; by default what the ending of PATH stands for: .h5 fbh5, .fil sigproc, .fits "
    "psrfits, .dat presto.")

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
    common.memory_option,
    click.option("--verify", is_flag=True, help="Compare the input's checksums first."),
    common.hash_option,
    click.option("--dry-run", is_flag=True,
                 help="Tell what would be written and lost; touch nothing."),
    common.json_option,
    common.set_option,
    common.quiet_options,
    common.debug_option,
)


Report = Callable[[Any], dict[str, Any]]


def copy_stream(stream: Any, output: str, to: str | None, options: dict[str, Any],
                report: Report | None = None) -> None:
    """Write a stream, of voltages or spectra, as a file of some format, and tell of it.

    `report` is given the `FlagShares` of spectra, and returns more for ``--json``.
    """
    for name in ("memory", "file_size"):
        from fastsig.memory import parse_bytes

        options[name] = None if options[name] is None else parse_bytes(options[name])
    if options["verify"]:
        stream.verify()
    options["bits"] = options["bits"] and int(options["bits"])
    if to is not None and to not in (SPECTRA if stream.kind == "spectra" else VOLTAGES):
        allowed = SPECTRA if stream.kind == "spectra" else VOLTAGES
        raise click.UsageError(f"--to {to}: {stream.path} holds {stream.kind}; allowed: "
                               f"{', '.join(allowed)}")
    if stream.kind == "spectra":
        _copy_spectra(stream, output, to, options, report)
    else:
        _copy_voltages(stream, output, to, options)


def _copy_voltages(stream: Any, output: str, to: str | None, options: dict[str, Any]) -> None:
    from fastsig import convert

    writer = convert.plan(stream, output, to=to, bits=options["bits"], scale=options["scale"],
                          file_bytes=options["file_size"], workers=options["workers"],
                          memory=options["memory"], hash_inputs=options["hash_inputs"])
    told = _record(writer.NAME, writer.files, writer.rows[1] - writer.rows[0], writer.n_bits,
                   writer.losses)
    if options["dry_run"]:
        told["memory_bytes"] = convert.memory_bytes(
            writer, stream, workers=options["workers"], memory=options["memory"])
        _tell(told, output, options)
        return
    convert.refuse_losses(writer, options["lossy"])
    say_losses(writer.losses, options)
    rows = sum(n for _, n in writer.pieces())
    with common.progress(rows, "copy", quiet=options["quiet"]) as advance:
        convert.copy(writer, stream, workers=options["workers"], memory=options["memory"],
                     overwrite=options["overwrite"], progress=advance)
    say_clipped(writer.n_clipped, "numbers", output, writer.n_bits)
    _report(told, writer.n_clipped, options)


def _copy_spectra(stream: Any, output: str, to: str | None, options: dict[str, Any],
                  report: Report | None) -> None:
    from fastsig import reduce, targets
    from fastsig.shares import ShareCounter

    made = targets.target(stream, output, to=to, bits=options["bits"], scale=options["scale"],
                          file_bytes=options["file_size"])
    plan = reduce.plan_product(stream, made, workers=options["workers"], memory=options["memory"])
    told = _record(made.name, [(made.path, made.sizes.disk)], stream.shape[0], made.n_bits,
                   made.losses)
    if options["dry_run"]:
        _tell({**told, "memory_bytes": plan.memory}, output, options)
        return
    targets.refuse_losses(made, options["lossy"])
    say_losses(made.losses, options)
    counter = ShareCounter(stream.polarization.names, stream.shape[2])
    with common.progress(stream.shape[0], "copy", quiet=options["quiet"]) as advance:
        writer, = reduce.write_plans(
            [plan], [stream], [made], overwrite=options["overwrite"],
            hash_inputs=options["hash_inputs"], progress=advance,
            watch=None if report is None else counter.add)
    say_clipped(writer.n_clipped, "values", made.path, made.n_bits)
    told |= {"outputs": writer.files, "bytes": [os.path.getsize(name) for name in writer.files]}
    if report is not None:
        told |= report(counter.shares())
    _report(told, writer.n_clipped, options)


def _record(name: str, files: list[tuple[str, int]], n_time: int, n_bits: int,
            losses: list[str]) -> dict[str, Any]:
    """What is written, for ``--json``."""
    return {"outputs": [path for path, _ in files], "bytes": [size for _, size in files],
            "format": name, "n_time": n_time, "n_bits": n_bits, "losses": losses}


def _tell(told: dict[str, Any], output: str, options: dict[str, Any]) -> None:
    """What would be written, and what lost."""
    free = _free_bytes(output)
    if options["as_json"]:
        common.print_json({**told, "dry_run": True, "free_bytes": free})
        return
    for name, size in zip(told["outputs"], told["bytes"], strict=True):
        click.echo(f"would write {name}: {size / 1e6:.1f} MB of {told['n_bits']} bits, "
                   f"{free / 1e6:.0f} MB free")
    for loss in told["losses"]:
        click.echo(f"would lose: {loss}")


def _free_bytes(output: str) -> int:
    """Room in the folder of a name."""
    from fastsig.errors import OutputError

    folder = os.path.dirname(output) or "."
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(output, f"the folder {folder}: {error.strerror}") from error


def say_losses(losses: list[str], options: dict[str, Any]) -> None:
    """Tell what the format cannot carry."""
    for loss in losses:
        common.say(f"lossy: {loss}", options["quiet"])


def say_clipped(count: int, what: str, path: str, n_bits: int) -> None:
    """Warn of values that did not fit."""
    if count:
        common.say(f"fastsig: warning: {path}: {count} {what} were clipped to {n_bits} bits")


def _report(told: dict[str, Any], n_clipped: int, options: dict[str, Any]) -> None:
    if options["as_json"]:
        common.print_json({**told, "n_clipped": n_clipped})
    for name in told["outputs"]:
        common.say(f"wrote {name}", options["quiet"])
