"""``fastsig view``: a picture or a page of a file, of a scan, or of a cube."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Picture (.png, .pdf, .svg) or page (.html) to write.")
@click.option("--product", metavar="NAME", help="Product to draw, e.g. I; the first by default.")
@click.option("--what", type=click.Choice(["sheet", "coverage", "channels", "moments", "spectrum"]),
              help="Of a cube: which picture; sheet by default.")
@click.option("--at", metavar="RA,DEC", help="Of a cube, with --what spectrum: the place.")
@click.option("--rest", metavar="LINE", help="Of a cube: line or rest frequency for velocities.")
@click.option("--page-size", metavar="SIZE", help="Most bytes of a page; 3MB by default.")
@common.span_options
@common.set_option
@common.quiet_options
@common.debug_option
def view(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Draw one scan, in FILE or several, or a cube of maps, or a spectrum of extract.

    Of spectra a waterfall and its marginals, of voltages histogram, power and bandpass, of a cube
    integral, coverage and mean spectrum. A page of spectra or of a cube can be zoomed and cut.
    """
    from fastsig.io.safe import check_output
    from fastsig.view import check_picture

    check_picture(output)
    check_output(output, overwrite=options["overwrite"])
    options["page_size"] = _page_bytes(output, options["page_size"])
    draw = next((each for known, each in ((_is_cube, _draw_cube), (_is_place, _draw_place))
                 if len(files) == 1 and known(files[0])), _draw_scan)
    draw(files, output, options)
    common.say(f"wrote {output}", options["quiet"])


def _is_page(output: str) -> bool:
    return output.lower().endswith(".html")


def _page_bytes(output: str, text: str | None) -> int | None:
    from fastsig.memory import parse_bytes

    if text is not None and not _is_page(output):
        raise click.UsageError(f"--page-size {text}: {output} is no page; allowed: with .html")
    return None if text is None else parse_bytes(text)


def _is_cube(path: str) -> bool:
    from fastsig.io import is_cube

    return is_cube(path)


def _is_place(path: str) -> bool:
    from fastsig.io import is_ecsv

    return is_ecsv(path)


def _refuse(options: dict[str, Any], names: tuple[str, ...], what: str) -> None:
    for name in names:
        if options[name] not in (None, ()):
            told = "set" if name == "overrides" else name.replace("_", "-")
            raise click.UsageError(f"--{told} is of no use to {what}")


def _draw_scan(files: tuple[str, ...], output: str, options: dict[str, Any]) -> None:
    from fastsig.chain import open_chain
    from fastsig.stream import SpectrumStream
    from fastsig.view import draw, write_page

    _refuse(options, ("what", "at", "rest"), "a scan; allowed: with a cube of maps")
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        rows = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
        band = slice(options["fstart"], options["fstop"])
        chain = source[rows] if band == slice(None) else source[rows, band]
        drawn = {"overwrite": options["overwrite"], "product": options["product"]}
        if _is_page(output) and isinstance(chain.stream, SpectrumStream):
            write_page(chain.stream, output, page_size=options["page_size"], **drawn)
            return
        _refuse(options, ("page_size",), f"{chain.stream.kind}; allowed: with spectra and cubes")
        draw(chain.stream, output, **drawn)


def _draw_cube(files: tuple[str, ...], output: str, options: dict[str, Any]) -> None:
    from fastsig.cube import open_cube
    from fastsig.io.safe import check_output
    from fastsig.view import draw_cube, write_page

    _refuse(options, ("tstart", "tstop"), "a cube of maps, which has no times")
    check_output(output, overwrite=options["overwrite"], inputs=files)
    band = options["fstart"], options["fstop"]
    changes = common.parse_overrides(options["overrides"])
    if _is_page(output) and options["what"] is None:
        _refuse(options, ("at", "fstart", "fstop"), "the page of a cube; allowed: with --what")
        if options["rest"] is not None:
            changes["rest"] = options["rest"]
        write_page(open_cube(files[0], **changes), output, overwrite=options["overwrite"],
                   product=options["product"], page_size=options["page_size"])
        return
    _refuse(options, ("page_size",), "a picture of a cube; allowed: without --what")
    cube = open_cube(files[0], stokes=options["product"], **changes)
    draw_cube(cube, output, overwrite=options["overwrite"], what=options["what"] or "sheet",
              at=options["at"], frange=None if band == (None, None) else band,
              rest=options["rest"])


def _draw_place(files: tuple[str, ...], output: str, options: dict[str, Any]) -> None:
    from fastsig.reductions.place import PlaceSpectrum
    from fastsig.view import draw_place

    _refuse(options, ("product", "page_size", "what", "at", "rest", "tstart", "tstop", "fstart",
                      "fstop", "overrides"), "a spectrum of a place")
    spectrum, fit = PlaceSpectrum.read_with_fit(files[0])
    draw_place(spectrum, output, fit=fit, overwrite=options["overwrite"])
