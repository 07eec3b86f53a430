"""``fastsig toas``: measure times of arrival of folded profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fastsig.cli import common
from fastsig.work.counted import counted

if TYPE_CHECKING:
    from fastsig.pulsar.toas import Toa


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="ARCHIVE...")
@common.output_option("Write the times of arrival to this .tim file.")
@click.option("--template", required=True, type=common.InputPath(), metavar="FILE",
              help="Match the profiles to this template: an ECSV file, or an archive, whose mean "
                   "profile is smoothed.")
@click.option("--smooth", type=click.Choice(["wiener", "gaussians"]), default="wiener",
              show_default=True, help="Use this method to smooth the mean profile of a "
                                      "template that is an archive.")
@click.option("--n-chan", type=click.IntRange(1), metavar="N", default=1, show_default=True,
              help="Average neighbouring channels into N channels, and measure a time of arrival "
                   "in each of them.")
@click.option("--n-int", type=click.IntRange(1), metavar="N", default=1, show_default=True,
              help="Average groups of N neighbouring subintegrations.")
@click.option("--min-snr", type=click.FloatRange(0), metavar="X", default=0.0, show_default=True,
              help="Leave out times of arrival of profiles whose S/N is below X.")
@click.option("--site", metavar="CODE",
              help="Write this observatory code.  [default: TEMPO's code for the telescope, or @ "
                   "if the times are barycentric]")
@common.set_option
@common.json_option
@common.message_options(verbose=common.SAYS_SWEPT)
@common.debug_option
def toas(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Measure times of arrival from folded profiles.

    A template is matched to each subintegration of each ARCHIVE. The ARCHIVEs need not
    belong to one scan.
    """
    from fastsig.io.files.outputs import check_text_name
    from fastsig.io.files.safe import check_output
    from fastsig.run.toa_files import template_of, write_tim

    check_text_name(output, ".tim")
    check_output(output, overwrite=options["overwrite"], inputs=(*files, options["template"]))
    template = template_of(options["template"], options["smooth"])
    by_file = {name: _measured(name, template, options) for name in files}
    found = [toa for each in by_file.values() for toa in each]
    write_tim(found, output, overwrite=options["overwrite"])
    if options["as_json"]:
        common.print_json({
            "output": output, "n_toa": len(found), "template": options["template"],
            "files": [{"file": name, "n_toa": len(each), "median_error_us": _median(each)}
                      for name, each in by_file.items()]})
    for name, each in by_file.items():
        about = f", median error {_median(each):.4g} us" if each else ""
        common.say(f"{name}: {counted(len(each), 'time')} of arrival{about}",
                   options["quiet"])
    common.say(f"wrote {output}", options["quiet"])


def _measured(name: str, template: Any, options: dict[str, Any]) -> list[Toa]:
    from fastsig.pulsar.profile_toas import profile_toas
    from fastsig.run.profile_files import open_profiles

    profiles = open_profiles(name, **common.parse_overrides(options["overrides"]))
    return profile_toas(profiles, template, n_subint=options["n_int"], n_chan=options["n_chan"],
                        site=options["site"], least_snr=options["min_snr"])


def _median(toas: list[Toa]) -> float | None:
    from statistics import median

    return median(each.error_us for each in toas) if toas else None
