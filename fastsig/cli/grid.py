"""``fastsig grid``: grid the spectra of all beams and scans into a cube."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common
from fastsig.work.counted import counted


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the cube to this FITS file.")
@click.option("--projection", default="TAN", show_default=True, metavar="CODE",
              help="Use this map projection: TAN, SIN, SFL, CAR or any other that astropy.wcs "
                   "supports.")
@click.option("--center", metavar="RA,DEC",
              help="Centre the map on this ICRS position, e.g. 12h30m49s,+12d23m or "
                   "187.7deg,12.4deg.  [default: the middle of the observed positions]")
@click.option("--size", metavar="ANGLE[,ANGLE]",
              help="Set the width and the height of the map; a single angle applies to both.  "
                   "[default: large enough for all positions]")
@click.option("--pixel", metavar="ANGLE",
              help="Set the side length of a pixel.  [default: a third of the FWHM of the "
                   "effective beam, rounded down to whole arcseconds]")
@click.option("--kernel", metavar="ANGLE",
              help="Set the FWHM of the Gaussian kernel.  [default: half the FWHM of the "
                   "telescope's beam, as in HiFAST]")
@click.option("--radius", metavar="ANGLE",
              help="Truncate the kernel at this radius.  [default: 1.5 times the kernel's FWHM]")
@click.option("--beam-size", metavar="ANGLE",
              help="Set the FWHM of the telescope's beam.  [default: that of the receiver's "
                   "beams, averaged over the spectra and the band]")
@click.option("--products", type=click.Choice(["I", "IQUV", "V"]), default="I", show_default=True,
              help="Map these polarisation products. In a cube, I is the mean of AA and BB, not "
                   "their sum; Stokes parameters in K that combine two polarisations are therefore "
                   "halved.")
@click.option("--axis", type=click.Choice(["FREQ", "VRAD", "VOPT"]), default="FREQ",
              show_default=True, help="Use this spectral axis; VOPT is written as VOPT-F2W.")
@click.option("--frame", type=click.Choice(["topocentric", "geocentric", "barycentric",
                                           "heliocentric", "lsrk"]),
              help="Shift and resample each spectrum to this velocity frame, as fastsig frame "
                   "does.  [default: leave the channels unchanged]")
@click.option("--rest", metavar="LINE|FREQ",
              help="Set the rest frequency, given as a line such as HI, OH1667 or H166a, or as a "
                   "frequency. Velocities require a rest frequency.  [default: that stated in the "
                   "files, if they agree]")
@click.option("--fstart", metavar="FREQ", callback=common._with_unit,
              help="Map only channels centred at or above this frequency, e.g. 1400MHz.")
@click.option("--fstop", metavar="FREQ", callback=common._with_unit,
              help="Map only channels centred at or below this frequency, e.g. 1450MHz.")
@click.option("--vstart", metavar="VELOCITY",
              help="Set one end of the band as a velocity, e.g. -100km/s; the convention is "
                   "optical if --axis is VOPT, and radio otherwise.")
@click.option("--vstop", metavar="VELOCITY", help="Set the other end of the band as a velocity, "
                                                  "e.g. 300km/s.")
@click.option("--zero", type=click.Choice(["keep", "median"]), default="keep", show_default=True,
              help="Keep the level of each channel, or subtract the median of the channel over the "
                   "duration of each file, before any shift in frequency.")
@click.option("--keep", multiple=True, type=click.Choice(["extrapolated", "diode"]),
              help="Include spectra that are normally left out: those with positions "
                   "extrapolated over more than 1 s (extrapolated) or with the noise diode on "
                   "(diode). May be repeated.")
@click.option("--min-weight", default="0s", show_default=True, metavar="TIME",
              help="Blank pixels whose effective integration time is shorter than this time.")
@common.set_option
@common.workers_option
@common.memory_option
@common.hash_option
@click.option("--dry-run", is_flag=True,
              help="Print the expected memory and disk space, and describe the pixels, channels "
                   "and beam; write nothing.")
@click.option("--explain", is_flag=True,
              help="Print the expected memory, and describe the pixels, channels and beam; then "
                   "make the cube.")
@common.json_option
@common.quiet_options
@common.debug_option
def grid(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Grid calibrated spectra into a FITS cube.

    The files may come from any beams and scans. The spectra must be in K or Jy, and must have
    positions. The effective beam (the beam of the map) is the telescope's beam convolved with the
    kernel. In a map in Jy/beam, the peak of a point source equals its flux density.
    """
    from fastsig.reductions.mapping.closed_files import ClosedFile
    from fastsig.reductions.mapping.gridding import Map
    from fastsig.work.memory import parse_bytes

    overrides = common.parse_overrides(options["overrides"])
    quiet = options["quiet"]
    memory = None if options["memory"] is None else parse_bytes(options["memory"])
    streams = [ClosedFile(name, **overrides) for name in files]
    names = ("projection", "center", "size", "pixel", "kernel", "radius", "beam_size", "products",
             "frame", "axis", "rest", "fstart", "fstop", "vstart", "vstop", "zero", "keep",
             "min_weight")
    made = Map(streams, **{name: options[name] for name in names})
    made.check(output, overwrite=options["overwrite"])
    ready = made.plan(workers=options["workers"], memory=memory)
    record = {"output": output, "bytes": made.disk_bytes, "shape": list(made.shape),
              "spectra": made.n_spectra, "left_out": made.left_out,
              "channels_at_a_time": ready.n_chan, "workers": ready.threads,
              "memory": ready.memory,
              "header": {card.keyword: card.value for card in made.header.cards}}
    if options["dry_run"]:
        _print_dry_run(record, options["as_json"])
    if options["explain"] or options["dry_run"]:
        for line in made.explain(workers=options["workers"], memory=memory).splitlines():
            common.say(line)
    if options["dry_run"]:
        return
    for why, n in made.left_out.items():
        common.say(f"left out: {counted(n, 'spectrum', 'spectra')}, {why}", quiet)
    with common.compiling(quiet), common.progress(made.axis.n_chan, "grid", quiet=quiet) as advance:
        made.write(output, workers=options["workers"], memory=memory, progress=advance,
                   overwrite=options["overwrite"], hash_inputs=options["hash_inputs"])
    if options["as_json"]:
        common.print_json(record)
    common.say(f"{counted(made.n_spectra, 'spectrum', 'spectra')} on {made.shape[-1]} x "
               f"{made.shape[-2]} pixels, {counted(made.axis.n_chan, 'channel')}", quiet)
    common.say(f"wrote {output}", quiet)


def _print_dry_run(record: dict[str, Any], as_json: bool) -> None:
    if as_json:
        common.print_json({**record, "dry_run": True})
        return
    click.echo(f"would write {record['output']}: up to {record['bytes'] / 1e6:.1f} MB")
