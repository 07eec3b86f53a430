"""An example of every plan and of every function of `fastsig_kernels`, for tests that use all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fastsig_kernels as fk
import numpy as np


@dataclass
class PlanCase:
    """How to construct a plan, and what it computes."""

    make: Callable[[], Any]
    use: Callable[[Any], Any]


@dataclass
class Call:
    """Arguments of a function, all by name, and which of these it writes to."""

    arguments: dict[str, Any]
    outputs: tuple[str, ...] = ()
    #: The input that may be the output too.
    in_place: str = ""

    def with_outputs(self, name: str) -> dict[str, Any]:
        """Return the arguments with arrays for all outputs."""
        given = copied(self.arguments)
        missing = [each for each in self.outputs if each not in given]
        if missing:
            made = getattr(fk, name)(**copied(given))
            made = made if isinstance(made, tuple) else (made,)
            given.update({key: np.empty_like(value)
                          for key, value in zip(self.outputs, made, strict=False)})
        return given


def copied(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with copies of arrays."""
    return {key: value.copy() if isinstance(value, np.ndarray) else value
            for key, value in arguments.items()}


_RNG = np.random.default_rng(17)
VOLTAGES = _RNG.integers(-30, 31, 2000).astype(np.int8)
_FLOATS = _RNG.normal(size=(6, 4, 16)).astype(np.float32)
_SPECTRA = (_RNG.normal(size=(6, 2, 16)) + 1j * _RNG.normal(size=(6, 2, 16))).astype(np.complex64)
_CODES = _RNG.integers(0, 256, (6, 4, 16)).astype(np.uint8)
_POWER = _FLOATS**2
_TAPS = fk.prototype(32, 4, "hann")
_PLANE = _RNG.normal(size=(20, 24)).astype(np.float32)
_SPANS = np.array([[0, 50], [60, 300]])
_LON = np.linspace(10.0, 11.0, 40)
_PIXELS = np.meshgrid(np.linspace(10.0, 11.0, 5), np.linspace(-0.2, 0.2, 3))
_BANK = fk.Channelizer(16, n_tap=4)
_INVERSE = fk.Synthesizer(16, n_tap=4, oversample=2)
_FRAMES = np.ascontiguousarray(np.tile(_SPECTRA[:, 0], (2 * _INVERSE.n_lag, 1)))


def _spectrometer(plan: Any) -> Any:
    first = plan.process(VOLTAGES[:777]).copy()
    return np.concatenate([first, plan.process(VOLTAGES[777:]), plan.flush()])


def _gridder() -> Any:
    table = fk.gaussian_table(0.1, 0.3)
    return fk.Gridder(_LON, 0.1 * np.sin(_LON), *_PIXELS, radius=0.3, table=table)


def _gridded(plan: Any, scratch: Any = None) -> Any:
    data = np.outer(_LON, [1, 2]).astype(np.float32)
    mean, weight = np.empty((2, 2, *plan.shape), np.float32)
    plan.process(data, np.ones((40, 1), np.float32), mean, weight, scratch=scratch)
    return np.stack([mean, weight])


#: Every public class that computes something.
PLANS: dict[str, PlanCase] = {
    "Spectrometer": PlanCase(
        lambda: fk.Spectrometer(16, taps=_TAPS, n_int=3, n_inner=2, channels=[2, 11],
                                oversample="4/3", flag_sigma=3.0), _spectrometer),
    "Channelizer": PlanCase(lambda: fk.Channelizer(16, taps=_TAPS, lower_sideband=True),
                            lambda plan: plan.process(VOLTAGES)),
    "ChannelizerScratch": PlanCase(
        _BANK.scratch, lambda scratch: scratch._plan.process(VOLTAGES, scratch=scratch)),
    "FFTPlan": PlanCase(lambda: fk.FFTPlan(64, kind="complex", direction="inverse",
                                           dtype="complex64"),
                        lambda plan: plan.process(_SPECTRA.reshape(3, 64))),
    "Gridder": PlanCase(_gridder, _gridded),
    "GridderScratch": PlanCase(lambda: fk.GridderScratch(2),
                               lambda scratch: _gridded(_gridder(), scratch)),
    "FDMT": PlanCase(lambda: fk.FDMT(np.linspace(0, 1, 16), np.arange(5.0)),
                     lambda plan: plan.process(_CODES.reshape(-1, 16))),
    "Synthesizer": PlanCase(lambda: fk.Synthesizer(16, taps=_TAPS, oversample=2),
                            lambda plan: plan.process(_FRAMES)),
    "SynthesizerScratch": PlanCase(
        lambda: _INVERSE.scratch(len(_FRAMES)),
        lambda scratch: _INVERSE.process(_FRAMES, scratch=scratch)),
}

_RANDOM = {"start": 5, "n": 7, "seed": 1, "stream": 2}
_DETECT = {"x": _SPECTRA, "energy": np.ones((6, 3)), "products": "IQUV"}

