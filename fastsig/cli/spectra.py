"""``fastsig spectra``: make integrated spectra from voltages."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, driver
from fastsig.work.counted import counted


def _numbers(context: click.Context, parameter: click.Parameter, value: str) -> list[int]:
    """Parse distinct whole numbers from text such as ``1024,65536``."""
    try:
        numbers = [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not numbers separated by commas") from None
    if len(set(numbers)) < len(numbers):
        raise click.BadParameter(f"{value!r} contains a number twice")
    return numbers


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the product to this file; {n_chan} in the name is replaced by the "
                      "number of channels.")
@click.option("--n-chan", metavar="N[,N...]", required=True, callback=_numbers,
              help="Divide each input channel into this many channels (an even number unless --dm "
                   "is used); several numbers make several products.")
@click.option("--n-tap", type=int, metavar="N", default=8, show_default=True,
              help="Use a polyphase filter bank with this many taps.")
@click.option("--window", metavar="NAME", default="hamming", show_default=True,
              help="Use this window: hamming, hann, blackman, rect, kaiser:BETA or none; with "
                   "none, which gives a plain FFT, --n-tap must be 1.")
@click.option("--oversample", metavar="RATIO", default="1", show_default=True,
              help="Oversample the channels by this ratio, at most 16, e.g. 4/3 or 32/27; with 1, "
                   "they are critically sampled.")
@click.option("--dm", metavar="DM",
              help="Dedisperse coherently within each channel, but not between channels, at this "
                   "DM in pc cm^-3. Passbands are then rectangular; --n-tap, --window, "
                   "--oversample and --flag are refused.")
@common.constant_option("With --dm, use")
@click.option("--products", type=click.Choice(["I", "AABB", "AABBCRCI", "IQUV", "V"]),
              default="I", show_default=True, help="Form these polarisation products.")
@driver.sign_options
@click.option("--integrate", metavar="TIME",
              help="Integrate over this time, rounded to a whole number of spectra, e.g. 1ms.  "
                   "[default: no integration]")
@click.option("--n-int", type=int, metavar="N",
              help="Integrate this many spectra; cannot be combined with --integrate.")
@click.option("--last", type=click.Choice(["keep", "drop"]), default="keep", show_default=True,
              help="Keep an incomplete last integration, with a lower weight, or drop it. Use drop "
                   "for programs that ignore weights, such as blimpy and turboSETI.")
@click.option("--n-freq", type=int, metavar="N", default=1, show_default=True,
              help="Average groups of this many neighbouring channels; the number of channels "
                   "must be a multiple of this number.")
@click.option("--min-valid", type=float, metavar="X", default=0.9, show_default=True,
              help="Before integration, leave out spectra for which less than this fraction (above "
                   "0, at most 1) of the energy of the filter (with --dm, of the dispersed "
                   "signal) falls on valid samples.")
@click.option("--flag", type=click.Choice(["sk"]),
              help="In each group of up to 128 spectra, leave out channels whose spectral "
                   "kurtosis (sk) differs from that of noise. Requires integrations of at least "
                   "16 spectra (more if the spectra overlap strongly).")
@click.option("--flag-sigma", type=float, metavar="X",
              help="Set the threshold of --flag, in standard deviations of a Gaussian.  [default: "
                   "3]")
@driver.spectra_to_option
@driver.lossy_option
@click.option("--bits", type=click.Choice(["8", "16", "32"]), default="32", show_default=True,
              help="Write samples of this many bits: 32-bit floats; 16 bits in sigproc or "
                   "psrfits; 8 bits in sigproc, psrfits or fbh5 (in fbh5, each segment, product "
                   "and channel has a scale and an offset).")
@driver.scale_option
@click.option("--compression", type=click.Choice(["bitshuffle", "gzip", "none"]),
              help="Compress the samples of an FBH5 file with this method.  [default: bitshuffle]")
@click.option("--blank", type=click.Choice(["nan", "mean", "zero"]),
              help="In 32-bit fbh5, sigproc and psrfits, write this value where the weight is 0: "
                   "nan, the mean of the channel, or zero (not in fbh5). Some programs cannot "
                   "read NaN.  [default: nan in fbh5, otherwise mean]")
@common.span_options
@click.option("--unfused", is_flag=True,
              help="Do not combine several stages of the processing into one routine (a fused "
                   "kernel); the product is identical, but the run takes longer.")
@driver.product_run_options
def spectra(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Channelise, detect and integrate recorded voltages.

    All files must belong to one scan.
    """
    from fastsig.errors import FormatError
    from fastsig.io.files.outputs import output_names
    from fastsig.io.files.safe import check_output

    _check_dispersion(options)
    outputs = _outputs(output, options["n_chan"])
    with _opened(files, outputs, options) as source:
        if source.stream.kind != "voltage":
            raise FormatError(files[0], f"contains {source.stream.kind}; allowed: voltages")
        chains = _chains(source, options)
        for name in outputs:
            check_output(output_names(name, 1)[0], overwrite=options["overwrite"],
                         inputs=source.stream.files)
        driver.refuse_losses(chains, outputs, options, **_format_options(options))
        if options["verify"]:
            source.verify()
        writing = driver.Writing(chains, outputs, options, fused=not options["unfused"],
                                 **_format_options(options))
        _check_floor(writing.memory)
        for chain in chains:
            common.say(_summary(chain), options["quiet"])
        if options["explain"]:
            writing.explain()
        if options["dry_run"]:
            _print_dry_run(chains, writing, as_json=options["as_json"])
            return
        writing.run()
    if options["as_json"]:
        _print_records([_record(chain, product)
                        for chain, product in zip(chains, writing.products, strict=True)])
    for name in outputs:
        common.say(f"wrote {name}", options["quiet"])


