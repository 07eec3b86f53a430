"""Files from one format into another: what ``fastsig convert`` takes."""

from __future__ import annotations

from typing import Any

from fastsig.chain import Chain, open_chain
from fastsig.errors import UsageError
from fastsig.io.files.outputs import output_names
from fastsig.io.files.safe import check_name
from fastsig.io.files.scan import Paths
from fastsig.run.products import SINKS

__all__ = ["HANDLERS", "convertible"]

#: By the kind of product: the sink that writes it in another format.
HANDLERS = SINKS


def convertible(paths: Paths, output: str, to: str | None = None, **overrides: Any) -> Chain:
    """Open what is to be written in another format.

    Parameters
    ----------
    paths : path or iterable of path
        File, or the files of one scan.
    output : str
        Name of the file.
    to : str, optional
        The format; by default what the ending of `output` stands for.
    overrides
        As of `fastsig.open`.

    Raises
    ------
    FormatError
        Where the files hold no kind that can be converted, or cannot be understood.
    UsageError
        Where the ending stands for no format of that kind.
    """
    check_name(output_names(output, 1)[0])
    source = open_chain(paths, **overrides)
    sink = HANDLERS[source.stream.kind]
    if sink.format_of(output, to) is None:
        source.close()
        raise UsageError(f"{output}: its ending tells no format; give --to "
                         f"{'|'.join(sink.formats())}")
    return source
