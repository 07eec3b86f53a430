"""Small recordings of every format of voltages, and of LOFAR's that may hold either, for `hostile`.

A maker puts files into a folder; it returns what is opened, the bytes that are headers, what these
are made of, and the options.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from writers import complex_int, write_digital_rf, write_lofar_bf, write_lofar_tbb

RAW = {"n_bits": "8", "sample_rate": "1MHz", "start_time": "2026-01-01T00:00:00"}


def _every(n: int, step: int, size: int) -> list[tuple[int, int]]:
    return [(i * step, i * step + size) for i in range(n)]


def _native(home: Path, n_bits: int, **kind: Any) -> Any:
    from streams import header, write_native

    from fastsig.axes.diode_schedule import DiodeSchedule

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


MAKERS: dict[str, list[tuple[str, Callable[[Path], Any]]]] = {
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
