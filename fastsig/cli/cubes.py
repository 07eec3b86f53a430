"""Options of the commands that read a cube."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common

cube_options = common.options(
    click.option("--rest", metavar="LINE|FREQ",
                 help="Set the rest frequency, given as a line such as HI, OH1667 or H166a, or as "
                      "a frequency.  [default: that stated in the file]"),
    click.option("--convention", type=click.Choice(["radio", "optical", "relativistic"]),
                 default="radio", show_default=True,
                 help="Compute velocities in this convention."),
    click.option("--velo", type=click.Choice(["radio", "optical"]),
                 help="Interpret a VELO axis in this convention.  [default: that stated by VELREF "
                      "in the header]"),
    click.option("--stokes", metavar="NAME",
                 help="Use this Stokes parameter.  [default: the first one]"),
)


def opened(path: str, options: dict[str, Any]) -> Any:
    """Open a cube with the options of a command."""
    from fastsig.cubes.cube import open_cube

    return open_cube(path, stokes=options["stokes"], rest=options["rest"],
                     convention=options["velo"], beam=options.get("beam"))


def velocities(context: click.Context, parameter: click.Parameter, value: str | None
               ) -> tuple[str, str] | None:
    """Parse two velocities from text such as ``200km/s,400km/s``."""
    if value is None:
        return None
    parts = [part.strip() for part in value.split(",")]
    if len(parts) != 2 or not all(parts):
        raise click.BadParameter(f"{value!r} is not two velocities, such as 200km/s,400km/s")
    return parts[0], parts[1]
