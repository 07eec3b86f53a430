"""``fastsig moment``: map the integral, mean velocity or dispersion of a cube."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, cubes


@click.command()
@click.argument("file", metavar="CUBE")
@common.output_option("Write the map to this FITS image.")
@click.option("--order", type=click.Choice(["0", "1", "2"]), default="0", show_default=True,
              help="Map the integral over velocity (0), the mean velocity (1) or the velocity "
                   "dispersion (2).")
@click.option("--window", metavar="V,V", callback=cubes.velocities,
              help="Use only the velocities between these two, e.g. 200km/s,400km/s.  [default: "
                   "all velocities]")
@click.option("--sigma", type=float, metavar="X",
              help="Leave out values below X times their noise; recommended for orders 1 and 2.")
@cubes.cube_options
@common.json_option
@common.message_options(verbose=common.SAYS_SWEPT)
@common.debug_option
def moment(file: str, output: str, **options: Any) -> None:
    """Make a moment map from a cube.

    This command requires fastsig[spectral].
    """
    from fastsig.io.files.safe import check_output

    check_output(output, overwrite=options["overwrite"], inputs=[file])
    cube = cubes.opened(file, options)
    made = cube.moment(int(options["order"]), vrange=options["window"], sigma=options["sigma"],
                       convention=options["convention"], rest=options["rest"])
    made.write(output, overwrite=options["overwrite"])
    if options["as_json"]:
        common.print_json(_record(made, output))
    common.say(f"wrote {output}", options["quiet"])


def _record(made: Any, output: str) -> dict[str, Any]:
    import numpy as np

    seen = made.values[np.isfinite(made.values)]
    return {"output": output, "order": made.order, "unit": made.unit,
            "shape": list(made.values.shape), "n_pixel": int(seen.size),
            "velocity_km_s": [made.header["VLOW"], made.header["VHIGH"]],
            "least": float(seen.min()) if seen.size else None,
            "most": float(seen.max()) if seen.size else None}
