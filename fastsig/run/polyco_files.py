"""Polycos as files, in the text format of TEMPO."""

from __future__ import annotations

import os

from fastsig.io.files.safe import write_bytes
from fastsig.pulsar.polyco import Polyco
from fastsig.pulsar.polyco_text import text_of

__all__ = ["write_polyco"]


def write_polyco(polyco: Polyco, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write polycos as TEMPO does; `Polyco.read` reads them with the same phases.

    Parameters
    ----------
    polyco : Polyco
        Polycos to write.
    path : path
        The file.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    write_bytes(text_of(polyco.blocks).encode("ascii", "replace"), path, overwrite=overwrite)
