"""Code shared by all commands that write: options, plan, refusal, the pass, the report."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from fastsig import registry
from fastsig.cli import common
from fastsig.work.counted import counted

if TYPE_CHECKING:
    from fastsig.run.trial import Expected

#: Formats in which voltages and spectra can be written: the values of ``--to``.
VOLTAGES = registry.writers()
SPECTRA = registry.spectra_writers()

to_option = click.option(
    "--to", type=click.Choice((*VOLTAGES, *SPECTRA, "ecsv")),
    help="Write in this format.  [default: implied by the extension of PATH: .h5 (native or "
         "fbh5), .raw (guppi), .dada, .vdif, .fil or .tim (sigproc), .fits, .sf or .ar "
         "(psrfits), .dat (presto) or .ecsv]")

def spectra_format_option(*names: str) -> Callable[[common.Command], common.Command]:
    """Return the option for the format of spectra, with these names."""
    return click.option(
        *names, type=click.Choice(SPECTRA),
        help="Write in this format.  [default: implied by the extension of PATH: sigproc (.fil, "
             ".tim), psrfits (.fits, .sf) or presto (.dat); otherwise fbh5]")


spectra_to_option = spectra_format_option("--to")

picture_product_option = click.option(
    "--product", metavar="NAME", help="Plot this polarisation product.  [default: the first one]")

coherent_option = click.option(
    "--coherent", type=click.IntRange(1), metavar="N",
    help="Divide each channel of voltages into N channels, in which the dispersion is removed "
         "coherently; required for voltages.")

products_option = click.option(
    "--products", metavar="NAMES",
    help="Keep only these polarisation products of spectra, e.g. I or AA,BB. Stokes parameters "
         "that the input lacks are computed (I from AA and BB, the others from AA, BB, CR and CI "
         "of linear feeds).")

vdif_options = common.options(
    click.option("--one-thread", is_flag=True,
                 help="Write all polarisations and channels of a VDIF file into the frames of a "
                      "single thread, as dspsr expects."),
    click.option("--dspsr-header", is_flag=True,
                 help="Write a VDIF file with a single thread and, next to it, a header file "
                      "for dspsr, PATH.hdr."),
)


lossy_option = click.option(
    "--lossy", is_flag=True,
    help="Write the product even if its format cannot hold all the information.")

scale_option = click.option(
    "--scale", type=float, metavar="X", default=1.0, show_default=True,
    help="Multiply the values by this factor before they are rounded to the integers of a SIGPROC "
         "file.")

sign_options = common.options(
    click.option("--sign-q", type=click.Choice(["1", "-1"]), default="1", show_default=True,
                 help="Set the sign of Q, and record it in the product; with 1, Q is AA - BB."),
    click.option("--sign-v", type=click.Choice(["1", "-1"]), default="1", show_default=True,
                 help="Set the sign of V, and record it in the product; with 1, V is 2 Im <A* B>."),
)

#: Options of commands that write voltages or spectra in passes.
product_run_options = common.run_options(
    "Print the expected time, memory, disk space and loss of information; write nothing.")

#: Options of the commands that write spectra only.
spectra_options = common.options(
    click.option("--bits", type=click.Choice(["8", "16", "32"]),
                 help="Write samples of this many bits.  [default: 32 or, for the command "
                      "dedisperse in formats other than fbh5, the fewest that preserve all "
                      "values]"),
    scale_option,
    click.option("--file-size", metavar="SIZE",
                 help="Split the product into PSRFITS files of at most this size, e.g. 4GB; if "
                      "there are several files, PATH must contain {file}."),
    lossy_option, product_run_options)

#: Options of the commands that write voltages or spectra.
copy_options = common.options(
    click.option("--bits", type=click.Choice(["1", "2", "4", "8", "16", "32"]),
                 help="Write samples of this many bits.  [default: for voltages, as in the input "
                      "if the format allows it; for spectra, 32 in fbh5; for folded profiles, "
                      "16; otherwise the fewest that preserve all values]"),
    click.option("--scale", type=float, metavar="X", default=1.0, show_default=True,
                 help="Multiply the samples by this factor before they are rounded; for spectra, "
                      "this is possible only in sigproc."),
    click.option("--file-size", metavar="SIZE",
                 help="Split the product into GUPPI, DADA, VDIF or PSRFITS files of at most this "
                      "size, e.g. 4GB; if there are several files, PATH must contain {file}."),
    lossy_option, product_run_options)

Report = Callable[..., dict[str, Any]]

_MOST_NAMES = 100  # files that are listed by name


class Writing:
    """The products of one command: planned, described and written in one pass.

    Parameters
    ----------
    streams, outputs : sequence
        Chains, and the name of the product of each.
    options : dict
        Options of the command: `workers`, `memory`, `overwrite`, `hash_inputs`, `lossy`, `quiet`.
    sinks : sequence of Sink
        Further sinks of the pass; `run` returns their results.
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
        """The losses of all products: what their formats cannot store."""
        return [loss for product in self.products for loss in product.losses]

    def explain(self) -> None:
        """Print every step of the plan."""
        click.echo(self.plan.explain())

    def print_dry_run(self) -> None:
        """Print time, memory, disk space and losses."""
        from fastsig.run.trial import expected_time

        free = [free_bytes(product.path) for product in self.products]
        with common.compiling(self.options["quiet"]):
            time = expected_time(self.plan)
        threads = counted(self.plan.workers, "thread")
        click.echo("time unknown, because the end of the data is not known" if time is None else
                   f"time {duration_text(time.seconds)} on {threads}, estimated by a trial; "
                   f"writing not included{_compiling_text(time)}")
        click.echo(self.plan.memory_text())
        for product, room in zip(self.products, free, strict=True):
            most = "" if product.stream.kind == "voltage" else "up to "  # spectra may be compressed
            for name, size in product.bytes:
                click.echo(f"would write {name}: {most}{size / 1e6:.1f} MB of {product.n_bits} "
                           f"bits, {room / 1e6:.0f} MB free")
        for loss in self.losses:
            click.echo(f"would lose: {loss}")
        for product in self.products:
            for caution in product.cautions:
                click.echo(f"note: {product.path}: {caution}")

    def run(self) -> list[Any]:
        """Write the products, and return the results of the further sinks."""
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
                share = product.n_clipped / max(1, math.prod(product.stream.shape))
                common.say(f"fastsig: warning: {product.path}: {product.n_clipped} {what} "
                           f"({100 * share:.2g} %) were clipped to {product.n_bits} bits")
        return results[len(self.products):]


