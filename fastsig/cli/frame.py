"""``fastsig frame``: spectra on the frequency axis of a frame of velocity."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, driver

_FRAMES = ("topocentric", "geocentric", "barycentric", "heliocentric", "lsrk")
#: Options that are handed to the stage where they are given.
_OPTIONS = ("rest", "position", "width", "band", "lobes", "min_valid")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("File to write.")
@click.option("--to", "frame_name", type=click.Choice(_FRAMES), required=True,
              help="Frame of the product.")
@click.option("--from", "source_frame", type=click.Choice(_FRAMES),
              help="Frame of the input, in place of what the file says.  [default: topocentric "
                   "where it says nothing]")
@click.option("--rest", metavar="LINE|FREQ",
              help="Line that the spectra are about: HI, OH1612, OH1665, OH1667, OH1720, H166a and "
              "the like, or a frequency.")
@click.option("--position", metavar="RA,DEC",
              help="Position of all spectra, ICRS: 187.5deg,12.4deg or 12h30m00s,+12d24m00s.  "
                   "[default: the file's columns ra_deg and dec_deg, else its header]")
@click.option("--site", metavar="NAME", help="Telescope, in place of what the file says.")
@click.option("--width", metavar="FREQ", help="Width of output channels; by default the input's.")
@click.option("--band", metavar="FREQ-FREQ",
              help="Lowest and highest centre of output channels, in the new frame: "
                   "1419MHz-1421.5MHz; by default the input's band.")
@click.option("--lobes", type=int, metavar="N",
              help="Channels that the kernel spans to either side, 2 to 100.  [default: 47]")
@click.option("--min-valid", type=float, default=0.9, show_default=True, metavar="X",
              help="Least share of the kernel's energy that must lie on valid channels, above 0.5.")
@click.option("--format", "to", type=click.Choice(driver.SPECTRA),
              help="Format; by default what the ending of PATH stands for: .h5 fbh5, .fil sigproc, "
              ".fits psrfits, .dat presto.")
@click.option("--explain", is_flag=True, help="Print how the work is done; write nothing.")
@common.span_options
@driver.copy_options
def frame(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Bring the spectra of one scan, in FILE or several, into a frame of velocity.

    Each spectrum is shifted by the motion of the telescope towards its position at its time, and
    resampled onto channels that all share, whole multiples of their width.
    """
    from fastsig.chain import open_chain
    from fastsig.errors import FormatError

    rows = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
    band = slice(options["fstart"], options["fstop"])
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        if source.stream.kind != "spectra":
            raise FormatError(files[0], f"holds {source.stream.kind}; allowed: spectra, as those "
                              "that fastsig spectra makes")
        part = source[rows] if band == slice(None) else source[rows, band]
        given = {name: options[name] for name in _OPTIONS if options[name] is not None}
        made = part.frame(options["frame_name"], source_frame=options["source_frame"],
                          location=options["site"], **given)
        if options["explain"]:
            click.echo(made.explain())
            return
        _say(made.stream, options)
        driver.copy_stream(made.stream, output, to, options, lambda: _record(made.stream))


def _record(stream: Any) -> dict[str, Any]:
    """What decides the numbers, for ``--json``."""
    return {"frame": dict(stream.parameters())}


def _say(stream: Any, options: dict[str, Any]) -> None:
    """Tell the shift, and what was taken for granted."""
    told, quiet = stream.parameters(), options["quiet"]
    if told["from_told"] == "assumed":
        common.say("the file tells no frame; taken as topocentric (--from tells another)", quiet)
    first, last = (stream.read_columns(row, 1)["frame_m_s"][0]
                   for row in (0, stream.shape[0] - 1))
    low, high = (float(edge) / 1e6 for edge in stream.out_axis.edges_hz)
    common.say(f"{told['from']} to {told['to']}: shifted by {first:.2f} to {last:.2f} m/s, "
               f"{stream.shape[2]} channels from {low:.9g} to {high:.9g} MHz", quiet)
