"""Slow and simple NumPy twins of the kernels, in float64, for tests.

They are not optimised, and arguments are not checked.
"""

from dataclasses import replace

import numpy as np

from ._boxcar_events import (
    EVENT,
    EVERY,
    GROUP,
    LANES,
    RAW,
    RAW_SHARE,
    TILE,
    Levels,
    Times,
    final_events,
    statistics_of,
)
from ._noise_widths import CUT
from ._packet_forms import VDIF, PacketForm
from ._periodic_tables import stages, top_range
from ._periodic_twins import (
    acceleration_events,
    detrend,
    drifting_powers,
    half_bin_powers,
    harmonic_events,
    whiten,
)
from ._ring_words import COUNTERS
from .ladder import Ladder

__all__ = ["acceleration_events", "detrend", "drifting_powers", "half_bin_powers",
           "harmonic_events", "stages", "top_range", "whiten"]


def polyphase_fir(x: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Twin of `fir.polyphase_fir`: ``y[m, j] = sum_t taps[t, j] x[(m + t) n_fft + j]``.

    Accepts x (n_sample,) and taps (n_tap, n_fft); returns (n_frame, n_fft) float64 or
    complex128, in the unit of x.
    """
    n_tap, n_fft = taps.shape
    rows = x[: x.size // n_fft * n_fft].reshape(-1, n_fft).astype(np.result_type(x, np.float64))
    n_frame = rows.shape[0] - n_tap + 1
    weights = taps.astype(np.float64)
    return np.array([(weights * rows[m : m + n_tap]).sum(axis=0) for m in range(n_frame)])


def channelize(
    x: np.ndarray, taps: np.ndarray, *, is_complex: bool = False, lower_sideband: bool = False
) -> np.ndarray:
    """Twin of `Channelizer.process`: filter, transform, order by sky frequency.

    Accepts x (n_sample,) and taps (n_tap, n_fft); returns (n_frame, n_chan)
    complex128, in the unit of x.
    """
    spectrum = np.fft.fft(polyphase_fir(x, taps), axis=-1)
    if is_complex:
        spectrum = np.fft.fftshift(spectrum, axes=-1)
    else:
        spectrum = spectrum[:, : taps.shape[1] // 2]
    return spectrum[:, ::-1].conj() if lower_sideband else spectrum


def frame_energy(
    spans: np.ndarray, start: int, n_frame: int, taps: np.ndarray, n_fft: int
) -> np.ndarray:
    """Twin of `energy.frame_energy`, computed from the taps: ``sum(h^2 valid) / sum(h^2)``.

    Returns (n_frame,) float64, dimensionless.
    """
    energy = taps.astype(np.float64).reshape(-1) ** 2
    result = np.empty(n_frame)
    for m in range(n_frame):
        sample = start + m * n_fft + np.arange(energy.size)
        valid = np.zeros(energy.size, dtype=bool)
        for first, stop in spans:
            valid |= (sample >= first) & (sample < stop)
        result[m] = energy[valid].sum() / energy.sum()
    return result


def intersect_spans(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Twin of `energy.intersect_spans`: the intersections of all pairs of spans.

    Returns (n_common, 2) int64, in samples.
    """
    pairs = [(max(p[0], q[0]), min(p[1], q[1])) for p in a for q in b]
    common = sorted(pair for pair in pairs if pair[0] < pair[1])
    return np.array(common, dtype=np.int64).reshape(-1, 2)


def detect(
    x: np.ndarray, energy: np.ndarray, names: tuple[str, ...], sign_q: int = 1, sign_v: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Twin of `detection.detect` for the products called `names`.

    Accepts x (n_frame, n_pol, n_chan) and energy (n_frame, 3 or 1); returns
    numerators (n_frame, n_product, n_chan), unit of x squared, and weights
    (n_frame, n_product), both float64.
    """
    power = np.zeros((x.shape[0], len(names), x.shape[2]))
    weight = np.zeros((x.shape[0], len(names)))
    for m in range(x.shape[0]):
        for p, name in enumerate(names):
            if name in ("AA", "BB"):
                weight[m, p] = energy[m, 0 if name == "AA" else 1]
            elif energy[m].min() > 0:
                weight[m, p] = energy[m, -1]
            if weight[m, p] > 0:
                power[m, p] = _product(name, x[m], energy[m], sign_q, sign_v)
    return power, weight


def _product(name, x, energy, sign_q, sign_v):
    a, b = x[0].astype(np.complex128), x[-1].astype(np.complex128)
    cross = a.conj() * b
    if len(x) == 1 or name == "AA":
        return np.abs(a) ** 2
    if name == "BB":
        return np.abs(b) ** 2
    if name in ("CR", "U"):
        return cross.real * (2 if name == "U" else 1)
    if name in ("CI", "V"):
        return cross.imag * (2 * sign_v if name == "V" else 1)
    scaled = np.abs(a) ** 2 * energy[2] / energy[0], np.abs(b) ** 2 * energy[2] / energy[1]
    return scaled[0] + scaled[1] if name == "I" else sign_q * (scaled[0] - scaled[1])


def accumulate(power: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Twin of `integrate.accumulate`, starting from zero: sums over frames, in float64."""
    return power.sum(axis=0, dtype=np.float64), weight.sum(axis=0, dtype=np.float64)


def accumulate_groups(
    power: np.ndarray, weight: np.ndarray, n_each: int
) -> tuple[np.ndarray, np.ndarray]:
    """Twin of `integrate.accumulate_groups`, starting from zero: sums of n rows, in float64."""
    starts = np.arange(0, len(power), n_each)
    return (np.add.reduceat(power.astype(np.float64), starts, axis=0),
            np.add.reduceat(weight.astype(np.float64), starts, axis=0))


def shift_channels(x: np.ndarray, shift: np.ndarray, first: int, out: np.ndarray) -> np.ndarray:
    """Twin of `shifting.shift_channels`: a changed copy of `out`."""
    found = out.copy()
    for m, c in np.ndindex(len(x), x.shape[2]):
        if 0 <= first + m - shift[c] < len(out):
            found[first + m - shift[c], :, c] = x[m, :, c]
    return found


def shift_rows(x: np.ndarray, shift: np.ndarray, first: int, out: np.ndarray) -> np.ndarray:
    """Twin of `shifting.shift_rows`: a changed copy of `out`."""
    turned = shift_channels(x.T[:, np.newaxis], shift, first, out.T[:, np.newaxis])
    return turned[:, 0].T


def average_channels(total: np.ndarray, n: int) -> np.ndarray:
    """Twin of `integrate.average_channels`: means of n neighbouring channels, in float64."""
    return total.astype(np.float64).reshape(*total.shape[:-1], -1, n).mean(axis=-1)


def normalize(
    total: np.ndarray, total_weight: np.ndarray, n_full: int
) -> tuple[np.ndarray, np.ndarray]:
    """Twin of `integrate.normalize`: mean power, NaN where the weight is 0, and weight."""
    divisor = np.where(total_weight == 0, np.nan, total_weight)
    return total / divisor[..., None], total_weight / n_full


def unpack(
    packed: np.ndarray,
    n_bits: int,
    order: str = "lsb",
    levels: np.ndarray | None = None,
    offset: float | None = None,
) -> np.ndarray:
    """Twin of `unpacking.unpack`, bit by bit; returns (..., n_sample) float64."""
    unit = 8 if n_bits in (1, 2, 4, 8) else 16 if n_bits == 16 else 32
    per_unit = unit // n_bits
    bits = np.unpackbits(packed.reshape(-1), bitorder="little").reshape(-1, unit)
    bits = bits[:, : per_unit * n_bits].reshape(-1, per_unit, n_bits)
    codes = (bits * 2 ** np.arange(n_bits)).sum(axis=-1)
    codes = (codes[:, ::-1] if order == "msb" else codes).reshape(*packed.shape[:-1], -1)
    if levels is not None:
        return levels.astype(np.float64)[codes]
    return code_values(n_bits, offset)[codes]


def code_values(n_bits: int, offset: float | None = None) -> np.ndarray:
    """Return the value of each code without levels: (2**n_bits,) float64."""
    codes = np.arange(2.0**n_bits)
    if offset is None and n_bits in (8, 16):
        return np.where(codes < codes.size // 2, codes, codes - codes.size)
    return codes - (offset or 0)


def to_codes(
    x: np.ndarray, n_bits: int, levels: np.ndarray | None = None, offset: float | None = None
) -> tuple[np.ndarray, int, int]:
    """Twin of `packing.to_codes`, using the distance from every sample to every value.

    Of two equally close values, the higher level is chosen or, without levels, the even code.
    Returns codes (n_sample,) int64, and the numbers of clipped and of inexact samples.
    """
    values = code_values(n_bits, offset) if levels is None else levels.astype(np.float64)
    ascending = np.sort(values)
    low = (3 * ascending[0] - ascending[1]) / 2
    high = (3 * ascending[-1] - ascending[-2]) / 2
    rank = np.arange(values.size) % 2 if levels is None else -values
    codes = np.zeros(x.size, np.int64)
    for i, sample in enumerate(x.astype(np.float64)):
        distance = np.abs(min(max(sample, low), high) - values)
        codes[i] = np.where(distance == distance.min(), rank, np.inf).argmin()
    inexact = values[codes] != x
    clipped = inexact & ((x < low) | (x >= high))
    return codes, int(clipped.sum()), int(inexact.sum())


def apply_scales(
    codes: np.ndarray, scale: np.ndarray, offset: np.ndarray, zero: np.ndarray | None = None,
    reverse: bool = False,
) -> np.ndarray:
    """Twin of `scaling.apply_scales`: ``(codes - zero) scale + offset``, in float64.

    Returns (n_time, n_product, n_chan) float64, in the unit of scale.
    """
    result = np.empty(codes.shape)
    for t, p, c in np.ndindex(codes.shape):
        x = float(codes[t, p, c]) - (0.0 if zero is None else float(zero[p]))
        place = codes.shape[2] - 1 - c if reverse else c
        result[t, p, place] = x * float(scale[p, c]) + float(offset[p, c])
    return result


def apply_gain(
    values: np.ndarray, gain: np.ndarray, cross: np.ndarray | None = None,
    row: np.ndarray | None = None, weight: np.ndarray | None = None,
) -> np.ndarray:
    """Twin of `gains.apply_gain`; returns (n_time, n_product, n_chan) float64, NaN at weight 0."""
    result = values.astype(np.float64)
    result[:, : len(gain)] *= gain
    if cross is not None:
        turned = (result[:, -2] + 1j * result[:, -1]) * cross
        result[:, -2], result[:, -1] = turned.real, turned.imag
    if row is not None:
        result *= row[:, :, None]
    if weight is not None:
        result[np.broadcast_to(weight, values.shape) == 0] = np.nan
    return result


def resample(
    x: np.ndarray, position: float, step: float, n_out: int, weight: np.ndarray | None = None,
    lobes: int = 47, min_valid: float = 0.9,
) -> tuple[np.ndarray, np.ndarray]:
    """Twin of `resampling.resample` for one spectrum, using the kernel itself instead of tables.

    Accepts x and weight (n_chan,); returns values and weights (n_out,) float64, NaN and 0 where
    too little of the kernel is valid.
    """
    weight = np.ones(x.size) if weight is None else weight.astype(np.float64)
    weight = np.where(np.isfinite(x) & (weight > 0), weight, 0)
    values, good = np.where(weight > 0, x, 0).astype(np.float64), weight > 0
    width, beta = (max(1.0, step), 6) if abs(step - 1) * 64 > 0.02 else (1.0, 2)
    reach = int(lobes * width) + 2
    result = np.full((2, n_out), np.nan)
    for k in range(n_out):
        q = position + k * step
        channel = np.arange(int(q) - reach, int(q) + reach + 1)
        d = (channel - q) / width
        window = np.i0(beta * np.sqrt(np.clip(1 - (d / lobes) ** 2, 0, None))) / np.i0(beta)
        c = np.where(np.abs(d) < lobes, np.sinc(d) * window, 0)
        there = (channel >= 0) & (channel < x.size)
        own, index = c[there], channel[there]
        result[1, k] = 0
        if (own**2)[good[index]].sum() >= min_valid * (c**2).sum() * (1 - 1e-6):
            result[0, k] = (own * values[index]).sum() / own[good[index]].sum()
            result[1, k] = (own**2 * weight[index]).sum() / (c**2).sum()
    return result[0], result[1]


def widen(codes: np.ndarray, reverse: bool = False) -> np.ndarray:
    """Twin of `scaling.widen`; returns the same numbers, (n_time, n_product, n_chan) float64."""
    result = np.empty(codes.shape)
    for t, p, c in np.ndindex(codes.shape):
        result[t, p, codes.shape[2] - 1 - c if reverse else c] = float(codes[t, p, c])
    return result


def fit_scales(values: np.ndarray, n_bits: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Twin of `scaling.fit_scales`, in float64 except for the two tables.

    Returns codes (n_time, n_product, n_chan) int64, scale and offset (n_product, n_chan) float32.
    """
    first, span = (0, 255) if n_bits == 8 else (-(2**15), 2**16 - 1)
    codes = np.zeros(values.shape, np.int64)
    scale, offset = np.ones((2, *values.shape[1:]), np.float32)
    for p, c in np.ndindex(values.shape[1:]):
        x = values[:, p, c].astype(np.float64)
        finite = x[np.isfinite(x)] if np.isfinite(x).any() else np.zeros(1)
        wide = finite.max() - finite.min()
        if (finite != np.floor(finite)).any() or wide > span:
            scale[p, c] = wide / span or 1
        offset[p, c] = finite.min() - first * float(scale[p, c])
        x = np.where(np.isfinite(x), x, finite.mean())
        near = np.rint((x - float(offset[p, c])) / float(scale[p, c]))
        codes[:, p, c] = np.clip(near, first, first + span)
    return codes, scale, offset


def bit_planes(x: np.ndarray) -> np.ndarray:
    """Twin of `_bit_planes.scatter_bits_nb`: bits sorted by position.

    The lowest bit of a byte belongs to its first number. Accepts x (n,) of any integers, with n a
    multiple of 8; returns the same number of bytes, (n_byte,) uint8.
    """
    octets = x.view(np.uint8).reshape(x.size, -1)
    bits = np.unpackbits(octets, axis=1, bitorder="little")
    return np.packbits(bits.T, axis=1, bitorder="little").reshape(-1)


def expand_lz4(block: bytes) -> bytes:
    """Twin of `_lz4.expand_nb`: the contents of an LZ4 block; raises `ValueError` if invalid."""
    out, i = bytearray(), 0

    def length(start: int) -> int:
        nonlocal i
        total = start
        while start == 15:
            total += block[i]
            i += 1
            if block[i - 1] != 255:
                break
        return total

    try:
        while True:
            token = block[i]
            i += 1
            n = length(token >> 4)
            if i + n > len(block):
                raise ValueError("literals end beyond the block")
            out += block[i : i + n]
            i += n
            if i == len(block):
                return bytes(out)
            back = block[i] + 256 * block[i + 1]
            i += 2
            if not 0 < back <= len(out):
                raise ValueError(f"a copy from {back} bytes before, after only {len(out)}")
            for _ in range(4 + length(token & 15)):
                out.append(out[-back])
    except IndexError:
        raise ValueError("the block ends within a sequence") from None


def expand_planes(packed: bytes, item: int) -> bytes:
    """Twin of `bitshuffle.expand_planes`, for all bytes; raises `ValueError` if damaged."""
    total, block = int.from_bytes(packed[:8], "big"), int.from_bytes(packed[8:12], "big")
    if len(packed) < 12 or not block or block % (8 * item) or total % item:
        raise ValueError("the head is wrong")
    out, i = bytearray(), 12
    while (n := min(block, (total - len(out)) // (8 * item) * (8 * item))) > 0:
        size = int.from_bytes(packed[i : i + 4], "big")
        if i + 4 + size > len(packed):
            raise ValueError("a block ends beyond the bytes")
        planes = expand_lz4(packed[i + 4 : i + 4 + size])
        if len(planes) != n:
            raise ValueError(f"a block of {len(planes)} bytes, not {n}")
        bits = np.unpackbits(np.frombuffer(planes, np.uint8), bitorder="little")
        out += np.packbits(bits.reshape(8 * item, -1).T, bitorder="little").tobytes()
        i += 4 + size
    if len(packed) - i != total - len(out):
        raise ValueError("bytes are left over")
    return bytes(out) + packed[i:]


def fletcher32(data: bytes) -> int:
    """Twin of `checksum.fletcher32`, word by word."""
    first = second = 0
    for i in range(0, len(data), 2):
        first += data[i] * 256 + (data[i + 1] if i + 1 < len(data) else 0)
        second += first
    sums = [s and (s - 1) % 65535 + 1 for s in (second, first)]
    return sums[0] * 65536 + sums[1]


def group_median(x: np.ndarray, n: int, flags: np.ndarray | None = None) -> np.ndarray:
    """Twin of `medians.group_median`; returns (n_row, ceil(n_value / n)) float64, unit of x."""
    good = _good(x, flags)
    groups = range(0, x.shape[1], n)
    result = np.full((len(x), len(groups)), np.nan)
    for i, q in np.ndindex(result.shape):
        values = x[i, q * n : q * n + n][good[i, q * n : q * n + n]]
        if values.size:
            result[i, q] = np.median(values.astype(np.float64))
    return result


def running_median(
    x: np.ndarray, width: int, flags: np.ndarray | None = None, even: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Twin of `medians.running_median`; returns median and scale, float64, with the shape of x."""
    good, n, half = _good(x, flags), x.shape[1], width // 2
    result = np.full((2, *x.shape), np.nan)
    for i, c in np.ndindex(x.shape):
        reach = min(half, c, n - 1 - c)
        begin = c - reach if even else max(0, min(c - half, n - width))
        window = slice(begin, c + reach + 1 if even else begin + width)
        values = x[i, window][good[i, window]].astype(np.float64)
        if values.size:
            result[0, i, c] = np.float32(np.median(values))
            result[1, i, c] = 1.482602218505602 * np.median(np.abs(values - result[0, i, c]))
    return result[0], result[1]


def _good(x: np.ndarray, flags: np.ndarray | None) -> np.ndarray:
    return np.isfinite(x) if flags is None else np.isfinite(x) & ~flags


def sum_threshold(
    x: np.ndarray, flags: np.ndarray, thresholds: np.ndarray, axis: int
) -> np.ndarray:
    """Twin of `thresholding.sum_threshold`; returns the flags, bool, with the shape of x.

    It tests window by window. Flagged values are replaced by the threshold of the window, with
    the sign of the other values, and values that are not finite by 0.
    """
    lines = np.moveaxis(x, axis, -1).astype(np.float64)
    finite = np.isfinite(lines)
    lines, lost = np.where(finite, lines, 0), np.moveaxis(flags, axis, -1) & finite
    for w, chi in enumerate(thresholds):
        size, before = 2**w, lost.copy()
        for i, k in np.ndindex(len(lines), max(0, lines.shape[1] - size + 1)):
            window = slice(k, k + size)
            rest = lines[i, window][~before[i, window]]
            if abs(rest.sum()) > (size - before[i, window].sum()) * chi:
                lost[i, window] |= finite[i, window]
    return flags | np.moveaxis(lost, -1, axis)


def boxcar_maxima(
    sums: np.ndarray, widths: np.ndarray, scale: np.ndarray, weights: np.ndarray | None = None,
    full: float = 1.0, min_share: float = 0.5,
) -> np.ndarray:
    """Twin of `maxima.boxcar_maxima`; returns the highest S/N of each column, 0 or more."""
    n = sums.shape[1] - int(widths[-1]) + 1
    best = np.zeros(n)
    for width, factor in zip(widths, scale, strict=True):
        at = np.arange(n)[:, np.newaxis] + np.arange(width)
        total = sums.astype(np.float64)[:, at].sum(axis=2)
        if weights is not None:
            weight = weights.astype(np.float64)[:, at].sum(axis=2)
            enough = weight >= np.float32(min_share * full * width)
            total = np.where(enough, total / np.sqrt(np.where(enough, weight, 1) / (full * width)),
                             0)
        best = np.maximum(best, (total * factor).max(axis=0))
    return best


def track_maxima(
    x: np.ndarray, tracks: np.ndarray, widths: np.ndarray, scale: np.ndarray,
    valid: np.ndarray | None = None, min_share: float = 0.5,
) -> np.ndarray:
    """Twin of `maxima.track_maxima`; returns the highest S/N of each column, 0 or more."""
    n = x.shape[1] - int(tracks.max())
    sums, weights = (np.array([sum(each[i, at : at + n].astype(np.float64)
                                   for i, at in enumerate(track)) for track in tracks])
                     for each in (x, np.ones_like(x) if valid is None else valid))
    return boxcar_maxima(sums, widths, scale, None if valid is None else weights, len(x), min_share)


def best_boxcar(
    sums: np.ndarray, starts: np.ndarray, drifts: np.ndarray, widths: np.ndarray,
    scale: np.ndarray, counts: np.ndarray | None = None, min_share: float = 0.5,
) -> np.ndarray:
    """Twin of `maxima.best_boxcar`; returns start, drift, width, S/N, sum and share."""
    n, best = len(sums), np.zeros(6)
    rows = np.arange(n)
    for width, factor in zip(widths, scale, strict=True):
        for row in starts:
            for start, drift in zip(row, drifts, strict=True):
                whole = np.floor(start)
                at = np.floor(start - whole + drift * rows / max(1, n - 1) + 0.5).astype(int)
                at += int(whole)
                if at.min() < 0 or at.max() + width >= sums.shape[1]:
                    continue
                total = (sums[rows, at + width] - sums[rows, at]).sum()
                share = 1.0 if counts is None else (
                    counts[rows, at + width] - counts[rows, at]).sum() / (n * width)
                if share >= min_share and total / np.sqrt(share) * factor > best[3]:
                    best[:] = start, drift, width, total / np.sqrt(share) * factor, total, share
    return best


def relative_to_level(
    x: np.ndarray, level: np.ndarray, n: int, valid: np.ndarray | None = None
) -> np.ndarray:
    """Twin of `leveling.relative_to_level`; returns the deviations."""
    channel = np.arange(x.shape[1])
    group, last = channel // n, level.shape[1] - 1
    off = (channel % n - (n - 1) / 2) / n
    beside = np.clip(group + np.where(off < 0, -1, 1), 0, last)
    out = np.zeros(x.shape)
    for row, values in enumerate(x.astype(np.float64)):
        here, other = level[row, group].astype(np.float64), level[row, beside].astype(np.float64)
        between = here + np.abs(off) * (np.where(other > 0, other, here) - here)
        known = np.isfinite(values) & (here > 0)
        known &= True if valid is None else valid[row]
        out[row, known] = values[known] / between[known] - 1
    return out


def pair_sums(x: np.ndarray) -> np.ndarray:
    """Twin of `leveling.pair_sums`; returns the sums."""
    even = x[:, : x.shape[1] // 2 * 2].astype(np.float64)
    return even.reshape(len(x), -1, 2).sum(axis=2)


def boxcar_scatter(x: np.ndarray, n_width: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Twin of `scatter.boxcar_scatter`; returns the deviations."""
    x = x.astype(np.float64)
    share = np.ones(len(x)) if weights is None else weights.astype(np.float64)
    n = len(x) // 64
    if n > 16:
        # A row for two neighbouring stretches.
        pairs = [x[64 * i : 64 * i + 128].sum() for i in range(n - 1)]
        shares = np.array([share[64 * i : 64 * i + 128].mean() for i in range(n - 1)])
        left = np.where(shares >= 0.5, pairs / np.sqrt(np.maximum(shares, 0.5)), np.nan)
        busy = np.zeros(n - 1, bool)
        while np.isfinite(left).sum() >= 16:
            above = left - np.nanmedian(left)
            high = above > 2.5 * 1.482602218505602 * np.median(-above[above <= 0])
            if not high.any():
                break
            left[high], busy[high] = np.nan, True
        for i in np.flatnonzero(busy):
            share[64 * max(0, i - 1) : 64 * (i + 3)] = 0
    step = 1
    while len(x) // step > 8192:
        step *= 2
    out = np.full(n_width, np.nan)
    for k in range(n_width):
        apart = max(step, 2**k)
        starts = range(0, len(x) // apart * apart, apart)
        sums = np.array([x[i : i + 2**k].sum() for i in starts])
        known = np.array([share[i : i + 2**k].mean() for i in starts])
        sums = sums[known >= 0.5] / np.sqrt(known[known >= 0.5])
        if len(sums) >= 16:
            out[k] = np.median(np.abs(sums - np.median(sums)))
    return out


def flag_deviations(x: np.ndarray, flags: np.ndarray, thresholds: np.ndarray, level: np.ndarray,
                    sigma: np.ndarray, series: np.ndarray | None = None, **shape: float
                    ) -> np.ndarray:
    """Twin of `thresholding.flag_deviations`; returns the flags, bool, with the shape of x."""
    z = deviations(_without(x, series), level, sigma, **shape).astype(np.float32)
    for axis in (0, 1):
        flags = sum_threshold(z, flags, thresholds, axis)
    return flags


def grid(
    lon: np.ndarray, lat: np.ndarray, pixel_lon: np.ndarray, pixel_lat: np.ndarray,
    data: np.ndarray, weight: np.ndarray, *, fwhm: float, radius: float,
    stretch: np.ndarray | float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Twin of `Gridder` with `gaussian_table`; returns means and weights, (chan, y, x).

    Accepts positions in deg, of samples (n_sample,) and pixels (n_y, n_x), and data and weight
    (n_sample, n_chan).
    """
    spread = np.broadcast_to(weight, data.shape).astype(np.float64)
    fine = np.isfinite(data) & np.isfinite(spread) & (spread > 0)
    values, spread = np.where(fine, data, 0.0), np.where(fine, spread, 0.0)
    mean = np.full((data.shape[1], *pixel_lon.shape), np.nan)
    total = np.zeros_like(mean)
    for y, x in np.ndindex(pixel_lon.shape):
        theta = _separation(lon, lat, pixel_lon[y, x], pixel_lat[y, x]) / stretch
        kernel = np.exp(-4 * np.log(2) * (theta / fwhm) ** 2) / np.square(stretch)
        kernel = np.where(theta < radius, kernel, 0.0)
        norm, square = kernel @ spread, kernel**2 @ spread
        seen = norm > 0
        mean[seen, y, x] = (kernel @ (values * spread))[seen] / norm[seen]
        total[seen, y, x] = norm[seen] ** 2 / square[seen]
    return mean, total


def _separation(lon: np.ndarray, lat: np.ndarray, lon_0: float, lat_0: float) -> np.ndarray:
    """Return the angle between positions, deg, using the haversine formula."""
    lon, lat, lon_0, lat_0 = (np.radians(each) for each in (lon, lat, lon_0, lat_0))
    half = (np.sin((lat - lat_0) / 2) ** 2
            + np.cos(lat) * np.cos(lat_0) * np.sin((lon - lon_0) / 2) ** 2)
    return np.degrees(2 * np.arcsin(np.sqrt(half)))


def fold(x: np.ndarray, phase: np.ndarray, piece: int, n_bin: int,
         offset: np.ndarray | None = None, weight: np.ndarray | None = None
         ) -> tuple[np.ndarray, np.ndarray]:
    """Twin of `Folder.process`, row by row, with phases as Python integers.

    Accepts and returns the same shapes, except that weights have all products and channels.
    """
    n_time, n_product, n_chan = x.shape
    out = np.zeros((len(phase), n_bin, n_product, n_chan))
    total = np.zeros_like(out)
    every = np.broadcast_to(np.float32(1) if weight is None else weight, x.shape)
    for e in range(len(phase)):
        for t in range(n_time):
            start, step, bend = (int(each) for each in phase[e, t // piece])
            j = t % piece
            now = start + j * step + j * (j - 1) // 2 * bend
            for c in range(n_chan):
                own = 0 if offset is None else int(offset[e, c])
                b = (now + own) % 2**64 * n_bin // 2**64
                for p in range(n_product):
                    w = float(every[t, p, c])
                    if w > 0:
                        out[e, b, p, c] += w * float(x[t, p, c])
                        total[e, b, p, c] += w
    return out, total


def friends(time: np.ndarray, row: np.ndarray, width: np.ndarray, time_link: int, row_link: int
            ) -> np.ndarray:
    """Twin of `clusters.friends`, pair by pair."""
    label = np.full(len(time), -1)
    for first in range(len(time)):
        todo = [first] if label[first] < 0 else []
        while todo:
            i = todo.pop()
            label[i] = label.max() + 1 if i == first else label[first]
            near = ((label < 0) & (np.abs(row - row[i]) <= row_link)
                    & (time < time[i] + width[i] + time_link)
                    & (time[i] < time + width + time_link))
            label[near] = label[first]
            todo += np.flatnonzero(near).tolist()
    return label


def halve(x: np.ndarray, valid: np.ndarray | None = None
          ) -> tuple[np.ndarray, np.ndarray | None]:
    """Twin of `normalizing.halve`."""
    good = np.ones(x.shape, bool) if valid is None else valid
    one, other = np.where(good, x, 0)[0::2].astype(np.float64), np.where(good, x, 0)[1::2]
    share = np.where(good[0::2] & good[1::2], np.sqrt(2), 1)
    out = np.clip(np.rint((one + other) / share), -128, 127).astype(np.int8)
    out = np.where(good[0::2] & good[1::2], np.maximum(out, -127), out).astype(np.int8)
    return out, None if valid is None else good[0::2] | good[1::2]


def normalize_channels(x: np.ndarray, valid: np.ndarray | None = None, *, segment: int = 4096,
                       half: int = 8, ahead: int | None = None, level: float = 16.0
                       ) -> tuple[np.ndarray, np.ndarray]:
    """Twin of `normalizing.Normalizer` for a whole stream; returns codes and what is valid."""
    good = np.isfinite(x) if valid is None else np.isfinite(x) & valid
    ahead = half if ahead is None else ahead
    starts = list(range(0, len(x), segment))
    if len(starts) > 1 and len(x) - starts[-1] < segment // 2:
        starts.pop()
    mean, variance = np.full((2, len(starts), x.shape[1]), np.nan)
    for s, c in np.ndindex(mean.shape):
        rows = slice(starts[s], min(starts[s] + segment, len(x)))
        values = x[rows, c][good[rows, c]].astype(np.float64)
        if len(values) >= max(2, (rows.stop - rows.start) / 8) and values.min() < values.max():
            mean[s, c], variance[s, c] = values.mean(), values.var(ddof=1)
    n = -(-len(x) // segment)
    out, kept = np.zeros(x.shape, np.int8), np.zeros(x.shape, bool)
    for s, c in np.ndindex(n, x.shape[1]):
        rows = slice(s * segment, min((s + 1) * segment, len(x)))
        own = min(s, len(starts) - 1)
        knots = [_location(mean[min(max(0, j - half), len(starts) - 1) : max(1, j + ahead), c])
                 for j in (s, s + 1)]
        spread = _location(variance[max(0, s - half) : s + ahead + 1, c])
        if np.isnan(mean[own, c]) or np.isnan(knots).any() or np.isnan(spread):
            continue
        at = (np.arange(rows.stop - rows.start) + 0.5) / segment
        scaled = level * (x[rows, c] - knots[0] - (knots[1] - knots[0]) * at) / np.sqrt(spread)
        kept[rows, c] = good[rows, c]
        with np.errstate(invalid="ignore"):
            codes = np.clip(np.rint(scaled), -127, 127)
        out[rows, c] = np.where(good[rows, c], codes, 0)
    return out, kept


def _location(values: np.ndarray) -> float:
    """Return the mean without outliers of the numbers among some values; NaN if there are none."""
    numbers = np.sort(values[np.isfinite(values)])
    n = len(numbers)
    if n < 5:
        return float(np.median(numbers)) if n else float("nan")
    low, high = numbers[: n - n // 2], numbers[n // 2 :]
    best = np.argmin(high - low)
    near = np.abs(numbers - (high + low)[best] / 2) <= 4 / 1.349 * (high - low)[best]
    return float(numbers[near].mean())


def boxcar_events(x: np.ndarray, ladder: Ladder, weight: np.ndarray | None = None, *,
                  noise: float = 1.0, threshold: float = 6.0, segment: int = 0,
                  n_segment: int = 16, n_first: int | None = None, tile: int = TILE,
                  least_share: float = 0.25) -> np.ndarray:
    """Twin of `boxcars.Boxcars` for a whole stream, (n_row, n_time), without a bound on events."""
    n_row, n = x.shape
    times = Times.of(ladder, segment, tile)
    n_all = -(-(n + (times.halo << (ladder.n_level - 1))) // times.longest) * times.longest
    values, weights = np.zeros((2, n_row, n_all))
    values[:, :n], weights[:, :n] = x / noise, 1 if weight is None else weight
    levels = Levels(n_row, replace(times, halo=0))
    for first in range(0, n_all, tile):
        here = slice(first, first + tile)
        levels.advance()
        levels.subtract(values[:, here], weights[:, here])
    n_group, n_width = -(-n_row // GROUP), len(ladder.widths)
    sums = [np.zeros((0, n_group, n_width))] * 6
    raw, found, ends = [], [], times.ends(n_all)
    reach = n_segment * times.segment
    settled = (n_segment if n_first is None else n_first) * times.segment
    for s, end in enumerate(ends):
        start = ends[s - 1] if s else 0
        window = slice(np.searchsorted(ends[:s], start - reach, "right"), s)
        before = (statistics_of([each[window] for each in sums], ladder, n_row).noise if s
                  else np.ones((n_group, n_width)))
        own, boxcars = _segment_boxcars(values, weights, ladder, times, (start, end), before,
                                        RAW_SHARE * threshold, least_share)
        sums = [np.concatenate([a, b[np.newaxis]]) for a, b in zip(
            sums, (*own, CUT * before), strict=True)]
        raw.append(boxcars)
    for end, boxcars in zip(ends, raw, strict=True):
        last = max(end, settled)
        window = slice(*(np.searchsorted(ends, each, "right") for each in (last - reach, last)))
        now = statistics_of([each[window] for each in sums], ladder, n_row)
        found.append(final_events(boxcars, now, ladder, threshold))
    return np.concatenate(found) if found else np.empty(0, EVENT)


def _segment_boxcars(values, weights, ladder, times, segment, noise, threshold, least_share):
    """Return sums for noise and level, and the best boxcar of each 16 of a row and level."""
    sums, boxcars = np.zeros((5, *noise.shape)), []
    for level in range(ladder.n_level):
        step, chunk = 1 << level, times.chunk(level)
        for end in range(chunk * step, values.shape[1] + 1, chunk * step):
            start = end // step - chunk - times.halo
            for first in range(start, start + chunk, LANES):
                if first >= 0 and segment[0] < end <= segment[1]:
                    boxcars += _best_boxcars(values, weights, ladder, level, first, noise,
                                             threshold, least_share, sums)
    return sums, np.array(boxcars, RAW)


def _best_boxcars(values, weights, ladder, level, first, noise, threshold, least_share, sums):
    """Return the best of 16 neighbouring boxcars of a level in each row, if above a threshold."""
    found = []
    begin = (first + np.arange(LANES)) << level
    for row in range(len(values)):
        group, top = row // GROUP, (threshold, None)
        for j in np.flatnonzero(ladder.levels == level):
            there = begin[:, np.newaxis] + np.arange(ladder.widths[j])
            total, weight = values[row][there].sum(axis=1), weights[row][there].sum(axis=1)
            enough = weight >= least_share * ladder.widths[j]
            snr = np.where(enough, total, 0) / np.sqrt(np.where(enough, weight, 1))
            if row % EVERY == 0:
                within = enough & (np.abs(snr) < CUT * noise[group, j])
                sums[:, group, j] += ((snr[within] ** 2).sum(), within.sum(), total[within].sum(),
                                      weight[within].sum(), enough.sum())
            i = int(np.argmax(snr))
            if snr[i] / noise[group, j] > top[0]:
                top = snr[i] / noise[group, j], (row, begin[i], j, total[i], weight[i])
        found += [top[1]] if top[1] else []
    return found




def quantiles(x: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Twin of `ranks.quantiles`; returns the quantiles, float64."""
    known = x[np.isfinite(x)].astype(np.float64)
    return np.quantile(known, shares) if len(known) else np.full(len(shares), np.nan)


def power_sums(x: np.ndarray, center: np.ndarray | None = None) -> np.ndarray:
    """Twin of `moments.power_sums`; returns (5, n_chan) float64, powers of the unit of x."""
    values = x.astype(np.float64) - (0 if center is None else center)
    return np.array([np.sum(values**p, axis=0, where=np.isfinite(values)) for p in range(5)])


def band_mean(x: np.ndarray, level: np.ndarray | None = None, valid: np.ndarray | None = None
              ) -> np.ndarray:
    """Twin of `zero_dm.band_mean`; returns (n_time,) float64, unit of x."""
    if valid is not None:
        x = np.where(valid, x, np.nan)
    base = np.zeros(x.shape[1]) if level is None else level.astype(np.float64)
    return np.array([np.mean(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan
                     for row in x - base]) + np.nanmean(base)


def series_gain(x: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Twin of `zero_dm.series_gain`; returns (n_chan,) float64."""
    gains = np.full(x.shape[1], np.nan)
    for c in range(x.shape[1]):
        good = np.isfinite(x[:, c]) & np.isfinite(series)
        s = series[good].astype(np.float64)
        if s.size and np.var(s) > 0:
            gains[c] = np.mean((x[good, c] - np.mean(x[good, c], dtype=float)) * s) / np.var(s)
    return gains


def subtract_series(x: np.ndarray, series: np.ndarray, gain: np.ndarray | None = None
                    ) -> np.ndarray:
    """Twin of `zero_dm.subtract_series`; returns (n_time, n_chan) float64, unit of x."""
    factor = np.ones(x.shape[1]) if gain is None else gain.astype(np.float64)
    return np.asarray(x - factor * series[:, np.newaxis].astype(np.float64))


def iqrm_mask(x: np.ndarray, radius: int, threshold: float = 3.0) -> np.ndarray:
    """Twin of `iqrm.iqrm_mask`; returns the marks, (n_chan,) bool."""
    n, lag = len(x), 1
    casters: list[set[int]] = [set() for _ in range(n)]
    number = np.arange(n)
    while lag <= radius:
        for each in (lag, -lag):
            other = np.clip(number - each, 0, n - 1)
            apart = x - x[other]
            if np.isfinite(apart).any():
                low, middle, high = np.nanpercentile(apart, (25, 50, 75))
                for i in np.flatnonzero(apart - middle > threshold * ((high - low) / 1.349)):
                    casters[i].add(int(other[i]))
        lag = max(int(1.5 * lag), lag + 1)
    cast = np.bincount([j for each in casters for j in each], minlength=n)
    return np.array([any(cast[j] < len(each) for j in each) for each in casters], bool)




def _without(x: np.ndarray, series: np.ndarray | None) -> np.ndarray:
    """Return float32 values minus a series."""
    return x.astype(np.float32) - (0 if series is None else series[:, np.newaxis])


def channel_levels(x: np.ndarray, series: np.ndarray | None = None
                   ) -> tuple[np.ndarray, np.ndarray]:
    """Twin of `levels.channel_levels`; returns mean and noise, (n_chan,) float64, unit of x."""
    x = _without(x, series)
    level, sigma = np.full((2, x.shape[1]), np.nan)
    for c in range(x.shape[1]):
        some = x[:: max(1, -(-len(x) // 63)), c].astype(np.float64)
        some = some[np.isfinite(some)]
        if len(some):
            level[c] = np.median(some)
            sigma[c] = 1.482602218505602 * np.median(np.abs(some - level[c]))
        for every in (max(1, len(x) // 64), 1):
            values = x[::every, c].astype(np.float64)
            near = values[np.abs(values - level[c]) <= 3 * sigma[c]]
            if len(near):
                level[c], sigma[c] = np.mean(near), np.std(near) / 0.986578
    return level, sigma


def deviations(x: np.ndarray, level: np.ndarray, sigma: np.ndarray, middle: float = 0.0,
               unit: float = np.inf, scale: float = 1.0, offset: float = 0.0) -> np.ndarray:
    """Twin of `levels.deviations`; returns (n_time, n_chan) float64, dimensionless."""
    noise = np.where(sigma > 0, sigma.astype(np.float64), np.nan)
    apart = (np.where(np.isfinite(x), x, np.nan) - level.astype(np.float64)) / noise - middle
    if np.isinf(unit):
        return np.asarray(scale * apart - offset)
    ratio = 1 + apart / unit
    root = np.where(ratio > 0.8**3, np.cbrt(ratio), (ratio - 0.8**3) / (3 * 0.8**2) + 0.8)
    return np.asarray(scale * (root - 1) - offset)


def apply_flags(x: np.ndarray, weight: np.ndarray, flags: np.ndarray
                ) -> tuple[np.ndarray, np.ndarray]:
    """Twin of `flagging.apply_flags`; returns values and weights, float32."""
    n_product = max(weight.shape[1], flags.shape[1])
    weights = np.where(flags, 0, np.broadcast_to(weight, (len(x), n_product, x.shape[2])))
    return np.where(flags, np.float32(np.nan), x), weights.astype(np.float32)


def moving_median(x: np.ndarray, width: int) -> np.ndarray:
    """Twin of `smoothing.moving_median`; returns the medians, float64, with the shape of x."""
    n, good = x.shape[1], np.where(np.isfinite(x), x, np.nan).astype(np.float64)
    result = np.full(x.shape, np.nan)
    for c in range(n):
        begin = max(0, min(c - width // 2, n - width))
        for i in range(len(x)):
            values = good[i, begin : begin + width]
            values = values[np.isfinite(values)]
            if len(values):
                result[i, c] = np.median(values)
    return result


def through_knots(knots: np.ndarray, first: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Twin of `smoothing.through_knots`; returns (n_row, n_place) float64, unit of knots."""
    return np.asarray(sum(weight[k].astype(np.float64) * knots[:, first + k]
                          for k in range(len(weight))))


def ffa_turns(y: np.ndarray) -> np.ndarray:
    """Twin of the tree of `FFA`: sums of turns (m, n) for drifts of 0 to m - 1 bins, (m, n)."""
    m = len(y)
    if m == 1:
        return y.astype(np.float64)
    head, tail = ffa_turns(y[: m // 2]), ffa_turns(y[m // 2 :])
    rows = []
    for drift in range(m):
        i, j = (int((len(each) - 1) / (m - 1) * drift + 0.5) for each in (head, tail))
        rows.append(head[i] + np.roll(tail[j], j - drift))
    return np.array(rows)


def ffa_bins(x: np.ndarray, factor: float) -> np.ndarray:
    """Twin of the bins of `FFA`: sums over `factor` samples, which bins share in proportion."""
    total = np.concatenate([[0.0], np.cumsum(x, dtype=np.float64)])
    ends = np.arange(int(len(x) / factor) + 1) * factor
    return np.diff(np.interp(ends, np.arange(len(total)), total))


def ffa_snr(profile: np.ndarray, weight: np.ndarray, width: int, shared: float = 0.0) -> float:
    """Twin of the S/N of `FFA`: the best boxcar of a width on a profile, relative to the rest.

    `weight` is the number of valid samples in each bin, and `shared` by how much the samples that
    two bins share reduce the variance of a boxcar, as a share of all samples.
    """
    n, best = len(profile), 0.0
    found = []
    for first in range(n):
        inside = np.arange(first, first + width) % n
        w_in, w_out = weight[inside].sum(), weight.sum() - weight[inside].sum()
        if min(w_in * n / width, w_out * n / (n - width)) < 0.25 * weight.sum():
            continue
        s_in, s_out = profile[inside].sum(), profile.sum() - profile[inside].sum()
        both = 1 / w_in + 1 / w_out
        variance = both - shared * weight.sum() * both**2
        found.append((s_in / w_in - s_out / w_out) / np.sqrt(variance))
    return max(found, default=best)


class PacketRing:
    """Twin of `_packet_loops.place_packets_nb`: a ring of `n_slot` slots with its counters.

    Packets are bytes, slots are those from the first one on, and `places` maps a place in the ring
    and a part to the slot there and its samples.
    """

    def __init__(self, form: PacketForm, n_slot: int) -> None:
        self.form, self.n_slot = form, n_slot
        self.count = dict.fromkeys(COUNTERS, 0)
        self.first: int | None = None
        self.sender = self.highest = self.head = self.others = 0
        self.places: dict[tuple[int, int], tuple[int, bytes]] = {}
        self.held: list[tuple[int, int, bytes]] = []
        self.held_sender = self.until = 0
        self.gap = range(0)

    def parsed(self, packet: bytes) -> str | tuple[int, int]:
        """Return the slot and part of a packet, or the name of the counter that it belongs to."""
        form = self.form
        if len(packet) != form.packet_bytes:
            return "bad_length"
        word = int.from_bytes(packet[:8], "little")
        if word & form.mask != form.value:
            return "bad_header"
        if form.kind == VDIF:
            second = int.from_bytes(packet[8:16], "little")
            frame, thread = word >> 32 & 0xFFFFFF, second >> 48 & 0x3FF
            if second & form.mask_2 != form.value_2 or frame >= form.per_second:
                return "bad_header"
            if thread not in form.threads:
                return "other_beam"
            return (word & 0x3FFFFFFF) * form.per_second + frame, form.threads.index(thread)
        slot, part = divmod(word % 2**form.count_bits, 2**form.split_bits)
        if form.part_bit >= 0:
            part += (word >> form.part_bit & 1) * 2**form.split_bits
        if word & form.beam_mask != form.beam or part >= form.n_part:
            return "other_beam"
        return slot, part

    def relative(self, difference: int) -> int:
        """Return the shortest difference of two counters that begin again after the largest."""
        period = (2**62 if self.form.kind == VDIF
                  else 2 ** (self.form.count_bits - self.form.split_bits))
        return (difference + period // 2) % period - period // 2

    def publish(self, head: int) -> None:
        """Let readers read the slots before `head`, and count their packets that are missing."""
        for slot in range(self.head, head):
            for part in range(self.form.n_part):
                there = self.places.get((slot % self.n_slot, part))
                self.count["lost"] += there is None or there[0] != slot
        self.head = max(self.head, head)

    def put(self, slot: int, part: int, packet: bytes) -> None:
        """Put a packet into its place."""
        if self.places.get((slot % self.n_slot, part), (None,))[0] == slot:
            self.count["duplicate"] += 1
            return
        self.places[slot % self.n_slot, part] = slot, packet[self.form.header_bytes :]
        self.count["placed"] += 1
        self.highest = max(self.highest, slot + 1)
        if self.highest > self.until:
            self.publish(self.highest - self.form.reorder)

    def add(self, packet: bytes, sender: int) -> bool:
        """Accept a packet; return whether it begins a new stream."""
        self.count["received"] += 1
        found = self.parsed(packet)
        if isinstance(found, str):
            self.count[found] += 1
            return False
        if self.first is not None:
            if self.form.one_sender and sender != self.sender:
                self.count["other_sender"] += 1
                return False
            slot = self.relative(found[0] - self.first)
            if self.head <= slot < self.highest + self.form.reorder and slot not in self.gap:
                self.others += 1
                if self.others > self.form.reorder * self.form.n_part:
                    self.give_up()
                self.put(slot, found[1], packet)
                return False
            if self.head - self.n_slot <= slot < self.head:
                there = self.places.get((slot % self.n_slot, found[1]), (None,))[0]
                self.count["duplicate" if there == slot else "late"] += 1
                return False
        return self.hold(*found, packet, sender) and self.believe()

    def give_up(self) -> None:
        """Count the packets that are held back as not confirmed."""
        self.count["unconfirmed"] += len(self.held)
        self.held = []

    def hold(self, slot: int, part: int, packet: bytes, sender: int) -> bool:
        """Hold a packet back; return whether enough of them agree."""
        if self.held and self.form.one_sender and sender != self.held_sender:
            self.others += 1
            if self.others < 16 * self.form.confirm:
                self.count["other_sender"] += 1
                return False
            self.give_up()
        elif self.held and abs(self.relative(slot - self.held[0][0])) > self.form.reorder:
            self.give_up()
        if (slot, part) in [each[:2] for each in self.held]:
            self.count["duplicate"] += 1
            return False
        self.held_sender, self.others = sender, 0
        self.held.append((slot, part, packet))
        return len(self.held) == self.form.confirm

    def believe(self) -> bool:
        """Begin, or go on, with the packets that are held back."""
        base = self.held[0][0]
        lowest = base + min(self.relative(slot - base) for slot, _, _ in self.held)
        if self.first is None and lowest > self.form.most_first:
            self.give_up()
            return False
        if self.first is None:
            self.first, self.sender = lowest, self.held_sender
        else:
            slot = self.relative(lowest - self.first)
            if slot < self.head or slot - self.highest > self.form.most_jump:
                return True
            self.jump(slot)
        for slot, part, packet in self.held:
            self.put(self.relative(slot - self.first), part, packet)
        self.held = []
        return False

    def jump(self, slot: int) -> None:
        """Go on at `slot`; packets from before the jump may still come if there is space."""
        reorder = self.form.reorder
        self.publish(self.highest - reorder)
        self.count["jumps"] += 1
        self.gap = range(self.highest + reorder, slot - reorder)
        self.highest = max(self.highest, slot)
        if slot + 2 * reorder - self.head < self.n_slot:
            self.until = slot + reorder
        else:
            self.publish(slot - reorder)
