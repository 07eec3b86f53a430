"""``fastsig spectra``: voltages to integrated spectra."""

from __future__ import annotations

import os
import shutil
from typing import Any

import click

from fastsig.cli import common, driver


def _numbers(context: click.Context, parameter: click.Parameter, value: str) -> list[int]:
    """The different whole numbers of a text such as ``1024,65536``."""
    try:
        numbers = [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a number, or numbers with commas") from None
    if len(set(numbers)) < len(numbers):
        raise click.BadParameter(f"{value!r} has a number twice")
    return numbers


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("File to write; {n_chan} in it stands for the number of channels.")
@click.option("--n-chan", metavar="N[,N...]", required=True, callback=_numbers,
              help="Channels for each channel of the input, even; several numbers for as many "
                   "products.")
@click.option("--n-tap", type=int, default=8, show_default=True, help="Taps of the filter bank.")
@click.option("--window", metavar="NAME", default="hamming", show_default=True,
              help="hamming, hann, blackman, rect, kaiser:BETA; none, with --n-tap 1, for a plain "
                   "FFT.")
@click.option("--oversample", metavar="RATIO", default="1", show_default=True,
              help="Length of the transform over the hop from spectrum to spectrum, 1 to 16: 4/3, "
                   "32/27; 1 is critically sampled.")
@click.option("--products", type=click.Choice(["I", "AABB", "AABBCRCI", "IQUV", "V"]),
              default="I", show_default=True, help="What to make of the polarisations.")
@click.option("--sign-q", type=click.Choice(["1", "-1"]), default="1", show_default=True,
              help="Sign of Q; recorded in the product.")
@click.option("--sign-v", type=click.Choice(["1", "-1"]), default="1", show_default=True,
              help="Sign of V; 1 is 2 Im <A* B>; recorded in the product.")
@click.option("--integrate", metavar="TIME",
              help="Integration time such as 1ms, rounded to whole spectra.")
@click.option("--n-int", type=int, help="Spectra to integrate, exactly; not with --integrate.")
@click.option("--last", type=click.Choice(["keep", "drop"]), default="keep", show_default=True,
              help="What to do with a last integration that spectra do not fill: keep it, with its "
                   "weight, or drop it for programs without weights, as blimpy and turboSETI are.")
@click.option("--n-freq", type=int, default=1, show_default=True,
              help="Neighbouring channels to average; divides the number of channels.")
@click.option("--min-valid", type=float, default=0.9, show_default=True,
              help="Least valid share of a frame's energy, above 0 and up to 1, which is strict.")
@click.option("--flag", type=click.Choice(["sk"]),
              help="Leave out what is not noise: sk, by its spectral kurtosis. Needs integrations "
                   "of 16 spectra or more, more yet where these overlap.")
@click.option("--flag-sigma", type=float, metavar="X",
              help="How far from noise, in Gaussian sigmas, --flag lets through.  [default: 3]")
@click.option("--to", type=click.Choice(driver.SPECTRA),
              help="Format; by default what the ending of PATH stands for: .fil sigproc, .fits "
                   "psrfits, .dat presto, else fbh5, but for endings of pictures and of other "
                   "files.")
@click.option("--lossy", is_flag=True, help="Write although the format cannot carry everything.")
@click.option("--bits", type=click.Choice(["8", "16", "32"]), default="32", show_default=True,
              help="Bits of the product's samples: 32 are floats, 8 have a scale and an offset for "
                   "each channel, 16 are for sigproc and psrfits.")
@click.option("--scale", type=float, default=1.0, show_default=True,
              help="What values are multiplied by before they become sigproc's codes.")
@click.option("--compression", type=click.Choice(["bitshuffle", "gzip", "none"]),
              help="Compression of fbh5's samples.  [default: bitshuffle]")
@click.option("--blank", type=click.Choice(["nan", "mean", "zero"]),
              help="What stands where the weight is 0: nan, or the channel's mean for programs "
                   "that cannot take NaN.  [default: nan in fbh5, mean in sigproc]")
@common.span_options
@common.workers_option
@common.memory_option
@click.option("--verify", is_flag=True, help="Read the input whole first, and compare the "
                                             "checksums that it has.")
@common.hash_option
@click.option("--unfused", is_flag=True, help="Use no fused kernels: the same bytes, slower.")
@click.option("--explain", is_flag=True, help="Print the plan, and run it.")
@click.option("--dry-run", is_flag=True, help="Print the plan and the size; write nothing.")
@common.json_option
@common.set_option
@common.quiet_options
@common.debug_option
def spectra(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Channelise, detect and integrate the voltages of one scan, in FILE or several."""
    from fastsig.chain import open_chain
    from fastsig.errors import FormatError
    from fastsig.io.files.outputs import output_names
    from fastsig.io.files.safe import check_output

    outputs = _outputs(output, options["n_chan"])
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        if source.stream.kind != "voltage":
            raise FormatError(files[0], f"holds {source.stream.kind}; spectra are made of voltages")
        chains = _chains(source, options)
        for name in outputs:
            check_output(output_names(name, 1)[0], overwrite=options["overwrite"],
                         inputs=source.stream.files)
        if options["verify"]:
            source.verify()
        writing = driver.Writing(chains, outputs, options, fused=not options["unfused"],
                                 **_format_options(options))
        _check_floor(writing.memory)
        for chain in chains:
            common.say(_summary(chain), options["quiet"])
        if options["explain"] or (options["dry_run"] and not options["as_json"]):
            click.echo(writing.plan.explain())
        if options["dry_run"]:
            _tell(chains, writing, as_json=options["as_json"])
            return
        writing.run()
    if options["as_json"]:
        _print_records([_record(chain, product)
                        for chain, product in zip(chains, writing.products, strict=True)])
    for name in outputs:
        common.say(f"wrote {name}", options["quiet"])


def _check_floor(memory: int | None) -> None:
    from fastsig.errors import PlanError
    from fastsig.work.memory import peak_bytes

    if memory is not None and memory < peak_bytes():
        raise PlanError(f"--memory {memory / 1e6:.0f}MB is below the floor of this plan: its "
                        f"set-up took {-(-peak_bytes() // 10**6)}MB")


def _outputs(output: str, n_chan: list[int]) -> list[str]:
    if len(n_chan) > 1 and "{n_chan}" not in output:
        raise click.UsageError(f"-o {output!r} is one name for {len(n_chan)} products; allowed: "
                               "a name with {n_chan} in it")
    return [output.replace("{n_chan}", str(number)) for number in n_chan]


def _chains(source: Any, options: dict[str, Any]) -> list[Any]:
    """The chain of every number of channels."""
    span = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
    part = source[span]
    return [_chain(part.stream, number, options) for number in options["n_chan"]]


def _chain(stream: Any, n_chan: int, options: dict[str, Any]) -> Any:
    from fastsig.chain import spectra as spectra_chain

    chain = spectra_chain(
        stream, n_chan, n_tap=options["n_tap"], window=options["window"],
        min_valid=options["min_valid"], oversample=options["oversample"],
        products=options["products"], time=options["integrate"], n_int=options["n_int"],
        n_freq=options["n_freq"], flag=options["flag"], flag_sigma=options["flag_sigma"],
        sign_q=int(options["sign_q"]), sign_v=int(options["sign_v"]), last=options["last"],
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


def _format_options(options: dict[str, Any]) -> dict[str, Any]:
    return {"bits": int(options["bits"]),
            **{name: options[name] for name in ("to", "scale", "compression", "blank")}}


def _record(chain: Any, product: Any) -> dict[str, Any]:
    """A product, for ``--json``."""
    return {"output": product.path, "format": product.format, "shape": list(chain.shape),
            "tsamp_s": float(1 / chain.header.sample_rate), "n_bits": product.n_bits,
            "losses": product.losses, "cautions": product.cautions}


def _print_records(records: list[dict[str, Any]]) -> None:
    common.print_json(records if len(records) > 1 else records[0])


def _tell(chains: list[Any], writing: driver.Writing, *, as_json: bool) -> None:
    """What would be written, and what lost."""
    products = writing.products
    frees = [shutil.disk_usage(os.path.dirname(product.path) or ".").free for product in products]
    if as_json:
        _print_records([
            {**_record(chain, product), "dry_run": True, "bytes": product.bytes[0][1],
             "free_bytes": free, "memory_bytes": writing.plan.memory}
            for chain, product, free in zip(chains, products, frees, strict=True)])
        return
    for product, free in zip(products, frees, strict=True):
        click.echo(f"would write {product.path}: up to {product.bytes[0][1] / 1e6:.1f} MB, "
                   f"{free / 1e6:.0f} MB free")
        for loss in product.losses:
            click.echo(f"would lose: {loss}")
        for caution in product.cautions:
            click.echo(f"note: {caution}")
