"""Signal-processing kernels: NumPy arrays in, NumPy arrays out.

Names load on first use, so importing the package compiles and loads nothing.
"""

from importlib import import_module

_INDEX = {
    "Channelizer": "channelize",
    "CoherentDedispersion": "coherent",
    "FDMT": "fdmt",
    "FFTPlan": "fft",
    "Gridder": "gridding",
    "Layout": "layout",
    "PRODUCTS": "products",
    "Spectrometer": "spectrometer",
    "SpectrometerPlan": "engines",
    "Synthesizer": "synthesis",
    "accumulate": "integrate",
    "accumulate_groups": "integrate",
    "accumulate_groups_nb": "integrate",
    "accumulate_nb": "integrate",
    "apply_gain": "gains",
    "apply_gain_nb": "gains",
    "apply_scales": "scaling",
    "apply_scales_nb": "scaling",
    "average_channels": "integrate",
    "average_channels_nb": "integrate",
    "column_median": "medians",
    "column_median_nb": "medians",
    "compress_planes": "bitshuffle",
    "compress_planes_nb": "bitshuffle",
    "compress_work_bytes": "bitshuffle",
    "compressed_bound": "bitshuffle",
    "cumulative_energy": "energy",
    "detect": "detection",
    "detect_accumulate": "detection",
    "detect_accumulate_nb": "detection",
    "detect_nb": "detection",
    "expand_planes": "bitshuffle",
    "expand_planes_nb": "bitshuffle",
    "expand_work_bytes": "bitshuffle",
    "fft_plan": "fft",
    "fit_scales": "scaling",
    "fit_scales_nb": "scaling",
    "flag_line_nb": "thresholding",
    "fletcher32": "checksum",
    "fletcher32_nb": "checksum",
    "frame_correlation": "spectral_kurtosis",
    "frame_energy": "energy",
    "frame_energy_nb": "energy",
    "gamma": "noise",
    "gamma_nb": "noise",
    "gaussian": "noise",
    "gaussian_nb": "noise",
    "gaussian_table": "gridding",
    "group_median": "medians",
    "group_median_nb": "medians",
    "intersect_spans": "energy",
    "intersect_spans_nb": "energy",
    "keep": "spectral_kurtosis",
    "keep_nb": "spectral_kurtosis",
    "kurtosis": "spectral_kurtosis",
    "kurtosis_nb": "spectral_kurtosis",
    "kurtosis_thresholds": "spectral_kurtosis",
    "least_frames": "spectral_kurtosis",
    "median_nb": "medians",
    "nearest_codes_nb": "packing",
    "normalize": "integrate",
    "normalize_nb": "integrate",
    "pack": "packing",
    "pack_nb": "packing",
    "philox_nb": "noise",
    "polyphase_fir": "fir",
    "polyphase_fir_complex_nb": "fir",
    "polyphase_fir_nb": "fir",
    "product_codes": "products",
    "prototype": "filters",
    "quantize": "packing",
    "quantize_nb": "packing",
    "requantize": "requantizing",
    "requantize_nb": "requantizing",
    "resample": "resampling",
    "resample_nb": "resampling",
    "resampling_covariance": "resampling",
    "resampling_tables": "resampling",
    "response": "filters",
    "restore": "requantizing",
    "restore_nb": "requantizing",
    "round_codes_nb": "packing",
    "running_median": "medians",
    "running_median_nb": "medians",
    "sum_threshold": "thresholding",
    "sum_threshold_nb": "thresholding",
    "sum_thresholds": "thresholding",
    "to_codes": "packing",
    "uniform": "noise",
    "uniform_nb": "noise",
    "unpack": "unpacking",
    "unpack_nb": "unpacking",
    "widen": "scaling",
    "widen_nb": "scaling",
    "window_names": "filters",
}

__all__ = list(_INDEX)


def __getattr__(name: str) -> object:
    if name not in _INDEX:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_INDEX[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_INDEX})
