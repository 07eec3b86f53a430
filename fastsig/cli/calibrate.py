"""``fastsig calibrate``: recorded powers to kelvin or jansky, by the noise diode."""

from __future__ import annotations

import warnings
from typing import Any

import click

from fastsig.cli import common, driver


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("File to write; {file} in it stands for the number of each of several.")
@click.option("--tcal", type=common.InputPath(or_value=True), required=True, metavar="K|TABLE",
              help="Temperature of the diode: 1.1K, or 1.1K,1.2K for each polarisation, or tables "
              "of it: an .npz file, a text file or their folder.")
@click.option("--diode", metavar="KEY=VALUE,...",
              help="When it is on: mode=pulsar, or period=,on=,first= as times. Held against the "
              "data.  [default: what the data show]")
@click.option("--on", "on", type=click.Choice(["subtract", "blank"]), default="subtract",
              show_default=True, help="Spectra with the diode on: subtract keeps them, less the "
                                      "diode; blank gives them the weight 0.")
@click.option("--guard", default="0s", show_default=True, metavar="TIME",
              help="By how much the edges of the diode may be off.")
@click.option("--gain-time", default="60s", show_default=True, metavar="TIME",
              help="Time over which the gain is taken to be steady.")
@click.option("--smooth", metavar="FREQ",
              help="Width over which the diode's spectrum is smoothed; 0Hz for none.  [default: "
              "5MHz, at most a 32nd of the band]")
@click.option("--phase", is_flag=True,
              help="Turn CR + i CI by the phase of the diode, one at 45 degrees to both feeds.")
@click.option("--stokes", type=click.Choice(["I", "IQUV", "V"]),
              help="Stokes parameters of AA, BB, CR and CI.")
@click.option("--sign-q", type=click.Choice(["1", "-1"]), default="1", show_default=True,
              help="Sign of Q; conventions differ.")
@click.option("--sign-v", type=click.Choice(["1", "-1"]), default="1", show_default=True,
              help="Sign of V; conventions differ.")
@click.option("--feed-angle", metavar="ANGLE",
              help="Position angle of feed A less that of the line from M01 to M02: Q and U along "
                   "north and east. Needs --ky.  [default: Q and U of the receiver]")
@click.option("--mueller", type=common.InputPath(), metavar="FILE.npz",
              help="Mueller matrices of the receiver: mjd, freq_mhz, matrix; the nearest date.")
@click.option("--ky", type=common.InputPath(), metavar="FILE.xlsx",
              help="Track of FAST's feed cabin: positions of the beam become columns.")
@click.option("--refraction", metavar="HPA,C,RH,WAVELENGTH",
              help="Correct for this air: hPa, degrees C, relative humidity, wavelength; or none.  "
                   "[default: 925,15,0.8,0.3m; what the track of a simulation states]")
@click.option("--beam", type=click.IntRange(1, 19),
              help="Beam of the receiver; by default the file's.")
@click.option("--flux", is_flag=True, help="In jansky, by the receiver's gain at the beam, "
                                           "frequency and zenith angle.")
@click.option("--zenith-angle", metavar="ANGLE", help="Zenith angle where no track gives it, e.g. "
                                                      "20deg.")
@click.option("--gain", metavar="K/JY", help="In jansky, by a gain of one polarisation such as "
                                             "16K/Jy, as a calibrator gave it.")
@click.option("--picture", type=common.OutputPath(), metavar="FILE.png",
              help="Gains, spectrum of the diode, temperature and noise, as a picture.")
@common.span_options
@driver.spectra_to_option
@driver.copy_options
def calibrate(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Write the spectra of one scan, in FILE or several, in kelvin or jansky.

    The noise diode is found in the data; spectra partly under an edge of it have the weight 0.
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
        check(part.stream, **steps)
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
            warnings.simplefilter("ignore", DoubtWarning)  # told by `check`
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
    """Refuse names before anything is read."""
    from fastsig.io.files.outputs import output_names
    from fastsig.io.files.provenance import input_files
    from fastsig.io.files.safe import check_output
    from fastsig.view import check_picture

    inputs = input_files(stream)
    check_output(output_names(output, 1)[0], overwrite=options["overwrite"], inputs=inputs)
    if options["picture"]:
        check_picture(options["picture"])
        check_output(options["picture"], overwrite=options["overwrite"], inputs=inputs)
