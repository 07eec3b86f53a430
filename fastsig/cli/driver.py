"""What all commands that write have in common: options, plan, refusal, the pass, the report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import click

from fastsig import registry
from fastsig.cli import common

#: Formats that voltages and spectra can be written in: what ``--to`` takes.
VOLTAGES = registry.writers()
SPECTRA = registry.spectra_writers()

to_option = click.option(
    "--to", type=click.Choice(VOLTAGES + SPECTRA),
    help="Format; by default what the ending of PATH stands for. Voltages: .h5 native, .raw guppi, "
    ".dada, .vdif; spectra: .h5 fbh5, .fil sigproc, .fits psrfits, .dat presto.")

spectra_to_option = click.option(
    "--to", type=click.Choice(SPECTRA),
    help="Format; by default what the ending of PATH stands for: .h5 fbh5, .fil sigproc, .fits "
    "psrfits, .dat presto.")

vdif_options = common.options(
    click.option("--one-thread", is_flag=True,
                 help="Of vdif: all polarisations and channels in the frames of one thread, as "
                      "dspsr reads them."),
    click.option("--dspsr-header", is_flag=True,
                 help="Of vdif: dspsr's header file, PATH.hdr, beside it; in one thread."),
)

copy_options = common.options(
    click.option("--bits", type=click.Choice(["1", "2", "4", "8", "16", "32"]),
                 help="Bits of a number in the file; by default as recorded, or the fewest that "
                      "carry all values."),
    click.option("--scale", type=float, default=1.0, show_default=True,
                 help="What samples are multiplied by before they are rounded; of spectra for "
                      "sigproc alone."),
    click.option("--file-size", metavar="SIZE",
                 help="Most samples of a file, e.g. 4GB, for a recording in several; -o then has "
                      "{file} in it, for their numbers. Of spectra for psrfits alone."),
    click.option("--lossy", is_flag=True,
                 help="Write although the format cannot carry everything."),
    common.workers_option,
    common.memory_option,
    click.option("--verify", is_flag=True, help="Read the input whole first, and compare the "
                                                "checksums that it has."),
    common.hash_option,
    click.option("--dry-run", is_flag=True,
                 help="List what would be written and lost; write nothing."),
    common.json_option,
    common.set_option,
    common.quiet_options,
    common.debug_option,
)


Report = Callable[..., dict[str, Any]]


class Writing:
    """Products of one command: planned, described, written in one pass.

    Parameters
    ----------
    streams, outputs : sequence
        Chains, and a name for each.
    options : dict
        Of the command: `workers`, `memory`, `overwrite`, `hash_inputs`, `lossy`, `quiet`.
    sinks : sequence of Sink
        What else takes the pass; its results come after the products.
    fused : bool
    **formats
        Options of the products.
    """

    def __init__(self, streams: Sequence[Any], outputs: Sequence[str], options: dict[str, Any], *,
                 sinks: Sequence[Any] = (), fused: bool = True, **formats: Any) -> None:
        from fastsig.run.products import plan_products, products
        from fastsig.work.memory import parse_bytes

        self.options, self._sinks = options, list(sinks)
        self.memory = None if options["memory"] is None else parse_bytes(options["memory"])
        with common.progress_of_passes(options["quiet"]) as advance:
            self.products = products(
                streams, outputs, workers=options["workers"], memory=self.memory,
                progress=advance, overwrite=options["overwrite"], lossy=options["lossy"],
                hash_inputs=options["hash_inputs"], **formats)
        self.plan = plan_products(self.products, *self._sinks, workers=options["workers"],
                                  memory=self.memory, fused=fused)

    @property
    def losses(self) -> list[str]:
        """What all products cannot carry."""
        return [loss for product in self.products for loss in product.losses]

    def run(self) -> list[Any]:
        """Write; the results of the other sinks."""
        from fastsig.run.engine import execute

        for product in self.products:
            product.refuse_losses()
            product.check()
        for loss in self.losses:
            common.say(f"lossy: {loss}", self.options["quiet"])
        with (common.compiling(self.options["quiet"]),
              common.progress_of_passes(self.options["quiet"]) as advance):
            results = execute(self.plan, progress=advance)
        for product in self.products:
            for caution in product.cautions:
                common.say(f"note: {product.path}: {caution}", self.options["quiet"])
            if product.n_clipped:
                what = "numbers" if product.stream.kind == "voltage" else "values"
                common.say(f"fastsig: warning: {product.path}: {product.n_clipped} {what} were "
                           f"clipped to {product.n_bits} bits")
        return results[len(self.products):]


def copy_stream(stream: Any, output: str, to: str | None, options: dict[str, Any],
                report: Report | None = None, sinks: Sequence[Any] = ()) -> list[Any]:
    """Write a stream, of voltages or spectra, as a file of some format, and report on it.

    `report` is given the results of `sinks`, and returns more for ``--json``. The results are
    returned; none of a dry run.
    """
    from fastsig.run.products import SINKS
    from fastsig.work.memory import parse_bytes

    if options["verify"]:
        stream.verify()
    allowed = SINKS[stream.kind].formats()
    if to is not None and to not in allowed:
        raise click.UsageError(f"--to {to}: {stream.path} holds {stream.kind}; allowed: "
                               f"{', '.join(allowed)}")
    own = {name: True for name in ("one_thread", "dspsr_header") if options.get(name)}
    if own and stream.kind != "voltage":
        raise click.UsageError(f"--{next(iter(own)).replace('_', '-')}: {stream.path} holds "
                               f"{stream.kind}; allowed: voltages, to vdif")
    size = None if options["file_size"] is None else parse_bytes(options["file_size"])
    writing = Writing(
        [stream], [output], options, sinks=sinks, to=to, scale=options["scale"], file_bytes=size,
        bits=None if options["bits"] is None else int(options["bits"]), **own)
    product = writing.products[0]
    rows = getattr(product, "rows", (0, stream.shape[0]))
    record = _record(product, rows[1] - rows[0])
    if options["dry_run"]:
        _tell({**record, "memory_bytes": writing.plan.memory}, output, options)
        return []
    results = writing.run()
    record |= {"outputs": product.files,
               "bytes": [os.path.getsize(name) for name in product.files]}
    if report is not None:
        record |= report(*results)
    if options["as_json"]:
        common.print_json({**record, "n_clipped": product.n_clipped})
    for name in record["outputs"]:
        common.say(f"wrote {name}", options["quiet"])
    return results


def _record(product: Any, n_time: int) -> dict[str, Any]:
    """What is written, for ``--json``."""
    return {"outputs": [path for path, _ in product.bytes],
            "bytes": [size for _, size in product.bytes], "format": product.format,
            "n_time": n_time, "n_bits": product.n_bits, "losses": product.losses,
            "cautions": product.cautions}


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
    for caution in told["cautions"]:
        click.echo(f"note: {caution}")


def _free_bytes(output: str) -> int:
    """Room in the folder of a name."""
    from fastsig.errors import OutputError

    folder = os.path.dirname(output) or "."
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(output, f"the folder {folder}: {error.strerror}") from error
