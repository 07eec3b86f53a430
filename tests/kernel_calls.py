"""An example of every plan and of every function of `fastsig_kernels`, for tests that use all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import fastsig_kernels as fk
import numpy as np


@dataclass
class Call:
    """Arguments of a function or method, all by name, and which of these it writes to."""

    arguments: dict[str, Any]
    outputs: tuple[str, ...] = ()
    #: The input that may be the output too.
    in_place: str = ""

    def with_outputs(self, name: str) -> dict[str, Any]:
        """Return the arguments with arrays for all outputs."""
        given = copied(self.arguments)
        missing = [each for each in self.outputs if each not in given]
        if missing:
            made = function(name)(**copied(given))
            made = made if isinstance(made, tuple) else (made,)
            given.update({key: np.empty_like(value)
                          for key, value in zip(self.outputs, made, strict=False)})
        return given


@dataclass
class PlanCase:
    """Arguments of a plan's constructor and of its methods, and a use of all that it computes."""

    kind: type[Any]
    arguments: dict[str, Any]
    methods: dict[str, Call]
    use: Callable[[Any], Any] | None = field(default=None, kw_only=True)

    def make(self) -> Any:
        """Return a new plan."""
        return self.kind(**copied(self.arguments))

    def used(self, plan: Any) -> Any:
        """Return what a plan computes, as one array."""
        if self.use is not None:
            return self.use(plan)
        made = plan.process(**copied(self.methods["process"].arguments))
        return np.stack(made) if isinstance(made, tuple) else made


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
_MANY = np.tile(_CODES.reshape(-1, 16), (22, 1))
_SERIES = _RNG.normal(size=2000).astype(np.float32)
_LADDER = fk.boxcar_ladder(0.2, 8)
_SPANS = np.array([[0, 50], [60, 300]])
_LON = np.linspace(10.0, 11.0, 40)
_PIXELS = np.meshgrid(np.linspace(10.0, 11.0, 5), np.linspace(-0.2, 0.2, 3))
_BINS = (3 * _SPECTRA).ravel()
_GOOD = np.arange(192) % 50 != 7
_LAGS = np.array([1, 0.2j])
_FRAMES = np.ascontiguousarray(np.tile(_SPECTRA[:, 0], (8, 1)))


def _spectrometer(plan: Any) -> Any:
    first = plan.process(VOLTAGES[:777]).copy()
    return np.concatenate([first, plan.process(VOLTAGES[777:]), plan.flush()])


def _search(key: str) -> Callable[[Any], Any]:
    """Return a use of a plan whose results are those of `process` and `finish`."""
    def use(plan: Any) -> Any:
        made = plan.process(**copied(PLANS[key].methods["process"].arguments)), plan.finish()
        return np.concatenate([each[0] if isinstance(each, tuple) else each for each in made])

    return use


