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
                 help="Bits of a number in PSRFITS; 32 are floats."),
    click.option("--n-block", default=1024, show_default=True, type=click.IntRange(1),
                 metavar="N", help="Spectra of a row in PSRFITS, NSBLK."),
    click.option("--name", metavar="NAME", default="SIMULATED", show_default=True,
                 help="Source or project, in the names of files too."),
    click.option("--beams", metavar="LIST", default="1-19", show_default=True,
                 help="Beams, such as 1+8-10."),
)
_spectra = common.options(
    click.option("--mode", type=click.Choice(["W", "F", "N"]),
                 help="Mode of the spectral backend, as of fast-spectral.  [default: W]"),
    click.option("--n-chan", metavar="N", default="1024", show_default=True,
                 help="Channels, from --fstart on."),
    click.option("--duration", metavar="TIME", default="60s", show_default=True,
                 help="Rounded to whole spectra."),
    click.option("--integration", metavar="TIME",
                 help="Time of a spectrum.  [default: 1.00663296s, 49.152us in "
                                       "PSRFITS]"),
    click.option("--fstart", metavar="FREQ", default="1000MHz", show_default=True,
                 help="Lower edge of the band on the sky."),
    click.option("--bandwidth", metavar="FREQ",
                 help="Width of the band of PSRFITS.  [default: 500MHz]"),
    click.option("--start-time", metavar="TIME", default="2026-01-01T00:00:00", show_default=True,
                 help="UTC at which spectrum 0 begins."),
    click.option("--level", metavar="X",
                 help="Receiver noise in the units of the products, mean over the band. "
                                 " [default: 5e11, 40 in PSRFITS]"),
    simulating.receiver_options,
)
_track = common.options(
    click.option("--observing", default="drifting", show_default=True,
                 type=click.Choice(["drifting", "tracking", "onoff"]),
                 help="How the feed cabin moves."),
    click.option("--ra", metavar="ANGLE",
                 help="Right ascension of the target, ICRS: 5h34m31.9s or degrees.  "
                              "[default: what passes the meridian in the middle of the scan]"),
    click.option("--dec", metavar="ANGLE",
                 help="Declination of the target: 22d0m52s or degrees.  [default: that of "
                               "the zenith]"),
    click.option("--rotation", metavar="ANGLE",
                 help="Rotation of the beams on the sky, from east to north: at 0 M02 is east of "
                      "M01.  [default: 23.4deg drifting, else 0]"),
    click.option("--feed-angle", metavar="ANGLE", default="0deg", show_default=True,
                 help="Position angle of A's axis less that of the line from M01 to M02; FAST's "
                      "has not been published."),
    click.option("--yaw", metavar="ANGLE", default="0deg", show_default=True,
                 help="Yaw of the feed cabin; pitch and roll turn the feeds to the sphere's "
                      "centre."),
    click.option("--off-ra", metavar="ANGLE", default="30arcmin", show_default=True,
                 help="Of onoff: where off is, from the target to the east."),
    click.option("--off-dec", metavar="ANGLE", default="0arcmin", show_default=True,
                 help="Of onoff: where off is, from the target to the north."),
    click.option("--dwell", metavar="TIME", default="60s", show_default=True,
                 help="Of onoff: time on each position."),
    click.option("--slew", metavar="TIME", default="30s", show_default=True,
                 help="Of onoff: time between the positions."),
    click.option("--refraction", is_flag=True, help="The air bends the rays: 925 hPa, 15 C, "
                                                    "relative humidity 0.8, 0.3 m."),
    click.option("--ambient", metavar="T", default="15deg_C", show_default=True,
                 help="Temperature in C, which the gains follow."),
    click.option("--ky-step", metavar="TIME", default="0.2s", show_default=True,
                 help="Time of a row of the feed cabin's file, whole milliseconds."),
)
_sky = common.options(
    click.option("--point", metavar=LIST, multiple=True,
                 help="Point source: ra, dec, flux (Stokes I, Jy), index, frequency of the flux "
                      "(1400MHz), q, u, v (shares of I, on the sky); again for more."),
    click.option("--disk", metavar=LIST, multiple=True,
                 help="Disk of HI: ra, dec, mass, distance, velocity, frame, inclination, "
                      "position_angle, radius, turnover, rotation, dispersion; again for more."),
    click.option("--pulsar", metavar=LIST, multiple=True,
                 help="Pulsar: ra, dec, flux at the peak (Jy), period, dm, duty, time, index, "
                      "linear, angle, circular, on the sky; again for more."),
    click.option("--continuum", metavar=LIST, help="Continuum, the same everywhere: temperature (K "
                                                   "of a polarisation at 1400 MHz), index (-2.7)."),
)
_receiver = common.options(
    click.option("--diode", metavar=LIST,
                 help="Noise diode: temperature=low|high|K, period, on, first in ticks of 4 ns."),
    click.option("--tcal", metavar=LIST,
                 help="A diode that is not ideal: q (Q / I), phase of <A* B>, coherence, slope_a, "
                      "slope_b (relative, over the band)."),
    click.option("--drift", metavar=LIST, help="Drift of the gain: amplitude, period, phase, slope "
                                               "(an hour); 137.5 deg apart from beam to beam."),
    click.option("--ripple", metavar=LIST, multiple=True,
                 help="Standing wave: amplitude (K), period (1.08MHz), phase, phase_rate (deg/s), "
                      "amplitude_rate (1/s), phase_b, on (factor while the diode is on); again for "
                      "more."),
    click.option("--jones", metavar=LIST, help="Unequal channels: ratio of AA to BB, phase added "
                                               "to <A* B>, delay (ns)."),
    click.option("--carrier", metavar=LIST, multiple=True,
                 help="Carrier: frequency, level (of the noise rms), drift, angle; again for "
                      "more."),
    click.option("--rfi", metavar=LIST, multiple=True,
                 help="Interference: start, duration, low, high, temperature; again for more."),
    click.option("--loss", metavar=LIST, help="Lost spectra: fraction at random; rows for certain, "
                                              "such as 30-41+77."),
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
