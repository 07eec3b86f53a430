"""Products: chains written as files, whatever they hold, in one pass."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from typing import Any

from fastsig.errors import FastsigWarning, PlanError, UsageError
from fastsig.run.engine import Progress, execute, run
from fastsig.run.plan import Plan, plan
from fastsig.run.spectra_file import SpectraFile
from fastsig.run.voltage_file import VoltageFile
from fastsig.stages.integrate import Integrate
from fastsig.stream import Sink, Stream, stream_of
from fastsig.work.arguments import check_options, checked, shown
from fastsig.work.memory import parse_bytes

__all__ = ["SINKS", "Product", "plan_products", "products", "refuse_losses", "write",
           "write_many"]

_log = logging.getLogger(__name__)

Product = SpectraFile | VoltageFile

#: By the kind of a stream: the sink that writes it.
SINKS: dict[str, type[Product]] = {"spectra": SpectraFile, "voltage": VoltageFile}


def products(
    streams: Sequence[Any], paths: Sequence[str | os.PathLike[str]], *,
    workers: int | None = None, memory: int | None = None, progress: Progress | None = None,
    **options: Any,
) -> list[Product]:
    """The sinks that write chains; what no header tells of their inputs is found in a pass first.

    Parameters
    ----------
    streams : sequence of chain or Stream
        Voltages or spectra.
    paths : sequence of path
        A name for each.
    workers, memory, progress
        Of that pass.
    **options
        As of `fastsig.run.spectra_file.SpectraFile` and `fastsig.run.voltage_file.VoltageFile`.

    Raises
    ------
    UsageError, PlanError, FormatError
        As of these.
    """
    chains = _chains(streams, paths)
    paths = [_path(each) for each in paths]
    kinds = [_kind(stream) for stream in chains]
    for stream, kind in zip(chains, kinds, strict=True):
        check_options("write", kind, options, without=["surveyed"])
        _warn_of_length(stream)
    surveys = [kind.survey(stream, path, **options)
               for kind, stream, path in zip(kinds, chains, paths, strict=True)]
    told = {id(survey): getattr(survey, "told", None) for survey in surveys}
    asked = [survey for survey in surveys if survey is not None and told[id(survey)] is None]
    found = iter(run(asked, workers=workers, memory=memory, progress=progress) if asked else ())
    known = [told[id(survey)] or next(found) if survey is not None else None
             for survey in surveys]
    return [kind(stream, path, surveyed=surveyed, **options) for kind, stream, path, surveyed in
            zip(kinds, chains, paths, known, strict=True)]


def refuse_losses(streams: Sequence[Any], paths: Sequence[str | os.PathLike[str]],
                  **options: Any) -> None:
    """Refuse products that headers alone show to be lossy: nothing is read.

    Raises
    ------
    PlanError
        Where something would be lost and `lossy` is not given.
    UsageError, FormatError
        As of `products`.
    """
    for stream, path in zip(_chains(streams, paths), map(_path, paths), strict=True):
        check_options("write", _kind(stream), options, without=["surveyed"])
        product = _kind(stream).best_case(stream, path, **{**options, "hash_inputs": False})
        product.refuse_losses()


def _chains(streams: Any, paths: Any) -> list[Stream]:
    """The streams of products, each with a path."""
    chains: list[Stream] = [stream_of(each) for each in _listed("streams", streams)]
    if len(_listed("paths", paths)) != len(chains):
        raise UsageError(f"{len(paths)} paths for {len(chains)} products; allowed: one each")
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
            f"{stream.n_int} of one integration; the weight tells", FastsigWarning, stacklevel=4,
        )


def plan_products(made: Sequence[Product], *sinks: Sink, workers: int | None = None,
                  memory: int | None = None, fused: bool = True) -> Plan:
    """The plan of writing products in one pass, which other sinks may take beside them.

    Raises
    ------
    UsageError
        Where two have one name.
    PlanError
        As of `fastsig.run.plan.plan`.
    """
    names = [os.path.realpath(product.path) for product in made]
    if len(set(names)) < len(names):
        raise UsageError(f"{', '.join(product.path for product in made)}: two products of one "
                         "name; allowed: a name for each")
    return plan([*made, *sinks], workers=workers, memory=memory, fused=fused)


@checked
def write(stream: Any, path: str | os.PathLike[str], *, workers: int | None = None,
          memory: int | str | None = None, fused: bool = True, progress: Progress | None = None,
          **options: Any) -> Product:
    """Compute a chain and write it, in the format that `to` or the ending of `path` specifies.

    The bytes written depend on the input and the chain's parameters alone.

    Parameters
    ----------
    stream : chain or Stream
        Voltages or spectra.
    path : path
        Final name of the product.
    workers : int, optional
        Threads; as many as the process may use by default.
    memory : int or str, optional
        Most bytes that the process may take, or text such as ``"1GB"``.
    fused : bool
        Whether to use fused kernels.
    progress : callable, optional
        Called with the name of a pass, input rows done since the last call, and all of the pass.
    **options
        As of `fastsig.run.spectra_file.SpectraFile` and `fastsig.run.voltage_file.VoltageFile`.

    Returns
    -------
    SpectraFile or VoltageFile
        What was written, with `losses`, `cautions` (what other programs take wrongly in it),
        `n_bits`, `n_clipped` and `files`.

    Raises
    ------
    UsageError
        Where an option is not allowed.
    PlanError
        Where the chain cannot run, or not within `memory`; or something would be lost and `lossy`
        is not given.
    OutputError
        Where the product exists or cannot be written.
    DataError
        Where an input cannot be read to its end.
    """
    return write_many([stream], [path], workers=workers, memory=memory, fused=fused,
                      progress=progress, **options)[0]


@checked
def write_many(
    streams: Sequence[Any], paths: Sequence[str | os.PathLike[str]], *,
    workers: int | None = None, memory: int | str | None = None, fused: bool = True,
    progress: Progress | None = None, **options: Any,
) -> list[Product]:
    """Write several chains, each to its path, in one pass over what they have in common.

    Each product is, byte for byte, the one that `write` makes. Where `memory` is too small to
    keep what other chains still need, parts of the input are read again.

    Parameters
    ----------
    streams : sequence of chain or Stream
        Best made of one open file.
    paths : sequence of path
        Final names, as many and all different.
    workers, memory, fused, progress, **options
        As of `write`; `memory` is that of the whole run.

    Raises
    ------
    UsageError, PlanError, OutputError, DataError
        As of `write`. All products that were being written are removed.
    """
    memory = parse_bytes(memory) if isinstance(memory, str) else memory
    if options.get("lossy", False) is False:
        refuse_losses(streams, paths, **options)
    made = products(streams, paths, workers=workers, memory=memory, progress=progress, **options)
    for product in made:
        product.refuse_losses()
    ready = plan_products(made, workers=workers, memory=memory, fused=fused)
    for product in made:
        product.check()
    execute(ready, progress=progress)
    for product in made:
        if isinstance(product, VoltageFile) and product.n_clipped:
            _log.warning("%s: %d numbers were clipped", product.path, product.n_clipped)
        for caution in product.cautions:
            _log.warning("%s: %s", product.path, caution)
    return made