def with_products(chain: Any, names: str | None) -> Any:
    """Return spectra with the products of ``--products``: selected, or computed by `stokes`."""
    from fastsig.axes.polarization import PRODUCTS

    if names is None:
        return chain
    if chain.stream.kind != "spectra":
        raise click.UsageError(f"--products {names}: {chain.stream.path} contains "
                               f"{chain.stream.kind}; allowed: spectra, such as those made by "
                               "fastsig spectra --products")
    there = chain.stream.polarization.names
    wanted = PRODUCTS.get(names) or tuple(name.strip() for name in names.split(","))
    if not set(wanted) <= set(there) and set(wanted) <= set("IQUV"):
        chain = chain.stokes(wanted[0] if wanted in (("I",), ("V",)) else "IQUV")
    return chain if chain.stream.polarization.names == wanted else chain[list(wanted)]


def copy_stream(stream: Any, output: str, to: str | None, options: dict[str, Any],
                report: Report | None = None, sinks: Sequence[Any] = ()) -> list[Any]:
    """Write a stream of voltages or spectra as a file of some format, and report on it.

    `report` receives the results of `sinks`, and returns further entries for ``--json``. The
    results are returned; after a dry run the list is empty.
    """
    from fastsig.run.products import SINKS

    allowed = SINKS[stream.kind].formats()
    if to is not None and to not in allowed:
        raise click.UsageError(f"--to {to}: {stream.path} contains {stream.kind}; allowed: "
                               f"{', '.join(allowed)}")
    formats = copy_formats(to, options)
    own = {name: True for name in ("one_thread", "dspsr_header") if options.get(name)}
    if own and stream.kind != "voltage":
        raise click.UsageError(f"--{next(iter(own)).replace('_', '-')}: {stream.path} contains "
                               f"{stream.kind}; allowed: voltages, written as vdif")
    formats |= own
    return write_streams([stream], [output], options, report, sinks, **formats)


