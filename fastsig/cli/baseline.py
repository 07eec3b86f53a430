"""``fastsig baseline``: remove a baseline or a standing wave from spectra."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, driver

_METHODS = ("polynomial", "arpls", "ripple-fourier", "ripple-sine")
#: Options that are passed to the method if they are given.
_OPTIONS = ("order", "include", "lam", "ratio", "max_iter", "period", "width", "trend",
            "harmonics", "n_rows")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the product to this file.")
@click.option("--method", type=click.Choice(_METHODS), required=True,
              help="Subtract a polynomial, a smooth curve below the peaks (arpls; requires "
                   "fastsig[spectral]), or a ripple (standing wave) found from Fourier components "
                   "(ripple-fourier) or by a sine fit (ripple-sine).")
@click.option("--protect", multiple=True, metavar="WINDOW",
              help="Exclude these frequencies from the fit, e.g. 1419MHz-1421.5MHz; with auto, "
                   "lines are found in the mean spectrum and excluded. May be repeated.")
@click.option("--order", type=int, metavar="N",
              help="With polynomial, fit a polynomial of this order, 0 to 40.  [default: 3]")
@click.option("--include", multiple=True, metavar="WINDOW",
              help="With polynomial, use only these frequencies for the fit. May be repeated.")
@click.option("--lam", type=float, metavar="X",
              help="With arpls, set the smoothness of the curve.  [default: 1e8]")
@click.option("--ratio", type=float, metavar="X",
              help="With arpls, stop when the weights change by less than this fraction.  "
                   "[default: 0.01]")
@click.option("--max-iter", type=int, metavar="N",
              help="With arpls, perform at most this many iterations.  [default: 100]")
@click.option("--period", multiple=True, metavar="FREQ",
              help="With a ripple method, remove a ripple with this period in frequency. May be "
                   "repeated.  [default: 1.08MHz]")
@click.option("--width", type=float, metavar="X",
              help="With a ripple method, set the width of the window in delay that contains the "
                   "ripple, as a fraction of the delay at the centre of the window (1 / "
                   "period).  [default: 0.2]")
@click.option("--trend", type=int, metavar="N",
              help="With a ripple method, fit a polynomial of this order together with the ripple, "
                   "but subtract only the ripple.  [default: 5]")
@click.option("--harmonics", type=int, metavar="N",
              help="With ripple-sine, fit this many harmonics of the ripple, including the "
                   "fundamental.  [default: 1]")
@click.option("--n-rows", type=int, metavar="N",
              help="With a ripple method, average N spectra (N must be odd) in the same state of "
                   "the noise diode or, with ripple-sine, their Fourier power, to measure the "
                   "ripple.  [default: 1]")
@click.option("--keep", type=common.OutputPath(), metavar="PATH",
              help="Write the subtracted models to this file.")
@common.picture_option("the mean of up to 256 spectra, the model and the residual")
@driver.picture_product_option
@click.option("--tsys", metavar="T",
              help="Compute the radiometer noise shown in the plot from this system temperature, "
                   "in the same units as the spectra.  [default: the mean spectrum; for products "
                   "that may be negative, no noise is shown]")
@driver.spectra_to_option
@click.option("--bits", type=click.Choice(["8", "16", "32"]), default="32", show_default=True,
              help="Write samples of this many bits.")
@driver.lossy_option
@common.span_options
@common.run_options("Print the expected time, memory and disk space, and the windows found by "
                    "--protect auto; write nothing.")
def baseline(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Remove a baseline or a standing wave from spectra.

    All files must belong to one scan.
    """
    from fastsig.chain import open_chain
    from fastsig.errors import FormatError

    _check_names(output, options)
    rows = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
    band = slice(options["fstart"], options["fstop"])
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        if source.stream.kind != "spectra":
            raise FormatError(files[0], f"contains {source.stream.kind}; allowed: spectra, such "
                              "as those made by fastsig spectra")
        part = source[rows] if band == slice(None) else source[rows, band]
        _check_outputs(output, options, source.stream.files)
        stage = _stage(part.stream, options)
        driver.refuse_losses(_streams(stage, output, options), _names(output, options), options,
                             **_formats(options))
        if options["verify"]:
            source.verify()
        stage = _with_lines(stage, options)
        rows_seen = _write(stage, output, options)
        if rows_seen:
            _draw(stage, rows_seen[0], options)


