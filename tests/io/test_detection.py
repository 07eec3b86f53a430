"""What files are: those that fastsig does not read, and what a stem stands for."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import test_dada
import test_presto
from recordings import recorded

import fastsig as fs
from fastsig.errors import FormatError, UsageError
from fastsig.io.opening import detect, detect_files
from fastsig.products.info import info


def _lwa(length: int) -> bytes:
    return (b"\xde\xc0\xde\x5c".ljust(length, b"\1")) * 3


def _tbb_frame(samples: int, channels: int) -> bytes:
    head = struct.pack("<BBBBIIIHH", 1, 2, 3, 200, 0, 1311073541, 0, samples, channels)
    return head.ljust(2140, b"\0")


def _timer() -> bytes:
    head = bytearray(4096)
    head[64:68], head[88:98] = b"BPSR", b"05-12-2014"
    head[112:116] = struct.pack(">i", 57000)
    return bytes(head)


def _prepfold(order: str) -> bytes:
    sizes = struct.pack(f"{order}12i", 129, 129, 129, 16, 64, 64, 128, 1, 2, 1, 1, 1)
    return sizes + b"".join(struct.pack(f"{order}i", len(text)) + text
                            for text in (b"night.dat", b"PSR_1824", b"GBT")) + bytes(64)


_CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "LWA recording of mode TBN": ("x", lambda: _lwa(1048)),
    "LWA recording of mode TBW": ("x", lambda: _lwa(1224)),
    "LWA recording of mode TBF": ("x", lambda: _lwa(6168)),
    "LWA recording of a mode other than DRX": ("x", lambda: _lwa(999)),
    "LWA's DR spectrometer": ("x", lambda: b"\xde\xc0\xde\xc0" + bytes(100)),
    "LOFAR's transient buffers": ("x", lambda: _tbb_frame(1024, 0) * 2),
    "PSRCHIVE's Timer": ("x.ar", _timer),
    "folded profiles of PRESTO's prepfold": ("x.pfd", lambda: _prepfold("<")),
    "prepfold": ("x", lambda: _prepfold(">")),
    "candidates from heimdall": (
        "x.cand", lambda: b"12.8\t1602\t2.0281\t3\t277\t475.284\t21\t1594\t1610\n"),
    "candidates from your": (
        "x.csv", lambda: b"file,snr,stime,width,dm,label,chan_mask_path\n28.fil,18,2,3\n"),
    "single pulses of PRESTO": (
        "x.singlepulse", lambda: b"# DM      Sigma      Time (s)     Sample    Downfact\n"),
    "timing model": ("x.par", lambda: b"PSRJ 1744-1134\nF0 245.4\nDM 3.14\nPEPOCH 53742\n"),
    "text in JSON": ("x.json", lambda: b'{"truth": [1, 2]}\n'),
    "a compressed file": ("x.gz", lambda: b"\x1f\x8b\x08" + bytes(20)),
    "NumPy's .npz": ("x.npz", lambda: b"PK\x03\x04" + bytes(20)),
}


@pytest.mark.parametrize("words", _CASES)
def test_known_files_that_are_not_read_are_named(tmp_path: Path, words: str) -> None:
    name, content = _CASES[words]
    path = tmp_path / name
    path.write_bytes(content())
    with pytest.raises(FormatError, match=f"{words}.* fastsig does not read"):
        detect(path)


def test_candidates_of_your_and_old_tbb_in_hdf5(tmp_path: Path) -> None:
    import h5py

    for name, words in (("cand", "a candidate file of your"), ("tbb", "older than ICD 1")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            if name == "cand":
                file.attrs.update({"cand_id": "c", "tcand": 2.0, "dm": 475.0, "snr": 18.0})
                file["data_freq_time"] = np.zeros((4, 4))
            else:
                file["Station001/001000000"] = np.zeros(4, "i2")
        with pytest.raises(FormatError, match=f"{words}.*does not read"):
            detect(tmp_path / f"{name}.h5")


def test_what_is_not_known_is_told_with_all_formats(tmp_path: Path) -> None:
    for content in (b"hello\n", b"1 2 3\n", b"\0" * 200, b"9"):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(FormatError, match="not a file of a known format"):
            detect(tmp_path / "x")


@pytest.mark.recorded
@pytest.mark.parametrize(("name", "words"), [
    ("clfd/psrchive_example.ar", "PSRCHIVE's Timer format"),
    ("presto_prepfold/goodfolds/M28A_bary_PSR_1824-2452A.pfd", "prepfold"),
    ("presto_prepfold/goodfolds/M28A_bary_PSR_1824-2452A.pfd.bestprof", "a folded profile"),
    ("pulsarbat/timing.dat", "from TEMPO"),
    ("baseband_tasks/baseband_tasks/tests/data/B1937_polyco.dat", "from TEMPO"),
    ("pint/examples/NGC6440E.par", "timing model")])
def test_recorded_files_that_are_not_read(name: str, words: str) -> None:
    with pytest.raises(FormatError, match=f"{words}.* fastsig does not read"):
        fs.open(recorded(name))


def _scan(folder: Path) -> list[Path]:
    x = test_dada.numbers(40, 2, 2)
    return [test_dada.write(folder / f"night.{i:04d}.dada", x[20 * i : 20 * i + 20],
                            OBS_OFFSET=80 * i) for i in range(2)]


def test_a_stem_takes_the_files_of_its_recording_alone(tmp_path: Path) -> None:
    files = [str(path) for path in _scan(tmp_path)]
    stem = str(tmp_path / "night")
    (tmp_path / "night.json").write_text("{}")
    (tmp_path / "night.png").write_bytes(b"\x89PNG")
    (tmp_path / "night.log").write_bytes(b"")
    test_dada.write(tmp_path / "night.dada", test_dada.numbers(10, 2, 2))  # a product of the scan
    test_dada.write(tmp_path / "night.cut.dada", test_dada.numbers(10, 2, 2))
    assert detect_files(stem).files == files and info(stem)["n_time"] == 40
    (tmp_path / "night.0002.dada").write_bytes(b"")  # one that is damaged is not left out
    with pytest.raises(FormatError, match="empty"):
        detect_files(stem)
    for path in tmp_path.glob("night.0*"):
        path.unlink()
    assert detect_files(stem).files == [f"{stem}.dada"]


def test_a_stem_prefers_the_recording_to_what_was_made_of_it(tmp_path: Path, samples: Path
                                                             ) -> None:
    (tmp_path / "night.h5").symlink_to(samples / "frb_carrier_16MHz.h5")
    test_presto.write(tmp_path)  # made.dat and made.inf, one series
    for ending in ("dat", "inf"):
        (tmp_path / f"made.{ending}").rename(tmp_path / f"night.{ending}")
    assert detect_files(tmp_path / "night").files == [str(tmp_path / "night.h5")]
    (tmp_path / "night.h5").unlink()
    assert detect_files(tmp_path / "night").files == [str(tmp_path / "night.dat")]
    x = test_dada.numbers(10, 2, 2)
    for name in ("a.x.dada", "a.y.dada", "a.z.raw"):
        test_dada.write(tmp_path / name, x)
    with pytest.raises(UsageError, match="a matches several recordings: .*a.x.dada"):
        detect_files(tmp_path / "a")
    for name in ("b.png", "b.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(FormatError, match="2 files have .* none has a known format"):
        detect_files(tmp_path / "b")
