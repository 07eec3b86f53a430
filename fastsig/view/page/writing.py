"""Write the page of a table of findings, with pictures from the recordings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from fastsig.errors import UsageError
from fastsig.io.files.safe import check_output, write_bytes
from fastsig.search.findings import Findings
from fastsig.stream import SpectrumStream
from fastsig.view.page.findings import (
    FINDINGS_PAGE_SIZE,
    Layout,
    findings_page,
    pictures_that_fit,
)
from fastsig.view.thumbnails import Recordings, Thumbnails, thumbnails_of

__all__ = ["write_findings_page"]


def write_findings_page(
    findings: Findings, layout: Layout, draw: Callable[[Thumbnails, int, SpectrumStream], None],
    path: str | os.PathLike[str], *, data: Iterable[str | os.PathLike[str]] = (),
    overwrite: bool = False, name: str = "", page_size: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> dict[int, str]:
    """Write the page of findings; return why a finding has no picture, by its number.

    Parameters
    ----------
    findings : Findings
    layout : Layout
        What the page contains.
    draw : callable
        As for `fastsig.view.thumbnails.thumbnails_of`.
    path, data, overwrite, name, page_size, advance
        As for `fastsig.view.write_bursts_page`.

    Raises
    ------
    UsageError
        If the extension of the path is not that of a page, or a path in `data` does not exist.
    OutputError
        If the file exists or cannot be written.
    """
    target = os.fspath(path)
    if not target.lower().endswith(".html"):
        raise UsageError(f"{target}: a page ends in .html")
    places = list(data)
    check_output(target, overwrite=overwrite, inputs=[os.fspath(each) for each in places])
    most = pictures_that_fit(layout, len(findings), page_size or FINDINGS_PAGE_SIZE)
    made = thumbnails_of(findings, layout.panels, Recordings(places, findings), draw, most, advance)
    content = findings_page(findings, layout, name or os.path.basename(target), made)
    write_bytes(content, target, overwrite=overwrite)
    return made.troubles
