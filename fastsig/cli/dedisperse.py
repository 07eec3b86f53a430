"""``fastsig dedisperse``: align spectra at a dispersion measure, or sum them to time series."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, driver

#: Formats that have no weights: spectra that lack channels are left out of them.
_COMPLETE = ("sigproc", "psrfits", "presto")
#: Names of files that contain one time series.
_SERIES = (".tim", ".dat")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the product to this file; {file} in the name is replaced by the "
                      "file number.")
@click.option("--dm", metavar="DM|FIRST:LAST:STEP",
              help="Remove the dispersion for this dispersion measure, in pc cm^-3. Several "
                   "dispersion measures (0:1000:0.5 or 10,20,50) produce time series, in .dat "
                   "files or in the DM-time plane of an .h5 file.")
@click.option("--plan", type=common.InputPath(), metavar="PATH",
              help="Make time series with the dispersion measures and the downsampling of this "
                   "plan, written by plan-dm. If the plan has several stretches (rows of its "
                   "table), the name of an .h5 file must contain {file}.")
@click.option("--series", is_flag=True,
              help="Average the channels, with their weights, into a single time series. Names "
                   "that end in .tim or .dat, and --to presto, imply this option.")
@click.option("--track", type=click.Choice(["sample", "half", "exact"]),
              help="For several DMs, sum channels in a tree with delay steps of 1 or 1/2 sample "
                   "(sample, half), or separately for each DM with rounded delays (exact).  "
                   "[default: exact for up to 16 DMs, otherwise sample]")
@click.option("--ref", metavar="FREQ",
              help="Refer times of arrival to this frequency, e.g. 1500MHz, to top (the highest "
                   "channel) or to infinity. For several DMs, only top is allowed.  [default: "
                   "that of dedispersed input, otherwise top]")
@common.constant_option(default="that of the plan or of dedispersed input, otherwise 1/2.41e-4")
@click.option("--last", type=click.Choice(["keep", "drop"]),
              help="Keep or drop the last spectra, for which the delayed samples of the lower "
                   "channels were not recorded.  [default: drop in sigproc, psrfits and presto, "
                   "otherwise keep]")
@click.option("--barycenter", is_flag=True,
              help="Resample the result evenly in barycentric time, by leaving out or repeating "
                   "up to one sample in 10000; the start time is then barycentric (TDB).")
@common.solar_system_option
@driver.products_option
@click.option("--to", type=click.Choice((*driver.SPECTRA, "planes")),
              help="Write in this format.  [default: implied by the extension of PATH: sigproc "
                   "(.fil, .tim), psrfits (.fits, .sf) or presto (.dat); otherwise fbh5 or, for "
                   "several dispersion measures, planes]")
@driver.spectra_options
def dedisperse(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Remove the dispersion of a signal from spectra.

    All files must belong to one scan. Every channel is shifted by its delay relative to the highest
    channel. The delay is rounded to a whole number of spectra. For more than 16 dispersion
    measures, delays are by default approximated instead, so that channels can be summed in a tree.
    Samples of weight 0, such as flagged ones, do not contribute to a time series. Either --dm or
    --plan is required.
    """
    from fastsig.chain import open_chain
    from fastsig.errors import FormatError

    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        if source.stream.kind != "spectra":
            raise FormatError(files[0], f"contains {source.stream.kind}; allowed: spectra. Make "
                              "them with fastsig spectra")
        chain = driver.with_products(source, options["products"])
        if (options["dm"] is None) == (options["plan"] is None):
            raise click.UsageError("--dm or --plan; allowed: one of them")
        if options["ephemeris"] is not None and not options["barycenter"]:
            raise click.UsageError("--ephemeris without --barycenter; allowed: both")
        if options["plan"] is not None:
            _write_plan(chain, output, to, options)
            return
        make = _planes if _is_list(options["dm"]) else _spectra
        driver.copy_stream(make(chain, output, to, options), output, to, options)


def _is_list(dm: str) -> bool:
    return ":" in dm or "," in dm


def _spectra(chain: Any, output: str, to: str | None, options: dict[str, Any]) -> Any:
    """Return aligned spectra, or a series, for one dispersion measure."""
    if options["track"] is not None:
        raise click.UsageError(f"--track {options['track']} with one dispersion measure, whose "
                               "delays are exact; allowed: with several dispersion measures")
    from fastsig.run.spectra_file import spectra_format

    last = "drop" if spectra_format(output, to) in _COMPLETE else "keep"
    made = chain.dedisperse(options["dm"], ref=options["ref"], constant=options["constant"],
                            last=options["last"] or last)
    is_series = options["series"] or output.lower().endswith(_SERIES) or to == "presto"
    return _at_barycenter(made.to_series() if is_series else made, options)


def _planes(chain: Any, output: str, to: str | None, options: dict[str, Any]) -> Any:
    """Return time series for several dispersion measures."""
    dms = options["dm"] if ":" in options["dm"] else options["dm"].split(",")
    return _plane(chain, dms, output, to, options)


def _plane(chain: Any, dms: Any, output: str, to: str | None, options: dict[str, Any]) -> Any:
    from fastsig.run.plane_file import PlaneFile

    if options["ref"] not in (None, "top"):
        raise click.UsageError(f"--ref {options['ref']} with several dispersion measures; allowed: "
                               "top, at which their times are the same")
    last = "drop" if PlaneFile.format_of(output, to) in _COMPLETE else "keep"
    return _at_barycenter(
        chain.planes(dms, constant=options["constant"], track=options["track"],
                     last=options["last"] or last), options)


def _at_barycenter(chain: Any, options: dict[str, Any]) -> Any:
    """Return the stream of a chain, at the barycentre if this is asked for."""
    if not options["barycenter"]:
        return chain.stream
    return chain.to_barycenter(ephemeris=options["ephemeris"]).stream


def _write_plan(chain: Any, output: str, to: str | None, options: dict[str, Any]) -> None:
    """Write time series for all stretches of a plan, in one pass."""
    from fastsig.io.files.outputs import output_names
    from fastsig.run.plan_files import read_plan
    from fastsig.run.plane_file import PlaneFile

    stretches = list(read_plan(options["plan"]))
    streams = [_plane(_downsampled(chain, each.downsampling), each, output, to, options)
               for each in stretches]
    is_series = PlaneFile.format_of(output, to) == "presto"  # named after dispersion measures
    outputs = [output] * len(streams) if is_series else output_names(output, len(streams))
    driver.write_streams(streams, outputs, options, **driver.copy_formats(to, options))


def _downsampled(chain: Any, n: int) -> Any:
    return chain if n == 1 else chain.integrate(n_int=n, last="drop")
