"""Voltages from one format into another: plan, what would be lost, the copy itself."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from fastsig import registry, validity
from fastsig.errors import FormatError, PlanError, UsageError
from fastsig.io.outputs import check_file_bytes, output_names
from fastsig.io.provenance import input_files, voltage_provenance
from fastsig.io.safe import check_name, check_output
from fastsig.io.writing import Recording, VoltageWriter
from fastsig.memory import resident_bytes
from fastsig.scheduler import run
from fastsig.signals import held
from fastsig.stream import Block, Stream, VoltageStream
from fastsig.threads import processors
from fastsig.validity import Spans

_log = logging.getLogger(__name__)

__all__ = ["copy", "memory_bytes", "plan", "target_format", "write"]

_SUFFIXES = {".h5": "native", ".hdf5": "native", ".raw": "guppi", ".dada": "dada", ".vdif": "vdif"}
_SCAN_BYTES = 2**22
_ALLOWANCE = 2**26  # interpreter and allocator growth while running


def target_format(path: str | os.PathLike[str], to: str | None = None) -> str | None:
    """The format to write: `to`, or what the name's ending stands for, or None."""
    return to or _SUFFIXES.get(os.path.splitext(os.fspath(path))[1].lower())


def plan(
    stream: Stream, path: str | os.PathLike[str], *, to: str | None = None,
    bits: int | None = None, scale: float = 1.0, file_bytes: int | None = None,
    workers: int | None = None, memory: int | None = None, hash_inputs: bool = False,
) -> VoltageWriter:
    """A writer that is ready to begin; its `losses` tell what it cannot carry.

    Parameters as of `write`. No file is touched but those that are read: where the headers do not
    tell which samples are valid, all are read once.

    Raises
    ------
    UsageError, PlanError
        Where the format is unknown, or cannot hold such voltages at all, or `memory` is too little.
    """
    if not isinstance(stream, VoltageStream):
        raise PlanError(f"{stream.path}: holds {stream.kind}; allowed: voltages")
    check_name(output_names(os.fspath(path), 1)[0])
    check_file_bytes(file_bytes)
    name = target_format(path, to)
    if name is None:
        raise UsageError(f"{os.fspath(path)}: its ending tells no format; give --to "
                         f"{'|'.join(registry.writers())}")
    make = registry.writer(name)
    recording = Recording(stream.header, stream.shape, _valid(stream, _threads(workers)),
                          stream.levels, stream.path, _records(stream, hash_inputs))
    ready: VoltageWriter = make(recording, path, n_bits=bits, scale=scale, file_bytes=file_bytes)
    if recording.records is not None:  # what is lost is known only now
        recording.records["provenance"]["losses"][:] = ready.losses  # type: ignore[index]
    _fit(ready, _as_integers(stream), _threads(workers), memory)
    return ready


def write(
    stream: Stream, path: str | os.PathLike[str], *, to: str | None = None, lossy: bool = False,
    bits: int | None = None, scale: float = 1.0, file_bytes: int | None = None,
    workers: int | None = None, memory: int | None = None, overwrite: bool = False,
    hash_inputs: bool = False, progress: Callable[[int], Any] | None = None,
) -> VoltageWriter:
    """Write voltages in a format of the field, or the project's own.

    The bytes written depend on the input and the parameters alone.

    Parameters
    ----------
    stream : VoltageStream
        A file, or a span of rows and channels of one.
    path : path
        Name of the file; ``{file}`` in it stands for numbers, where there are several.
    to : {"native", "guppi", "dada", "vdif"}, optional
        The format; by default what the ending of `path` stands for (.h5, .raw, .dada, .vdif).
    lossy : bool
        Whether to write although the format cannot carry everything.
    bits : int, optional
        Bits of a number in the file; by default as recorded, or the fewest that carry all values.
    scale : float
        What samples are multiplied by before they are rounded.
    file_bytes : int, optional
        Most bytes of a file, where the recording may be parted.
    workers : int, optional
        Threads; as many as the process may use by default.
    memory : int, optional
        Most bytes that the process may take.
    overwrite : bool
        Whether existing files may be replaced.
    hash_inputs : bool
        Hash all of every input for the provenance, not its ends alone.
    progress : callable, optional
        Called with the number of rows written since the last call.

    Returns
    -------
    VoltageWriter
        With `files`, `losses`, `n_clipped` and `n_inexact`.

    Raises
    ------
    UsageError, PlanError
        As of `plan`; and where something would be lost and `lossy` is not given.
    OutputError
        Where a file exists or cannot be written.
    DataError
        Where the input cannot be read to its end.
    """
    ready = plan(stream, path, to=to, bits=bits, scale=scale, file_bytes=file_bytes,
                 workers=workers, memory=memory, hash_inputs=hash_inputs)
    refuse_losses(ready, lossy)
    copy(ready, stream, workers=workers, memory=memory, overwrite=overwrite, progress=progress)
    if ready.n_clipped:
        _log.warning("%s: %d numbers were clipped", ready.path, ready.n_clipped)
    return ready