def _check_names(output: str, options: dict[str, Any]) -> None:
    """Refuse impossible names and options before anything is opened."""
    import os

    from fastsig.view import check_picture

    if options["picture"]:
        check_picture(options["picture"])
    for name in ("product", "tsys"):
        if options[name] is not None and not options["picture"]:
            raise click.UsageError(f"--{name} applies to the picture; allowed: with --picture")
    names = [name for name in (output, options["keep"], options["picture"]) if name]
    if len({os.path.realpath(name) for name in names}) < len(names):
        raise click.UsageError(f"{', '.join(names)}: two files have the same name; allowed: a "
                               "different name for each")


def _check_outputs(output: str, options: dict[str, Any], inputs: list[str]) -> None:
    from fastsig.io.files.safe import check_output

    for name in (output, options["keep"], options["picture"]):
        if name:
            check_output(name, overwrite=options["overwrite"], inputs=inputs)


def _names(output: str, options: dict[str, Any]) -> list[str]:
    """Return the names of the products."""
    return [name for name in (output, options["keep"]) if name]


def _streams(stage: Any, output: str, options: dict[str, Any]) -> list[Any]:
    """Return the stream that each product is made from."""
    shared = options["keep"] or options["picture"]
    return stage.kept()[: len(_names(output, options))] if shared else [stage]


def _formats(options: dict[str, Any]) -> dict[str, Any]:
    return {"to": options["to"], "bits": int(options["bits"])}


def _windows(options: dict[str, Any]) -> list[str]:
    return [window for window in options["protect"] if window != "auto"]


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in _OPTIONS if options[name] not in (None, ())}


def _stage(stream: Any, options: dict[str, Any]) -> Any:
    from fastsig.stages.baseline import Baseline

    return Baseline(stream, options["method"], protect=_windows(options), **_given(options))


def _with_lines(stage: Any, options: dict[str, Any]) -> Any:
    """Return the stage; with ``--protect auto``, one that protects the lines found in a pass."""
    from fastsig.stages.baseline import Baseline
    from fastsig.stages.baseline_lines import line_windows

    if len(_windows(options)) == len(options["protect"]):
        return stage
    found = line_windows(stage)
    for low, high in found:
        common.say(f"protected {low:.9g}MHz-{high:.9g}MHz", options["quiet"])
    return Baseline(stage.source, options["method"], protect=[
        (f"{low!r}MHz", f"{high!r}MHz") for low, high in found], **_given(options))


def _write(stage: Any, output: str, options: dict[str, Any]) -> list[Any]:
    """Write the products, and return the rows that the picture is drawn from."""
    streams, drawn = _streams(stage, output, options), []
    if options["picture"]:
        from fastsig.view import baseline_rows

        drawn = [baseline_rows(streams[0].source)]
    writing = driver.Writing(streams, _names(output, options), options, sinks=drawn,
                             **_formats(options))
    if options["explain"]:
        writing.explain()
    if options["dry_run"]:
        _print_dry_run(stage, writing, options)
        return []
    results = writing.run()
    if options["as_json"]:
        common.print_json({"output": output, "keep": options["keep"],
                           "picture": options["picture"], "shape": list(stage.shape),
                           **stage.parameters()})
    for name in _names(output, options):
        common.say(f"wrote {name}", options["quiet"])
    return results


def _print_dry_run(stage: Any, writing: driver.Writing, options: dict[str, Any]) -> None:
    if not options["as_json"]:
        writing.print_dry_run()
        return
    common.print_json({"outputs": [product.path for product in writing.products],
                       "dry_run": True,
                       "bytes": [product.bytes[0][1] for product in writing.products],
                       "memory_bytes": writing.plan.memory, "losses": writing.losses,
                       "shape": list(stage.shape), **stage.parameters()})


def _draw(stage: Any, rows: Any, options: dict[str, Any]) -> None:
    from fastsig.view import draw_baseline

    draw_baseline(stage, options["picture"], overwrite=options["overwrite"],
                  product=options["product"], tsys=options["tsys"], rows=rows)
    common.say(f"wrote {options['picture']}", options["quiet"])