#: Every checked public function.
FUNCTIONS: dict[str, Call] = {
    "accumulate": Call({"power": _POWER, "weight": np.ones((6, 4)),
                        "total": np.zeros((4, 16), np.float32), "total_weight": np.zeros(4)},
                       ("total", "total_weight")),
    "accumulate_groups": Call({"power": _POWER, "weight": np.ones((6, 4, 1)),
                               "total": np.zeros((3, 4, 16), np.float32),
                               "total_weight": np.zeros((3, 4, 1)), "n_each": 2, "first": 0},
                              ("total", "total_weight")),
    "apply_gain": Call({"values": _FLOATS, "gain": np.ones((2, 16), np.float32),
                        "cross": np.ones(16, np.complex64), "row": np.ones((6, 4), np.float32),
                        "weight": np.ones((6, 1, 16), np.float32)}, ("out",), "values"),
    "apply_scales": Call({"codes": _CODES, "scale": _FLOATS[0], "offset": _FLOATS[1],
                          "zero": np.ones(4, np.float32), "reverse": True}, ("out",)),
    "average_channels": Call({"total": _FLOATS, "n": 4}, ("out",)),
    "column_median": Call({"x": _PLANE, "flags": _PLANE > 1}, ("out",)),
    "compress_planes": Call({"x": _FLOATS, "block": 16, "out": np.zeros(3000, np.uint8),
                             "work": np.zeros(fk.compress_work_bytes(4, block=16), np.uint8)},
                            ("out", "work")),
    "compress_work_bytes": Call({"item_bytes": 4, "block": 16}),
    "compressed_bound": Call({"n_byte": 100, "item_bytes": 4, "block": 16}),
    "cumulative_energy": Call({"taps": _TAPS}),
    "detect": Call(_DETECT, ("out", "out_weight")),
    "detect_accumulate": Call({**_DETECT, "total": np.zeros((4, 16), np.float32),
                               "total_weight": np.zeros(4)}, ("total", "total_weight")),
    "expand_planes": Call({"packed": fk.compress_planes(_FLOATS), "item_bytes": 4, "first": 8,
                           "out": np.zeros(64, np.uint8), "work": np.zeros(40000, np.uint8)},
                          ("out", "work")),
    "expand_work_bytes": Call({"packed": fk.compress_planes(_FLOATS), "item_bytes": 4}),
    "fft_plan": Call({"n": 64}),
    "fit_scales": Call({"values": _FLOATS, "n_bits": 8}, ("out", "scale", "offset")),
    "fletcher32": Call({"data": np.arange(50, dtype=np.uint8)}),
    "frame_correlation": Call({"taps": _TAPS, "hop": 32}),
    "frame_energy": Call({"spans": _SPANS, "start": 3, "n_frame": 6,
                          "taps_cumulative": fk.cumulative_energy(_TAPS), "hop": 32}, ("out",)),
    "gamma": Call({**_RANDOM, "shape": 2.0}, ("out",)),
    "gaussian": Call(_RANDOM, ("out",)),
    "gaussian_table": Call({"fwhm": 0.1, "radius": 0.3, "n": 50}),
    "group_median": Call({"x": _PLANE, "n": 5, "flags": _PLANE > 1}, ("out",)),
    "intersect_spans": Call({"a": _SPANS, "b": _SPANS + 5}),
    "keep": Call({"sk": _POWER, "low": np.full(16, 0.2), "high": np.full(16, 2.0)}, ("out",)),
    "kurtosis": Call({"s1": _POWER, "s2": _POWER**2, "n_sum": np.full((6, 4, 1), 9),
                      "shape": np.ones(16)}, ("out",)),
    "kurtosis_thresholds": Call({"n_sum": 100, "shape": 1.0, "sigma": 3.0,
                                 "correlation": np.array([0.01])}),
    "least_frames": Call({"correlation": np.array([0.01])}),
    "normalize": Call({"total": _FLOATS, "total_weight": np.ones((6, 4)), "n_full": 3},
                      ("out", "out_weight")),
    "pack": Call({"codes": _CODES.reshape(-1) & 3, "n_bits": 2}, ("out",)),
    "polyphase_fir": Call({"x": VOLTAGES, "taps": _TAPS.astype(np.float32)}, ("out",)),
    "product_codes": Call({"products": "IQUV"}),
    "prototype": Call({"n_fft": 32, "n_tap": 4, "window": "hann"}),
    "quantize": Call({"x": _FLOATS.reshape(-1)}, ("out",)),
    "requantize": Call({"power": _POWER}, ("out", "scale", "offset")),
    "resample": Call({"x": _FLOATS, "position": np.linspace(1, 2, 6), "step": np.full(6, 1.25),
                      "n_out": 10, "weight": np.ones((6, 1, 16), np.float32), "first_in": 0,
                      "first_out": 0, "lobes": 4}, ("out", "out_weight")),
    "resampling_covariance": Call({"step": 1.25, "n_lag": 3, "lobes": 4,
                                   "correlation": np.array([1, 0.1])}),
    "response": Call({"taps": _TAPS, "offset": np.linspace(0, 2, 9)}),
    "restore": Call({"codes": _CODES, "scale": _FLOATS[0], "offset": _FLOATS[1]}, ("out",)),
    "running_median": Call({"x": _PLANE, "width": 5, "flags": _PLANE > 1, "even": True},
                           ("out", "out_scale")),
    "sum_threshold": Call({"x": _PLANE, "flags": _PLANE > 1,
                           "thresholds": np.array([3.0, 2.0, 1.5]), "axis": 1}, ("flags",)),
    "sum_thresholds": Call({"threshold": 4.0, "max_window": 8, "rho": 1.5}),
    "to_codes": Call({"x": _FLOATS.reshape(-1), "n_bits": 2,
                      "levels": np.array([-2, -1, 1, 2], np.float32)}, ("out",)),
    "uniform": Call(_RANDOM, ("out",)),
    "unpack": Call({"packed": _CODES.reshape(6, 64), "n_bits": 2,
                    "levels": np.array([-2, -1, 1, 2], np.float32)}, ("out",)),
    "widen": Call({"codes": _CODES, "reverse": True}, ("out",)),
}
