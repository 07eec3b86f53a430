"""``fastsig spectra``: voltages to integrated spectra."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common


@click.command()
@click.argument("file", metavar="FILE")
@common.output_option("FBH5 file to write.")
@click.option("--n-chan", type=int, required=True, help="Channels per input channel, even.")
@click.option("--n-tap", type=int, default=8, show_default=True, help="Taps of the filter bank.")
@click.option("--window", default="hamming", show_default=True,
              help="hamming, hann, blackman, rect, kaiser:BETA; none (with one tap) for an FFT.")
@click.option("--products", type=click.Choice(["I", "AABB", "AABBCRCI", "IQUV", "V"]),
              default="I", show_default=True, help="What to make of the polarisations.")
@click.option("--sign-q", type=click.Choice(["1", "-1"]), default="1", show_default=True,
              help="Sign of Q; recorded in the product.")
@click.option("--sign-v", type=click.Choice(["1", "-1"]), default="1", show_default=True,
              help="Sign of V; 1 is 2 Im <A* B>; recorded in the product.")
@click.option("--integrate", metavar="TIME",
              help="Integration time such as 1ms, rounded to whole spectra.")
@click.option("--n-int", type=int, help="Spectra to integrate, exactly.")
@click.option("--n-freq", type=int, default=1, show_default=True,
              help="Neighbouring channels to average.")
@click.option("--min-valid", type=float, default=0.9, show_default=True,
              help="Least valid share of a frame's energy; 1 is strict.")
@click.option("--compression", type=click.Choice(["bitshuffle", "gzip", "none"]),
              default="bitshuffle", show_default=True, help="Of the product's samples.")
@click.option("--blank", type=click.Choice(["nan", "mean"]), default="nan", show_default=True,
              help="What stands where nothing is valid; mean is the channel's own.")
@common.span_options
@common.workers_option
@click.option("--memory", metavar="SIZE", help="Bound on the whole process, e.g. 500MB.")
@click.option("--verify", is_flag=True, help="Compare the input's checksums first.")
@click.option("--hash-inputs", is_flag=True, help="Hash all of the input for the provenance.")
@click.option("--unfused", is_flag=True, help="Use no fused kernels (same bytes, slower).")
@click.option("--explain", is_flag=True, help="Print the plan.")
@click.option("--dry-run", is_flag=True, help="Print the plan and the sizes; touch nothing.")
@common.json_option
@common.set_option
@common.quiet_options
@common.debug_option
def spectra(file: str, output: str, **options: Any) -> None:
    """Channelise, detect and integrate the voltages in FILE."""
    from fastsig.chain import open_chain
    from fastsig.errors import FormatError, PlanError
    from fastsig.io.safe import check_output
    from fastsig.memory import parse_bytes, peak_bytes
    from fastsig.reduce import plan_product, write_plan

    memory = None if options["memory"] is None else parse_bytes(options["memory"])
    with open_chain(file, **common.parse_overrides(options["overrides"])) as source:
        if source.stream.kind != "voltage":
            raise FormatError(file, f"holds {source.stream.kind}; spectra are made of voltages")
        chain = _chain(source, options)
        check_output(output, overwrite=options["overwrite"], inputs=source.stream.files)
        if options["verify"]:
            source.verify()
        plan = plan_product(chain.stream, workers=options["workers"], memory=memory,
                            fused=not options["unfused"])
        if memory is not None and memory < peak_bytes():
            raise PlanError(f"--memory {memory / 1e6:.0f}MB is below the floor of this plan: its "
                            f"set-up took {-(-peak_bytes() // 10**6)}MB")
        quiet = options["quiet"]
        common.say(_summary(chain), quiet)
        if options["explain"] or options["dry_run"]:
            click.echo(plan.explain())
        if options["dry_run"]:
            _print_sizes(output, chain)
            return
        with (common.compiling(quiet),
              common.progress(chain.shape[0], "spectra", quiet=quiet) as advance):
            write_plan(plan, chain.stream, output, overwrite=options["overwrite"],
                       compression=options["compression"], blank=options["blank"],
                       hash_inputs=options["hash_inputs"],
                       progress=advance)
    if options["as_json"]:
        common.print_json({"output": output, "shape": list(chain.shape)})
    common.say(f"wrote {output}", quiet)


def _chain(source: Any, options: dict[str, Any]) -> Any:
    from fastsig.chain import spectra as reduce

    span = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
    chain = reduce(
        source[span].stream, options["n_chan"], n_tap=options["n_tap"], window=options["window"],
        min_valid=options["min_valid"], products=options["products"], time=options["integrate"],
        n_int=options["n_int"], n_freq=options["n_freq"], sign_q=int(options["sign_q"]),
        sign_v=int(options["sign_v"]),
    )
    band = slice(options["fstart"], options["fstop"])
    return chain if band == slice(None) else chain[:, band]


def _summary(chain: Any) -> str:
    rows, products, channels = chain.shape
    seconds = float(1 / chain.header.sample_rate)
    width = float(chain.header.channels.step_hz)
    return (f"{common.plural(rows, 'spectrum', 'spectra')} of {seconds:.9g} s, "
            f"{common.plural(products, 'product')}, {common.plural(channels, 'channel')} of "
            f"{width:.9g} Hz")


def _print_sizes(output: str, chain: Any) -> None:
    import os
    import shutil

    from fastsig.io.fbh5_writer import estimate_bytes

    free = shutil.disk_usage(os.path.dirname(output) or ".").free
    click.echo(f"would write {output}: up to {estimate_bytes(chain.shape) / 1e6:.1f} MB, "
               f"{free / 1e6:.0f} MB free")
