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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from writers import NONSENSE, complex_int, write_digital_rf, write_lofar_bf, write_lofar_tbb

from fastsig.errors import FastsigError, InputError, UsageError
from fastsig.io import describe, detect

N_FILE = 2000
FORMATS = ("native", "guppi", "dada", "vdif", "drx", "chime", "lofar_tbb", "lofar_bf", "digital_rf",
           "mark4", "mark5b", "gsb", "raw")
RAW = {"n_bits": "8", "sample_rate": "1MHz", "start_time": "2026-01-01T00:00:00"}

#: Values that make no sense, or too much of it, for text headers and overrides.
VALUES = (
    "-1", "0", "1", "2", "3", "4", "7", "16", "0.5", "-0", "65536", "2147483648", "1e18", "1e400",
    "1e-400", "1e999999999", "nan", "-inf", "99999999999999999999", "4611686018427387904", "0x10",
    "", "1/0", "1/3", "9" * 60, "9" * 400, "9" * 5000, "0." + "3" * 60, "\xe9\xff", "1_000", "\xb2",
    "'", "=", "12:61:99", "2016-12-31-23:59:60", "2026-02-30-00:00:00", "END", "TPF", "yes",
    "SIMPLE",
)


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
        Files that are damaged, and the bytes of them that are headers.
    kind : {"bytes", "cards", "lines", "stamps", "hdf5", "overrides"}
        What headers are made of.
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
    for _ in range(N_FILE):
        changed = bytearray(raw)
        for _ in range(rng.integers(1, 4)):
            changed[place(rng)] = rng.integers(0, 256)
        path.write_bytes(changed)
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
    for what, make in _MAKERS[name]:
        home = folder / f"{name}-{len(made)}"
        home.mkdir(parents=True)
        paths, heads, kind, overrides = make(home)
        made.append(Case(name, what, str(home), paths,
                         {each: [list(map(int, span)) for span in spans]
                          for each, spans in heads.items()}, kind, overrides))
    return made


def _every(n: int, step: int, size: int) -> list[tuple[int, int]]:
    return [(i * step, i * step + size) for i in range(n)]


def _native(home: Path, n_bits: int, **kind: Any) -> Any:
    from streams import header, write_native

    from fastsig.header import DiodeSchedule

    rng = np.random.default_rng(1)
    head = header(10**6, n_bits=n_bits, **kind).replace(diode=DiodeSchedule(100, 50))
    shape = (600, 2, kind.get("n_chan", 1), 2 if kind.get("is_complex") else 1)
    data = rng.normal(0, 20, shape).astype({8: "i1", 16: "i2", 32: "f4"}[n_bits])
    data = data.reshape([n for axis, n in enumerate(shape) if axis < 2 or n > 1])
    write_native(home / "x.h5", data, head, (np.array([[0, 99], [120, 600]]),) * 2)
    return ["x.h5"], {"x.h5": []}, "hdf5", {}


