"""Write chains of any kind as files, in one pass."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from typing import Any

from fastsig.errors import FastsigWarning, PlanError, UsageError, users_line
from fastsig.run.engine import Progress, execute, run
from fastsig.run.flag_shares import warn_of, watches
from fastsig.run.plan import Plan, check_least_memory, plan
from fastsig.run.plane_file import PlaneFile
from fastsig.run.spectra_file import SpectraFile
from fastsig.run.voltage_file import VoltageFile
from fastsig.stages.integrate import Integrate
from fastsig.stream import Sink, Stream, stream_of
from fastsig.work.arguments import check_options, checked, shown
from fastsig.work.memory import parse_bytes

__all__ = ["SINKS", "Product", "plan_products", "products", "refuse_losses", "write",
           "write_many"]

_log = logging.getLogger(__name__)

Product = SpectraFile | VoltageFile | PlaneFile

#: For each kind of stream, the sink that writes it.
SINKS: dict[str, type[Product]] = {"spectra": SpectraFile, "voltage": VoltageFile,
                                   "planes": PlaneFile}


def products(
    streams: Sequence[Any], paths: Sequence[str | os.PathLike[str]], *,
    workers: int | None = None, memory: int | None = None, progress: Progress | None = None,
    **options: Any,
) -> list[Product]:
    """Return the sinks that write chains; read the inputs once if their headers are insufficient.

    Parameters
    ----------
    streams : sequence of chain or Stream
        Voltages or spectra.
    paths : sequence of path
        The path of the product of each chain.
    workers, memory, progress
        Options of the pass that reads the inputs, if it is needed.
    **options
        As for `fastsig.run.spectra_file.SpectraFile` and `fastsig.run.voltage_file.VoltageFile`.

    Raises
    ------
    UsageError, PlanError, FormatError
        As for these classes.
    """
    chains = _chains(streams, paths)
    paths = [_path(each) for each in paths]
    kinds = [_kind(stream) for stream in chains]
    for stream, kind in zip(chains, kinds, strict=True):
        check_options("write", kind, options, without=["surveyed"])
        _warn_of_length(stream)
    surveys = [kind.survey(stream, path, **options)
               for kind, stream, path in zip(kinds, chains, paths, strict=True)]
    stated = {id(survey): getattr(survey, "from_headers", None) for survey in surveys}
    asked = [survey for survey in surveys if survey is not None and stated[id(survey)] is None]
    found = iter(run(asked, workers=workers, memory=memory, progress=progress) if asked else ())
    known = [stated[id(survey)] or next(found) if survey is not None else None
             for survey in surveys]
    return [kind(stream, path, surveyed=surveyed, **options) for kind, stream, path, surveyed in
            zip(kinds, chains, paths, known, strict=True)]


def refuse_losses(streams: Sequence[Any], paths: Sequence[str | os.PathLike[str]],
                  **options: Any) -> None:
    """Refuse products that are lossy according to the headers alone, before any data are read.

    Raises
    ------
    PlanError
        If information would be lost and `lossy` is not given.
    UsageError, FormatError
        As for `products`.
    """
    for stream, path in zip(_chains(streams, paths), map(_path, paths), strict=True):
        check_options("write", _kind(stream), options, without=["surveyed"])
        product = _kind(stream).best_case(stream, path, **{**options, "hash_inputs": False})
        product.refuse_losses()


def _chains(streams: Any, paths: Any) -> list[Stream]:
    """Return the streams of products, after checking that each has a path."""
    chains: list[Stream] = [stream_of(each) for each in _listed("streams", streams)]
    if len(_listed("paths", paths)) != len(chains):
        raise UsageError(f"{len(paths)} paths for {len(chains)} products; allowed: one path for "
                         "each product")
    return chains


def _listed(name: str, values: Any) -> list[Any]:
    if not isinstance(values, (list, tuple)):
        raise UsageError(f"{name} = {shown(values)}; allowed: a list or tuple")
    return list(values)


def _path(value: Any) -> str | os.PathLike[str]:
    if not isinstance(value, (str, os.PathLike)):
        raise UsageError(f"path = {shown(value)}; allowed: the name of a file")
    return value


def _kind(stream: Stream) -> type[Product]:
    if stream.kind not in SINKS:
        raise PlanError(f"{stream.path}: {stream.kind} cannot be written; allowed: "
                        f"{', '.join(SINKS)}")
    return SINKS[stream.kind]


def _warn_of_length(stream: Stream) -> None:
    if isinstance(stream, Integrate) and stream.n_int > stream.source.shape[0]:
        warnings.warn(
            f"{stream.path}: its {stream.source.shape[0]} spectra are fewer than the "
            f"{stream.n_int} of one integration; the result has a weight below 1", FastsigWarning,
            stacklevel=users_line(),
        )
    for source in stream.inputs():
        _warn_of_length(source)


def plan_products(made: Sequence[Product], *sinks: Sink, workers: int | None = None,
                  memory: int | None = None, fused: bool = True) -> Plan:
    """Plan to write products in one pass, together with other sinks.

    Raises
    ------
    UsageError
        If two products have the same name.
    PlanError
        As for `fastsig.run.plan.plan`.
    """
    names = [os.path.realpath(product.path) for product in made]
    if len(set(names)) < len(names):
        raise UsageError(f"{', '.join(product.path for product in made)}: two products with one "
                         "name; allowed: a name for each")
    return plan([*made, *sinks], workers=workers, memory=memory, fused=fused)


@checked
def write(stream: Any, path: str | os.PathLike[str], *, workers: int | None = None,
          memory: int | str | None = None, fused: bool = True, progress: Progress | None = None,
          **options: Any) -> Product:
    """Compute a chain and write it, in the format specified by `to` or the extension of `path`.

    The bytes written depend only on the input and the parameters of the chain.

    Parameters
    ----------
    stream : chain or Stream
        Voltages or spectra.
    path : path
        Final name of the file.
    workers : int, optional
        Number of threads; by default, as many as the process may use.
    memory : int or str, optional
        Maximum memory of the process in bytes, or text such as ``"1GB"``.
    fused : bool
        Whether to use fused kernels.
    progress : callable, optional
        Called with the name of a pass, the number of input rows processed since the last call, and
        the number of input rows of the pass.
    **options
        As for `fastsig.run.spectra_file.SpectraFile` and `fastsig.run.voltage_file.VoltageFile`.

    Returns
    -------
    SpectraFile or VoltageFile
        The product, with `losses`, `cautions` (values that other programs will misinterpret),
        `n_bits`, `n_clipped` and `files`.

    Raises
    ------
    UsageError
        If an option is not allowed.
    PlanError
        If the chain cannot run, or cannot run within `memory`; or if information would be lost and
        `lossy` is not specified.
    OutputError
        If the product exists or cannot be written.
    DataError
        If an input cannot be read to its end.
    """
    return write_many([stream], [path], workers=workers, memory=memory, fused=fused,
                      progress=progress, **options)[0]


@checked
def write_many(
    streams: Sequence[Any], paths: Sequence[str | os.PathLike[str]], *,
    workers: int | None = None, memory: int | str | None = None, fused: bool = True,
    progress: Progress | None = None, **options: Any,
) -> list[Product]:
    """Write several chains, each to its own path, in one pass over the parts that they share.

    Each product is identical, byte for byte, to that of `write`. If `memory` is too small to keep
    rows that other chains still need, parts of the input are read again.

    A `FastsigWarning` is issued if the stage `flag` of a chain flagged whole channels, or more than
    a tenth of the samples outside the requested bands.

    Parameters
    ----------
    streams : sequence of chain or Stream
        The chains, best made from one open file.
    paths : sequence of path
        The final name of the file for each chain; all names must differ.
    workers, memory, fused, progress, **options
        As for `write`; `memory` applies to the whole run.

    Raises
    ------
    UsageError, PlanError, OutputError, DataError
        As for `write`. All unfinished products are removed.
    """
    memory = parse_bytes(memory) if isinstance(memory, str) else memory
    if options.get("lossy", False) is False:
        refuse_losses(streams, paths, **options)
    made = products(streams, paths, workers=workers, memory=memory, progress=progress, **options)
    for product in made:
        product.refuse_losses()
    check_least_memory(made, memory)
    watched = watches([product.stream for product in made])
    ready = plan_products(made, *(sink for each in watched for sink in each.sinks),
                          workers=workers, memory=memory, fused=fused)
    for product in made:
        product.check()
    warn_of(watched, execute(ready, progress=progress)[len(made):])
    for product in made:
        if isinstance(product, VoltageFile) and product.n_clipped:
            _log.warning("%s: %d numbers were clipped", product.path, product.n_clipped)
        for caution in product.cautions:
            _log.warning("%s: %s", product.path, caution)
    return made
