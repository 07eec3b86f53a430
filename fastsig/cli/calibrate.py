"""``fastsig calibrate``: recorded powers to kelvin or jansky, by the noise diode."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, copying


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("File to write; {file} in it stands for the number of each of several.")
@click.option("--tcal", required=True, metavar="K|TABLE",
              help="Temperature of the diode: 1.1K, or 1.1K,1.2K for each polarisation, or tables "
              "of it: an .npz file, a text file or their folder.")
@click.option("--diode", metavar="KEY=VALUE,...",
              help="When it is on: mode=pulsar, or period=,on=,first= as times. Held against the "
              "data.  [default: what the data tell]")
@click.option("--on", "on", type=click.Choice(["subtract", "blank"]), default="subtract",
              show_default=True, help="Spectra with the diode on: less the diode, or left out.")
@click.option("--guard", default="0s", show_default=True, metavar="TIME",
              help="By which the edges of the diode may be off.")
@click.option("--gain-time", default="60s", show_default=True, metavar="TIME",
              help="Over which the gain is taken to be steady.")
@click.option("--smooth", metavar="FREQ",
              help="Width over which the diode's spectrum is smoothed; 0Hz for none.  [default: "
              "5MHz, at most a 32nd of the band]")
@click.option("--phase", is_flag=True,
              help="Turn CR + i CI by the phase of the diode, one at 45 degrees to both feeds.")
@click.option("--stokes", type=click.Choice(["I", "IQUV", "V"]), help="Stokes parameters of them.")
@click.option("--sign-q", type=click.Choice(["1", "-1"]), default="1", show_default=True,
              help="Sign of Q; conventions differ.")
@click.option("--sign-v", type=click.Choice(["1", "-1"]), default="1", show_default=True,
              help="Sign of V; conventions differ.")
@click.option("--feed-angle", metavar="ANGLE",
              help="Position angle of feed A less that of the line from M01 to M02: Q and U on the "
              "sky.  [default: Q and U of the receiver]")
@click.option("--ky", metavar="FILE.xlsx", help="Track of FAST's feed cabin: positions.")
@click.option("--refraction", metavar="HPA,C,RH,WAVELENGTH",
              help="Of the air, such as 925,15,0.8,0.3m.  [default: none]")
@click.option("--beam", type=click.IntRange(1, 19), help="Of the receiver; by default the file's.")
@click.option("--flux", is_flag=True, help="Jy, by the receiver's gain.")
@click.option("--zenith-angle", metavar="ANGLE", help="Where no track tells it: 20deg.")
@click.option("--gain", metavar="K/JY", help="Jy, by a gain of one polarisation: 16K/Jy.")
@click.option("--picture", metavar="FILE.png", help="Diode, gains and noise, as a picture.")
@common.span_options
@copying.spectra_to_option
@copying.copy_options
def calibrate(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Write the spectra of one scan, in FILE or several, in kelvin or jansky.

    The noise diode is found in the data; spectra partly under an edge of it have the weight 0.
    """
    from fastsig.chain import open_chain
    from fastsig.reductions.calibrate import calibrated, solve

    rows = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
    band = slice(options["fstart"], options["fstop"])
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        part = source[rows] if band == slice(None) else source[rows, band]
        quiet = options["quiet"]
        with common.progress(2 * part.shape[0], "measure", quiet=quiet) as advance:
            found = solve(
                part.stream, options["tcal"], diode=options["diode"], guard=options["guard"],
                gain_time=options["gain_time"], smooth=options["smooth"], phase=options["phase"],
                beam=options["beam"], workers=options["workers"], progress=advance)
        for line in found.summary():
            common.say(line, quiet)
        stream = calibrated(
            part.stream, found, on=options["on"], stokes=options["stokes"],
            sign_q=int(options["sign_q"]), sign_v=int(options["sign_v"]),
            feed_angle=options["feed_angle"], ky=options["ky"],
            refraction=options["refraction"], flux=options["flux"], beam=options["beam"],
            zenith_angle=options["zenith_angle"], gain=options["gain"])
        if options["picture"] and not options["dry_run"]:
            from fastsig.view import draw_calibration

            draw_calibration(found, part.stream, options["picture"], overwrite=options["overwrite"])
        copying.copy_stream(stream, output, to, options)
