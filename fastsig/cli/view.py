"""``fastsig view``: a picture or a page of a file, or of a scan."""

from __future__ import annotations

import os
from typing import Any

import click

from fastsig.cli import common
from fastsig.errors import UsageError


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Picture (.png, .pdf, .svg) or page (.html) to write.")
@click.option("--product", metavar="NAME", help="Product to draw, e.g. I; the first by default.")
@click.option("--page-size", metavar="SIZE", help="Most bytes of a page; 3MB by default.")
@common.span_options
@common.set_option
@common.quiet_options
@common.debug_option
def view(
    files: tuple[str, ...], output: str, overwrite: bool, product: str | None,
    page_size: str | None, quiet: bool, debug: bool, **options: Any,
) -> None:
    """Draw one scan, in FILE or several, or a cube.

    Of spectra a waterfall and its marginals, of voltages histogram, power and bandpass. A page of
    spectra or of a cube can be zoomed and cut.
    """
    from fastsig.io.safe import check_output
    from fastsig.view import check_picture

    check_picture(output)
    check_output(output, overwrite=overwrite)
    size = _page_bytes(output, page_size)
    if _is_cube(files):
        _view_cube(files[0], output, overwrite, product, size, options)
    else:
        _view_scan(files, output, overwrite, product, size, options)
    common.say(f"wrote {output}", quiet)


def _page_bytes(output: str, text: str | None) -> int | None:
    from fastsig.memory import parse_bytes

    if text is not None and not output.lower().endswith(".html"):
        raise UsageError(f"--page-size {text}: {output} is no page; allowed: with .html")
    return None if text is None else parse_bytes(text)


def _is_cube(files: tuple[str, ...]) -> bool:
    from fastsig.io import fits_cube
    from fastsig.io.probe import Probe

    return len(files) == 1 and os.path.isfile(files[0]) and fits_cube.sniff(Probe(files[0]))


def _view_cube(path: str, output: str, overwrite: bool, product: str | None, size: int | None,
               options: dict[str, Any]) -> None:
    from fastsig.io.fits_cube import CubeFile, checked
    from fastsig.view import write_page

    for name in ("tstart", "tstop", "fstart", "fstop"):
        if options[name] is not None:
            raise UsageError(f"--{name} {options[name]}: {path} is a cube; allowed: for scans")
    if not output.lower().endswith(".html"):
        raise UsageError(f"{output}: {path} is a cube; allowed: a page, .html")
    cube = CubeFile(path, **checked(common.parse_overrides(options["overrides"])))
    write_page(cube, output, overwrite=overwrite, product=product, page_size=size)


def _view_scan(files: tuple[str, ...], output: str, overwrite: bool, product: str | None,
               size: int | None, options: dict[str, Any]) -> None:
    from fastsig.chain import open_chain
    from fastsig.stream import SpectrumStream
    from fastsig.view import draw, write_page

    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        rows = slice(common.parse_end(options["tstart"]), common.parse_end(options["tstop"]))
        band = slice(options["fstart"], options["fstop"])
        stream = (source[rows] if band == slice(None) else source[rows, band]).stream
        if output.lower().endswith(".html") and isinstance(stream, SpectrumStream):
            write_page(stream, output, overwrite=overwrite, product=product, page_size=size)
        elif size is not None:
            raise UsageError(f"--page-size: {stream.path} is {stream.kind}; allowed: for spectra "
                             "and cubes")
        else:
            draw(stream, output, overwrite=overwrite, product=product)
