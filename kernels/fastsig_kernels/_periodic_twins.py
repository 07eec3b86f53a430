"""Slow twins of the search for periodic signals, in float64, see `reference`."""

from itertools import pairwise

import numpy as np

from ._periodic_tables import (
    BRIGHT,
    CUT,
    EVENT,
    FEWEST,
    GROUP,
    LOBES,
    SAMPLED,
    block_edges,
    gain_knots,
    half_bin_taps,
    hann_noise,
    harmonic_place,
    jerk_side,
    jerk_taps,
    mean_of_truncated,
    median_share,
    noise_of,
    stages,
    template_side,
    templates,
    top_range,
)


def detrend(x: np.ndarray, weight: np.ndarray | None = None, *, n_piece: int = 32,
            n_part: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Twin of `detrending.detrend`: samples less lines between the means of pieces.

    Accepts x (n,) and weight (n,); returns (n,) float64 and (n_piece n_part,) float64.
    """
    good = np.isfinite(x) & (True if weight is None else weight > 0)
    w = good * (1.0 if weight is None else weight.astype(np.float64))
    values = np.where(good, x, 0).astype(np.float64)
    step = -(-x.size // (n_piece * n_part))
    total = np.array([w[p * step : (p + 1) * step].sum() for p in range(n_piece * n_part)])
    middle, mean = [], []
    for p in range(n_piece):
        piece = slice(p * n_part * step, (p + 1) * n_part * step)
        if w[piece].sum() > 0:
            middle.append((piece.start + min(piece.stop, x.size) - 1) / 2)
            mean.append(values[piece].sum() / w[piece].sum())
    line = np.interp(np.arange(x.size), middle, mean) if middle else np.zeros(x.size)
    return np.where(good, values - w * line, 0), total


def whiten(x: np.ndarray, valid: np.ndarray | None = None, *, lags: np.ndarray | None = None,
           first: int = 8, least: int = 16, growth: float = 0.4, most: int = 8192) -> np.ndarray:
    """Twin of `whitening.whiten`: amplitudes over the root of the mean power in blocks.

    Accepts x (n_bin,) complex and valid (n_bin,) bool; returns (n_bin,) complex128.
    """
    good = np.ones(x.size, bool) if valid is None else valid.copy()
    good[0] = False
    a = np.where(good, x, 0).astype(np.complex128)
    noise = hann_noise(np.ones(1) if lags is None else lags)
    smooth, whole = np.zeros(x.size), np.zeros(x.size, bool)
    smooth[1:-1] = np.abs(a[1:-1] - (a[:-2] + a[2:]) / 2) ** 2 / noise
    whole[1:-1] = good[1:-1] & good[:-2] & good[2:]
    edges = block_edges(x.size, first, least, growth, most)
    power = np.abs(a) ** 2
    blocks = [slice(b, c) for b, c in pairwise(edges)]
    bright = [False, *(power[each].max() > BRIGHT * _median(power[each], good[each])[0]
                       for each in blocks), False]
    level = np.array([_level(power[each], good[each], smooth[each],
                             whole[each] & any(bright[k : k + 3]))
                      for k, each in enumerate(blocks)])
    gain = np.interp(np.arange(x.size), *gain_knots(edges, level))
    return np.where(good, x, 0) * gain


def _level(power: np.ndarray, good: np.ndarray, smooth: np.ndarray, whole: np.ndarray) -> float:
    """Return the level of a block; `whole` is false where no line nearby is bright."""
    plain, n = _median(power, good)
    other, n_other = _median(smooth, whole)
    if n < FEWEST:
        return 0.0
    if n_other >= FEWEST and other * (1 + LOBES / np.sqrt(n_other)) < plain:
        power, good, plain = smooth, whole, other
    below = power[good & (power < CUT * plain)]
    cut = np.array(CUT * plain)
    return float(mean_of_truncated(below.mean(), cut)) if below.size else 0.0


def _median(power: np.ndarray, good: np.ndarray) -> tuple[float, int]:
    step = -(-power.size // SAMPLED)
    few = power[::step][good[::step]]
    return (float(np.median(few) / median_share(np.array(few.size))) if few.size else 0.0), few.size


def half_bin_powers(x: np.ndarray, valid: np.ndarray | None = None, *, n_side: int = 16,
                    lags: np.ndarray | None = None) -> np.ndarray:
    """Twin of `periodicity.half_bin_powers`: powers at steps of half a bin, 0 if not valid.

    Accepts x (n_bin,) complex; returns (2 n_bin,) float64.
    """
    taps = half_bin_taps(n_side)
    noise = noise_of(taps, np.ones(1) if lags is None else lags)
    padded = np.concatenate([np.zeros(n_side - 1), x, np.zeros(n_side)]).astype(np.complex128)
    half = np.correlate(padded, taps, "valid")
    power = np.stack([np.abs(x.astype(np.complex128)) ** 2, np.abs(half) ** 2 / noise], axis=1)
    return power.ravel() * half_bin_validity(valid, x.size)


def half_bin_validity(valid: np.ndarray | None, n_bin: int) -> np.ndarray:
    """Return the validity at steps of half a bin: between two bins, that of both, (2 n_bin,)."""
    good = np.ones(n_bin, bool) if valid is None else valid
    return np.stack([good, good & np.append(good[1:], good[-1:])], axis=1).ravel()


def harmonic_events(x: np.ndarray, thresholds: np.ndarray, valid: np.ndarray | None = None, *,
                    r_min: float = 1.0, r_max: float = np.inf, n_side: int = 16,
                    lags: np.ndarray | None = None) -> np.ndarray:
    """Twin of `periodicity.HarmonicSearch`: sums of harmonics above thresholds.

    Accepts x (n_bin,) complex and thresholds (n_harmonic,), of sums of 1 to n_harmonic valid
    powers.
    """
    power = half_bin_powers(x, valid, n_side=n_side, lags=lags)
    good = half_bin_validity(valid, x.size)
    return _events(lambda part, n, z: (power, good), [0], power.size, thresholds, r_min, r_max)


def _events(row_of, drifts, n_half, thresholds, r_min, r_max, w=0):
    found = []
    for n in stages(thresholds.size):
        first, stop = top_range(n, n_half, r_min, r_max)
        i = np.arange(first, stop)
        for z in drifts:
            total, count = np.zeros(i.size), np.zeros(i.size, np.int64)
            for part in range(1, n + 1):
                power, good = row_of(part, n, z)
                place = harmonic_place(i, part, n)
                total += power[place] * good[place]
                count += good[place]
            found.append(_best(i, total, count, thresholds, n, 2.0 * z, 20.0 * w))
    return np.concatenate(found) if found else np.empty(0, EVENT)


def _best(i, total, count, thresholds, n, z, w):
    limits = np.concatenate([[np.inf], thresholds])
    excess = total - limits[count]
    found = []
    for group in np.unique(i[excess >= 0] // GROUP):
        inside = np.flatnonzero(i // GROUP == group)
        best = inside[np.argmax(excess[inside])]
        found.append((i[best] / 2 / n, z / n, w / n, n, count[best], total[best]))
    return np.array(found, EVENT)


def drifting_powers(x: np.ndarray, z: float, *, w: float = 0, n_side: int = 16,
                    lags: np.ndarray | None = None) -> np.ndarray:
    """Return powers at steps of half a bin for one drift and one jerk, (2 n_bin,) float64.

    Accepts x (n_bin,) complex.
    """
    side, beyond, n = template_side(z, n_side), jerk_side(w), x.size
    signs = 1 - 2 * (np.arange(n) % 2)
    ends = np.zeros(side + beyond)
    padded = np.concatenate([ends, x * signs, ends]).astype(np.complex128)
    padded = np.correlate(padded, jerk_taps(w), "valid")
    turned = None if lags is None else lags * (1 - 2 * (np.arange(len(lags)) % 2))
    found = []
    for half in (0, 1):
        offset = np.arange(-side + half, side + 1) - half / 2
        taps = templates(np.array([z]), offset)[0]
        noise = noise_of(taps, np.ones(1) if turned is None else turned)
        made = np.correlate(padded[half:], taps.conj(), "valid")[:n]
        found.append(np.abs(made) ** 2 / noise)
    return np.stack(found, axis=1).ravel()


def acceleration_events(x: np.ndarray, thresholds: np.ndarray, valid: np.ndarray | None = None, *,
                        z_max: float, w_max: float = 0, r_min: float = 1.0, r_max: float = np.inf,
                        n_side: int = 16, lags: np.ndarray | None = None) -> np.ndarray:
    """Twin of `acceleration.AccelerationSearch`: sums of harmonics at (n r, n z, n w)."""
    steps, jerks = int(z_max) // 2, int(w_max) // 20
    rows = {(z, w): drifting_powers(x, 2.0 * z, w=20.0 * w, n_side=n_side, lags=lags)
            for z in range(-steps, steps + 1) for w in range(-jerks, jerks + 1)}
    good = half_bin_validity(valid, x.size)
    found = [_events(lambda part, n, z, w=w: (
        rows[int(harmonic_place(z, part, n)), int(harmonic_place(w, part, n))], good),
        range(-steps, steps + 1), 2 * x.size, thresholds, r_min, r_max, w)
        for w in range(-jerks, jerks + 1)]
    every = np.concatenate(found)
    return every[np.argsort(every["n_harmonic"], kind="stable")]
