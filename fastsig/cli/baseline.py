"""``fastsig baseline``: spectra without their baseline or standing wave."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, driver

_METHODS = ("polynomial", "arpls", "ripple-fourier", "ripple-sine")
#: Options that are handed to the method where they are given.
_OPTIONS = ("order", "include", "lam", "ratio", "max_iter", "period", "width", "trend",
            "harmonics", "n_rows")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("File to write.")
@click.option("--method", type=click.Choice(_METHODS), required=True, help="Model that is removed.")
@click.option("--protect", multiple=True, metavar="WINDOW",
              help="Frequencies that no fit looks at, e.g. 1419MHz-1421.5MHz, again for more; auto "
              "finds the lines of the mean spectrum.")
@click.option("--order", type=int, help="Order of the polynomial, 0 to 40.  [default: 3]")
@click.option("--include", multiple=True, metavar="WINDOW",
              help="Frequencies that alone are fitted by a polynomial; again for more.")
@click.option("--lam", type=float, help="Smoothness of arpls.  [default: 1e8]")
@click.option("--ratio", type=float, help="Relative change of the weights at which arpls is done.  "
                                          "[default: 0.01]")
@click.option("--max-iter", type=int, help="Most iterations of arpls.  [default: 100]")
@click.option("--period", multiple=True, metavar="FREQ",
              help="Period of the ripple; again for more.  [default: 1.08MHz]")
@click.option("--width", type=float,
              help="Width of the range of delays about 1 / period, over that delay.  [default: "
                   "0.2]")
@click.option("--trend", type=int,
              help="Order of the polynomial that is fitted beside a ripple, and stays.  [default: "
                   "5]")
@click.option("--harmonics", type=int, help="Waves of ripple-sine, at multiples of the delay.  "
                                            "[default: 1]")
@click.option("--n-rows", type=int,
              help="Spectra, an odd number, about each in which a ripple is found; diode on and "
                   "off apart.  [default: 1]")
@click.option("--keep", type=common.OutputPath(), metavar="PATH",
              help="File to write what is removed to.")
@click.option("--picture", type=common.OutputPath(), metavar="PATH",
              help="Draw before, model and after: .png, .pdf, .svg, .html.")
@click.option("--product", metavar="NAME", help="Product to draw; the first by default.")
@click.option("--tsys", metavar="T",
              help="System temperature for the radiometer's noise in the picture, in the unit of "
                   "the spectra.  [default: the mean spectrum]")
@click.option("--to", type=click.Choice(driver.SPECTRA),
              help="Format; by default what the ending of PATH stands for: .fil sigproc, .fits "
                   "psrfits, .dat presto, else fbh5.")
@click.option("--bits", type=click.Choice(["8", "16", "32"]), default="32", show_default=True,
              help="Bits of the product's samples.")
@click.option("--lossy", is_flag=True, help="Write although the format cannot carry everything.")
@common.span_options
@common.workers_option
@common.memory_option
@click.option("--verify", is_flag=True, help="Read the input whole first, and compare the "
                                             "checksums that it has.")
@common.hash_option
@click.option("--dry-run", is_flag=True, help="Print the plan, the sizes and the windows; write "
                                              "nothing.")
@common.json_option
@common.set_option
@common.quiet_options
@common.debug_option
def baseline(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Remove a baseline or a standing wave from the spectra of one scan, in FILE or several."""
    from fastsig.chain import open_chain
    from fastsig.errors import FormatError

    _check_names(output, options)
    rows = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
    band = slice(options["fstart"], options["fstop"])
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        if source.stream.kind != "spectra":
            raise FormatError(files[0], f"holds {source.stream.kind}; allowed: spectra, as those "
                              "that fastsig spectra makes")
        part = source[rows] if band == slice(None) else source[rows, band]
        _check_outputs(output, options, source.stream.files)
        if options["verify"]:
            source.verify()
        stage = _stage(part.stream, options)
        rows_seen = _write(stage, output, options)
        if rows_seen:
            _draw(stage, rows_seen[0], options)


def _check_names(output: str, options: dict[str, Any]) -> None:
    """Refuse what cannot be before anything is opened."""
    import os

    from fastsig.view import check_picture

    if options["picture"]:
        check_picture(options["picture"])
    for name in ("product", "tsys"):
        if options[name] is not None and not options["picture"]:
            raise click.UsageError(f"--{name} is of the picture; allowed: with --picture")
    names = [name for name in (output, options["keep"], options["picture"]) if name]
    if len({os.path.realpath(name) for name in names}) < len(names):
        raise click.UsageError(f"{', '.join(names)}: two files of one name; allowed: a name for "
                               "each")


def _check_outputs(output: str, options: dict[str, Any], inputs: list[str]) -> None:
    from fastsig.io.files.safe import check_output

    for name in (output, options["keep"], options["picture"]):
        if name:
            check_output(name, overwrite=options["overwrite"], inputs=inputs)


def _stage(stream: Any, options: dict[str, Any]) -> Any:
    """The stage, its lines found where that is asked."""
    from fastsig.stages.baseline import Baseline
    from fastsig.stages.baseline_lines import line_windows

    given = {name: options[name] for name in _OPTIONS if options[name] not in (None, ())}
    windows = [window for window in options["protect"] if window != "auto"]
    stage = Baseline(stream, options["method"], protect=windows, **given)
    if len(windows) == len(options["protect"]):
        return stage
    found = line_windows(stage)
    for low, high in found:
        common.say(f"protected {low:.9g}MHz-{high:.9g}MHz", options["quiet"])
    return Baseline(stream, options["method"], protect=[
        (f"{low!r}MHz", f"{high!r}MHz") for low, high in found], **given)


def _write(stage: Any, output: str, options: dict[str, Any]) -> list[Any]:
    """Write the products; the rows that a picture is drawn of."""
    names, drawn = [name for name in (output, options["keep"]) if name], []
    streams = stage.kept()[: len(names)] if options["keep"] or options["picture"] else [stage]
    if options["picture"]:
        from fastsig.view import baseline_rows

        drawn = [baseline_rows(streams[0].source)]
    writing = driver.Writing(streams, names, options, sinks=drawn, to=options["to"],
                             bits=int(options["bits"]))
    if options["dry_run"]:
        _tell(stage, writing, options)
        return []
    results = writing.run()
    if options["as_json"]:
        common.print_json({"output": output, "keep": options["keep"],
                           "picture": options["picture"], "shape": list(stage.shape),
                           **stage.parameters()})
    for name in names:
        common.say(f"wrote {name}", options["quiet"])
    return results


def _tell(stage: Any, writing: driver.Writing, options: dict[str, Any]) -> None:
    """What would be done."""
    if options["as_json"]:
        common.print_json({"outputs": [product.path for product in writing.products],
                           "dry_run": True,
                           "bytes": [product.bytes[0][1] for product in writing.products],
                           "memory_bytes": writing.plan.memory, "losses": writing.losses,
                           "shape": list(stage.shape), **stage.parameters()})
        return
    click.echo(writing.plan.explain())
    for product in writing.products:
        click.echo(f"would write {product.path}: up to {product.bytes[0][1] / 1e6:.1f} MB")
        for loss in product.losses:
            click.echo(f"would lose: {loss}")


def _draw(stage: Any, rows: Any, options: dict[str, Any]) -> None:
    from fastsig.view import draw_baseline

    draw_baseline(stage, options["picture"], overwrite=options["overwrite"],
                  product=options["product"], tsys=options["tsys"], rows=rows)
    common.say(f"wrote {options['picture']}", options["quiet"])
