"""Files with bytes or values changed at random: an error of ours or a sound stream must come of it.

`cases` makes small recordings of every format, `change` damages one, `verdict` tells what reading
it gives. `fuzz.py` does so in children that may hang or crash alone.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import hostile_spectra
import hostile_voltages
import numpy as np
from hostile_hdf5 import change_hdf5, structure
from hostile_text import TEXT, other_overrides

from fastsig import registry
from fastsig.axes.time import iso
from fastsig.errors import FastsigError, InputError, UsageError
from fastsig.io.opening import describe, detect
from fastsig.io.raw import reader as raw

# Of `change_bytes`; fuzz.py does as many as it is asked. It runs without the tests' folder on its
# path, where `thorough` is.
N_FILE = 200 if os.environ.get("FASTSIG_THOROUGH") else 70
#: By format: what is special about a recording, and what makes it in a folder.
Makers = dict[str, list[tuple[str, Callable[[Path], Any]]]]
#: Formats without makers: of FBH5 `fuzz.outcomes` tries bytes; the others are no streams.
NO_MAKERS = ("fbh5", "planes", "psrfits_fold", "fits_cube", "ecsv",
             "ecsv_profiles", "turboseti")
_TABLES = {"voltage": hostile_voltages.MAKERS, "spectra": hostile_spectra.MAKERS}


def _makers(kind: str) -> Makers:
    """Makers of a kind of stream: of the table, and of other formats those in their own tests.

    ``tests/io/test_NAME.py`` then has ``HOSTILE = {"spectra": [(what, maker), ...]}``.
    """
    known = {*NO_MAKERS, *chain.from_iterable(_TABLES.values())}
    others = {name: _own_makers(name) for name in registry.format_names() if name not in known}
    return {**_TABLES[kind], **{name: made[kind] for name, made in others.items() if kind in made}}


def _own_makers(name: str) -> Makers:
    """Those in a format's tests; none where they are missing: another test fails by that."""
    if not Path(__file__).with_name(f"test_{name}.py").exists():
        return {}
    tests = str(Path(__file__).parents[1])  # whose modules the tests import; pytest has it
    if tests not in sys.path:
        sys.path.append(tests)
    found: Makers = getattr(importlib.import_module(f"test_{name}"), "HOSTILE", {})
    return found


MAKERS = {kind: _makers(kind) for kind in _TABLES}
VOLTAGES, SPECTRA = (tuple(MAKERS[kind]) for kind in ("voltage", "spectra"))
FORMATS = (*VOLTAGES, *SPECTRA)


class Case(NamedTuple):
    """A small recording.

    Parameters
    ----------
    format, what : str
        Its format, and what is special about it.
    folder : str
        Where it lies.
    paths : list of str
        What is opened, within the folder; "" is the folder itself.
    heads : dict
        Files that are damaged, and the bytes of them that are headers, or numbers that are like
        ones: up to eight bytes.
    kind : str
        What headers are made of: "bytes", "cards" of 80 characters, "lines" of KEY VALUE in 4096
        bytes, "words" KEY=VALUE in a line, "stamps", "fits", "keywords", "inf", "hdf5"; or
        "overrides", which are changed instead. The changes are in `hostile_text`, except those of
        bytes and HDF5.
    overrides : dict
        What it is opened with.
    """

    format: str
    what: str
    folder: str
    paths: list[str]
    heads: dict[str, list[list[int]]]
    kind: str
    overrides: dict[str, Any]


