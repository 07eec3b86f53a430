"""Pictures and pages of files: ``fastsig view``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fastsig.errors import FastsigWarning, FormatError, UsageError, users_line
from fastsig.io.files.safe import check_output
from fastsig.io.files.scan import Paths
from fastsig.io.opening import Detected, detect_files
from fastsig.products.handlers import handler_of

__all__ = ["HANDLERS", "TABLES", "Wanted", "draw_file"]


@dataclass(frozen=True)
class Wanted:
    """The options given for a picture; None for options that are not given.

    Parameters
    ----------
    what : str, optional
        Picture of a cube, as in `fastsig.view.draw_cube`, or panel of a scan, as in
        `fastsig.view.draw`.
    cmap, vmin, vmax, scale, percent : optional
        Options for the colours of spectra, as in `fastsig.view.draw`; the first three apply to
        maps of cubes too.
    at, rest : str, optional
        A position and a line, for cubes.
    product : str, optional
        Product of spectra, or Stokes parameter of a cube.
    page_size : int, optional
        Largest size of a page, bytes.
    tstart, tstop : Time or text, optional
        Time range, for streams.
    fstart, fstop : text, optional
        Frequency range, for streams and cubes.
    data : sequence of path, optional
        Recordings in which candidates were found, or folders that contain them.
    overrides : mapping
        Values that replace those of the header.
    """

    what: str | None = None
    at: Any = None
    rest: Any = None
    product: str | None = None
    page_size: int | None = None
    cmap: str | None = None
    vmin: float | None = None
    vmax: float | None = None
    scale: str | None = None
    percent: float | None = None
    tstart: Any = None
    tstop: Any = None
    fstart: Any = None
    fstop: Any = None
    data: tuple[str, ...] | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def given(self) -> list[str]:
        """Names of the options that are given."""
        return [name for name, value in vars(self).items()
                if (bool(value) if name == "overrides" else value is not None)]

    def refuse(self, names: tuple[str, ...], what: str) -> None:
        """Raise `UsageError` if one of the options `names`, which do not apply, is given."""
        for name in names:
            if name in self.given:
                option = "set" if name == "overrides" else name.replace("_", "-")
                raise UsageError(f"--{option} has no meaning for {what}")


def draw_file(paths: Paths, output: str, wanted: Wanted | None = None, *, overwrite: bool = False
              ) -> None:
    """Draw a file, or the files of a scan, with any kind of product.

    Parameters
    ----------
    paths : path or iterable of path
        A file, or the files of one scan.
    output : str
        Picture (.png, .pdf, .svg) or page (.html).
    wanted : Wanted, optional
        Options for the picture.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    FormatError
        If the files cannot be understood, or their kind of product cannot be drawn.
    UsageError
        If an option is given that does not apply to these files.
    OutputError
        If `output` exists, is an input, or cannot be written.
    """
    from fastsig.view import check_picture

    check_picture(output)
    check_output(output, overwrite=overwrite)
    detected = detect_files(paths)
    handler = handler_of(HANDLERS, detected, "draw", _by_format)
    handler(detected, output, wanted or Wanted(), overwrite)


_COLORS = ("cmap", "vmin", "vmax", "scale", "percent")


def _is_page(output: str) -> bool:
    return output.lower().endswith(".html")


def _stream(detected: Detected, output: str, wanted: Wanted, overwrite: bool) -> None:
    """Draw the selected rows and channels of voltages or spectra."""
    from fastsig.chain import open_chain
    from fastsig.stream import SpectrumStream
    from fastsig.view import draw, write_page

    wanted.refuse(("at", "rest"), "a scan; allowed: with a cube of maps")
    wanted.refuse(("data",), "a scan; allowed: with a table of candidates")
    with open_chain(detected.files, **wanted.overrides) as source:
        rows, band = (slice(wanted.tstart, wanted.tstop), slice(wanted.fstart, wanted.fstop))
        chain = source[rows] if band == slice(None) else source[rows, band]
        options: dict[str, Any] = {"overwrite": overwrite, "product": wanted.product}
        if _is_page(output) and isinstance(chain.stream, SpectrumStream):
            wanted.refuse(("what", *_COLORS), "a page of spectra, which has controls of its own")
            write_page(chain.stream, output, page_size=wanted.page_size, **options)
            return
        wanted.refuse(("page_size",), f"{chain.stream.kind}; allowed: with spectra and cubes")
        draw(chain.stream, output, what=wanted.what,
             **{name: getattr(wanted, name) for name in _COLORS}, **options)


def _cube(detected: Detected, output: str, wanted: Wanted, overwrite: bool) -> None:
    """Draw a cube of maps: a page of the whole cube, or a picture."""
    from fastsig.cubes.cube import open_cube
    from fastsig.view import draw_cube, write_page

    wanted.refuse(("tstart", "tstop"), "a cube of maps, which has no times")
    wanted.refuse(("scale", "percent"), "a cube of maps; allowed: with spectra")
    wanted.refuse(("data",), "a cube of maps; allowed: with a table of candidates")
    check_output(output, overwrite=overwrite, inputs=detected.files)
    path, changes = detected.files[0], dict(wanted.overrides)
    if _is_page(output) and wanted.what is None:
        wanted.refuse(("at", "fstart", "fstop", "cmap", "vmin", "vmax"),
                      "the page of a cube; allowed: with --what")
        if wanted.rest is not None:
            changes["rest"] = wanted.rest
        write_page(open_cube(path, **changes), output, overwrite=overwrite,
                   product=wanted.product, page_size=wanted.page_size)
        return
    wanted.refuse(("page_size",), "a picture of a cube; allowed: without --what")
    band = wanted.fstart, wanted.fstop
    draw_cube(open_cube(path, stokes=wanted.product, **changes), output, overwrite=overwrite,
              what=wanted.what or "sheet", at=wanted.at,
              frange=None if band == (None, None) else band, rest=wanted.rest, cmap=wanted.cmap,
              vmin=wanted.vmin, vmax=wanted.vmax)


def _table(detected: Detected, output: str, wanted: Wanted, overwrite: bool) -> None:
    """Draw a table according to its kind."""
    path = detected.files[0]
    kind = str(detected.module.info(path)["table"])
    drawn = TABLES.get(kind, _Table(_columns, "a table"))
    wanted.refuse(tuple(name for name in vars(wanted) if name not in drawn.takes), drawn.noun)
    drawn.draw(path, output, wanted, overwrite)


def _planes(detected: Detected, output: str, wanted: Wanted, overwrite: bool) -> None:
    """Draw a DM-time plane."""
    from fastsig.io.planes.reader import read_plane
    from fastsig.view import draw_made
    from fastsig.view.planes import draw_plane

    wanted.refuse(tuple(name for name in vars(wanted) if name != "product"), "a DM-time plane")
    plane = read_plane(detected.files[0])
    draw_made(lambda: draw_plane(plane, wanted.product), lambda: {
        "path": detected.files[0], "source": plane.header.source,
        "dispersion measures": len(plane.dms)}, output, inputs=detected.files,
        overwrite=overwrite)


def _profiles(detected: Detected, output: str, wanted: Wanted, overwrite: bool) -> None:
    """Draw the selected subintegrations and channels of folded profiles."""
    from fastsig.view import draw_profiles

    wanted.refuse(("what", "at", "rest", "page_size", "data"), "folded profiles")
    check_output(output, overwrite=overwrite, inputs=detected.files)
    profiles = detected.module.read_profiles(detected.files[0], **wanted.overrides)
    rows, band = (slice(wanted.tstart, wanted.tstop), slice(wanted.fstart, wanted.fstop))
    draw_profiles(profiles[rows, band], output, overwrite=overwrite, product=wanted.product,
                  **{name: getattr(wanted, name) for name in _COLORS})


def _by_format(detected: Detected, output: str, wanted: Wanted, overwrite: bool) -> None:
    """Draw a product of a plug-in's format with its `draw` function, which returns a figure."""
    from fastsig.view import draw_made

    path, module = detected.files[0], detected.module
    asked = tuple(name for name in vars(wanted) if name != "overrides")
    wanted.refuse(asked, f"a {detected.kinds[0]}")
    draw_made(lambda: module.draw(path, **wanted.overrides),
              lambda: {"path": path, "format": detected.name, "kind": detected.kinds[0]},
              output, inputs=detected.files, overwrite=overwrite)