def write_streams(streams: Sequence[Any], outputs: Sequence[str], options: dict[str, Any],
                  report: Report | None = None, sinks: Sequence[Any] = (), **formats: Any
                  ) -> list[Any]:
    """Write streams of one scan in a single pass, each to its output, like `copy_stream`.

    With several, ``--json`` contains their records as ``products``.
    """
    refuse_losses(streams, outputs, options, **formats)
    if options["verify"]:
        streams[0].verify()
    writing = Writing(streams, outputs, options, sinks=sinks, **formats)
    if options["explain"]:
        writing.explain()
    records = [_record(product, _n_time(product)) for product in writing.products]
    if options["dry_run"]:
        if options["as_json"]:
            common.print_json({**_joined(records), "memory_bytes": writing.plan.memory,
                               "dry_run": True, "free_bytes": free_bytes(outputs[0])})
        else:
            writing.print_dry_run()
        return []
    results = writing.run()
    for record, product in zip(records, writing.products, strict=True):
        record |= {"outputs": product.files,
                   "bytes": [os.path.getsize(name) for name in product.files]}
    made = _joined(records)
    if report is not None:
        made |= report(*results)
    if options["as_json"]:
        common.print_json({**made, "n_clipped": sum(each.n_clipped for each in writing.products)})
    _report_names([name for record in records for name in record["outputs"]], options["quiet"])
    return results


def _joined(records: list[dict[str, Any]]) -> dict[str, Any]:
    return records[0] if len(records) == 1 else {"products": records}


def _n_time(product: Any) -> int:
    first, stop = getattr(product, "rows", (0, product.stream.shape[0]))
    return int(stop - first)


def _report_names(names: Sequence[str], quiet: bool) -> None:
    """Print the names of the files that were written; of very many, the first and the last."""
    if len(names) <= _MOST_NAMES:
        for name in names:
            common.say(f"wrote {name}", quiet)
    else:
        common.say(f"wrote {len(names)} files, {names[0]} to {names[-1]}", quiet)


def _record(product: Any, n_time: int) -> dict[str, Any]:
    """Return the record of a product, for ``--json``."""
    return {"outputs": [path for path, _ in product.bytes],
            "bytes": [size for _, size in product.bytes], "format": product.format,
            "n_time": n_time, "n_bits": product.n_bits, "losses": product.losses,
            "cautions": product.cautions}


def copy_formats(to: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of products, given those of `copy_options`."""
    from fastsig.work.memory import parse_bytes

    return {"to": to, "scale": options["scale"],
            "file_bytes": None if options["file_size"] is None else parse_bytes(
                options["file_size"]),
            "bits": None if options["bits"] is None else int(options["bits"])}


def refuse_losses(streams: Sequence[Any], outputs: Sequence[str], options: dict[str, Any],
                  **formats: Any) -> None:
    """Refuse losses that headers reveal, before any long work; a dry run lists them instead."""
    from fastsig.run.products import refuse_losses as refuse

    if not (options["dry_run"] or options["lossy"]):
        refuse(streams, outputs, overwrite=options["overwrite"], **formats)


def free_bytes(output: str) -> int:
    """Return the free space in the folder of an output."""
    from fastsig.errors import OutputError

    folder = os.path.dirname(output) or "."
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(output, f"the folder {folder}: {error.strerror}") from error


def _compiling_text(time: Expected) -> str:
    """Describe compiling, which a run need not do after a trial that filled the cache."""
    if not time.compiling:
        return ""
    if time.is_cached:
        return (f"; the trial took {duration_text(time.compiling)} more to compile the kernels, "
                "which the run loads from the cache")
    return f"; {duration_text(time.compiling)} of it for compiling kernels, which are not cached"


def duration_text(seconds: float) -> str:
    """Return a rough time: ``under 1 s``, ``about 40 s``, ``about 12 min``, ``about 3 h``."""
    if seconds < 1:
        return "under 1 s"
    length, unit = (1, "s") if seconds < 100 else (60, "min") if seconds < 6000 else (3600, "h")
    return f"about {seconds / length:.0f} {unit}"
