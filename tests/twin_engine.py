"""An engine of spectrometers that shares no code with fastsig's own: slow, in float64.

It has what `fastsig_kernels.SpectrometerPlan` states and nothing else, as an accelerator would.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from fastsig_kernels import PRODUCTS, Layout, reference


class TwinPlan:
    """A plan for sums over critically sampled frames, without kurtosis."""

    api = 1

    def __init__(self, n_chan: int, *, taps: np.ndarray, layout: Layout, n_pol: int, n_stream: int,
                 products: str, flag_sigma: float | None, min_valid: float, lower_sideband: bool,
                 oversample: Any, scale: str, channels: tuple[int, int] | None, sign_q: int,
                 sign_v: int, n_int: int = 1) -> None:
        if flag_sigma is not None or oversample != 1 or scale != "sum":
            raise ValueError("flag_sigma, oversample, scale: found one that this engine lacks")
        self._given = {key: value for key, value in locals().items() if key not in ("self",)}
        self._taps, self._layout, self._n_int, self._min_valid = taps, layout, n_int, min_valid
        self._names = PRODUCTS[products] if n_pol == 2 else ("AA",)
        self._signs = sign_q, sign_v
        self._lower, self._cut = lower_sideband, slice(*channels or (0, n_chan))
        self._n_stream, self._n_pol = n_stream, n_pol
        self.reset()

    @property
    def layout(self) -> Layout:
        return self._layout

    @property
    def memory_bytes(self) -> int:
        return int(self._x.nbytes + self._taps.nbytes)

    @property
    def out_dtype(self) -> np.dtype:
        return np.dtype("f8")

    @property
    def weight(self) -> np.ndarray:
        return self._weight[:, :, np.newaxis]

    def compile(self) -> None:
        """Nothing is compiled."""

    def copy(self, *, n_int: int | None = None) -> TwinPlan:
        return TwinPlan(**{**self._given, "n_int": self._n_int if n_int is None else n_int})

    def reset(self, first_frame: int = 0) -> None:
        kind = complex if self._layout.is_complex else float
        self._x = np.empty((self._n_stream, self._n_pol, 0), kind)
        self._good = np.empty((self._n_pol, 0), bool)
        self._sums: list[tuple[np.ndarray, np.ndarray]] = []  # of the frames so far

    def n_output(self, n_sample: int) -> int:
        return (len(self._sums) + self._n_frame(n_sample)) // self._n_int

    def process(self, x: np.ndarray, *, valid: Any = None, zeroed: bool = False,
                out: np.ndarray | None = None) -> np.ndarray:
        numbers = self._layout.to_float(x)
        good = np.ones((self._n_pol, numbers.shape[2]), bool)
        for row, spans in zip(good, valid or (), strict=True):
            row[:] = False
            for first, stop in spans:
                row[first:stop] = True
        self._x = np.concatenate([self._x, np.where(good, numbers, 0)], axis=2)
        self._good = np.concatenate([self._good, good], axis=1)
        self._take(self._n_frame(0))
        n = len(self._sums) // self._n_int * self._n_int
        made = self._closed(self._sums[:n])
        del self._sums[:n]
        if out is None:
            return made
        out[: len(made)] = made
        return out[: len(made)]

    def flush(self) -> np.ndarray:
        made = self._closed(self._sums)
        self.reset()
        return made

    def _n_frame(self, n_sample: int) -> int:
        n = self._x.shape[2] + n_sample - self._taps.size
        return max(0, n // self._taps.shape[1] + 1)

    def _take(self, n: int) -> None:
        if n == 0:
            return
        spans = [_spans(row) for row in (*self._good, self._good.all(axis=0))]
        energy = np.stack([reference.frame_energy(each, 0, n, self._taps, self._taps.shape[1])
                           for each in spans[: 2 * self._n_pol - 1]], axis=1)
        energy[energy < self._min_valid] = 0
        options = {"is_complex": self._layout.is_complex, "lower_sideband": self._lower}
        powers = []
        for stream in self._x:
            frames = [reference.channelize(row, self._taps, **options)[:n] for row in stream]
            power, weight = reference.detect(np.stack(frames, 1), energy, self._names, *self._signs)
            powers.append(power[..., self._cut])
        self._sums += zip(np.stack(powers, axis=1), weight, strict=True)
        used = n * self._taps.shape[1]
        self._x, self._good = self._x[:, :, used:], self._good[:, used:]

    def _closed(self, sums: list[Any]) -> np.ndarray:
        groups = [sums[i : i + self._n_int] for i in range(0, len(sums), self._n_int)]
        width = self._cut.stop - self._cut.start
        shape = (len(groups), self._n_stream, len(self._names), width)
        self._weight = np.reshape([sum(each[1] for each in group) for group in groups],
                                  (len(groups), len(self._names)))
        return np.reshape([sum(each[0] for each in group) for group in groups], shape)


def _spans(good: np.ndarray) -> np.ndarray:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(int)))
    return edges.reshape(-1, 2)
