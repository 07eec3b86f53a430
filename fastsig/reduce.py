"""Run a chain and write its product: the planner, the scheduler and the writer put together."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

from fastsig.errors import FastsigWarning, UsageError
from fastsig.io.fbh5_writer import FBH5Writer, chunk_shape
from fastsig.io.provenance import input_files, provenance
from fastsig.io.safe import check_output
from fastsig.plan import Plan, describe_unit, plan
from fastsig.scheduler import run
from fastsig.signals import held
from fastsig.stages.integrate import Integrate
from fastsig.stream import SpectrumStream, Stream

_log = logging.getLogger(__name__)

__all__ = ["plan_product", "write", "write_plan"]


def plan_product(
    stream: Stream, *, workers: int | None = None, memory: int | None = None, fused: bool = True
) -> Plan:
    """The plan of writing a chain's spectra, the writer's memory included."""
    threads = len(os.sched_getaffinity(0)) if workers is None else workers
    if threads < 1:
        raise UsageError(f"workers = {workers}; allowed: 1 or more")
    if isinstance(stream, Integrate) and stream.n_int > stream.source.shape[0]:
        warnings.warn(
            f"{stream.path}: its {stream.source.shape[0]} spectra are fewer than the "
            f"{stream.n_int} of one integration; the weight tells", FastsigWarning, stacklevel=3,
        )
    held = 0
    if isinstance(stream, SpectrumStream):
        chunk = chunk_shape(stream.shape)[0] * stream.shape[1] * stream.shape[2] * 4
        held = (4 if stream.weight_channels == 1 else 6) * chunk
    return plan(stream, workers=threads, memory=memory, fused=fused, writer_bytes=held)


def write(
    stream: Stream, path: str | os.PathLike[str], *, workers: int | None = None,
    memory: int | None = None, fused: bool = True, overwrite: bool = False,
    compression: str = "bitshuffle", blank: str = "nan", hash_inputs: bool = False,
    progress: Callable[[int], Any] | None = None,
) -> Plan:
    """Compute a chain that ends in spectra and write them as FBH5.

    The bytes written depend on the input and the chain's parameters alone.

    Parameters
    ----------
    stream : SpectrumStream
        The chain.
    path : path
        Final name of the product.
    workers : int, optional
        Threads; as many as the process may use by default.
    memory : int, optional
        Most bytes that the process may take.
    fused : bool
        Whether to use fused kernels.
    overwrite : bool
        Whether an existing file may be replaced.
    compression : {"bitshuffle", "gzip", "none"}
        Filter of the data.
    blank : {"nan", "mean"}
        What stands where nothing is valid: NaN, or the channel's weighted mean.
    hash_inputs : bool
        Hash all of every input for the provenance, not its ends alone.
    progress : callable, optional
        Called with the number of rows written since the last call.

    Raises
    ------
    PlanError
        Where the chain cannot run, or not within `memory`.
    OutputError
        Where the product exists or cannot be written.
    DataError
        Where an input cannot be read to its end.
    """
    ready = plan_product(stream, workers=workers, memory=memory, fused=fused)
    write_plan(ready, stream, path, overwrite=overwrite, compression=compression,
               blank=blank, hash_inputs=hash_inputs, progress=progress)
    return ready


def write_plan(
    ready: Plan, stream: Stream, path: str | os.PathLike[str], *, overwrite: bool = False,
    compression: str = "bitshuffle", blank: str = "nan", hash_inputs: bool = False,
    progress: Callable[[int], Any] | None = None,
) -> None:
    """Run a plan of `plan_product` for `stream`; parameters as of `write`."""
    check_output(path, overwrite=overwrite, inputs=input_files(stream))
    _log.info("plan\n%s", ready.explain())
    spectra = ready.stream
    blocks = ready.blocks()
    record = provenance(stream, hash_inputs=hash_inputs)
    with held(), FBH5Writer(
        path, spectra.header, spectra.shape, weight_channels=spectra.weight_channels,
        provenance=record, overwrite=overwrite, compression=compression, blank=blank,
    ) as writer:

        def consume(unit: Any, result: Any) -> None:
            block = blocks.add(unit, result)
            if block is not None:
                writer.append(block.data, block.valid)
                if progress is not None:
                    progress(block.n)

        begun = time.perf_counter()
        run(ready.units(), ready.work, consume, workers=ready.workers,
            in_flight=ready.in_flight, describe=lambda unit: describe_unit(ready, unit))
    _log.info("%s: %d rows in %.3g s", path, spectra.shape[0], time.perf_counter() - begun)
