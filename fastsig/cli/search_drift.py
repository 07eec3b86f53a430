"""``fastsig search drift``: search spectra and voltages for drifting carriers."""

from __future__ import annotations

import os
from typing import Any

import click

from fastsig.cli import common, driver, excision
from fastsig.work.counted import counted

__all__ = ["drift"]


@click.command("drift")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the hits to this file: .ecsv or .dat (turboSETI).")
@click.option("--drift", "rates", metavar="LOW:HIGH", default="-4:4", show_default=True,
              help="Search drift rates from LOW to HIGH, in Hz/s.")
@click.option("--snr", type=float, metavar="X", default=10.0, show_default=True,
              help="Report carriers whose S/N is at least X; X must be 5 or more.")
@click.option("--width", metavar="W",
              help="For drift rates of up to two channels per spectrum (with --unsmeared, for all "
                   "rates), use boxcars at most W wide in frequency, e.g. 20Hz.  [default: 8 "
                   "channels]")
@click.option("--coarse", type=click.IntRange(1), metavar="N",
              help="Assume that the band consists of N coarse channels.  [default: the number in "
                   "the recorded voltages; for spectra from the GBT, that of Breakthrough Listen's "
                   "recordings; otherwise unknown]")
@click.option("--dc/--no-dc", default=False, show_default=True,
              help="Search, or leave out, the two central channels of each coarse channel that "
                   "has 64 or more channels; one of the two contains the DC component.")
@click.option("--unsmeared", is_flag=True,
              help="Search all drift rates in steps of one channel over the duration of the "
                   "data, to find simulated carriers that do not spread over the channels that "
                   "they cross during a spectrum.")
@click.option("--n-chan", type=click.IntRange(2), metavar="N",
              help="Divide each channel of voltages into N channels; required for voltages.")
@click.option("--integrate", metavar="TIME",
              help="Integrate over this time before the search, e.g. 18s; required for voltages.")
@click.option("--turboseti-snr", is_flag=True,
              help="Also report the S/N as turboSETI defines it.")
@common.span_options
@excision.excision_options
@driver.products_option
@common.format_option(["ecsv", "turboseti"])
@common.run_options("Print the plan and the expected memory; write nothing.", explain=False)
def drift(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Search spectra or voltages for carriers whose frequency drifts.

    All files must belong to one scan. Spectra are summed along straight tracks at all drift rates,
    and boxcars of several widths in frequency are applied to the sums. When a carrier has been
    found, its samples are removed, so that it does not hide others. Samples of weight 0, such as
    flagged ones, do not contribute.
    """
    from fastsig.chain import open_chain
    from fastsig.io.files.safe import check_output
    from fastsig.run.hit_files import format_of

    kind = format_of(output, to)
    check_output(output, overwrite=options["overwrite"], inputs=files)
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        if options["verify"]:
            source.stream.verify()
        _search(_prepared(source, files[0], options), output, kind, options)


def _prepared(source: Any, path: str, options: dict[str, Any]) -> Any:
    """Return the intensity to search: of the rows and the band wanted, without interference."""
    from fastsig.reductions.intensity import intensity_of

    chain = source[common.parse_end(options["tstart"]) : common.parse_end(options["tstop"])]
    if source.stream.kind == "voltage":
        chain = _spectra(chain, path, options)
    elif source.stream.kind != "spectra":
        from fastsig.errors import FormatError

        raise FormatError(path, f"contains {source.stream.kind}; allowed: spectra or voltages")
    elif options["n_chan"]:
        raise click.UsageError(f"--n-chan: {path} contains spectra; allowed: with voltages")
    band = slice(options["fstart"], options["fstop"])
    chain = driver.with_products(chain if band == slice(None) else chain[:, band],
                                 options["products"])
    if options["integrate"] and source.stream.kind == "spectra":
        chain = chain.integrate(options["integrate"])
    return intensity_of(excision.excise(chain, excision.parameters_of(options)).stream)


def _spectra(chain: Any, path: str, options: dict[str, Any]) -> Any:
    if not options["n_chan"] or not options["integrate"]:
        raise click.UsageError(f"{path}: contains voltages; allowed: with --n-chan N and "
                               "--integrate TIME")
    return chain.channelize(options["n_chan"]).detect("I").integrate(options["integrate"])


def _search(stream: Any, output: str, kind: str, options: dict[str, Any]) -> None:
    from fastsig.reductions.drifting.hits import Request, found_hits
    from fastsig.run.hit_files import write_hits
    from fastsig.work.memory import parse_bytes

    request = Request.of(
        stream, options["rates"], snr=options["snr"], width=options["width"],
        coarse=options["coarse"], dc=options["dc"], smeared=not options["unsmeared"],
        workers=options["workers"],
        memory=None if options["memory"] is None else parse_bytes(options["memory"]))
    if options["dry_run"]:
        _print_dry_run(request, output, options)
        return
    with (common.compiling(options["quiet"]),
          common.progress_of_passes(options["quiet"]) as advance):
        hits = found_hits(request, folder=os.path.dirname(os.path.abspath(output)),
                          like_turboseti=options["turboseti_snr"], progress=advance,
                          hash_inputs=options["hash_inputs"])
    write_hits(hits, output, to=kind, overwrite=options["overwrite"])
    _report(hits, output, kind, options)


def _print_dry_run(request: Any, output: str, options: dict[str, Any]) -> None:
    plan = request.settings.plan
    if options["as_json"]:
        common.print_json({"output": output, "memory_bytes": request.memory_bytes, "dry_run": True,
                           "drift_step_hz_s": plan.step, "n_spectrum": plan.n_spectrum,
                           "workers": request.workers, "free_bytes": driver.free_bytes(output)})
        return
    click.echo(f"memory {request.memory_bytes / 1e6:.3g} MB on "
               f"{counted(request.workers, 'thread')}")
    click.echo(f"drift {plan.low:g} to {plan.high:g} Hz/s in steps of {plan.step:.4g} Hz/s or "
               f"more; a carrier at {max(abs(plan.low), abs(plan.high)):g} Hz/s keeps "
               f"{plan.kept(max(abs(plan.low), abs(plan.high))):.2f} of its S/N")
    click.echo(f"would write {output}")


def _report(hits: Any, output: str, kind: str, options: dict[str, Any]) -> None:
    full = hits.meta["pieces_with_more_hits"]
    if options["as_json"]:
        names = ("frequency", "drift", "snr", "width", "valid_share", "channel")
        common.print_json({"output": output, "format": kind, "n_hit": len(hits),
                           "pieces_with_more_hits": full,
                           "false_alarms": hits.meta["false_alarms"], "hits": [
                               {name: hits.values(name)[k].item() for name in names}
                               for k in range(len(hits))]})
    if full:
        common.say(f"fastsig: warning: {counted(full, 'piece')} of the band had more hits "
                   "than are kept for a piece; the weakest hits were left out")
    common.say(f"{counted(len(hits), 'hit')}; noise alone is expected to cause "
               f"{hits.meta['false_alarms']:.2g}", options["quiet"])
    common.say(f"wrote {output}", options["quiet"])