def refuse_losses(writer: VoltageWriter, lossy: bool) -> None:
    """Raise `PlanError` where something would be lost and the user did not say that it may."""
    if writer.losses and not lossy:
        whole = "" if writer.NAME == "native" else "; native files keep everything"
        raise PlanError(f"{writer.path}: {'; '.join(writer.losses)}. --lossy (lossy=True) writes "
                        f"it all the same{whole}")


def copy(
    writer: VoltageWriter, stream: Stream, *, workers: int | None = None,
    memory: int | None = None, overwrite: bool = False,
    progress: Callable[[int], Any] | None = None,
) -> None:
    """Write the voltages of `stream` with the writer that `plan` made for it."""
    inputs = input_files(stream)
    for name, _ in writer.files:
        check_output(name, overwrite=overwrite, inputs=inputs)
    source = _as_integers(stream)
    threads, flight = _fit(writer, source, _threads(workers), memory)

    def work(piece: tuple[int, int]) -> Any:
        return piece[1], writer.encode(source.read_block(*piece))

    def consume(piece: tuple[int, int], result: Any) -> None:
        writer.write(result[1])
        if progress is not None:
            progress(result[0])

    with held(), writer.create(overwrite=overwrite):
        run(writer.pieces(), work, consume, workers=threads, in_flight=flight,
            describe=lambda piece: f"samples {piece[0]} to {sum(piece)} of {stream.path}")


def _as_integers(stream: Stream) -> VoltageStream:
    """The stream with complex integers in pairs, where it can give them."""
    if not isinstance(stream, VoltageStream):
        raise FormatError(stream.path, f"holds {stream.kind}; allowed: voltages")
    recorded = stream.as_recorded()
    return recorded if recorded.dtype.kind == "i" else stream


def _threads(workers: int | None) -> int:
    threads = processors() if workers is None else workers
    if threads < 1:
        raise UsageError(f"workers = {workers}; allowed: 1 or more")
    return threads


def _fit(writer: VoltageWriter, source: VoltageStream, threads: int, memory: int | None
         ) -> tuple[int, int]:
    """Threads and pieces in flight that fit into `memory`."""
    base = resident_bytes() + _ALLOWANCE
    each = writer.work_bytes + source.work_bytes(writer.piece)
    if memory is None:
        return threads, threads + 2
    flight = (memory - base) // each
    if flight < 1:
        raise PlanError(f"--memory {memory / 1e6:.0f}MB is below the floor of this plan, "
                        f"{-(-(base + each) // 10**6)}MB")
    return min(threads, flight), min(threads + 2, flight)


def memory_bytes(writer: VoltageWriter, source: VoltageStream, *, workers: int | None = None,
                 memory: int | None = None) -> int:
    """Bytes that the process is expected to take while it copies; parameters as of `write`."""
    flight = _fit(writer, source, _threads(workers), memory)[1]
    return resident_bytes() + _ALLOWANCE + flight * (
        writer.work_bytes + source.work_bytes(writer.piece))


def _records(stream: VoltageStream, hash_inputs: bool) -> dict[str, Any]:
    records: dict[str, Any] = {
        "provenance": voltage_provenance(stream, [], hash_inputs=hash_inputs)}
    truth = getattr(stream, "truth", None)  # of a whole file: a cut one's would mislead
    return records | ({"truth": truth} if truth is not None else {})


def _valid(stream: VoltageStream, threads: int) -> tuple[Spans, ...]:
    """Valid spans of all of a stream: from its headers, or by reading it."""
    told = stream.valid_spans()
    if told is not None:
        return told
    rows = max(1, _SCAN_BYTES // stream.row_bytes)
    found: list[list[Spans]] = [[validity.full(0, 0)] for _ in range(stream.n_pol)]

    def consume(start: int, block: Block) -> None:
        for each, spans in zip(found, block.valid, strict=True):
            each.append(spans)

    run(range(0, stream.shape[0], rows),
        lambda start: stream.read_block(start, min(rows, stream.shape[0] - start)), consume,
        workers=threads)
    return tuple(validity.as_spans(np.concatenate(each)) for each in found)
