"""``fastsig simulate fast-scan``: simulate a scan of 19 beams over a known sky."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, simulating
from fastsig.work.counted import counted

__all__ = ["fast_scan"]

# As in `simulating.COMPONENTS`.
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
    common.output_option("Write the files into this folder, which must exist."),
    common.workers_option,
    click.option("--backend", default="spectral", show_default=True,
                 type=click.Choice(["spectral", "psrfits"]),
                 help="Record the beams with this backend."),
    simulating.file_rows_option,
    click.option("--bits", default="8", show_default=True, type=click.Choice(["8", "16", "32"]),
                 help="With psrfits, write samples of this many bits; 32-bit samples are floats."),
    click.option("--n-block", default=1024, show_default=True, type=click.IntRange(1),
                 metavar="N", help="With psrfits, write this many spectra per row (NSBLK)."),
    simulating.name_option,
    click.option("--beams", metavar="LIST", default="1-19", show_default=True,
                 help="Simulate these beams, e.g. 1+8-10."),
)
_spectra = common.options(
    click.option("--mode", type=click.Choice(["W", "F", "N"]),
                 help="Set the mode of the spectral backend, as in fast-spectral.  [default: W]"),
    click.option("--n-chan", metavar="N", default="1024", show_default=True,
                 help="Make N channels, starting at --fstart."),
    simulating.duration_option("60s"),
    click.option("--integration", metavar="TIME",
                 help="Set the integration time of a spectrum.  [default: 1.00663296s; with "
                      "psrfits, 49.152us]"),
    simulating.fstart_option,
    click.option("--bandwidth", metavar="FREQ",
                 help="With psrfits, set the bandwidth, at most 500MHz.  [default: 500MHz]"),
    simulating.start_time_option("spectrum 0"),
    click.option("--level", metavar="X",
                 help=f"{simulating.LEVEL}  [default: 5e11; with psrfits, 40]"),
    simulating.receiver_options,
)
_track = common.options(
    click.option("--observing", default="drifting", show_default=True,
                 type=click.Choice(["drifting", "tracking", "onoff"]),
                 help="Move the feed cabin as in this observing mode."),
    click.option("--ra", metavar="ANGLE",
                 help="Set the ICRS right ascension of the target, e.g. 5h34m31.9s or "
                      "83.633deg.  [default: that of the meridian in the middle of the scan]"),
    click.option("--dec", metavar="ANGLE",
                 help="Set the ICRS declination of the target, e.g. 22d0m52s or 22.014deg.  "
                      "[default: the declination of the zenith]"),
    click.option("--rotation", metavar="ANGLE",
                 help="Rotate the pattern of beams on the sky by this angle, from east towards "
                      "north; at 0, M02 is east of M01.  [default: 23.4deg for drifting, "
                      "otherwise 0]"),
    click.option("--feed-angle", metavar="ANGLE", default="0deg", show_default=True,
                 help="Set the position angle of receptor A minus that of the line from beam M01 "
                      "to beam M02; the value for FAST has not been published."),
    click.option("--yaw", metavar="ANGLE", default="0deg", show_default=True,
                 help="Set the yaw of the feed cabin; pitch and roll are then set so that the "
                      "axis of the cabin passes through the centre of the reflector's sphere."),
    click.option("--off-ra", metavar="ANGLE", default="30arcmin", show_default=True,
                 help="With onoff, place the off position this far east of the target."),
    click.option("--off-dec", metavar="ANGLE", default="0arcmin", show_default=True,
                 help="With onoff, place the off position this far north of the target."),
    click.option("--dwell", metavar="TIME", default="60s", show_default=True,
                 help="With onoff, stay this long at each position."),
    click.option("--slew", metavar="TIME", default="30s", show_default=True,
                 help="With onoff, take this long to move from one position to the other."),
    click.option("--refraction", is_flag=True,
                 help="Simulate refraction in air at 925 hPa and 15 deg C with a relative "
                      "humidity of 0.8, at a wavelength of 0.3 m."),
    click.option("--ambient", metavar="T", default="15deg_C", show_default=True,
                 help="Set the ambient temperature, on which the gains depend."),
    click.option("--ky-step", metavar="TIME", default="0.2s", show_default=True,
                 help="Set the interval between the rows of the feed cabin's track to a whole "
                      "number of milliseconds, e.g. 100ms."),
)
_sky = common.options(
    click.option("--point", metavar=LIST, multiple=True,
                 help="Add a point source, specified by ra, dec, flux (Stokes I, Jy), index, "
                      "frequency (at which flux is given; by default 1400MHz), and q, u and v "
                      "(fractions of I, in the frame of the sky). May be repeated."),
    click.option("--disk", metavar=LIST, multiple=True,
                 help="Add an HI disc, specified by ra, dec, mass (in solar masses), distance, "
                      "velocity, frame, inclination, position_angle, radius, turnover, rotation "
                      "and dispersion. May be repeated."),
    click.option("--pulsar", metavar=LIST, multiple=True,
                 help="Add a pulsar, specified by ra, dec, flux (at the peak, at 1400 MHz, in Jy), "
                      "period, dm, duty, time, index, and linear, angle and circular (in the frame "
                      "of the sky). May be repeated."),
    click.option("--continuum", metavar=LIST,
                 help="Add a uniform continuum, specified by temperature (in K, in each "
                      "polarisation at 1400 MHz) and index (by default -2.7)."),
)
_receiver = common.options(
    simulating.diode_option,
    click.option("--tcal", metavar=LIST,
                 help="Make the diode imperfect, as specified by q (Q / I), phase (of <A* B>), "
                      "coherence, and slope_a and slope_b (relative change across the band in A "
                      "and B)."),
    click.option("--drift", metavar=LIST,
                 help="Let the gain drift, as specified by amplitude, period, phase and slope "
                      "(per hour); the phases of successive beams differ by 137.5 degrees."),
    click.option("--ripple", metavar=LIST, multiple=True,
                 help="Add a standing wave, specified by amplitude (K), period (by default "
                      "1.08MHz), phase, phase_rate (deg/s), amplitude_rate (1/s), phase_b and on "
                      "(amplitude factor while the diode is on). May be repeated."),
    click.option("--jones", metavar=LIST,
                 help="Make the signal paths of the two polarisations differ, as specified by "
                      "ratio (of AA to BB), phase (added to <A* B>) and delay (of B, e.g. 2ns)."),
    click.option("--carrier", metavar=LIST, multiple=True,
                 help="Add a carrier, specified by frequency, level (in units of the noise rms), "
                      "drift and angle. May be repeated."),
    simulating.rfi_option,
    simulating.spectra_loss_option,
)


@click.command("fast-scan")
@_files
@_spectra
@_track
@_sky
@_receiver
@common.message_options(verbose=common.SAYS_SWEPT)
@common.debug_option
def fast_scan(output: str, overwrite: bool, workers: int | None, **options: Any) -> None:
    """Simulate a scan of FAST's 19 beams over a known sky.

    The command writes the spectra of every beam, the track of the feed cabin, and a record of the
    simulated contents (the truth record). Physical values other than DMs, HI masses, the slope of
    --drift and the times of the noise diode need units, e.g. --point
    ra=5h34m31.9s,dec=22d0m52s,flux=3Jy,index=-0.7. Writing the track requires fastsig[spectral].
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
    common.say(f"{counted(len(scan.recordings), 'beam')} of {scan.n_time} spectra", quiet)
    for name in names:
        common.say(f"wrote {name}", quiet)