def _guppi(home: Path) -> Any:
    from test_guppi import N_TIME, voltages, write

    x = voltages(4 * N_TIME)
    heads = {}
    for i in range(2):
        raw = write(home / f"{i}.raw", x, (2 * i, 2 * i + 1)).read_bytes()
        heads[f"{i}.raw"] = _every(2, len(raw) // 2, raw.index(b"END     ") + 80)
    return sorted(heads), heads, "cards", {}


def _guppi_padded(home: Path) -> Any:
    from test_guppi import CARDS, header

    rng, raw, spans = np.random.default_rng(2), b"", []
    more = {"NBITS": 2, "DIRECTIO": 1, "OVERLAP": 16, "OBSBW": -12.5, "BLOCSIZE": 256,
            "PKTSIZE": 32, "IBEAM": 7, "NPOL": 2, "PIPERBLK": 6}
    for i in range(3):
        text = header({**CARDS, **more, "PKTIDX": 6 * i})
        spans.append((len(raw), len(raw) + len(text)))
        raw += text + bytes(-len(raw + text) % 512) + rng.bytes(256)
    (home / "d.raw").write_bytes(raw)
    return ["d.raw"], {"d.raw": spans}, "cards", {}


def _guppi_time_first(home: Path) -> Any:
    from test_guppi import block, voltages

    raw = block(voltages(1), 0, {"NBITS": 4, "PKTFMT": "'SIMPLE'"},
                np.random.default_rng(3).bytes(1024))
    (home / "t.raw").write_bytes(raw)
    return ["t.raw"], {"t.raw": [(0, raw.index(b"END     ") + 80)]}, "cards", {}


def _dada(home: Path) -> Any:
    from test_dada import numbers, write

    x = numbers(200, 2, 2)
    heads = {}
    for i in range(2):
        raw = write(home / f"{i}.dada", x[100 * i : 100 * (i + 1)], OBS_OFFSET=400 * i,
                    ORDER="TFP").read_bytes()
        heads[f"{i}.dada"] = [(0, raw.index(b"\0"))]
    return sorted(heads), heads, "lines", {}


def _dada_floats(home: Path) -> Any:
    from test_dada import numbers, write

    raw = write(home / "f.dada", numbers(50, 2, 6, dtype="<f4"), NDIM=1, NCHAN=6, NBIT=32, BW=-16,
                BASIS="Circular", MJD_START="60000.25", UTC_START=None, BEAM=3).read_bytes()
    return ["f.dada"], {"f.dada": [(0, raw.index(b"\0"))]}, "lines", {"order": "TPF"}


def _vdif(home: Path, n_thread: int, payload: int, overrides: dict[str, Any], **kind: Any) -> Any:
    from test_vdif import frame

    rng, head = np.random.default_rng(4), 16 if kind.get("legacy") else 32
    (home / "v.vdif").write_bytes(b"".join(
        frame(rng.bytes(payload), number=i, thread=thread, **kind)
        for i in range(6) for thread in range(n_thread)))
    return (["v.vdif"], {"v.vdif": _every(6 * n_thread, head + payload, head)}, "bytes", overrides)


def _drx(home: Path, one: bool) -> Any:
    from test_drx import samples, write

    x = samples(3)
    which = [(i, t, p) for i in range(3) for t in range(1 if one else 2) for p in range(2)]
    for i, part in enumerate((which[:4], which[4:])):
        write(home / f"{i}.dat", x, part)
    heads = {f"{i}.dat": _every(n, 4128, 32) for i, n in enumerate((4, len(which) - 4))}
    return sorted(heads), heads, "bytes", {} if one else {"tuning": 1}


def _chime(home: Path) -> Any:
    from test_chime import FIRST, archive, random_codes

    for i in range(2):
        archive(home / f"{i}.h5", random_codes(200), 614 + i, FIRST + 5 * i)
    return ["0.h5", "1.h5"], {"0.h5": [], "1.h5": []}, "hdf5", {}


def _chime_beams(home: Path) -> Any:
    from test_chime import analysed, noise

    analysed(home / "b.h5", noise(3, 2, 100), [612, 613, 614])
    return ["b.h5"], {"b.h5": []}, "hdf5", {}


def _lofar_tbb(home: Path, external: bool) -> Any:
    rng = np.random.default_rng(5)
    write_lofar_tbb(home / "x.h5", rng.integers(-99, 99, (300, 2)).astype("<i2"), 2e8, 1,
                    sample_numbers=(100, 140), external=external, flags=[[[3, 9]], [[5, 80]]])
    return ["x.h5"], {"x.h5": []}, "hdf5", {}


def _lofar_bf(home: Path) -> Any:
    rng = np.random.default_rng(7)
    for i, name in enumerate("IQ"):
        write_lofar_bf(home / f"{i}.h5", {name: rng.normal(9, 1, (60, 8)).astype(">f4")},
                       subbands=[0, 3], storage="external" if i else "chunked")
    return ["0.h5", "1.h5"], {"0.h5": [], "1.h5": []}, "hdf5", {}


def _lofar_bf_voltages(home: Path) -> Any:
    rng = np.random.default_rng(8)
    parts = {name: rng.normal(0, 9, (200, 3)).astype("<f4") for name in ("Xr", "Xi", "Yr", "Yi")}
    write_lofar_bf(home / "x.h5", parts, n_sub=1, n_int=1)
    return ["x.h5"], {"x.h5": []}, "hdf5", {}


def _digital_rf(home: Path, continuous: bool) -> Any:
    number = np.arange(200)
    samples = np.stack([number, -number], 1).astype("f4") if continuous else (
        complex_int(number, -number))
    write_digital_rf(home, samples, 100, 1_400_000_000 * 100, 1e8, missing=[(30, 50)],
                     continuous=continuous)
    heads: dict[str, Any] = {str(path.relative_to(home)): [] for path in sorted(home.rglob("*.h5"))}
    return [""], heads, "hdf5", {}


def _mark4(home: Path) -> Any:
    from test_baseband_formats import F4, frames4, write

    write(home / "x.m4", frames4(3))
    return (["x.m4"], {"x.m4": _every(3, F4, 320)}, "bytes",
            {"decade": 2010, "sample_rate": "32MHz"})


def _mark5b(home: Path, fractions: bool, **overrides: Any) -> Any:
    from test_baseband_formats import F5, frames5, write

    write(home / "x.m5b", frames5(0, 5, fractions=fractions))
    return ["x.m5b"], {"x.m5b": _every(5, F5, 16)}, "bytes", {"kday": 56000, **overrides}


def _gsb(home: Path, phased: bool) -> Any:
    from test_baseband_formats import stamps

    path, n = stamps(home, phased)
    return ([path.name], {path.name: [(0, path.stat().st_size)]}, "stamps",
            {"samples_per_frame": n})


def _raw(home: Path) -> Any:
    (home / "x").write_bytes(np.random.default_rng(6).bytes(4800))
    return ["x"], {}, "overrides", RAW


_MAKERS: dict[str, list[tuple[str, Callable[[Path], Any]]]] = {
    "native": [("complex", lambda home: _native(home, 8, is_complex=True, n_chan=3)),
               ("floats", lambda home: _native(home, 32))],
    "guppi": [("two files", _guppi), ("2 bits, padded", _guppi_padded),
              ("4 bits, time first", _guppi_time_first)],
    "dada": [("two files", _dada), ("floats, channels", _dada_floats)],
    "vdif": [("two threads", lambda home: _vdif(home, 2, 64, {"sample_rate": 64000})),
             ("2 bits, complex", lambda home: _vdif(home, 1, 64, {}, edv=1, rate_mhz=1, n_chan=4,
                                                    n_bits=2, is_complex=True)),
             ("legacy, 3 bits", lambda home: _vdif(home, 1, 80, {"sample_rate": 20000},
                                                   legacy=True, n_bits=3))],
    "drx": [("two tunings", lambda home: _drx(home, False)),
            ("one tuning", lambda home: _drx(home, True))],
    "chime": [("two archived channels", _chime), ("beams", _chime_beams)],
    "lofar_tbb": [("raw files", lambda home: _lofar_tbb(home, True)),
                  ("one file", lambda home: _lofar_tbb(home, False))],
    "lofar_bf": [("two Stokes", _lofar_bf), ("voltages", _lofar_bf_voltages)],
    "digital_rf": [("gapped", lambda home: _digital_rf(home, False)),
                   ("continuous", lambda home: _digital_rf(home, True))],
    "mark4": [("16 tracks", _mark4)],
    "mark5b": [("2 bits", lambda home: _mark5b(home, True, nchan=8)),
               ("1 bit", lambda home: _mark5b(home, False, nchan=4, bps=1, sample_rate="128MHz"))],
    "gsb": [("rawdump", lambda home: _gsb(home, False)), ("phased", lambda home: _gsb(home, True))],
    "raw": [("overrides", _raw)],
}

# Damage


def change(case: Case, whole: dict[str, bytes], rng: np.random.Generator, *, flip: bool = False
           ) -> tuple[str, str, dict[str, Any]]:
    """Damage one file of a recording, `whole` being all of them as they were.

    Returns the file's name, what was done, and what to open the recording with. `flip` changes
    bytes of HDF5 files, whose attributes and small datasets are changed otherwise.
    """
    if case.kind == "overrides":
        return "", *_other_overrides(case.overrides, rng)
    name = str(rng.choice(sorted(case.heads)))
    path = Path(case.folder, name)
    if case.kind == "hdf5" and not flip:
        path.unlink()  # or HDF5 would know it by its number
        path.write_bytes(whole[name])
        return name, f"{name}: {_change_hdf5(path, rng)}", case.overrides
    raw, spans = bytearray(whole[name]), case.heads[name]
    if case.kind in _TEXT and rng.random() < 0.5:
        raw, told = _TEXT[case.kind](raw, spans[rng.integers(len(spans))], rng)
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
    return case._replace(heads={name: _structure(Path(case.folder, name)) for name in case.heads})


def _structure(path: Path) -> list[list[int]]:
    edges, size = [0], path.stat().st_size

    def add(_: str, item: Any) -> None:
        place = item.id.get_offset() if isinstance(item, h5py.Dataset) else None
        if place is not None and item.nbytes > 512:
            edges.extend((place, place + item.nbytes))

    with h5py.File(path) as file:
        file.visititems(add)
    edges = sorted((*edges, size))
    return [[low, high] for low, high in zip(edges[::2], edges[1::2], strict=True) if high > low]


def _change_card(raw: bytearray, span: list[int], rng: np.random.Generator
                 ) -> tuple[bytearray, str]:
    """Another value of a card of 80 characters, or another card."""
    at = int(rng.integers(span[0] // 80, span[1] // 80)) * 80 if not span[0] % 80 else (
        span[0] + 80 * int(rng.integers((span[1] - span[0]) // 80)))
    key, value = raw[at : at + 8], str(rng.choice(VALUES)).encode("latin-1")
    if rng.random() < 0.2:  # the key is missing, or there twice
        key = bytearray(str(rng.choice(["", "NPOL", "PKTIDX", "DIRECTIO", "\xe9"])).encode(
            "latin-1").ljust(8))
    raw[at : at + 80] = (key + b"= " + value)[:80].ljust(80)
    return raw, f"card {bytes(raw[at : at + 80]).rstrip()!r} at byte {at}"


def _change_line(raw: bytearray, span: list[int], rng: np.random.Generator
                 ) -> tuple[bytearray, str]:
    """Another value in a line of KEY VALUE; the header takes as much room as before."""
    lines = bytes(raw[: span[1]]).splitlines()
    which = int(rng.integers(len(lines)))
    key, value = lines[which].split()[0], str(rng.choice(VALUES)).encode("latin-1")
    lines[which] = b"" if rng.random() < 0.1 else key + b" " + value
    raw[:4096] = b"\n".join((*lines, b""))[:4096].ljust(4096, b"\0")
    return raw, f"line {lines[which][:60]!r}"


def _change_stamp(raw: bytearray, span: list[int], rng: np.random.Generator
                  ) -> tuple[bytearray, str]:
    """Another value in a line of time stamps, or lines in another order."""
    lines = bytes(raw).splitlines()
    which = int(rng.integers(len(lines)))
    words = lines[which].split()
    words[rng.integers(len(words))] = str(rng.choice(VALUES)).encode("latin-1")
    lines[which] = b" ".join(words)
    if rng.random() < 0.2:
        lines[which] = lines[rng.integers(len(lines))]
    return bytearray(b"\n".join((*lines, b""))), f"line {which + 1} is {lines[which][:80]!r}"


_TEXT = {"cards": _change_card, "lines": _change_line, "stamps": _change_stamp}


def _other_overrides(given: dict[str, Any], rng: np.random.Generator) -> tuple[str, dict[str, Any]]:
    """Overrides some of which make no sense."""
    sound: dict[str, tuple[Any, ...]] = {
        "n_bits": ("8", "16", "32", 16), "complex": ("yes", "no"), "n_pol": ("1", "2"),
        "n_chan": ("1", "3", "1000", "1048575"), "order": ("TFP", "TPF"),
        "encoding": ("twos", "offset"), "byte_order": ("little", "big"),
        "sample_rate": ("1MHz", "200/3", 1e6), "start_time": ("2016-12-31T23:59:60.5",),
        "frequency": ("1400MHz", "1 mHz"), "sideband": ("lower",), "feed": ("linear",),
        "telescope": ("FAST",), "source": ("x",), "colour": ("red",)}
    changed = dict(given)
    for key in rng.choice(sorted(sound), rng.integers(1, 6), replace=False).tolist():
        values = (*VALUES, None, -1, 0.5, float("nan"), True) if rng.random() < 0.4 else sound[key]
        changed[key] = values[rng.integers(len(values))]
        if rng.random() < 0.05:
            del changed[key]
    return ", ".join(f"{key}={value!r:.60}" for key, value in changed.items()), changed


def _change_hdf5(path: Path, rng: np.random.Generator) -> str:
    """Another attribute or member of an HDF5 file."""
    with h5py.File(path, "r+") as file:
        items: list[Any] = [file]
        file.visititems(lambda _, item: items.append(item))
        attrs = [(item, key) for item in items for key in item.attrs]
        if attrs and (len(items) == 1 or rng.random() < 0.5):
            item, key = attrs[rng.integers(len(attrs))]
            return f"attribute {key} of {item.name} {_change_attribute(item.attrs, key, rng)}"
        item = items[1 + rng.integers(len(items) - 1)]
        name = item.name
        return f"{name} {_change_member(file, item, rng)}"


_NUMBERS = (-1, 0, 1, 2, 3, 2**31, 2**62, np.uint64(2**63), np.inf, np.nan, 0.5, 1e18, 1e300)


def _change_attribute(attrs: Any, key: str, rng: np.random.Generator) -> str:
    value, kind = np.asarray(attrs[key]), rng.integers(4)
    if kind == 0:
        del attrs[key]
        return "is missing"
    if kind == 1:
        new: Any = list(NONSENSE.values())[rng.integers(len(NONSENSE))]
    elif value.dtype.kind in "iufb":
        new = _flipped(value, rng) if kind == 2 else _NUMBERS[rng.integers(len(_NUMBERS))]
    else:
        new = str(rng.choice(VALUES))
    del attrs[key]
    attrs[key] = new
    return f"is {new!r:.60}"


def _flipped(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Numbers one to three bytes of which are others."""
    raw = bytearray(values.tobytes())
    for _ in range(rng.integers(1, 4) if raw else 0):
        raw[rng.integers(len(raw))] = rng.integers(256)
    return np.frombuffer(bytes(raw), values.dtype).reshape(values.shape)


def _change_member(file: h5py.File, item: Any, rng: np.random.Generator) -> str:
    name, kind = item.name, int(rng.integers(8))
    if kind == 0 or (isinstance(item, h5py.Group) and kind < 6):
        del file[name]
        return "is missing"
    if kind == 1:
        new = [h5py.SoftLink("/nowhere"), h5py.SoftLink("/"), h5py.SoftLink(name),
               h5py.ExternalLink("/dev/zero", "/x"), h5py.ExternalLink(file.filename, "/")][
            rng.integers(5)]
        del file[name]
        file[name] = new
        return f"is {new!r}"
    if isinstance(item, h5py.Group):
        kind = 7
    elif item.external is not None:
        return _change_external(file, item, rng)
    elif kind < 5 and item.dtype == np.uint8 and item.ndim == 1 and item.size and (
            item[0] == ord("{")):
        return _change_json(file, item, rng)
    elif kind in (2, 3, 4) and item.dtype.kind in "iufcV" and item.size:
        item[...] = _flipped(item[()], rng)
        return "has other values"
    made = _other_array(item, kind, rng)
    attrs = dict(item.attrs)
    del file[name]
    file[name] = made
    file[name].attrs.update(attrs)
    return f"is {made!r:.60}"


def _other_array(item: Any, kind: int, rng: np.random.Generator) -> Any:
    """Values of another shape or type."""
    if kind < 7 and item.shape:
        data = item[()]
        if kind == 5:
            return [data[: len(data) // 2], np.concatenate([data, data]), data[..., np.newaxis],
                    data[:0], data[0]][rng.integers(5)]
        if data.dtype.kind in "iuf":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return data.astype(str(rng.choice(["<i1", ">i2", "<u8", "<f8", ">c8", "S4"])))
    return list(NONSENSE.values())[rng.integers(len(NONSENSE))]


def _change_external(file: h5py.File, item: Any, rng: np.random.Generator) -> str:
    """Other places in raw files for a dataset."""
    name, shape, dtype, attrs = item.name, item.shape, item.dtype, dict(item.attrs)
    size = int(rng.choice([1, 100, 600, 2**40, 2**62]))
    place = (str(rng.choice([item.external[0][0], "missing", "../x", "/dev/zero", "."])),
             int(rng.choice([0, 1, 500, 600, 2**40, 2**62])), size)
    n = max(1, size // dtype.itemsize) if rng.random() < 0.5 else shape[0]
    unlimited = place[1] == 0 and n > size // dtype.itemsize
    del file[name]
    file.create_dataset(name, (n,), dtype, external=[
        (*place[:2], h5py.h5f.UNLIMITED if unlimited else max(size, n * dtype.itemsize))])
    file[name].attrs.update(attrs)
    return f"lies in {place}, {n} samples"


_JSON = (None, -1, 0, 1, 2, 3, 4, 0.5, 10**30, float("inf"), float("nan"), True, [], {}, [0], "x")


def _change_json(file: h5py.File, item: Any, rng: np.random.Generator) -> str:
    """Another value in a record of JSON."""
    record, found, name = json.loads(item[()].tobytes()), [], item.name

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            found.append((node, key))
            if isinstance(node[key], (dict, list)):
                walk(node[key])

    walk(record)
    node, key = found[rng.integers(len(found))]
    values = (*_JSON, *VALUES)
    node[key] = new = values[rng.integers(len(values))]
    if isinstance(node, dict) and rng.random() < 0.1:
        del node[key]
        new = "missing"
    del file[name]
    file[name] = np.frombuffer(json.dumps(record).encode(), np.uint8)
    return f"has {key} = {new!r:.60}"


# What comes of it


def verdict(case: Case, overrides: dict[str, Any] | None = None) -> str:
    """What opening and reading a recording gives.

    "read": a stream whose blocks are as it says; "error": a FastsigError that names the file, or
    the option. All else is a fault.
    """
    module = importlib.import_module(f"fastsig.io.{case.format}")
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
    json.dumps(dict(header.extra), allow_nan=False)
    spectra = stream.kind == "spectra"
    if case.kind != "overrides":
        held = 0 if spectra else sum(os.path.getsize(each) for each in stream.files) * 8
        bits = header.n_bits * (2 if header.is_complex else 1)
        valid = 0 if spectra else stream.valid_fraction() or 0
        if valid * float(np.prod(shape, dtype=float)) * bits > held * 1.01:
            return f"wrong shape: {shape}, more valid samples than the files hold"
        if shape[0] / header.sample_rate > 366 * 86400:
            return f"wrong shape: {shape} is {float(shape[0] / header.sample_rate):.3g} s"
    n = max(1, min(shape[0], 1000, 2**20 // stream.row_bytes))
    for start in sorted({0, (shape[0] - n) // 2, shape[0] - n}):
        check = _wrong_spectra if spectra else _wrong_block
        if found := check(stream, stream.read_block(start, n), start, n):
            return found
    if spectra:
        return ""
    recorded = stream.as_recorded()
    if recorded is stream:
        return ""
    n -= n % recorded.row_step  # rows that share a byte
    found = recorded.read_block(0, n)
    return "" if found.n == n else f"wrong shape: {found.n} rows as recorded, not {n}"


def _wrong_spectra(stream: Any, block: Any, start: int, n: int) -> str:
    data, shape = block.data, (n, *stream.shape[1:])
    if data.shape != shape or data.dtype != np.float32 or block.valid.dtype != np.float32:
        return f"wrong shape: {data.shape} of {data.dtype}, not {shape}"
    weight = np.broadcast_to(block.valid, shape)
    if not ((weight >= 0) & (weight <= 1)).all() or (np.isfinite(data) != (weight > 0)).any():
        return f"wrong shape: weights of rows {start} to {start + n} do not tell what is NaN"
    return ""


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
