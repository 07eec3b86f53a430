"""``fastsig burst``: measure a burst of known time and dispersion measure."""

from __future__ import annotations

import os
from typing import Any

import click

from fastsig.cli import common, driver


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--at", required=True, metavar="TIME",
              help="Measure the burst that reaches the highest channel near this time (UTC, or "
                   "an offset from the start of the data, e.g. 2.028s): within 0.1 s or 64 "
                   "spectra, whichever is longer; with --width, 3 widths.")
@click.option("--dm", required=True, metavar="DM",
              help="Start from this dispersion measure, in pc cm^-3.")
@click.option("-o", "--output", type=common.OutputPath(), metavar="PATH",
              help="Write the measured values to this table (.ecsv).")
@common.picture_option("the burst")
@click.option("--cut-out", metavar="TIME",
              help="Also copy the data, from TIME (e.g. 1s) before the burst reaches the upper "
                   "edge of the band to TIME after it reaches the lower edge.")
@click.option("--raw", type=common.InputPath(), multiple=True, metavar="FILE",
              help="With --cut-out, also copy the data around the burst from this file of "
                   "voltages. May be repeated.")
@click.option("--cut-out-to", type=common.OutputPath(), metavar="FOLDER",
              help="With --cut-out, write the copies to this folder.  [default: the folder of "
                   "--output, or the current folder]")
@click.option("--width", metavar="TIME",
              help="Start from this width, e.g. 2ms.  [default: the width with the highest S/N "
                   "near --at]")
@driver.coherent_option
@click.option("--method", type=click.Choice(["snr", "structure"]), default="snr",
              show_default=True,
              help="Determine the dispersion measure at which the S/N is highest (snr) or at which "
                   "the profile has the most structure (structure).")
@click.option("--tsys", metavar="K",
              help="Compute the fluence with this system temperature, e.g. 20K. Requires --gain or "
                   "--zenith-angle.  [default: no fluence, unless the spectra are in Jy, or are in "
                   "K and --gain or --zenith-angle is given]")
@click.option("--gain", metavar="K/JY",
              help="Compute the fluence with this gain of one polarisation, e.g. 16K/Jy.  "
                   "[default: the telescope's gain for --beam at --zenith-angle]")
@click.option("--zenith-angle", metavar="ANGLE",
              help="Use the telescope's gain at this zenith angle, e.g. 20deg.")
@click.option("--beam", type=click.IntRange(1), metavar="N",
              help="Use the telescope's gain for this beam.  [default: the beam stated in the "
                   "file]")
@click.option("--scale-error", type=click.FloatRange(0, 10), default=0.0, show_default=True,
              metavar="X", help="Assume this relative error in the ratio of system temperature "
                                "to gain, and add it in quadrature to the relative errors in the "
                                "fluence and the peak flux density.")
@click.option("--index", type=click.FloatRange(0, 10), default=4.0, show_default=True,
              metavar="X", help="Fit a scattering time that is proportional to frequency to the "
                                "power of -X.")
@click.option("--most-rm", type=click.FloatRange(0, min_open=True), metavar="RM",
              help="Try rotation measures from -RM to RM, in rad m^-2.  [default: the rotation "
                   "measure that rotates the position angle by 0.87 rad across a channel in the "
                   "middle of the band]")
@common.constant_option(default="that of the input if it is known, otherwise 1/2.41e-4")
@click.option("--overwrite", is_flag=True, help="Replace existing output files.")
@common.set_option
@common.json_option
@common.quiet_options
@common.debug_option
def burst(files: tuple[str, ...], at: str, dm: str, **options: Any) -> None:
    """Measure the DM, width, fluence and polarisation of a burst.

    All files must belong to one scan of spectra or, with --coherent, of voltages. If I, Q, U
    and V, or AA, BB, CR and CI of feeds of a known type, are available, the linear and circular
    polarisation, the position angle and the rotation measure are also measured.
    """
    from fastsig.chain import open_chain
    from fastsig.reductions.bursts.measurement import measure_burst

    _check(files, options)
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source, (
            common.compiling(options["quiet"])):
        found = measure_burst(source, at, dm, **{name: options[name] for name in (
            "width", "method", "tsys", "gain", "zenith_angle", "beam", "scale_error", "index",
            "most_rm", "constant", "coherent")})
        made = _written(source, found, options)
    if options["as_json"]:
        common.print_json({**found.record(), "outputs": made})
    elif not options["quiet"]:
        for name, text in found._fields().items():
            click.echo(f"{name:8} {text}")
    for path in made:
        common.say(f"wrote {path}", options["quiet"])


def _check(files: tuple[str, ...], options: dict[str, Any]) -> None:
    """Refuse outputs before anything is read."""
    from fastsig.io.files.safe import check_output
    from fastsig.view import check_picture

    for name in ("output", "picture"):
        if options[name] is not None:
            check_output(options[name], overwrite=options["overwrite"], inputs=files)
    if options["picture"] is not None:
        check_picture(options["picture"])
    if options["output"] is not None and not options["output"].lower().endswith(".ecsv"):
        raise click.UsageError(f"--output {options['output']}; allowed: a table (.ecsv)")
    for name in ("raw", "cut_out_to"):
        if options[name] and options["cut_out"] is None:
            raise click.UsageError(f"--{name.replace('_', '-')} belongs to --cut-out; allowed: "
                                   "with --cut-out 1s")


def _written(source: Any, found: Any, options: dict[str, Any]) -> list[str]:
    """Write what was asked for, and return the names."""
    from fastsig.io.ecsv.tables import write_table
    from fastsig.io.files.provenance import provenance
    from fastsig.reductions.bursts.measured import KIND

    made = []
    if options["output"] is not None:
        write_table(found.to_table(), options["output"], kind=KIND, overwrite=options["overwrite"],
                    provenance=provenance(source.stream))
        made.append(options["output"])
    if options["picture"] is not None:
        found.plot(options["picture"], overwrite=options["overwrite"])
        made.append(options["picture"])
    if options["cut_out"] is not None:
        made += _cut_out(source, found, options)
    return made


def _cut_out(source: Any, found: Any, options: dict[str, Any]) -> list[str]:
    from fastsig.chain import open_chain
    from fastsig.reductions.bursts.cutting import cut_out

    folder = options["cut_out_to"] or os.path.dirname(options["output"] or "") or os.curdir
    cut = {"around": options["cut_out"], "folder": folder, "overwrite": options["overwrite"],
           "constant": found.constant, "reference_mhz": found.reference_mhz}
    made = cut_out(source, found.time, found.dm, **cut)
    if options["raw"]:
        with open_chain(options["raw"]) as raw:
            made += cut_out(raw, found.time, found.dm, **cut)
    return made
