"""Gaps, in every format that can have them: all later samples keep their time, to the end.

Samples of two inputs, the gap at the end of a leap second where the format's clock knows any, an
impulse behind it. A block, a frame, a file, a span is lost; blocks, frames and files come out of
order and twice. Formats' own tests have damage, and gaps of other shapes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from streams import MemoryVoltages, header, write_native
from thorough import thorough
from writers import complex_int, write_digital_rf

import fastsig as fs
from fastsig.axes import validity
from fastsig.axes.time import elapsed, parse_time
from fastsig.run.products import write

N, RATE = 25_600, 1_000_000
IMPULSE = 20_117  # no frame's first or last sample
START = "2016-12-31T23:59:60.99"  # within a leap second
MIDNIGHT = 10_000  # the sample with which the next second begins; it is lost
NS = Fraction(1, 10**9)
Span = tuple[int, int]


class Gap(NamedTuple):
    """A recording with a gap: its files, how they are opened, what each input has lost."""

    files: Any
    lost: tuple[Span, Span]
    options: dict[str, Any]
    start: str = START


def samples() -> np.ndarray:
    """Noise and an impulse, (time, pol), whole numbers."""
    rng = np.random.default_rng(3)
    x = (rng.integers(-3, 4, (N, 2)) + 1j * rng.integers(-3, 4, (N, 2))).astype("c8")
    x[IMPULSE] = 100, 90 + 20j
    return x


def recorded(folder: Path, to: str, suffix: str, file_bytes: int | None = None) -> list[Path]:
    """Files of all samples."""
    stream = MemoryVoltages(samples(), header(RATE, is_complex=True, start=START))
    stream.may_have_nan = False
    writer = write(stream, folder / f"all.{{file}}.{suffix}", to=to, lossy=True,
                           file_bytes=file_bytes)
    return [Path(name) for name in writer.files]


def parts(path: Path, length: Callable[[bytes], int]) -> list[bytes]:
    """What a file is made of, one after another."""
    raw, found = path.read_bytes(), []
    while raw:
        n = length(raw)
        found.append(raw[:n])
        raw = raw[n:]
    return found


def written(folder: Path, name: str, blocks: Sequence[bytes], disordered: bool, n_near: int
            ) -> list[Path]:
    """Blocks, in two files: in order, or mixed up (`n_near` at a time), some of them twice."""
    both = [blocks[: len(blocks) // 3], blocks[len(blocks) // 3 :]]
    paths = [folder / f"{i}.{name}" for i in range(2)]
    for path, each in zip(paths, both, strict=True):
        if disordered:
            rng = np.random.default_rng(len(each))
            mixed = []
            for first in range(0, len(each), n_near):
                near = list(each[first : first + n_near])
                twice = [*near, *near[:2]]
                mixed += [twice[i] for i in rng.permutation(len(twice))]
            each = mixed
        path.write_bytes(b"".join(each))
    return paths[::-1] if disordered else paths


def guppi(folder: Path, disordered: bool) -> Gap:
    """A block is missing."""

    def length(raw: bytes) -> int:
        end = raw.index(b"END" + b" " * 77) + 80
        (size,) = [int(raw[at + 10 : at + 80]) for at in range(0, end, 80)
                   if raw[at : at + 8] == b"BLOCSIZE"]
        return end + size

    blocks = [block for path in recorded(folder, "guppi", "raw", 20_000)
              for block in parts(path, length)]
    n = N // len(blocks)
    assert len(blocks) > 5 and n * len(blocks) == N
    lost = MIDNIGHT // n
    del blocks[lost]
    return Gap(written(folder, "raw", blocks, disordered, 3), ((lost * n, lost * n + n),) * 2, {})


def vdif(folder: Path, disordered: bool, threads: Sequence[int] = (0, 1)) -> Gap:
    """Frames are missing, of both threads or of one."""
    (path,) = recorded(folder, "vdif", "vdif")
    frames = parts(path, lambda raw: int.from_bytes(raw[8:11], "little") * 8)
    n = 2 * N // len(frames)
    first = MIDNIGHT // n - 1
    assert len(frames) > 40 and n * len(frames) == 2 * N
    kept = [frame for i, frame in enumerate(frames)
            if not (i // 2 in range(first, first + 3)
                    and int.from_bytes(frame[14:16], "little") & 0x3FF in threads)]
    assert len(frames) - len(kept) == 3 * len(threads)
    span = (first * n, (first + 3) * n)
    lost = tuple(span if thread in threads else (0, 0) for thread in range(2))
    files = written(folder, "vdif", kept, disordered, 12)
    return Gap(files, lost, {"sample_rate": RATE, "frequency": "1000.5MHz"})


def vdif_thread(folder: Path, disordered: bool) -> Gap:
    """Frames of one thread are missing."""
    return vdif(folder, disordered, [1])


def dada(folder: Path, disordered: bool) -> Gap:
    """A file is missing."""
    files = recorded(folder, "dada", "dada", 20_000)
    sizes = [(path.stat().st_size - 4096) // 4 for path in files]
    assert len(files) > 5 and sum(sizes) == N
    gone = int(np.searchsorted(np.cumsum(sizes), MIDNIGHT, side="right"))
    files.pop(gone).unlink()
    if disordered:
        copy = shutil.copyfile(files[1], folder / "again.dada")
        files = [*files[::-2], copy, *files[-2::-2]]
    return Gap(files, ((sum(sizes[:gone]), sum(sizes[: gone + 1])),) * 2, {})


def digital_rf(folder: Path, disordered: bool) -> Gap:
    """A file is missing. Files are known by their names, which have the POSIX time."""
    assert not disordered
    x = samples()
    first = 1_767_323_045 * RATE + 990_000
    files = write_digital_rf(folder / "ch", complex_int(x.real, x.imag, "i1"), RATE, first,
                             1000.5e6, cadence_ms=5)
    assert len(files) == 6
    files[2].unlink()
    return Gap(folder / "ch", ((10_000, 15_000),) * 2, {}, "2026-01-02T03:04:05.99")


def native(folder: Path, disordered: bool) -> Gap:
    """Spans are marked, in each polarisation other ones."""
    assert not disordered
    x = samples()
    pairs = np.stack([x.real, x.imag], axis=2).astype(np.int8)
    lost = ((7_001, 13_337), (6_400, 15_000))
    valid = tuple(validity.complement(validity.as_spans([span]), 0, N) for span in lost)
    head = header(RATE, is_complex=True, start=START)
    return Gap(write_native(folder / "n.h5", pairs, head, valid), lost, {})


FORMATS = (guppi, vdif, vdif_thread, dada, digital_rf, native)
CASES = [pytest.param(make, disordered, id=make.__name__ + "_disordered" * disordered)
         for make in FORMATS for disordered in (False, True)
         if not (disordered and make in (digital_rf, native))]


def there(gap: Gap) -> np.ndarray:
    """Which samples are valid, (time, pol)."""
    held = np.ones((N, 2), bool)
    for pol, (low, high) in enumerate(gap.lost):
        held[low:high, pol] = False
    return held


def mask(spans: validity.Spans, start: int, n: int) -> np.ndarray:
    found = np.zeros(n, bool)
    for low, high in (spans - start).tolist():
        assert 0 <= low < high <= n
        found[low:high] = True
    return found


@pytest.mark.parametrize(("make", "disordered"), CASES)
def test_samples_and_their_times(make: Callable[..., Gap], disordered: bool, tmp_path: Path
                                 ) -> None:
    gap = make(tmp_path, disordered)
    stream = fs.open(gap.files, **gap.options).stream
    held = there(gap)
    truth = np.where(held, samples(), 0)
    assert stream.shape[:2] == (N, 2) and stream.header.sample_rate == RATE
    edge = max(high for _, high in gap.lost)
    assert not held[MIDNIGHT].all() and edge < IMPULSE
    for row, count in ((0, N), (0, edge + 1), (edge - 3, 300), (edge, N - edge), (N - 1, 1),
                       *((first, 777) for first in range(0, N - 777, 1801))):
        block = stream.read_block(row, count)
        np.testing.assert_array_equal(block.data.reshape(count, 2), truth[row : row + count])
        for pol, spans in enumerate(block.valid):
            np.testing.assert_array_equal(mask(spans, row, count), held[row : row + count, pol])
    told = stream.valid_spans()
    for pol, spans in enumerate(told or ()):
        np.testing.assert_array_equal(mask(spans, 0, N), held[:, pol])
    # The impulse is found by its height alone, and is at its time; so is every later sample.
    at = edge + int(np.abs(stream.read_block(edge, N - edge).data.reshape(-1, 2)[:, 0]).argmax())
    assert at == IMPULSE
    for row in (0, edge, at, N):
        assert abs(elapsed(parse_time(gap.start), stream.time_of(row)) - Fraction(row, RATE)) < NS


# 32 channels go through vector code, which takes a second to compile for each type of samples.
@pytest.mark.parametrize(("make", "disordered", "n_tap", "n_chan"), [
    pytest.param(*case.values, n_tap, n_chan, id=f"{case.id}-{n_tap}-{n_chan}",
                 marks=thorough if n_chan == 32 and case.values[0] not in (guppi, dada, native)
                 else ())
    for case in CASES for n_tap, n_chan in ((1, 50), (4, 30), (4, 32))])
def test_spectra_and_their_times(make: Callable[..., Gap], disordered: bool, n_tap: int,
                                 n_chan: int, tmp_path: Path) -> None:
    gap = make(tmp_path, disordered)
    window = "none" if n_tap == 1 else "hamming"
    chain = fs.open(gap.files, **gap.options).channelize(n_chan, n_tap=n_tap, window=window)
    spectra = chain.detect("AABB").read()
    weight, hop = spectra.weight[:, :, 0], Fraction(n_chan, RATE)
    held = there(gap)
    if n_tap == 1:
        share = held.reshape(-1, n_chan, 2).mean(axis=1)
        expected = np.where(share >= 0.9, share, 0)  # min_valid
        np.testing.assert_allclose(weight, expected, atol=1e-6)
    else:  # a spectrum of lost samples alone has no weight, one of none has all
        for pol in range(2):
            windows = np.lib.stride_tricks.sliding_window_view(
                held[:, pol], n_tap * n_chan)[::n_chan].mean(axis=1)
            assert (weight[windows == 1, pol] == 1).all()
            assert (weight[windows == 0, pol] == 0).all()
    for pol in range(2):
        power = spectra.values[:, pol].sum(axis=1)
        assert np.isnan(power[weight[:, pol] == 0]).all()
        row = int(np.nanargmax(power))
        start = elapsed(parse_time(gap.start), chain.stream.time_of(row))
        assert abs(start + hop / 2 - Fraction(IMPULSE, RATE)) <= hop / 2 + NS
        assert abs(elapsed(spectra.time[row], chain.stream.time_of(row))) < NS
        assert power[row] > 5 * np.nanmedian(power)
