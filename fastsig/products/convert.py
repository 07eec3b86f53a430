"""Open files to be converted to another format: ``fastsig convert``."""

from __future__ import annotations

from typing import Any

from fastsig.chain import Chain, open_chain
from fastsig.errors import UsageError
from fastsig.io.files.outputs import output_names
from fastsig.io.files.safe import check_name
from fastsig.io.files.scan import Paths
from fastsig.registry import STREAMS
from fastsig.run.products import SINKS

__all__ = ["HANDLERS", "convertible"]

#: For each kind of product, the sink that writes it in another format.
HANDLERS = {kind: SINKS[kind] for kind in STREAMS}


def convertible(paths: Paths, output: str, to: str | None = None, **overrides: Any) -> Chain:
    """Open the files that are to be written in another format.

    Parameters
    ----------
    paths : path or iterable of path
        File, or the files of one scan.
    output : str
        Name of the output file.
    to : str, optional
        The format; by default, that of the extension of `output`.
    overrides
        As for `fastsig.open`.

    Raises
    ------
    FormatError
        If the files contain no kind of product that can be converted, or cannot be understood.
    UsageError
        If the extension does not indicate a format of that kind.
    """
    check_name(output_names(output, 1)[0])
    source = open_chain(paths, **overrides)
    sink = HANDLERS[source.stream.kind]
    if sink.format_of(output, to) is None:
        source.close()
        raise UsageError(f"{output}: its extension indicates no format; give --to "
                         f"{'|'.join(sink.formats())}")
    return source
