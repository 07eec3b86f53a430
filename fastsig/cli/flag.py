"""``fastsig flag``: give interference in spectra the weight 0."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, driver, excision

_RUNS = 5  # most spans of channels that are listed


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the product to this file; {file} in the name is replaced by the "
                      "file number.")
@click.option("--bands", multiple=True, metavar="NAME|FREQ-FREQ",
              help="Flag these bands completely: aviation, gnss, bursts (short interference at "
                   "1378-1385 MHz), fast (all three of these), or an interval, e.g. "
                   "1240MHz-1250MHz. May be repeated.")
@click.option("--clip", type=float, default=5.0, show_default=True, metavar="X",
              help="Flag single samples that deviate from the median of their channel, and "
                   "channels that deviate from their neighbours, by more than this many standard "
                   "deviations; 0 skips both tests.")
@click.option("--sum-threshold", type=float, default=6.0, show_default=True, metavar="X",
              help="Set the threshold of SumThreshold for single samples, in standard "
                   "deviations; 0 skips SumThreshold.")
@click.option("--max-window", type=int, default=64, show_default=True, metavar="N",
              help="With --sum-threshold, test runs of up to N samples; N must be a power of two.")
@click.option("--noise-share", type=float, metavar="X",
              help="Scale --clip and --sum-threshold by a common factor so that the tests of each "
                   "product flag at most this fraction of pure noise.  [default: no scaling; the "
                   "default thresholds flag at most 0.15 %]")
@click.option("--protect", multiple=True, metavar="FREQ-FREQ",
              help="Never flag these frequencies, e.g. 1419MHz-1421.5MHz around a line, even if "
                   "--bands includes them. May be repeated.")
@click.option("--apart", is_flag=True,
              help="Flag each polarisation product separately; Q, U, V, CR and CI are also "
                   "flagged where a power (such as AA or I) is. By default, a sample that is "
                   "flagged in one product is flagged in all.")
@click.option("--width", metavar="FREQ|N",
              help="Compare each channel with its neighbours within this width, given as a "
                   "frequency or in channels.  [default: 51 channels, but at most half the band]")
@click.option("--smooth", metavar="FREQ|N",
              help="Do not flag changes with time that are smooth in frequency over this width, "
                   "given as a frequency or in channels.  [default: 20MHz, but at least 64 "
                   "channels]")
@click.option("--n-segment", type=int, metavar="N",
              help="Search segments of this many spectra separately.  [default: 32 to 1024, such "
                   "that a segment has about 2^20 values per polarisation product]")
@excision.excision_options
@common.picture_option("one polarisation product before and after flagging, with the flagged "
                       "fractions,")
@driver.picture_product_option
@driver.spectra_to_option
@driver.spectra_options
def flag(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Flag interference in spectra by giving it weight 0.

    All files must belong to one scan. If the header states when the noise diode is on, spectra with
    the diode on and those with the diode off are searched separately (except by --iqrm). In a
    32-bit FBH5 file, flagged values are NaN, and all other values are unchanged unless --zero-dm is
    used. The options --mask, --kurtosis, --iqrm, --zero-dm and --runs are applied first, in that
    order. With --clip 0 and --sum-threshold 0, only these options and --bands are applied.
    """
    from fastsig.chain import open_chain
    from fastsig.errors import FormatError
    from fastsig.io.files.safe import check_output
    from fastsig.run.flag_shares import ShareCounter
    from fastsig.view import check_picture, flag_pixels

    picture = options["picture"]
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        before: Any = source.stream
        if before.kind != "spectra":
            raise FormatError(files[0], f"contains {before.kind}; allowed: spectra. Make them "
                              "with fastsig spectra, whose --flag sk detects more in voltages")
        if picture is not None:
            check_picture(picture)
            check_output(picture, overwrite=options["overwrite"], inputs=before.files)
        flagged: Any = _flagged(source, options)
        drawn = [] if picture is None else flag_pixels(
            before, flagged.stream, options["product"])
        results = driver.copy_stream(
            flagged.stream, output, to, options,
            lambda after, old, *_: _report(flagged.stream, after, old, options),
            sinks=[ShareCounter(flagged.stream), ShareCounter(before), *drawn])
        if drawn and results:
            _draw(before, flagged.stream, results[2:], options)


def _flagged(source: Any, options: dict[str, Any]) -> Any:
    """Return the chain with everything that the options excise; `flag` comes last."""
    given = excision.parameters_of(options)
    parameters = _parameters(options)
    chain = excision.excise(source, given, **{
        name: parameters[name] for name in ("protect", "n_segment", "together")})
    others = chain is not source
    tested = parameters["clip"] or parameters["sum_threshold"] or parameters["bands"]
    return chain if others and not tested else chain.flag(**parameters)


def _parameters(options: dict[str, Any]) -> dict[str, Any]:
    found = {name: options[name] for name in ("clip", "sum_threshold", "max_window", "n_segment",
                                              "noise_share")}
    found |= {name: ",".join(options[name]) or None for name in ("bands", "protect")}
    for name in ("width", "smooth"):
        text = options[name]
        found[name] = int(text) if text is not None and text.isdecimal() else text
    return found | {"together": not options["apart"]}


def _report(stream: Any, after: Any, before: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Report how much is flagged, and return the same for ``--json``."""
    from fastsig.run.flag_shares import excesses

    new = max(0.0, after.total - before.total)
    each = ", ".join(f"{name} {100 * share:.3g} %"
                     for name, share in zip(after.names, after.product, strict=True))
    known = f" ({100 * before.total:.3g} % had no weight before)" if before.total else ""
    common.say(f"flagged {100 * new:.3g} % of the samples{known}; without weight: {each}",
               options["quiet"])
    runs = _runs(after.channel >= 1, stream.frequency)
    if runs:
        more = f" and {len(runs) - _RUNS} more" if len(runs) > _RUNS else ""
        common.say(f"without weight throughout: {', '.join(runs[:_RUNS])}{more}",
                   options["quiet"])
    warnings = excesses(stream, after, before, "--picture")
    for text in warnings:
        common.say(f"fastsig: warning: {text}")
    return {"flagged": {"new": round(new, 6), "before": round(before.total, 6),
                        "noise_share": stream.parameters().get("noise_share"),
                        "warnings": warnings, **after.record()}}


def _runs(full: Any, frequency: Any) -> list[str]:
    """Return the spans of adjacent channels as text."""
    from fastsig.axes.validity import from_mask

    if frequency is None:
        return [f"channels {first} to {stop - 1}" for first, stop in from_mask(full)]
    mhz = frequency.value
    step = mhz[1] - mhz[0] if len(mhz) > 1 else 0.0
    return [f"{mhz[first] - step / 2:.8g} to {mhz[stop - 1] + step / 2:.8g} MHz"
            for first, stop in from_mask(full)]


def _draw(before: Any, after: Any, seen: Any, options: dict[str, Any]) -> None:
    from fastsig.view import draw_flags

    draw_flags(before, after, options["picture"], overwrite=options["overwrite"],
               product=options["product"], seen=seen)
    common.say(f"wrote {options['picture']}", options["quiet"])
