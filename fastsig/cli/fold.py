"""``fastsig fold``: the profiles of a pulsar, by a polyco, an ephemeris or a period."""

from __future__ import annotations

import os
from typing import Any

import click

from fastsig.cli import common, driver, excision
from fastsig.work.counted import counted


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the archive to this file (.ar or .fits, or .ecsv for a table); with "
                      "several ephemerides, {file} in the name is replaced by the number of the "
                      "ephemeris.")
@common.ephemeris_options("--par")
@click.option("--period", metavar="TIME",
              help="Fold with this period, e.g. 0.7143s, as observed at the start of the folded "
                   "data: at the telescope or, if their times are barycentric, at the barycentre.")
@click.option("--pdot", metavar="X", help="With --period, set the derivative of the period, e.g. "
                                          "1e-15.")
@click.option("--acc", metavar="A",
              help="With --period, set the acceleration along the line of sight, e.g. 20m/s2; it "
                   "is positive towards the observer.")
@click.option("--dm", metavar="DM",
              help="Align the channels for this dispersion measure, in pc cm^-3.  [default: that "
                   "of the ephemeris, otherwise the one for which the input was already "
                   "dedispersed (between or within channels)]")
@common.constant_option(default="that of the input if it is known, otherwise 1/2.41e-4")
@driver.coherent_option
@common.profile_options
@click.option("--n-chan", type=click.IntRange(1), metavar="N",
              help="Average neighbouring channels into N channels.  [default: the largest divisor "
                   "of the number of channels that does not exceed 128]")
@click.option("--single", is_flag=True,
              help="Write each complete period as a subintegration of its own. Only one "
                   "ephemeris is allowed, and channels are first dedispersed to the nearest "
                   "sample.")
@click.option("--tcal", type=common.InputPath(or_value=True), metavar="K|TABLE",
              help="Before folding, calibrate to K with this temperature of the noise diode: one "
                   "value, one per polarisation (1.1K,1.2K), or a table. The diode's signal must "
                   "be injected at 45 degrees to both receptors.")
@click.option("--diode", metavar="KEY=VALUE,...",
              help="With --tcal, use this schedule of the diode, which must agree with the data: "
                   "a mode (mode=pulsar), or period=, on= and first= with units.  [default: the "
                   "header's if it agrees, else the measured one]")
@click.option("--beam", type=click.IntRange(1, 19), metavar="N",
              help="With --tcal, use the diode temperature of this beam.  [default: the beam "
                   "stated in the file]")
@click.option("--gain", metavar="K/JY",
              help="With --tcal, convert to Stokes parameters in Jy with this gain of one "
                   "polarisation, e.g. 16K/Jy, as measured on a calibrator.")
@click.option("--feed-angle", metavar="ANGLE",
              help="Write I, Q, U and V in the frame of the sky, rotated by the parallactic "
                   "angle plus ANGLE, the angle from the zenith direction to receptor A, "
                   "positive from north through east.  [default: no rotation]")
@excision.flag_option
@common.span_options
@driver.products_option
@common.format_option(["psrfits", "ecsv"])
@click.option("--bits", type=click.Choice(["16", "32"]),
              help="Write PSRFITS samples of this many bits: 16-bit integers or 32-bit floats.  "
                   "[default: 16]")