def _columns(path: str, output: str, wanted: Wanted, overwrite: bool) -> None:
    """Draw the columns of a table against its axis of frequency or velocity."""
    from fastsig.io.ecsv.tables import read_table
    from fastsig.io.text.objects import pieces_of_table
    from fastsig.view import draw_made
    from fastsig.view.columns import draw_columns

    table = read_table(path)
    pieces, kind = pieces_of_table(table, {}), str(table.meta.get("kind"))[:40]
    if pieces is None:
        raise FormatError(path, f"contains a table of kind {kind!r}, which cannot be drawn because "
                          "no column of numbers has a unit of frequency or velocity; allowed: a "
                          f"table with such an axis, or of kind {', '.join(map(repr, TABLES))}")
    draw_made(lambda: draw_columns(pieces, path), lambda: {
        "path": path, "table": kind, "columns": ", ".join(pieces.names),
        "channels": len(pieces.axis)}, output, inputs=[path], overwrite=overwrite)


def _place(path: str, output: str, wanted: Wanted, overwrite: bool) -> None:
    from fastsig.reductions.sources.position import PositionSpectrum
    from fastsig.view import draw_position

    spectrum, fit = PositionSpectrum.read_with_fit(path)
    draw_position(spectrum, output, fit=fit, overwrite=overwrite)


