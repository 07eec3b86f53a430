"""``fastsig simulate fast-scan``: 19 beams over a known sky."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, simulating

__all__ = ["fast_scan"]

# As of `simulating.COMPONENTS`.
COMPONENTS: simulating.Components = {
    "point": ("PointSource", "sky", True),
    "disk": ("HIDisk", "sky", True),
    "pulsar": ("SkyPulsar", "sky", True),
    "continuum": ("Continuum", "continuum", False),
    "diode": ("Diode", "diode", False),
    "tcal": ("Tcal", "tcal", False),
    "drift": ("GainDrift", "drift", False),
    "ripple": ("Ripple", "ripples", True),
    "jones": ("Jones", "jones", False),
    "carrier": ("Carrier", "carriers", True),
    "rfi": ("RfiBurst", "rfi", True),
}
LIST = "KEY=VALUE,..."

_files = common.options(
    common.output_option("Folder for the files; it exists."),
    common.workers_option,
    click.option("--backend", default="spectral", show_default=True,
                 type=click.Choice(["spectral", "psrfits"]), help="What records the beams."),
    click.option("--file-rows", type=click.IntRange(1), metavar="N",
                 help="Most rows of a file, for several."),
    click.option("--bits", default="8", show_default=True, type=click.Choice(["8", "16", "32"]),
                 help="Of a number in PSRFITS; 32 are floats."),
    click.option("--n-block", default=1024, show_default=True, type=click.IntRange(1),
                 metavar="N", help="Spectra of a row in PSRFITS, NSBLK."),
    click.option("--name", default="SIMULATED", show_default=True,
                 help="Source or project, in the names of files too."),
    click.option("--beams", default="1-19", show_default=True, help="Such as 1+8-10."),
)
_spectra = common.options(
    click.option("--mode", type=click.Choice(["W", "F", "N"]),
                 help="Of the spectral backend, as of fast-spectral.  [default: W]"),
    click.option("--n-chan", default="1024", show_default=True, help="Channels."),
    click.option("--duration", default="60s", show_default=True,
                 help="Rounded to whole spectra."),
    click.option("--integration", help="Time of a spectrum.  [default: 1.00663296s, 49.152us in "
                                       "PSRFITS]"),
    click.option("--fstart", default="1000MHz", show_default=True,
                 help="Lower edge on the sky."),
    click.option("--bandwidth", help="Of PSRFITS.  [default: 500MHz]"),
    click.option("--start-time", default="2026-01-01T00:00:00", show_default=True,
                 help="UTC at which spectrum 0 begins."),
    click.option("--level", help="Receiver noise in the units of the products.  [default: 5e11, "
                                 "40 in PSRFITS]"),
    simulating.receiver_options,
)
_track = common.options(
    click.option("--observing", default="drifting", show_default=True,
                 type=click.Choice(["drifting", "tracking", "onoff"]), help="How the cabin moves."),
    click.option("--ra", help="Of the target, ICRS.  [default: at the meridian in the middle]"),
    click.option("--dec", help="Of the target.  [default: at the zenith]"),
    click.option("--rotation", metavar="ANGLE",
                 help="Of the beams, from east to north.  [default: 23.4deg drifting, else 0]"),
    click.option("--feed-angle", default="0deg", show_default=True,
                 help="Position angle of A less that of the line from M01 to M02."),
    click.option("--yaw", default="0deg", show_default=True, help="Of the feed cabin."),
    click.option("--off-ra", default="30arcmin", show_default=True,
                 help="Of onoff: the off position, to the east."),
    click.option("--off-dec", default="0arcmin", show_default=True, help="To the north."),
    click.option("--dwell", default="60s", show_default=True, help="Of onoff: on each position."),
    click.option("--slew", default="30s", show_default=True, help="Of onoff: between them."),
    click.option("--refraction", is_flag=True, help="By 925 hPa, 15 C, 0.8, 0.3 m."),
    click.option("--ambient", default="15", show_default=True, help="C, which gains follow."),
    click.option("--ky-step", default="0.2s", show_default=True,
                 help="Time of a row of the feed cabin's file."),
)
_sky = common.options(
    click.option("--point", metavar=LIST, multiple=True,
                 help="ra, dec, flux (Jy), index, frequency, q, u, v (shares); again for more."),
    click.option("--disk", metavar=LIST, multiple=True,
                 help="HI: ra, dec, mass, distance, velocity, frame, inclination, position_angle, "
                 "radius, turnover, rotation, dispersion; again for more."),
    click.option("--pulsar", metavar=LIST, multiple=True,
                 help="ra, dec, flux (Jy), period, dm, duty, time, index, linear, angle, circular; "
                 "again for more."),
    click.option("--continuum", metavar=LIST, help="temperature (K at 1400MHz), index."),
)
_receiver = common.options(
    click.option("--diode", metavar=LIST,
                 help="temperature=low|high|K, period, on, first in ticks of 4 ns."),
    click.option("--tcal", metavar=LIST,
                 help="Of the diode: q, phase, coherence, slope_a, slope_b."),
    click.option("--drift", metavar=LIST, help="Of the gain: amplitude, period, phase, slope."),
    click.option("--ripple", metavar=LIST, multiple=True,
                 help="amplitude (K), period (Hz), phase, phase_rate, amplitude_rate, phase_b, on; "
                 "again for more."),
    click.option("--jones", metavar=LIST, help="ratio (AA/BB), phase (of <A* B>), delay."),
    click.option("--carrier", metavar=LIST, multiple=True,
                 help="frequency, level (of noise rms), drift, angle; again for more."),
    click.option("--rfi", metavar=LIST, multiple=True,
                 help="start, duration, low, high, temperature; again for more."),
    click.option("--loss", metavar=LIST, help="fraction, rows such as 30-41+77, of the spectra."),
)


@click.command("fast-scan")
@_files
@_spectra
@_track
@_sky
@_receiver
@common.quiet_options
@common.debug_option
def fast_scan(output: str, overwrite: bool, workers: int | None, **options: Any) -> None:
    """A scan of FAST's 19 beams over a known sky: spectra, the feed cabin's file, the truth.

    Values take units, e.g. --point ra=5h34m31.9s,dec=22d0m52s,flux=3Jy,index=-0.7.
    """
    from fastsig import simulate as library

    own = ("file_rows", "bits", "n_block", "ky_step")
    scan = library.FastScan(**simulating.parameters(
        options, "LostSpectra", without=own, components=COMPONENTS))
    quiet = options["quiet"]
    total = scan.n_time * len(scan.recordings)
    with common.progress(total, "simulate", quiet=quiet) as advance:
        names = library.write_scan(
            scan, output, ky_step=options["ky_step"], n_bits=int(options["bits"]),
            n_block=options["n_block"], file_rows=options["file_rows"], workers=workers,
            overwrite=overwrite, progress=advance)
    common.say(f"{common.plural(len(scan.recordings), 'beam')} of {scan.n_time} spectra", quiet)
    for name in names:
        common.say(f"wrote {name}", quiet)