def _opened(files: tuple[str, ...], outputs: list[str], options: dict[str, Any]) -> Any:
    """Open the files, or a pipe: as it comes where this is possible, else stored first."""
    from fastsig.chain import Chain, open_chain
    from fastsig.io.raw.reader import is_pipe

    overrides: dict[str, Any] = common.parse_overrides(options["overrides"])
    if len(files) == 1 and is_pipe(files[0]) and _as_it_comes(outputs, options):
        from fastsig.io.live.pipes import open_pipe

        return Chain(open_pipe(files[0], **overrides))
    return open_chain(files, **overrides)


def _as_it_comes(outputs: list[str], options: dict[str, Any]) -> bool:
    """Whether nothing of what is asked requires the number of samples."""
    from fastsig.run.spectra_file import SpectraFile

    known = any(options[name] for name in ("verify", "dry_run", "tstart", "tstop"))
    return not known and options["last"] != "drop" and all(
        SpectraFile.takes_open_end(name, options["to"], int(options["bits"])) for name in outputs)


def _check_dispersion(options: dict[str, Any]) -> None:
    """Refuse options of the filter bank with --dm, which makes channels without it."""
    from fastsig.axes.dispersion import dm_of

    if options["dm"] is None:
        if options["constant"] is not None:
            raise click.UsageError(f"--constant {options['constant']} without --dm; allowed: both")
        return
    if dm_of(options["dm"]) == 0:
        return
    context = click.get_current_context()
    for name in ("n_tap", "window", "oversample", "flag"):
        given = context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        if given:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(f"{option} {options[name]} with --dm, whose channels are not "
                                   "made by the filter bank; allowed: one of them")


def _check_floor(memory: int | None) -> None:
    from fastsig.errors import PlanError
    from fastsig.work.memory import peak_bytes

    if memory is not None and memory < peak_bytes():
        raise PlanError(f"--memory {memory / 1e6:.0f}MB is below the floor of this plan: its "
                        f"set-up needed {-(-peak_bytes() // 10**6)}MB")


def _outputs(output: str, n_chan: list[int]) -> list[str]:
    if len(n_chan) > 1 and "{n_chan}" not in output:
        raise click.UsageError(f"-o {output!r} is one name for {len(n_chan)} products; allowed: "
                               "a name with {n_chan} in it")
    return [output.replace("{n_chan}", str(number)) for number in n_chan]


def _chains(source: Any, options: dict[str, Any]) -> list[Any]:
    """Return a chain for each number of channels."""
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
        dm=options["dm"], constant=options["constant"],
    )
    band = slice(options["fstart"], options["fstop"])
    return chain if band == slice(None) else chain[:, band]


def _summary(chain: Any) -> str:
    rows, products, channels = chain.shape
    seconds = float(1 / chain.header.sample_rate)
    width = float(chain.header.channels.step_hz)
    number = "spectra" if chain.stream.endless else counted(rows, "spectrum", "spectra")
    return (f"{number} of {seconds:.9g} s, "
            f"{counted(products, 'product')}, {counted(channels, 'channel')} of "
            f"{width:.9g} Hz")


def _format_options(options: dict[str, Any]) -> dict[str, Any]:
    return {"bits": int(options["bits"]),
            **{name: options[name] for name in ("to", "scale", "compression", "blank")}}


def _record(chain: Any, product: Any) -> dict[str, Any]:
    """Return the record of a product, for ``--json``."""
    return {"output": product.path, "format": product.format,
            "shape": [product.n_rows, *chain.shape[1:]],
            "tsamp_s": float(1 / chain.header.sample_rate), "n_bits": product.n_bits,
            "losses": product.losses, "cautions": product.cautions}


def _print_records(records: list[dict[str, Any]]) -> None:
    common.print_json(records if len(records) > 1 else records[0])


def _print_dry_run(chains: list[Any], writing: driver.Writing, *, as_json: bool) -> None:
    if not as_json:
        writing.print_dry_run()
        return
    _print_records([
        {**_record(chain, product), "dry_run": True, "bytes": product.bytes[0][1],
         "free_bytes": driver.free_bytes(product.path), "memory_bytes": writing.plan.memory}
        for chain, product in zip(chains, writing.products, strict=True)])
