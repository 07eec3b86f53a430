"""``fastsig calibrate``: convert recorded powers to kelvin or jansky with the noise diode."""

from __future__ import annotations

import warnings
from typing import Any

import click

from fastsig.cli import common, driver


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the product to this file; {file} in the name is replaced by the "
                      "file number.")
@click.option("--tcal", type=common.InputPath(or_value=True), required=True, metavar="K|TABLE",
              help="Set the temperature of the noise diode: one value (1.1K), one for each "
                   "polarisation (1.1K,1.2K), or a table (an .npz file, a text file, or a folder "
                   "of text files).")
@click.option("--diode", metavar="KEY=VALUE,...",
              help="Use this schedule of the diode, which must agree with the data: a mode "
                   "(mode=pulsar), or period=, on= and first= with units of time.  [default: the "
                   "header's if it agrees, otherwise the measured one]")
@click.option("--on", "on", type=click.Choice(["subtract", "blank"]), default="subtract",
              show_default=True,
              help="Subtract the diode's temperature from spectra with the diode on, or blank "
                   "these spectra (set their weight to 0).")
@click.option("--guard", default="0s", show_default=True, metavar="TIME",
              help="Give weight 0 to spectra within this time before or after the diode switches "
                   "on or off.")
@click.option("--gain-time", default="60s", show_default=True, metavar="TIME",
              help="Model the gain as piecewise linear in time, with knots at most this far apart.")
@click.option("--smooth", metavar="FREQ",
              help="Smooth the measured diode spectrum over this width; 0Hz turns smoothing off.  "
                   "[default: 5MHz, but at most 1/32 of the band]")
@click.option("--phase", is_flag=True,
              help="Correct the phase of CR + i CI with the phase measured from the diode, whose "
                   "signal must be injected at 45 degrees to both receptors.")
@click.option("--stokes", type=click.Choice(["I", "IQUV", "V"]),
              help="Form these Stokes parameters: I from AA and BB, the others from AA, BB, CR and "
                   "CI of linear feeds.")
@driver.sign_options
@click.option("--feed-angle", metavar="ANGLE",
              help="Rotate Q and U into the frame of the sky. ANGLE is the position angle of "
                   "receptor A minus that of the line from beam M01 to M02 (in fold, that of the "
                   "zenith). Requires --ky and --stokes IQUV.")
@click.option("--mueller", type=common.InputPath(), metavar="FILE.npz",
              help="Correct I, Q, U and V with the Mueller matrices whose date is nearest to that "
                   "of the data. The file must contain the arrays mjd, freq_mhz and matrix. "
                   "Requires --stokes IQUV.")
@click.option("--ky", type=common.InputPath(), metavar="FILE.xlsx",
              help="Read the track of FAST's feed cabin from this file, and write the positions "
                   "of the beam as columns of the product. Requires fastsig[spectral].")
@click.option("--refraction", metavar="HPA,C,RH,WAVELENGTH",
              help="With --ky, correct for refraction at this pressure (hPa), temperature (deg "
                   "C), relative humidity and wavelength, or not at all (none).  [default: those "
                   "of a simulated track, else 925,15,0.8,0.3m]")
@click.option("--beam", type=click.IntRange(1, 19), metavar="N",
              help="Use the gain, the diode temperature and the position of this beam.  [default: "
                   "the beam stated in the file]")
@click.option("--flux", is_flag=True, help="Convert to Jy with the telescope's gain for the "
                                           "beam, frequency and zenith angle.")
@click.option("--zenith-angle", metavar="ANGLE",
              help="With --flux, use the telescope's gain at this zenith angle, e.g. 20deg.  "
                   "[default: that of the track given by --ky]")
@click.option("--gain", metavar="K/JY",
              help="Convert to Jy with this gain of one polarisation, e.g. 16K/Jy, as measured on "
                   "a calibrator.")
@common.picture_option("the gain, the diode spectrum, the temperature with the diode off, "
                       "and the noise")
@common.span_options
@driver.spectra_to_option
@driver.spectra_options
def calibrate(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Convert recorded powers to K or Jy using the noise diode.

    All files must belong to one scan. The times at which the diode switches on and off are measured
    from the data. A schedule given by --diode must agree with these times; a schedule in the header
    is used only if it agrees with them. Spectra during which the diode switches on or off are given
    weight 0.
    """
    from fastsig.chain import open_chain
    from fastsig.errors import DoubtWarning
    from fastsig.reductions.diode.calibration import calibrated, check, described, solve
    from fastsig.work.memory import parse_bytes

    rows = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
    band = slice(options["fstart"], options["fstop"])
    steps = {**{name: options[name] for name in (
        "on", "guard", "stokes", "feed_angle", "ky", "refraction", "flux", "beam", "zenith_angle",
        "gain", "mueller")}, "sign_q": int(options["sign_q"]), "sign_v": int(options["sign_v"])}
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        part = source[rows] if band == slice(None) else source[rows, band]
        _check_names(part.stream, output, options)
        made = check(part.stream, **steps)
        if made is not None:
            driver.refuse_losses([made], [output], options, **driver.copy_formats(to, options))
        quiet = options["quiet"]
        memory = None if options["memory"] is None else parse_bytes(options["memory"])
        with common.progress_of_passes(quiet) as advance:
            found = solve(
                part.stream, options["tcal"], diode=options["diode"], guard=options["guard"],
                gain_time=options["gain_time"], smooth=options["smooth"], phase=options["phase"],
                beam=options["beam"], workers=options["workers"], memory=memory,
                progress=advance)
        for line in found.summary():
            common.say(line, quiet)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DoubtWarning)  # reported by `check`
            stream = calibrated(part.stream, found, **steps)
        for line in described(stream):
            common.say(line, quiet)
        driver.copy_stream(stream, output, to, options)
        if options["picture"] and not options["dry_run"]:
            from fastsig.view import draw_calibration

            draw_calibration(found, part.stream, options["picture"],
                             overwrite=options["overwrite"])
            common.say(f"wrote {options['picture']}", quiet)


def _check_names(stream: Any, output: str, options: dict[str, Any]) -> None:
    """Refuse names of products before anything is read."""
    from fastsig.io.files.outputs import output_names
    from fastsig.io.files.provenance import input_files
    from fastsig.io.files.safe import check_output
    from fastsig.view import check_picture

    inputs = input_files(stream)
    check_output(output_names(output, 1)[0], overwrite=options["overwrite"], inputs=inputs)
    if options["picture"]:
        check_picture(options["picture"])
        check_output(options["picture"], overwrite=options["overwrite"], inputs=inputs)
