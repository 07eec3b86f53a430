"""``fastsig frame``: shift spectra to the frequency axis of a velocity frame."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, driver

_FRAMES = ("topocentric", "geocentric", "barycentric", "heliocentric", "lsrk")
#: Options that are passed to the stage if they are given.
_OPTIONS = ("rest", "position", "width", "band", "lobes", "min_valid")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the product to this file; {file} in the name is replaced by the "
                      "file number.")
@click.option("--to", "frame_name", type=click.Choice(_FRAMES), required=True,
              help="Shift the spectra to this frame.")
@click.option("--from", "source_frame", type=click.Choice(_FRAMES),
              help="Assume that the input is in this frame, regardless of what the file states.  "
                   "[default: the frame stated in the file, otherwise topocentric]")
@click.option("--rest", metavar="LINE|FREQ",
              help="Record this rest frequency, given as a line such as HI, OH1612, OH1665, "
                   "OH1667, OH1720 or H166a, or as a frequency.")
@click.option("--position", metavar="RA,DEC",
              help="Use this ICRS position for all spectra, e.g. 187.5deg,12.4deg or "
                   "12h30m00s,+12d24m00s.  [default: the columns ra_deg and dec_deg of the file, "
                   "or the position in its header]")
@click.option("--site", metavar="NAME",
              help="Use the location of this telescope.  [default: the telescope named in the "
                   "file]")
@click.option("--width", metavar="FREQ",
              help="Make channels of this width.  [default: the width of the input channels]")
@click.option("--band", metavar="FREQ-FREQ",
              help="Make channels whose centres lie within this band of the new frame, e.g. "
                   "1419MHz-1421.5MHz.  [default: the band of the input, shifted to the new "
                   "frame]")
@click.option("--lobes", type=int, metavar="N",
              help="Extend the resampling kernel over this many channels (2 to 100) on either "
                   "side.  [default: 47]")
@click.option("--min-valid", type=float, default=0.9, show_default=True, metavar="X",
              help="Give weight 0 to channels for which less than this fraction (above 0.5, at "
                   "most 1) of the energy of the kernel falls on valid channels.")
@driver.spectra_format_option("--format", "to")
@common.span_options
@driver.products_option
@driver.spectra_options
def frame(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Shift spectra to another velocity frame, such as LSRK.

    All files must belong to one scan. Each spectrum is shifted by the relative velocity of the two
    frames along the line of sight to the observed position, at the time of the spectrum, and is
    resampled onto channels that are the same for all spectra.
    """
    from fastsig.chain import open_chain
    from fastsig.errors import FormatError

    rows = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
    band = slice(options["fstart"], options["fstop"])
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        if source.stream.kind != "spectra":
            raise FormatError(files[0], f"contains {source.stream.kind}; allowed: spectra, such "
                              "as those made by fastsig spectra")
        part = source[rows] if band == slice(None) else source[rows, band]
        part = driver.with_products(part, options["products"])
        given = {name: options[name] for name in _OPTIONS if options[name] is not None}
        made = part.frame(options["frame_name"], source_frame=options["source_frame"],
                          location=options["site"], **given)
        _say(made.stream, options)
        driver.copy_stream(made.stream, output, to, options, lambda: _record(made.stream))


def _record(stream: Any) -> dict[str, Any]:
    """Return the parameters of the stage, for ``--json``."""
    return {"frame": dict(stream.parameters())}


def _say(stream: Any, options: dict[str, Any]) -> None:
    """Report the shift, and the frame of the input if it was assumed."""
    made, quiet = stream.parameters(), options["quiet"]
    if made["from_source"] == "assumed":
        common.say("the file states no frame; topocentric is assumed (use --from to specify "
                   "another)", quiet)
    first, last = (stream.read_columns(row, 1)["frame_m_s"][0]
                   for row in (0, stream.shape[0] - 1))
    low, high = (float(edge) / 1e6 for edge in stream.out_axis.edges_hz)
    common.say(f"{made['from']} to {made['to']}: shifted by {first:.2f} to {last:.2f} m/s, "
               f"{stream.shape[2]} channels from {low:.9g} to {high:.9g} MHz", quiet)