def _dm_plan(path: str, output: str, wanted: Wanted, overwrite: bool) -> None:
    from fastsig.run.plan_files import read_plan
    from fastsig.view import draw_dm_plan

    check_output(output, overwrite=overwrite, inputs=[path])
    draw_dm_plan(read_plan(path), output, overwrite=overwrite)


def _candidates(path: str, output: str, wanted: Wanted, overwrite: bool) -> None:
    """Draw candidates against time, or make their page, with pictures if there are data."""
    from fastsig.run.candidate_files import read_candidates
    from fastsig.view import draw_candidates, write_bursts_page

    check_output(output, overwrite=overwrite, inputs=[path])
    found, name = read_candidates(path), os.path.basename(path)
    if not _is_page(output):
        wanted.refuse(("data",), "a picture of candidates; allowed: with a page (.html); fastsig "
                      "burst --picture draws the data of one burst")
        wanted.refuse(("page_size",), "a picture; allowed: with a page (.html)")
        draw_candidates(found, output, overwrite=overwrite, name=name)
        return
    lost = write_bursts_page(found, output, data=wanted.data or (), overwrite=overwrite, name=name,
                             page_size=wanted.page_size)
    _warn_of_lost(path, wanted, lost, len(found), "candidates")


def _hits(path: str, output: str, wanted: Wanted, overwrite: bool) -> None:
    """Draw drifting carriers, or with data the spectra of the strongest one; or make their page."""
    from fastsig.run.hit_files import read_hits
    from fastsig.view import draw_hits, write_hits_page

    check_output(output, overwrite=overwrite, inputs=[path])
    found, name, data = read_hits(path), os.path.basename(path), wanted.data or ()
    if not _is_page(output):
        wanted.refuse(("page_size",), "a picture; allowed: with a page (.html)")
        draw_hits(found, output, data=data, overwrite=overwrite, name=name)
        return
    lost = write_hits_page(found, output, data=data, overwrite=overwrite, name=name,
                           page_size=wanted.page_size)
    _warn_of_lost(path, wanted, lost, len(found), "hits")


def _warn_of_lost(path: str, wanted: Wanted, lost: dict[int, str], n: int, rows_are: str) -> None:
    if lost and wanted.data:
        warnings.warn(f"{path}: {len(lost)} of {n} {rows_are} have no picture; the first: "
                      f"{next(iter(lost.values()))}", FastsigWarning, stacklevel=users_line())


def _pulsars(path: str, output: str, wanted: Wanted, overwrite: bool) -> None:
    """Draw pulsar candidates: dispersion measure against period, and histograms; or their page."""
    from fastsig.run.pulsar_files import read_pulsars
    from fastsig.view import draw_pulsars, write_pulsars_page

    check_output(output, overwrite=overwrite, inputs=[path])
    found, name = read_pulsars(path), os.path.basename(path)
    if not _is_page(output):
        wanted.refuse(("data", "page_size"), "a picture; allowed: with a page (.html)")
        draw_pulsars(found, output, overwrite=overwrite, name=name)
        return
    lost = write_pulsars_page(found, output, data=wanted.data or (), overwrite=overwrite,
                              name=name, page_size=wanted.page_size)
    _warn_of_lost(path, wanted, lost, len(found), "candidates")


class _Table(NamedTuple):
    """The function that draws tables of one kind, their name in messages, and its options."""

    draw: Callable[[str, str, Wanted, bool], None]
    noun: str
    takes: tuple[str, ...] = ()


#: Handlers by kind of product.
HANDLERS: dict[str, Callable[[Detected, str, Wanted, bool], None]] = {
    "voltage": _stream, "spectra": _stream, "cube": _cube, "table": _table, "planes": _planes,
    "profiles": _profiles}

#: How to draw tables, by the kind that their meta states.
TABLES = {"spectrum of a place": _Table(_place, "a spectrum of a place"),
          "DM plan": _Table(_dm_plan, "a DM plan"),
          "burst candidates": _Table(_candidates, "a table of candidates", ("data", "page_size")),
          "drifting carriers": _Table(_hits, "a table of hits", ("data", "page_size")),
          "pulsar candidates": _Table(_pulsars, "a table of pulsar candidates",
                                      ("data", "page_size"))}
