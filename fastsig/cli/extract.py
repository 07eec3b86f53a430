"""``fastsig extract``: extract the spectrum at a position of a cube, and fit its lines."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, cubes


def _lines(context: click.Context, parameter: click.Parameter, value: str | None
           ) -> int | str | None:
    if value is None or value == "profile":
        return value
    if not value.isdigit():
        raise click.BadParameter(f"{value!r} is neither a number of lines nor profile")
    return int(value)


def _order(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    if value == "none":
        return None
    if not value.isdigit():
        raise click.BadParameter(f"{value!r} is neither a whole number nor none")
    return int(value)


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None
             ) -> list[float] | None:
    try:
        return None if value is None else [float(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not numbers separated by commas") from None


@click.command()
@click.argument("file", metavar="CUBE")
@common.output_option("Write the spectrum to this ECSV table.")
@click.option("--at", required=True, metavar="RA,DEC",
              help="Extract the spectrum at this position, e.g. 187.7,12.39 (in degrees) or "
                   "12:30:49.4,+12:23:28.")
@click.option("--radius", metavar="ANGLE",
              help="Sum the flux density within this radius, e.g. 5arcmin.  [default: fit a "
                   "point source with the shape of the beam]")
@click.option("--beam", metavar="ANGLE",
              help="Assume a circular beam with this FWHM.  [default: the beam stated in the file]")
@click.option("--locate", is_flag=True,
              help="Fit the position of a point source near --at in the mean map over --window "
                   "(without --window, over the whole band), and extract the spectrum at the "
                   "fitted position.")
@click.option("--fit", metavar="N|profile", callback=_lines,
              help="Fit this many Gaussians or, with profile, the line profile of a galaxy.")
@click.option("--window", metavar="V,V", callback=cubes.velocities,
              help="Fit between these velocities, e.g. 200km/s,400km/s.  [default: the whole band]")
@click.option("--baseline", metavar="N|none", callback=_order, default="0", show_default=True,
              help="Fit a polynomial of this order together with the lines; with none, fit no "
                   "polynomial.")
@click.option("--correlation", metavar="X,...", callback=_numbers,
              help="With --fit, set the correlation of the noise between channels that are 1, 2, "
                   "... channels apart.  [default: measured]")
@click.option("--noise", type=click.Choice(["measured", "weights"]), default="measured",
              show_default=True,
              help="Scale the errors to the measured scatter of the spectrum (measured), or derive "
                   "them only from the weights and the noise of the map around the position "
                   "(weights).")
@click.option("--kelvin", metavar="brightness|K/JY",
              help="Convert from K to Jy. For brightness temperatures averaged over the beam of "
                   "the map, specify the word brightness; for antenna temperatures, specify the "
                   "telescope's gain, e.g. 16K/Jy.")
@click.option("--distance", metavar="D",
              help="With --fit, compute the HI mass for this distance, e.g. 12.3Mpc.")
@common.picture_option("the spectrum and its fit")
@cubes.cube_options
@common.json_option
@common.message_options(verbose=common.SAYS_SWEPT)
@common.debug_option
def extract(file: str, output: str, **options: Any) -> None:
    """Extract a spectrum from a cube and fit its lines."""
    from fastsig.io.files.safe import check_output
    from fastsig.reductions.sources.line_fit import hi_mass
    from fastsig.view import check_picture, draw_position

    _check(output, options)
    for name in filter(None, (output, options["picture"])):
        check_output(name, overwrite=options["overwrite"], inputs=[file])
    if options["picture"]:
        check_picture(options["picture"])
    cube = cubes.opened(file, options)
    source = _source(cube, options) if options["locate"] else None
    spectrum = cube.spectrum(options["at"] if source is None else source.at, options["radius"],
                             noise=options["noise"], kelvin=options["kelvin"])
    fit = None
    if options["fit"] is not None:
        fit = spectrum.fit(options["fit"], window=options["window"],
                           baseline=options["baseline"], convention=options["convention"],
                           rest=options["rest"], correlation=options["correlation"])
    mass = hi_mass(fit.flux, options["distance"]) if fit and options["distance"] else None
    spectrum.write(output, fit=fit, convention=options["convention"],
                   overwrite=options["overwrite"])
    if options["picture"]:
        draw_position(spectrum, options["picture"],
                      fit=_shown(spectrum, fit, options["convention"]),
                      overwrite=options["overwrite"])
    _print(spectrum, source, fit, mass, {**options, "output": output})


def _check(output: str, options: dict[str, Any]) -> None:
    """Refuse options of a fit if no fit is requested."""
    import os

    fit = options["fit"]
    for name in ("distance", "correlation"):
        if options[name] is not None and fit is None:
            raise click.UsageError(f"--{name} applies to a fit; allowed: with --fit")
    if options["window"] is not None and fit is None and not options["locate"]:
        raise click.UsageError("--window applies to a fit; allowed: with --fit or --locate")
    if options["picture"] and os.path.realpath(output) == os.path.realpath(options["picture"]):
        raise click.UsageError(f"{output}: two files have the same name; allowed: a different "
                               "name for each")


def _source(cube: Any, options: dict[str, Any]) -> Any:
    return cube.source(options["at"], vrange=options["window"], convention=options["convention"],
                       rest=options["rest"], kelvin=options["kelvin"])


def _shown(spectrum: Any, fit: Any, convention: str) -> dict[str, Any]:
    """Return velocities, and a fit if there is one, in the form that pictures use."""
    if fit is not None:
        return {"velocity": fit.velocity, "fit": fit.model, "baseline": fit.baseline,
                "record": fit.record()}
    return ({"velocity": spectrum.velocity(convention), "convention": convention}
            if spectrum.rest_hz else {})


def _print(spectrum: Any, source: Any, fit: Any, mass: Any, options: dict[str, Any]) -> None:
    """Print the results on standard output, and the files written on standard error."""
    if options["as_json"]:
        common.print_json(_record(spectrum, source, fit, mass, options))
    elif not options["quiet"]:
        for name, text in _texts(spectrum, source, fit, mass):
            click.echo(f"{name:<10} {text}")
    for name in filter(None, (options["output"], options["picture"])):
        common.say(f"wrote {name}", options["quiet"])


def _texts(spectrum: Any, source: Any, fit: Any, mass: Any) -> list[tuple[str, str]]:
    import numpy as np

    place = spectrum.at.icrs.to_string("hmsdms", sep=":", precision=2)
    if source is not None:
        place += (f" ± {source.ra_error.value:.2g}″, {source.dec_error.value:.2g}″ "
                  "(without pointing)")
    noise = float(np.nanmedian(spectrum.noise.value))
    found = [("place", place),
             ("noise", f"{noise:.4g} {spectrum.noise.unit} per channel, {spectrum.scatter:.3f} of "
              "that expected from the weights")]
    if source is not None:
        from fastsig.reductions.sources.line_fit import rounded

        found.append(("source", f"{rounded(source.flux.value, source.flux_error.value)} "
                      f"{source.flux.unit}, mean of {source.channels} channels"))
    for line in fit.lines if fit else ():
        found += [("flux", str(line.flux)), ("velocity", f"{line.velocity}, {_frame(fit)}"),
                  ("W50", str(line.w50)), ("W20", str(line.w20)), ("peak", str(line.peak))]
    if fit:
        found.append(("sum", f"{fit.flux_sum} summed over the channels, without a model"))
        poor = ("; the model does not match the line: errors are too small"
                if fit.chi2 > 2 * (fit.expected_chi2 or fit.dof) else "")
        found.append(("chi2", f"{fit.chi2_text()}{poor}"))
    if mass is not None:
        found.append(("HI mass", f"{mass.value.value:.4g} ± {mass.error.value:.2g} solar masses"))
    return [(name, text.replace(" / ", "/")) for name, text in found]


def _frame(fit: Any) -> str:
    return f"{fit.convention}, {fit.frame or 'frame not known'}"


def _record(spectrum: Any, source: Any, fit: Any, mass: Any, options: dict[str, Any]
            ) -> dict[str, Any]:
    import numpy as np

    record = {
        "output": options["output"], "picture": options["picture"],
        "ra_deg": float(spectrum.at.icrs.ra.deg), "dec_deg": float(spectrum.at.icrs.dec.deg),
        "method": spectrum.method, "radius_deg": spectrum.radius_deg,
        "n_chan": len(spectrum.frequency), "unit": str(spectrum.flux.unit),
        "noise": float(np.nanmedian(spectrum.noise.value)), "scatter": float(spectrum.scatter),
        "correlation": list(spectrum.correlation), **spectrum.facts}
    if source is not None:
        record["source"] = {
            "flux": float(source.flux.value), "flux_error": float(source.flux_error.value),
            "ra_error_arcsec": float(source.ra_error.value),
            "dec_error_arcsec": float(source.dec_error.value), "channels": source.channels}
    record["fit"] = None if fit is None else fit.record()
    if mass is not None:
        record["hi_mass_msun"] = float(mass.value.value)
        record["hi_mass_error_msun"] = float(mass.error.value)
    return record
