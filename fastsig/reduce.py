"""Run chains and write their products: planner, scheduler and writer put together."""

from __future__ import annotations

import contextlib
import heapq
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastsig.errors import FastsigWarning, UsageError
from fastsig.io.outputs import output_names
from fastsig.io.provenance import input_files, provenance
from fastsig.io.safe import check_output
from fastsig.io.spectra_writing import SpectraWriter
from fastsig.plan import Plan, Unit, describe_unit, plan_many
from fastsig.scheduler import run
from fastsig.shared import Shared, shared_by
from fastsig.signals import held
from fastsig.stages.integrate import Integrate
from fastsig.stream import Block, SpectrumStream, Stream
from fastsig.targets import Target, refuse_losses, target
from fastsig.threads import processors

_log = logging.getLogger(__name__)

__all__ = ["plan_product", "plan_products", "write", "write_many", "write_plans"]


def plan_product(
    stream: Stream, made: Target | None = None, *, workers: int | None = None,
    memory: int | None = None, fused: bool = True,
) -> Plan:
    """The plan of writing a chain's spectra, the writer's memory included."""
    return plan_products([stream], [made] if made else None, workers=workers, memory=memory,
                         fused=fused)[0]


def plan_products(
    streams: Sequence[Stream], targets: Sequence[Target] | None = None, *,
    workers: int | None = None, memory: int | None = None, fused: bool = True,
) -> list[Plan]:
    """The plans of writing the spectra of several chains in one run; `memory` is for all.

    Targets tell what the writers take; without them that of FBH5 of 32 bits is taken.
    """
    threads = processors() if workers is None else workers
    if threads < 1:
        raise UsageError(f"workers = {workers}; allowed: 1 or more")
    if not streams:
        raise UsageError("no chains; allowed: 1 or more")
    if len(streams) > 1:
        _check_shared(streams)
    for stream in streams:
        _warn_of_length(stream)
    if targets is None:
        targets = [target(stream, "product.h5") for stream in streams]
    return plan_many(streams, workers=threads, memory=memory, fused=fused,
                     writer_bytes=sum(made.sizes.memory for made in targets))


def _check_shared(streams: Sequence[Stream]) -> None:
    common = [getattr(stream, "together", None) or shared_by(stream) for stream in streams]
    if common[0] is None or any(each is not common[0] for each in common):
        raise UsageError(
            f"{streams[0].path}: chains that run together read one shared stream; allowed: "
            "chains made from one obs.shared(), or the two of one baseline's kept()"
        )


def _warn_of_length(stream: Stream) -> None:
    if isinstance(stream, Integrate) and stream.n_int > stream.source.shape[0]:
        warnings.warn(
            f"{stream.path}: its {stream.source.shape[0]} spectra are fewer than the "
            f"{stream.n_int} of one integration; the weight tells", FastsigWarning, stacklevel=4,
        )