#: Every public class that computes something.
PLANS: dict[str, PlanCase] = {
    "AccelerationSearch": PlanCase(
        fk.AccelerationSearch,
        {"n_bin": 192, "thresholds": np.array([9.0, 14.0]), "z_max": 4.0, "w_max": 20.0,
         "r_min": 2.0, "r_max": 50.0, "n_side": 8, "most": 100},
        {"process": Call({"x": _BINS, "valid": _GOOD, "lags": _LAGS})}),
    "HarmonicSearch": PlanCase(
        fk.HarmonicSearch,
        {"n_bin": 192, "thresholds": np.array([9.0, 14.0]), "r_min": 2.0, "r_max": 50.0,
         "n_side": 8, "most": 100},
        {"process": Call({"x": _BINS, "valid": _GOOD, "lags": _LAGS})}),
    "Boxcars": PlanCase(
        fk.Boxcars,
        {"n_row": 2, "ladder": _LADDER, "noise": 1.0, "threshold": 2.0, "segment": 2048,
         "n_segment": 2, "n_first": 1, "tile": 256, "least_share": 0.5, "most": 4, "threads": 2},
        {"process": Call({"x": _PLANE.reshape(2, -1), "weight": np.ones((2, 240), np.float32)})},
        use=_search("Boxcars")),
    "FFA": PlanCase(
        fk.FFA,
        {"n_time": 2000, "shortest": 24.0, "longest": 60.0, "n_bin": 24, "widths": [1, 2, 4],
         "n_step": 3, "exact": True},
        {"process": Call({"x": _SERIES, "weight": (_SERIES > -2).astype(np.float32)},
                         ("out", "out_width"))}),
    "Normalizer": PlanCase(
        fk.Normalizer,
        {"n_chan": 16, "dtype": "uint8", "segment": 256, "half": 2, "ahead": 1, "threads": 2},
        {"process": Call({"x": _MANY, "valid": _MANY > 20,
                          "series": np.linspace(0, 9, len(_MANY)).astype(np.float32)},
                         ("out", "out_valid")),
         "n_output": Call({"n": 600})},
        use=_search("Normalizer")),
    "PulseSearch": PlanCase(
        fk.PulseSearch,
        {"curve": np.linspace(0, 1, 16), "delays": np.arange(5.0), "ladder": _LADDER,
         "threshold": 2.0, "order": "time", "mask": np.arange(16) == 3, "track": "half",
         "noise": 70.0, "segment": 2048, "n_segment": 2, "n_first": 1, "tile": 256,
         "least_share": 0.5, "most": 4, "parts": [2, 3], "threads": 2},
        {"process": Call({"x": _CODES.reshape(-1, 16).view(np.int8),
                          "valid": _CODES.reshape(-1, 16) > 20}),
         "prepare": Call({"other": None})},
        use=_search("PulseSearch")),
    "Spectrometer": PlanCase(
        fk.Spectrometer,
        {"n_chan": 16, "n_tap": 4, "window": "hann", "layout": fk.Layout(), "n_pol": 1,
         "products": "I", "basis": "linear", "sign_q": 1, "sign_v": -1, "n_int": 3, "n_inner": 2,
         "flag_sigma": 3.0, "min_valid": 0.8, "lower_sideband": True, "oversample": "4/3",
         "channels": [2, 11], "scale": "mean", "n_stream": None, "threads": 1},
        {"process": Call({"x": VOLTAGES, "valid": np.array([[0, 2000]]), "zeroed": True}, ("out",)),
         "reset": Call({"first_frame": 3}), "copy": Call({"n_int": 5}),
         "skip": Call({"n": 500}, ("out",)),
         "n_frame": Call({"n_sample": 500}), "n_output": Call({"n_sample": 500})},
        use=_spectrometer),
    "Channelizer": PlanCase(
        fk.Channelizer,
        {"n_chan": 16, "n_tap": 4, "window": "hann", "taps": None, "lower_sideband": True,
         "oversample": 2, "layout": fk.Layout()},
        {"process": Call({"x": VOLTAGES, "first_frame": 3}, ("out",)),
         "n_frame": Call({"n_sample": 500}), "n_sample": Call({"n_frame": 5})}),
    "FFTPlan": PlanCase(
        fk.FFTPlan,
        {"n": 64, "kind": "complex", "direction": "inverse", "dtype": "complex64"},
        {"process": Call({"x": _SPECTRA.reshape(3, 64)}, ("out",), "x")}),
    "Gridder": PlanCase(
        fk.Gridder,
        {"lon": _LON, "lat": 0.1 * np.sin(_LON), "pixel_lon": _PIXELS[0], "pixel_lat": _PIXELS[1],
         "radius": 0.3, "table": fk.gaussian_table(0.1, 0.3), "stretch": np.full(40, 1.1)},
        {"process": Call({"data": np.outer(_LON, [1, 2]).astype(np.float32),
                          "weight": np.ones((40, 1), np.float32), "first": 0, "stop": 1},
                         ("out", "out_weight"))}),
    "CoherentDedispersion": PlanCase(
        fk.CoherentDedispersion,
        {"n_chan": 2, "start": 1.5, "dispersion": 20.0, "n_pol": 2, "lower_sideband": True,
         "n_point": 64, "margin": 0.2, "discarded": (7, 9), "min_valid": 0.5,
         "products": "IQUV", "n_int": 5, "basis": "linear", "sign_q": -1, "sign_v": -1},
        {"process": Call({"x": VOLTAGES.reshape(2, -1), "valid": _SPANS}, ("out",)),
         "n_output": Call({"n_sample": 700}), "reset": Call({"block": 2, "first_sum": 3})}),
    "FDMT": PlanCase(
        fk.FDMT,
        {"curve": np.linspace(0, 1, 16), "delays": np.arange(5.0), "dtype": "uint8",
         "order": "time", "mask": np.arange(16) == 3, "track": "half", "threads": 2},
        {"process": Call({"x": _CODES.reshape(-1, 16), "valid": _CODES.reshape(-1, 16) > 20,
                          "out_weight": np.zeros((5, _CODES.size // 16), np.float32)},
                         ("out", "out_weight")),
         "channel_delays": Call({"rows": np.arange(1, 3)}), "prepare": Call({"other": None})}),
    "Folder": PlanCase(
        fk.Folder,
        {"n_bin": 5, "n_chan": 16, "n_product": 4, "n_ephemeris": 2, "dtype": "uint8"},
        {"process": Call({"x": _CODES, "phase": np.full((2, 2, 3), 2**62 + 5, np.uint64),
                          "piece": 4, "offset": np.full((2, 16), 2**60, np.uint64),
                          "weight": (_CODES > 20).astype(np.float32), "add": False},
                         ("out", "out_weight"))}),
    "Synthesizer": PlanCase(
        fk.Synthesizer,
        {"n_chan": 16, "oversample": 2, "n_tap": 4, "window": "hann", "taps": None,
         "layout": fk.Layout(), "lower_sideband": True, "noise": 1e-3},
        {"process": Call({"spectra": _FRAMES, "first_frame": 3}, ("out",)),
         "n_frame": Call({"n_sample": 500}), "n_sample": Call({"n_frame": 50}),
         "frames": Call({"start": 5, "stop": 90})}),
}

_RANDOM = {"start": 5, "n": 7, "seed": 1, "stream": 2}
_DETECT = {"x": _SPECTRA, "energy": np.ones((6, 3)), "products": "IQUV", "sign_q": -1,
           "sign_v": 1, "basis": "linear"}

#: Every checked public function.
FUNCTIONS: dict[str, Call] = {
    "accumulate": Call({"power": _POWER, "weight": np.ones((6, 4)),
                        "total": np.zeros((4, 16), np.float32), "total_weight": np.zeros(4)},
                       ("total", "total_weight")),
    "accumulate_groups": Call({"power": _POWER, "weight": np.ones((6, 4, 1)),
                               "total": np.zeros((3, 4, 16), np.float32),
                               "total_weight": np.zeros((3, 4, 1)), "n_each": 2, "first": 0},
                              ("total", "total_weight")),
    "apply_flags": Call({"x": _FLOATS, "weight": np.ones((6, 1, 1), np.float32),
                         "flags": _FLOATS[:, :1] > 1}, ("out", "out_weight")),
    "apply_gain": Call({"values": _FLOATS, "gain": np.ones((2, 16), np.float32),
                        "cross": np.ones(16, np.complex64), "row": np.ones((6, 4), np.float32),
                        "weight": np.ones((6, 1, 16), np.float32)}, ("out",), "values"),
    "apply_scales": Call({"codes": _CODES, "scale": _FLOATS[0], "offset": _FLOATS[1],
                          "zero": np.ones(4, np.float32), "reverse": True}, ("out",)),
    "average_channels": Call({"total": _FLOATS, "n": 4}, ("out",)),
    "boxcar_ladder": Call({"loss": 0.1, "longest": 50}),
    "band_mean": Call({"x": _MANY, "valid": _MANY[0] > 20}, ("out",)),
    "channel_levels": Call({"x": _PLANE, "series": _PLANE[:, 0].copy()}, ("out", "out_sigma")),
    "column_median": Call({"x": _PLANE, "flags": _PLANE > 1}, ("out",)),
    "compress_planes": Call({"x": _FLOATS, "block": 16, "out": np.zeros(3000, np.uint8),
                             "work": np.zeros(fk.compress_work_bytes(4, block=16), np.uint8)},
                            ("out", "work")),
    "compress_work_bytes": Call({"item_bytes": 4, "block": 16}),
    "compressed_bound": Call({"n_byte": 100, "item_bytes": 4, "block": 16}),
    "cumulative_energy": Call({"taps": _TAPS}),
    "detrend": Call({"x": _PLANE[0].copy(), "weight": _PLANE[1] ** 2 / 16, "n_piece": 3,
                     "n_part": 2}, ("out",)),
    "deviations": Call({"x": _PLANE, "level": _PLANE[0].copy(), "sigma": _PLANE[1] ** 2 + 1,
                        "middle": 0.1, "unit": 3.0,
                             "scale": 1.5, "offset": 0.2}, ("out",), "x"),
    "detect": Call(_DETECT, ("out", "out_weight")),
    "detect_accumulate": Call({**_DETECT, "total": np.zeros((4, 16), np.float32),
                               "total_weight": np.zeros(4)}, ("total", "total_weight")),
    "expand_planes": Call({"packed": fk.compress_planes(_FLOATS), "item_bytes": 4, "first": 8,
                           "out": np.zeros(64, np.uint8), "work": np.zeros(40000, np.uint8)},
                          ("out", "work")),
    "expand_work_bytes": Call({"packed": fk.compress_planes(_FLOATS), "item_bytes": 4}),
    "fft_plan": Call({"n": 64, "kind": "real", "direction": "forward", "dtype": "complex64"}),
    "fit_scales": Call({"values": _FLOATS, "n_bits": 8}, ("out", "scale", "offset")),
    "flag_deviations": Call({"x": _PLANE, "series": _PLANE[:, 0].copy(), "flags": _PLANE > 1,
                             "thresholds": np.array([3.0, 2.0]), "level": _PLANE[0].copy(),
                             "sigma": _PLANE[1] ** 2 + 1, "middle": 0.1, "unit": 3.0,
                             "scale": 1.5, "offset": 0.2},
                            ("flags",)),
    "fletcher32": Call({"data": np.arange(50, dtype=np.uint8)}),
    "frame_correlation": Call({"taps": _TAPS, "hop": 32}),
    "frame_energy": Call({"spans": _SPANS, "start": 3, "n_frame": 6,
                          "taps_cumulative": fk.cumulative_energy(_TAPS), "hop": 32}, ("out",)),
    "friends": Call({"time": np.arange(8), "row": np.arange(8) // 4, "width": np.ones(8, np.int64),
                     "time_link": 1, "row_link": 1}),
    "gamma": Call({**_RANDOM, "shape": 2.0}, ("out",)),
    "gaussian": Call(_RANDOM, ("out",)),
    "gaussian_table": Call({"fwhm": 0.1, "radius": 0.3, "n": 50}),
    "group_median": Call({"x": _PLANE, "n": 5, "flags": _PLANE > 1}, ("out",)),
    "half_bin_powers": Call({"x": _BINS, "n_side": 8, "lags": _LAGS}, ("out",)),
    "halve": Call({"x": _CODES.reshape(-1, 16).view(np.int8),
                   "valid": _CODES.reshape(-1, 16) > 20, "threads": 2}, ("out", "out_valid")),
    "intersect_spans": Call({"a": _SPANS, "b": _SPANS + 5}),
    "iqrm_mask": Call({"x": _PLANE[0].astype(np.float64), "radius": 5, "threshold": 2.0},
                      ("out",)),
    "keep": Call({"sk": _POWER, "low": np.full(16, 0.2), "high": np.full(16, 2.0)}, ("out",)),
    "kurtosis": Call({"s1": _POWER, "s2": _POWER**2, "n_sum": np.full((6, 4, 1), 9),
                      "shape": np.ones(16)}, ("out",)),
    "kurtosis_thresholds": Call({"n_sum": 100, "shape": 1.0, "sigma": 3.0,
                                 "correlation": np.array([0.01])}),
    "least_frames": Call({"correlation": np.array([0.01])}),
    "moving_median": Call({"x": _PLANE, "width": 5}, ("out",)),
    "normalize": Call({"total": _FLOATS, "total_weight": np.ones((6, 4)), "n_full": 3},
                      ("out", "out_weight")),
    "pack": Call({"codes": _CODES.reshape(-1) & 3, "n_bits": 2, "order": "msb"}, ("out",)),
    "phase_pieces": Call({"turns": np.array([[1, 3, 5]]), "piece": 4,
                          "fraction": np.array([[0.1, 0.0, 0.2]])}),
    "relative_to_level": Call({"x": _PLANE, "level": np.ones((20, 3), np.float32), "n": 8,
                               "valid": _PLANE > 0}, ("out", "total", "count")),
    "boxcar_scatter": Call({"x": np.ravel(_PLANE), "n_width": 3,
                            "weights": np.ones(_PLANE.size, np.float32)}),
    "pair_sums": Call({"x": _PLANE}, ("out",)),
    "track_maxima": Call({"x": _PLANE, "tracks": np.arange(40).reshape(2, 20) % 3,
                          "widths": np.array([1, 2]), "scale": np.ones(2, np.float32),
                          "best": np.zeros(21, np.float32),
                          "valid": (_PLANE > 0).astype(np.float32), "min_share": 0.4,
                          "limit": 0.5},
                         ("best",)),
    "best_boxcar": Call({"sums": np.cumsum(np.ones((4, 9)), axis=1), "starts": np.ones((2, 3)),
                         "drifts": np.arange(3.0), "widths": np.array([1, 2]),
                         "scale": np.ones(2), "counts": np.cumsum(np.ones((4, 9)), axis=1),
                         "min_share": 0.4}),
    "boxcar_maxima": Call({"sums": _PLANE, "widths": np.array([1, 3]),
                           "scale": np.ones(2, np.float32),
                           "best": np.zeros(22, np.float32),
                           "weights": np.ones_like(_PLANE), "full": 1.0, "min_share": 0.4,
                           "limit": 0.5},
                          ("best",)),
    "polyphase_fir": Call({"x": VOLTAGES, "taps": _TAPS.astype(np.float32)}, ("out",)),
    "power_sums": Call({"x": _PLANE, "center": _PLANE[0].copy()}, ("out",)),
    "quantiles": Call({"x": _PLANE[0].copy(), "shares": np.array([0.25, 1.0])}, ("out",)),
    "product_codes": Call({"products": "AABB", "n_pol": 2, "basis": "circular"}),
    "prototype": Call({"n_fft": 32, "n_tap": 4, "window": "hann"}),
    "quantize": Call({"x": _FLOATS.reshape(-1)}, ("out",)),
    "requantize": Call({"power": _POWER}, ("out", "scale", "offset")),
    "resample": Call({"x": _FLOATS, "position": np.linspace(1, 2, 6), "step": np.full(6, 1.25),
                      "n_out": 10, "weight": np.ones((6, 1, 16), np.float32), "first_in": 0,
                      "first_out": 0, "lobes": 4, "min_valid": 0.8}, ("out", "out_weight")),
    "resampling_covariance": Call({"step": 1.25, "n_lag": 3, "lobes": 4, "fraction": 0.25,
                                   "correlation": np.array([1, 0.1])}),
    "resampling_tables": Call({"lobes": 4}),
    "response": Call({"taps": _TAPS, "offset": np.linspace(0, 2, 9)}),
    "restore": Call({"codes": _CODES, "scale": _FLOATS[0], "offset": _FLOATS[1]}, ("out",)),
    "running_median": Call({"x": _PLANE, "width": 5, "flags": _PLANE > 1, "even": True},
                           ("out", "out_scale")),
    "series_gain": Call({"x": _PLANE, "series": _PLANE[:, 0].copy()}, ("out",)),
    "shift_channels": Call({"x": _FLOATS, "shift": np.arange(16), "first": 3,
                            "out": np.zeros((9, 4, 16), np.float32)}, ("out",)),
    "shift_rows": Call({"x": _PLANE, "shift": np.arange(20), "first": 3,
                        "out": np.zeros((20, 9), np.float32)}, ("out",)),
    "subtract_series": Call({"x": _PLANE, "series": _PLANE[:, 0].copy(),
                             "gain": _PLANE[0].copy()}, ("out",), "x"),
    "sum_threshold": Call({"x": _PLANE, "flags": _PLANE > 1,
                           "thresholds": np.array([3.0, 2.0, 1.5]), "axis": 1}, ("flags",)),
    "sum_thresholds": Call({"threshold": 4.0, "max_window": 8, "rho": 1.5}),
    "through_knots": Call({"knots": _PLANE, "first": np.arange(10), "weight": _PLANE[:2, :10] ** 2},
                          ("out",)),
    "to_codes": Call({"x": _FLOATS.reshape(-1), "n_bits": 2,
                      "levels": np.array([-2, -1, 1, 2], np.float32)}, ("out",)),
    "uniform": Call(_RANDOM, ("out",)),
    "unpack": Call({"packed": _CODES.reshape(6, 64), "n_bits": 2, "order": "msb",
                    "levels": np.array([-2, -1, 1, 2], np.float32)}, ("out",)),
    "whiten": Call({"x": _BINS, "valid": _GOOD, "lags": _LAGS, "first": 3, "least": 12,
                    "growth": 0.2, "most": 50}, ("out",), "x"),
    "widen": Call({"codes": _CODES, "reverse": True}, ("out",)),
}

#: Every call that a user can make: of functions, constructors and methods ("Plan.method").
CALLS: dict[str, Call] = {
    **FUNCTIONS, **{name: Call(case.arguments) for name, case in PLANS.items()},
    **{f"{name}.{method}": call for name, case in PLANS.items()
       for method, call in case.methods.items()}}


def function(name: str) -> Callable[..., Any]:
    """Return a function by its name in `CALLS`; a method is that of a new plan."""
    plan, _, method = name.partition(".")
    made: Callable[..., Any] = getattr(PLANS[plan].make(), method) if method else getattr(fk, name)
    return made