@common.run_options("Print the expected time, memory and disk space; write nothing.")
def fold(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Fold spectra or voltages into the profiles of a pulsar.

    All files must belong to one scan. Every sample is added to the bin that contains the phase at
    its own time and frequency. Samples of weight 0, such as flagged ones, do not contribute.
    Archives written as PSRFITS can be opened with PSRCHIVE.
    """
    from fastsig.chain import open_chain
    from fastsig.io.files.outputs import output_names
    from fastsig.io.files.safe import check_output
    from fastsig.run.profile_files import format_of

    _check(options)
    names = output_names(output, len(options["pars"]) + len(options["polycos"]) or 1)
    kind = format_of(output, to)
    inputs = (*files, *options["pars"], *options["polycos"])
    for name in names:
        check_output(name, overwrite=options["overwrite"], inputs=inputs)
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        _check_kind(source.stream, files[0], options["coherent"])
        if options["verify"]:
            source.stream.verify()
        part = source[common.parse_end(options["tstart"]) : common.parse_end(options["tstop"])]
        predictors = _predictors(part.stream, options)
        _fold(_prepared(part, predictors, options), predictors, names, kind, options)


def _calibrated(chain: Any, options: dict[str, Any]) -> Any:
    """Return spectra that are calibrated with ``--tcal``; for a dry run, only their header."""
    from fastsig.chain import Chain
    from fastsig.reductions.folding.calibrated import calibrated_spectra, expected_spectra
    from fastsig.work.memory import parse_bytes

    if options["tcal"] is None:
        return chain
    steps = {"beam": options["beam"], "gain": options["gain"]}
    if options["dry_run"] and (made := expected_spectra(chain.stream, **steps)) is not None:
        return Chain(made)
    memory = None if options["memory"] is None else parse_bytes(options["memory"])
    with common.progress_of_passes(options["quiet"]) as advance:
        made, found = calibrated_spectra(
            chain.stream, options["tcal"], diode=options["diode"], workers=options["workers"],
            memory=memory, progress=advance, **steps)
    for line in found.summary():
        common.say(line, options["quiet"])
    return Chain(made)


def _check(options: dict[str, Any]) -> None:
    """Refuse options that contradict each other."""
    given = len(options["pars"]) + len(options["polycos"])
    if bool(given) == (options["period"] is not None):
        raise click.UsageError("--par, --polyco or --period; allowed: one --period, or any number "
                               "of --par and --polyco")
    if options["tcal"] is None:
        for name in ("diode", "beam", "gain"):
            if options[name] is not None:
                raise click.UsageError(f"--{name}: has no effect without --tcal; allowed: with "
                                       "--tcal")
    for name in ("pdot", "acc"):
        if options[name] is not None and options["period"] is None:
            raise click.UsageError(f"--{name} belongs to a period; allowed: with --period")


def _check_kind(stream: Any, path: str, coherent: int | None) -> None:
    """Refuse what is neither spectra nor, with ``--coherent``, voltages."""
    from fastsig.errors import FormatError

    if stream.kind == "spectra" and coherent is not None:
        raise FormatError(path, "contains spectra; allowed with --coherent: voltages")
    if stream.kind != "spectra" and (stream.kind != "voltage" or coherent is None):
        raise FormatError(path, f"contains {stream.kind}; allowed: spectra, or voltages with "
                          "--coherent N")


def _prepared(part: Any, predictors: list[Any], options: dict[str, Any]) -> Any:
    """Return the spectra to fold: of the band and the products wanted, without interference."""
    from fastsig.chain import Chain
    from fastsig.reductions.folding.coherent import coherent_spectra

    if options["coherent"] is not None:
        made, options["n_bin"] = coherent_spectra(
            part.stream, predictors, options["coherent"],
            **{key: options[key] for key in ("dm", "constant", "n_bin")})
        part = Chain(made)
    band = slice(options["fstart"], options["fstop"])
    chain = _calibrated(part if band == slice(None) else part[:, band], options)
    chain = driver.with_products(chain, options["products"])
    return chain.flag() if options["flagged"] else chain


def _fold(chain: Any, predictors: list[Any], names: list[str], kind: str,
          options: dict[str, Any]) -> None:
    from fastsig.pulsar.sky_frame import check_sky_frame
    from fastsig.reductions.folding.ephemerides import with_ephemerides
    from fastsig.reductions.folding.folding import aligned_for_turns
    from fastsig.reductions.folding.sink import Fold
    from fastsig.run.engine import execute
    from fastsig.run.flag_shares import warn_of, watches
    from fastsig.run.plan import plan
    from fastsig.work.memory import parse_bytes

    if options["feed_angle"] is not None:
        check_sky_frame(chain.stream.header, options["feed_angle"], chain.stream.path,
                        position=len(options["pars"]) < len(predictors))
    stream = chain.stream if not options["single"] else aligned_for_turns(
        chain.stream, predictors, options["dm"], options["constant"])
    sink = Fold(stream, predictors, dm=options["dm"], constant=options["constant"],
                **{key: options[key] for key in ("n_bin", "n_chan", "subint", "single",
                                                 "hash_inputs")})
    memory = None if options["memory"] is None else parse_bytes(options["memory"])
    watched = watches([stream])
    ready = plan([sink, *(counter for each in watched for counter in each.sinks)],
                 workers=options["workers"], memory=memory)
    if options["explain"]:
        click.echo(ready.explain())
    if options["dry_run"]:
        _print_dry_run(ready, sink, names, kind, options)
        return
    with (common.compiling(options["quiet"]),
          common.progress_of_passes(options["quiet"]) as advance):
        archives, *shares = execute(ready, progress=advance)
    warn_of(watched, shares)
    archives = with_ephemerides(archives, options["pars"])
    if options["feed_angle"] is not None:
        archives = [each.to_sky(options["feed_angle"]) for each in archives]
    _write(archives, names, kind, options)


def _predictors(stream: Any, options: dict[str, Any]) -> list[Any]:
    from fastsig.reductions.folding.predictors import constant_period, of_files

    if options["period"] is not None:
        return [constant_period(stream, options["period"], options["pdot"], options["acc"],
                                options["dm"])]
    return of_files(stream, options["polycos"], options["pars"], options["dm"])


def _print_dry_run(ready: Any, sink: Any, names: list[str], kind: str,
                   options: dict[str, Any]) -> None:
    from fastsig.run.trial import expected_time

    if options["as_json"]:
        common.print_json({"outputs": names, **_shape(sink), "memory_bytes": ready.memory,
                           "dry_run": True, "free_bytes": driver.free_bytes(names[0])})
        return
    with common.compiling(options["quiet"]):
        time = expected_time(ready)
    if time is not None:
        threads = counted(ready.workers, "thread")
        click.echo(f"time {driver.duration_text(time.seconds)} on {threads}, estimated by a trial")
    click.echo(ready.memory_text())
    for name in names:
        click.echo(f"would write {name}: {_size(sink, kind, options['bits'])}, "
                   f"{driver.free_bytes(name) / 1e6:.0f} MB free")


def _size(sink: Any, kind: str, bits: str | None) -> str:
    """Return the size of a product: the rows of a table, whose cells vary in length, or MB."""
    if kind == "ecsv":
        return counted((len(sink.edges) - 1) * sink.n_chan * sink.n_bin, "row")
    return f"{sink.archive_bytes(int(bits or 16)) / 1e6:.1f} MB"


def _shape(sink: Any) -> dict[str, int]:
    return {"n_subint": len(sink.edges) - 1, "n_product": sink.stream.shape[1],
            "n_chan": sink.n_chan, "n_bin": sink.n_bin}


def _write(archives: list[Any], names: list[str], kind: str, options: dict[str, Any]) -> None:
    """Write the archives, and report on them."""
    from fastsig.run.profile_files import losses_of, write_profiles

    records = []
    bits = None if options["bits"] is None else int(options["bits"])
    for found, name in zip(archives, names, strict=True):
        write_profiles(found, name, to=kind, overwrite=options["overwrite"], bits=bits)
        cautions = losses_of(found, kind)
        for each in cautions:
            common.say(f"note: {name}: {each}", options["quiet"])
        records.append({
            "outputs": [name], "bytes": [os.path.getsize(name)], "format": kind,
            "cautions": cautions, "source": found.header.source, "n_subint": found.n_subint,
            "n_product": found.n_product, "n_chan": found.n_chan, "n_bin": found.n_bin,
            "period_s": found.period, "dm": found.dm, "duration_s": found.duration})
        common.say(f"wrote {name}", options["quiet"])
    if options["as_json"]:
        common.print_json(records[0] if len(records) == 1 else {"products": records})