def write(
    stream: Stream, path: str | os.PathLike[str], *, workers: int | None = None,
    memory: int | None = None, fused: bool = True, overwrite: bool = False, lossy: bool = False,
    hash_inputs: bool = False, progress: Callable[[int], Any] | None = None, **options: Any,
) -> Target:
    """Compute a chain that ends in spectra and write them, as FBH5 or in another format.

    The bytes written depend on the input and the chain's parameters alone.

    Parameters
    ----------
    stream : SpectrumStream
        The chain.
    path : path
        Final name of the product; its ending tells the format, where `to` does not.
    workers : int, optional
        Threads; as many as the process may use by default.
    memory : int, optional
        Most bytes that the process may take.
    fused : bool
        Whether to use fused kernels.
    overwrite : bool
        Whether an existing file may be replaced.
    lossy : bool
        Whether to write although the format cannot carry everything.
    hash_inputs : bool
        Hash all of every input for the provenance, not its ends alone.
    progress : callable, optional
        Called with the number of rows written since the last call.
    **options
        `to`, `bits`, `scale`, `file_bytes`, `compression` (bitshuffle, gzip or none) and `blank`
        (what stands where nothing is valid: NaN, or the channel's mean), as of
        `fastsig.targets.target`. FBH5 of 8 bits has a scale and an offset for each segment of
        spectra, product and channel.

    Returns
    -------
    Target
        What was written, with `losses` and `n_bits`.

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
    made = target(stream, path, **options)
    refuse_losses(made, lossy)
    ready = plan_product(stream, made, workers=workers, memory=memory, fused=fused)
    write_plans([ready], [stream], [made], overwrite=overwrite, hash_inputs=hash_inputs,
                progress=progress)
    return made


def write_many(
    streams: Sequence[Stream], paths: Sequence[str | os.PathLike[str]], *,
    workers: int | None = None, memory: int | None = None, fused: bool = True,
    overwrite: bool = False, lossy: bool = False, hash_inputs: bool = False,
    progress: Callable[[int], Any] | None = None, **options: Any,
) -> list[Target]:
    """Write several chains of one shared stream, each to its path, in one read of the input.

    Each product is, byte for byte, the one that `write` makes. Where `memory` is too small to
    keep what other chains still need, parts of the input are read again.

    Parameters
    ----------
    streams : sequence of SpectrumStream
        Chains on one `Shared` (of ``chain.shared()``), or the two of `Baseline.kept`.
    paths : sequence of path
        Final names, as many and all different.
    workers, memory, fused, overwrite, lossy, hash_inputs, progress, **options
        As of `write`; `memory` is that of the whole run.

    Raises
    ------
    UsageError
        Where the chains do not share their input, or paths are missing or the same.
    PlanError, OutputError, DataError
        As of `write`. All products that were being written are removed.
    """
    if len(paths) != len(streams):
        raise UsageError(f"{len(paths)} paths for {len(streams)} products; allowed: one each")
    targets = [target(stream, path, **options)
               for stream, path in zip(streams, paths, strict=True)]
    for made in targets:
        refuse_losses(made, lossy)
    plans = plan_products(streams, targets, workers=workers, memory=memory, fused=fused)
    write_plans(plans, streams, targets, overwrite=overwrite, hash_inputs=hash_inputs,
                progress=progress)
    return targets


def write_plans(
    plans: Sequence[Plan], streams: Sequence[Stream], targets: Sequence[Target], *,
    overwrite: bool = False, hash_inputs: bool = False,
    progress: Callable[[int], Any] | None = None, watch: Callable[[Block], Any] | None = None,
) -> list[SpectraWriter]:
    """Run the plans of `plan_products` for `streams`; parameters as of `write`.

    `watch` is called with every block that is written, in the order of each product.
    """
    paths = [made.path for made in targets]
    _check_paths(streams, paths, overwrite)
    for ready in plans:
        _log.info("plan\n%s", ready.explain())
    begun = time.perf_counter()
    with held(), _sharing(plans), contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(made.writer(
                ready.stream, provenance(stream, hash_inputs=hash_inputs), overwrite))
            for ready, stream, made in zip(plans, streams, targets, strict=True)
        ]
        _run(plans, writers, progress, watch)
        for stream, writer in zip(streams, writers, strict=True):
            if isinstance(stream, SpectrumStream):
                writer.add_columns(stream)
    for ready, path in zip(plans, paths, strict=True):
        rows, seconds = ready.stream.shape[0], time.perf_counter() - begun
        _log.info("%s: %d rows in %.3g s", path, rows, seconds)
    return writers


def _check_paths(
    streams: Sequence[Stream], paths: Sequence[str | os.PathLike[str]], overwrite: bool
) -> None:
    for stream, path in zip(streams, paths, strict=True):
        check_output(output_names(os.fspath(path), 1)[0], overwrite=overwrite,
                     inputs=input_files(stream))
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        names = ", ".join(str(path) for path in paths)
        raise UsageError(f"{names}: two products of one name; allowed: a name for each")


@contextlib.contextmanager
def _sharing(plans: Sequence[Plan]) -> Iterator[None]:
    """Let what the chains share keep as much as was planned, and nothing afterwards."""
    shared: Shared | None = shared_by(plans[0].stream)
    if shared is not None:
        shared.capacity = plans[0].shared_bytes
    try:
        yield
    finally:
        if shared is not None:
            shared.forget()


def _run(
    plans: Sequence[Plan], writers: Sequence[SpectraWriter],
    progress: Callable[[int], Any] | None, watch: Callable[[Block], Any] | None,
) -> None:
    """Do the units of all plans, by the input that they begin at, and write what they give."""
    blocks = [ready.blocks() for ready in plans]

    def units(index: int) -> Iterator[tuple[int, int, Unit]]:
        for unit in plans[index].units():
            yield plans[index].begin(unit), index, unit

    def consume(task: tuple[int, int, Unit], result: Any) -> None:
        block = blocks[task[1]].add(task[2], result)
        if block is not None:
            writers[task[1]].append(block.data, block.valid)
            if watch is not None:
                watch(block)
            if progress is not None:
                progress(block.n)

    run(heapq.merge(*map(units, range(len(plans))), key=lambda task: task[:2]),
        lambda task: plans[task[1]].work(task[2]), consume, workers=plans[0].workers,
        in_flight=plans[0].in_flight, describe=lambda task: describe_unit(plans[task[1]], task[2]))
