"""``fastsig measure``: a table of measurements of folded profiles."""

from __future__ import annotations

import os
from typing import Any

import click

from fastsig.cli import common

#: Name of this kind of table in its meta.
_KIND = "profile measurements"


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="ARCHIVE...")
@common.output_option("Write the table to this ECSV file.")
@click.option("--sefd", metavar="JY",
              help="Compute flux densities with this system equivalent flux density of one "
                   "polarisation, e.g. 1.2Jy.  [default: no flux densities]")
@click.option("--convention", type=click.Choice(["PSR/IEEE", "IAU"]), default="PSR/IEEE",
              show_default=True, help="Write V with the sign of this convention.")
@click.option("--feed-angle", metavar="ANGLE",
              help="Rotate Q and U into the frame of the sky by the parallactic angle plus "
                   "ANGLE, the angle from the direction of the zenith to receptor A, positive "
                   "from north through east.  [default: no rotation]")
@common.set_option
@common.json_option
@common.message_options(verbose=common.SAYS_SWEPT)
@common.debug_option
def measure(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Measure the flux density, width and polarisation of profiles.

    Each ARCHIVE yields one row, which also contains the S/N and the rotation measure.
    """
    from fastsig.axes.units import number
    from fastsig.io.ecsv.tables import write_table
    from fastsig.io.files.outputs import check_text_name
    from fastsig.io.files.safe import check_output
    from fastsig.pulsar.profile_values import profile_values, units_of_values, values_table
    from fastsig.run.profile_files import open_profiles

    check_text_name(output, ".ecsv")
    check_output(output, overwrite=options["overwrite"], inputs=files)
    sefd = None if options["sefd"] is None else number(options["sefd"], "Jy", "sefd")
    overrides = common.parse_overrides(options["overrides"])
    rows = [profile_values(open_profiles(name, **overrides), sefd_jy=sefd,
                           convention=options["convention"], feed_angle=options["feed_angle"])
            for name in files]
    table = values_table(rows, {"sefd_jy": sefd, "convention": options["convention"],
                                "feed_angle": options["feed_angle"]})
    write_table(table, output, kind=_KIND, overwrite=options["overwrite"],
                provenance={"inputs": [os.path.basename(name) for name in files]})
    if options["as_json"]:
        common.print_json({"output": output, "units": units_of_values(), "rows": rows})
    for row in rows:
        common.say(f"{row['file']}: S/N {row['snr']:.4g}, W50 {row['w50']:.4g} ms",
                   options["quiet"])
    common.say(f"wrote {output}", options["quiet"])