def change_bytes(
    raw: bytes, path: Path, place: Callable[[np.random.Generator], int],
    open_: Callable[[str], Any],
) -> None:
    """Open many versions of a file, each with one to three bytes changed at a `place`, and read."""
    rng = np.random.default_rng(3)
    path.write_bytes(raw)
    for _ in range(N_FILE):
        changed = bytearray(raw)
        for _ in range(rng.integers(1, 4)):
            changed[place(rng)] = rng.integers(0, 256)
        with open(path, "r+b") as file:  # in its place: a disk takes longer for another file
            file.write(changed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of lost samples, and of years to come
            try:
                stream = open_(str(path))
                found = stream.read_block(0, min(stream.shape[0], 1000))
            except FastsigError as error:
                # Of the file, or of an option that has no meaning for what it now says.
                assert str(path) in str(error) or "allowed" in str(error)
                continue
        assert found.data.shape == (min(stream.shape[0], 1000), *stream.shape[1:])
        stream.close()


# Recordings


def cases(name: str, folder: Path) -> list[Case]:
    """Small recordings of a format, made in folders of their own."""
    made = []
    for what, make in (MAKERS["voltage"] | MAKERS["spectra"])[name]:
        home = folder / f"{name}-{len(made)}"
        home.mkdir(parents=True)
        paths, heads, kind, overrides = make(home)
        made.append(Case(name, what, str(home), paths,
                         {each: [list(map(int, span)) for span in spans]
                          for each, spans in heads.items()}, kind, overrides))
    return made


# Damage


def change(case: Case, whole: dict[str, bytes], rng: np.random.Generator, *, flip: bool = False
           ) -> tuple[str, str, dict[str, Any]]:
    """Damage one file of a recording, `whole` being all of them as they were.

    Returns the file's name, what was done, and what to open the recording with. `flip` changes
    bytes of HDF5 files, whose attributes and small datasets are changed otherwise.
    """
    if case.kind == "overrides":
        return "", *other_overrides(case.overrides, rng)
    name = str(rng.choice(sorted(case.heads)))
    path = Path(case.folder, name)
    if case.kind == "hdf5" and not flip:
        path.unlink()  # or HDF5 would know it by its number
        path.write_bytes(whole[name])
        return name, f"{name}: {change_hdf5(path, rng)}", case.overrides
    raw, spans = bytearray(whole[name]), case.heads[name]
    if case.kind in TEXT and rng.random() < 0.5:
        raw, told = TEXT[case.kind](raw, spans[rng.integers(len(spans))], rng)
    else:
        places = [_place(path, spans, rng) for _ in range(rng.integers(1, 4))]
        told = ", ".join(f"byte {at} is 0x{value:02x}, was 0x{raw[at]:02x}" for at, value in places)
        for at, value in places:
            raw[at] = value
    path.write_bytes(raw)
    return name, f"{name}: {told}", case.overrides


def _place(path: Path, spans: list[list[int]], rng: np.random.Generator) -> tuple[int, int]:
    """A byte of a header, of the first one every other time, and what to put there."""
    start, stop = spans[rng.integers(len(spans)) * rng.integers(2)]
    return int(rng.integers(start, stop)), int(rng.integers(256))


def with_structure(case: Case) -> Case:
    """A recording in HDF5, for whose headers all stand that is not in large datasets."""
    return case._replace(heads={name: structure(Path(case.folder, name)) for name in case.heads})


def check_counts(name: str, counts: Mapping[str, int], least: int) -> None:
    """Of the damaged versions of a format, some must be refused and some be read.

    Otherwise the damage is either not noticed, or so great that only the first check is tested.
    """
    of = f"{name}: of the damaged versions, {counts['error']} are refused and {counts['read']} read"
    assert counts["error"] >= least, (
        f"{of}; at least {least} must be refused: does the reader check all values of the header, "
        f"and are the byte ranges of HOSTILE in tests/io/test_{name}.py those of the header?")
    assert counts["read"] >= least, (
        f"{of}; at least {least} must be read: give the header in HOSTILE of "
        f"tests/io/test_{name}.py another type (for text: {', '.join(TEXT)}), or a longer value "
        "that the reader does not check, such as a note of 80 characters")


# What comes of it


def format_of(case: Case) -> Any:
    """The module that opens a case."""
    return raw if case.format == raw.NAME else registry.formats()[case.format]


def verdict(case: Case, overrides: dict[str, Any] | None = None) -> str:
    """What opening and reading a recording gives.

    "read": a stream whose blocks are as it says; "error": a FastsigError that names the file, or
    the option. All else is a fault.
    """
    module = format_of(case)
    given = case.overrides if overrides is None else overrides
    files = ["-"] if case.kind == "overrides" else [os.path.join(case.folder, each).rstrip("/")
                                                   for each in case.paths]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lost samples, and of years to come
        try:
            if case.kind != "overrides":
                _detect(files[0])
            stream = module.open(files[0] if len(files) == 1 else files, **given)
            try:
                return _unsound(stream, case) or "read"
            finally:
                stream.close()
        except FastsigError as error:
            return _told(error, case, given)
        except MemoryError:
            return "memory: MemoryError"


def _detect(path: str) -> None:
    """Have every format look at a file; that none knows it is no reason not to open it."""
    with contextlib.suppress(FastsigError):
        detect(path)


def _told(error: FastsigError, case: Case, overrides: dict[str, Any]) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return f"memory: {error}"
        cause = cause.__cause__
    text, where = str(error), "-" if case.kind == "overrides" else case.folder
    named = isinstance(error, InputError) and text.startswith(where)
    named |= isinstance(error, UsageError) and any(
        key in text or repr(value) in text for key, value in overrides.items())
    return "error" if named and "\n" not in text else f"unnamed: {text}"


def _unsound(stream: Any, case: Case) -> str:
    """What is wrong with a stream; nothing where all is as it says."""
    header, shape = stream.header, stream.shape
    if not (all(type(n) is int and n > 0 for n in shape) and len(shape) in (2, 3)):
        return f"wrong shape: {shape}"
    if header.polarization.n_pol != shape[1] or (
            header.channels is not None
            and header.channels.n_chan != (shape[2] if len(shape) == 3 else 1)):
        return f"wrong shape: {shape} for {header.polarization} and {header.channels}"
    json.dumps(describe(stream, case.format))
    if str(stream.start_time) != iso(stream.start_time):
        return f"its start prints as {stream.start_time}"
    json.dumps(dict(header.extra), allow_nan=False)
    if case.kind != "overrides":
        held = sum(os.path.getsize(each) for each in stream.files) * 8
        bits = header.n_bits * (2 if header.is_complex else 1)
        share = getattr(stream, "held_fraction", getattr(stream, "valid_fraction", None))
        share = (share() if share else None) or 0
        if share * float(np.prod(shape, dtype=float)) * bits > held * 1.01:
            return f"wrong shape: {shape}, more valid samples than the files hold"
        if shape[0] / header.sample_rate > 366 * 86400:
            return f"wrong shape: {shape} is {float(shape[0] / header.sample_rate):.3g} s"
    n = max(1, min(shape[0], 1000, 2**20 // stream.row_bytes))
    wrong = hostile_spectra.wrong_block if stream.kind == "spectra" else _wrong_block
    for start in sorted({0, (shape[0] - n) // 2, shape[0] - n}):
        if found := wrong(stream, stream.read_block(start, n), start, n):
            return found
    if stream.kind == "spectra":
        return hostile_spectra.wrong_parts(stream, min(n, 50))
    recorded = stream.as_recorded()
    if recorded is stream:
        return ""
    n -= n % recorded.row_step  # rows that share a byte
    found = recorded.read_block(0, n)
    return "" if found.n == n else f"wrong shape: {found.n} rows as recorded, not {n}"


def _wrong_block(stream: Any, block: Any, start: int, n: int) -> str:
    data, shape = block.data, (n, *stream.shape[1:])
    if data.shape != shape or data.dtype != stream.dtype:
        return f"wrong shape: {data.shape} of {data.dtype}, not {shape} of {stream.dtype}"
    if len(block.valid) != shape[1]:
        return f"wrong shape: {len(block.valid)} sets of spans, not {shape[1]}"
    for pol, spans in enumerate(block.valid):
        flat = np.array([start, *spans.ravel().tolist(), start + n])
        if spans.dtype != np.int64 or spans.shape != (len(spans), 2) or (np.diff(flat) < 0).any():
            return f"wrong shape: spans {spans.tolist()} of rows {start} to {start + n}"
        lost = np.ones(n, bool)
        for low, high in spans.tolist():
            lost[low - start : high - start] = False
        if data[lost, pol].any():
            return "wrong shape: invalid samples are not 0"
    return "" if np.isfinite(data).all() else "wrong shape: samples are not finite"


def standard_input(file: Any) -> None:
    """Make a file this process's standard input."""
    os.dup2(file.fileno(), sys.stdin.fileno())


def damaged(case: Case, seed: int, indices: list[int], *, flip: bool = False
            ) -> Iterator[tuple[int, str, str]]:
    """Number, verdict and damage of many versions of a recording, each found from its number."""
    whole = {name: Path(case.folder, name).read_bytes() for name in case.heads}
    if flip:
        case = with_structure(case)
    for index in indices:
        rng = np.random.default_rng([seed, index])
        name, told, overrides = change(case, whole, rng, flip=flip)
        try:
            found = verdict(case, overrides)
        except Exception as error:
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
            found = f"traceback: {type(error).__name__}: {str(error)[:200]} ({where})"
        yield index, found, told
        if name:
            Path(case.folder, name).write_bytes(whole[name])
