"""``fastsig grid``: spectra of all beams and scans into a cube."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("FITS file to write.")
@click.option("--projection", default="TAN", show_default=True, metavar="CODE",
              help="Projection of the map: TAN, SIN, SFL, CAR and all that astropy.wcs knows.")
@click.option("--center", metavar="RA,DEC",
              help="Centre, ICRS: 12h30m49s,+12d23m or 187.7deg,12.4deg.  [default: the middle of "
                   "the positions]")
@click.option("--size", metavar="ANGLE[,ANGLE]",
              help="Width, or width and height.  [default: what holds all positions]")
@click.option("--pixel", metavar="ANGLE",
              help="Side of a pixel.  [default: a third of the effective beam, in whole arcsec]")
@click.option("--kernel", metavar="ANGLE",
              help="Full width of the Gaussian kernel.  [default: half the telescope's beam, as in "
                   "HiFAST]")
@click.option("--radius", metavar="ANGLE",
              help="Where the kernel ends.  [default: 1.5 of its widths]")
@click.option("--beam-size", metavar="ANGLE",
              help="Full width of the telescope's beam.  [default: the receiver's, the mean over "
                   "spectra and band]")
@click.option("--products", type=click.Choice(["I", "IQUV", "V"]), default="I", show_default=True,
              help="Products of the map: I is the mean of AA and BB where these are there; IQUV "
                   "and V are Stokes parameters.")
@click.option("--axis", type=click.Choice(["FREQ", "VRAD", "VOPT"]), default="FREQ",
              show_default=True, help="Spectral axis; VOPT is VOPT-F2W.")
@click.option("--frame", type=click.Choice(["topocentric", "geocentric", "barycentric",
                                           "heliocentric", "lsrk"]),
              help="Frame of the channels: each spectrum is shifted and resampled as by fastsig "
                   "frame.  [default: as they are]")
@click.option("--rest", metavar="LINE|FREQ",
              help="Rest frequency: HI, OH1667, H166a and the like, or a frequency; velocities "
                   "need it.")
@click.option("--fstart", metavar="FREQ", callback=common._with_unit,
              help="Lowest channel centre, e.g. 1400MHz.")
@click.option("--fstop", metavar="FREQ", callback=common._with_unit,
              help="Highest channel centre.")
@click.option("--vstart", metavar="VELOCITY", help="One end of the band as a velocity, e.g. "
                                                   "-100km/s: optical where the axis is VOPT, else "
                                                   "radio.")
@click.option("--vstop", metavar="VELOCITY", help="The other end, likewise.")
@click.option("--zero", type=click.Choice(["keep", "median"]), default="keep", show_default=True,
              help="Level of each file's products and channels: keep, or less its median over "
                   "time, before any shift.")
@click.option("--keep", multiple=True, type=click.Choice(["extrapolated", "diode"]),
              help="Take in rows that are left out by default: extrapolated (positions beyond the "
                   "track), diode (the noise diode on); again for more.")
@click.option("--min-weight", default="0s", show_default=True, metavar="TIME",
              help="Pixels with less effective integration time are NaN.")
@common.set_option
@common.workers_option
@common.memory_option
@common.hash_option
@click.option("--dry-run", is_flag=True, help="Report pixels, channels, beam, memory and size; "
                                              "write nothing.")
@click.option("--explain", is_flag=True, help="Report what --dry-run does, and make the cube.")
@common.json_option
@common.quiet_options
@common.debug_option
def grid(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Grid spectra in K or Jy with positions, of any beams and scans, into a FITS cube.

    The beam of the map is the telescope's and the kernel's together; in Jy/beam a point source
    peaks at its flux density.
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
    told = {"output": output, "bytes": made.disk_bytes, "shape": list(made.shape),
            "spectra": made.n_spectra, "left_out": made.left_out,
            "channels_at_a_time": ready.n_chan, "workers": ready.threads,
            "memory": ready.memory,
            "header": {card.keyword: card.value for card in made.header.cards}}
    if options["explain"] or options["dry_run"]:
        for line in made.explain(workers=options["workers"], memory=memory).splitlines():
            common.say(line)
    if options["dry_run"]:
        _tell(told, options["as_json"])
        return
    for why, n in made.left_out.items():
        common.say(f"left out: {common.plural(n, 'spectrum', 'spectra')}, {why}", quiet)
    with common.compiling(quiet), common.progress(made.axis.n_chan, "grid", quiet=quiet) as advance:
        made.write(output, workers=options["workers"], memory=memory, progress=advance,
                   overwrite=options["overwrite"], hash_inputs=options["hash_inputs"])
    if options["as_json"]:
        common.print_json(told)
    common.say(f"{common.plural(made.n_spectra, 'spectrum', 'spectra')} on {made.shape[-1]} x "
               f"{made.shape[-2]} pixels, {common.plural(made.axis.n_chan, 'channel')}", quiet)
    common.say(f"wrote {output}", quiet)


def _tell(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        common.print_json({**told, "dry_run": True})
        return
    click.echo(f"would write {told['output']}: up to {told['bytes'] / 1e6:.1f} MB")
