from .acceleration import AccelerationSearch
from .bitshuffle import (
    compress_planes,
    compress_planes_nb,
    compress_work_bytes,
    compressed_bound,
    expand_planes,
    expand_planes_nb,
    expand_work_bytes,
)
from .boxcars import Boxcars
from .channelize import Channelizer
from .checksum import fletcher32, fletcher32_nb
from .clusters import friends
from .coherent import CoherentDedispersion
from .detection import detect, detect_accumulate, detect_accumulate_nb, detect_nb
from .detrending import detrend, detrend_nb
from .energy import (
    cumulative_energy,
    frame_energy,
    frame_energy_nb,
    intersect_spans,
    intersect_spans_nb,
)
from .engines import SpectrometerPlan
from .fdmt import FDMT
from .ffa import FFA
from .fft import FFTPlan, fft_plan
from .filters import prototype, response, window_names
from .fir import polyphase_fir, polyphase_fir_complex_nb, polyphase_fir_nb
from .flagging import apply_flags, apply_flags_nb
from .folding import Folder, phase_pieces
from .gains import apply_gain, apply_gain_nb
from .gridding import Gridder, gaussian_table
from .integrate import (
    accumulate,
    accumulate_groups,
    accumulate_groups_nb,
    accumulate_nb,
    average_channels,
    average_channels_nb,
    normalize,
    normalize_nb,
)
from .iqrm import iqrm_mask, iqrm_mask_nb
from .ladder import Ladder, boxcar_ladder
from .layout import Layout
from .leveling import pair_sums, pair_sums_nb, relative_to_level, relative_to_level_nb
from .levels import channel_levels, channel_levels_nb, deviations, deviations_nb
from .maxima import (
    best_boxcar,
    best_boxcar_nb,
    boxcar_maxima,
    boxcar_maxima_nb,
    track_maxima,
    track_maxima_nb,
)
from .medians import (
    column_median,
    column_median_nb,
    group_median,
    group_median_nb,
    median_nb,
    running_median,
    running_median_nb,
)
from .moments import power_sums, power_sums_nb
from .noise import gamma, gamma_nb, gaussian, gaussian_nb, philox_nb, uniform, uniform_nb
from .normalizing import Normalizer, halve
from .packing import (
    nearest_codes_nb,
    pack,
    pack_nb,
    quantize,
    quantize_nb,
    round_codes_nb,
    to_codes,
)
from .periodicity import HarmonicSearch, half_bin_powers
from .products import PRODUCTS, product_codes
from .pulse_search import PulseSearch
from .ranks import quantiles, quantiles_nb
from .requantizing import requantize, requantize_nb, restore, restore_nb
from .resampling import resample, resample_nb, resampling_covariance, resampling_tables
from .scaling import apply_scales, apply_scales_nb, fit_scales, fit_scales_nb, widen, widen_nb
from .scatter import boxcar_scatter, boxcar_scatter_nb
from .shifting import shift_channels, shift_channels_nb, shift_rows, shift_rows_nb
from .smoothing import moving_median, moving_median_nb, through_knots, through_knots_nb
from .spectral_kurtosis import (
    frame_correlation,
    keep,
    keep_nb,
    kurtosis,
    kurtosis_nb,
    kurtosis_thresholds,
    least_frames,
)
from .spectrometer import Spectrometer
from .synthesis import Synthesizer
from .thresholding import (
    flag_deviations,
    flag_deviations_nb,
    flag_lines_nb,
    sum_threshold,
    sum_threshold_nb,
    sum_thresholds,
)
from .unpacking import unpack, unpack_nb
from .whitening import whiten, whiten_nb
from .zero_dm import (
    band_mean,
    band_mean_nb,
    series_gain,
    series_gain_nb,
    subtract_series,
    subtract_series_nb,
)

__all__ = [
    "AccelerationSearch",
    "Boxcars",
    "Channelizer",
    "CoherentDedispersion",
    "FDMT",
    "FFA",
    "FFTPlan",
    "Folder",
    "Gridder",
    "HarmonicSearch",
    "Ladder",
    "Layout",
    "Normalizer",
    "PRODUCTS",
    "PulseSearch",
    "Spectrometer",
    "SpectrometerPlan",
    "Synthesizer",
    "accumulate",
    "accumulate_groups",
    "accumulate_groups_nb",
    "accumulate_nb",
    "apply_flags",
    "apply_flags_nb",
    "apply_gain",
    "apply_gain_nb",
    "apply_scales",
    "apply_scales_nb",
    "average_channels",
    "average_channels_nb",
    "band_mean",
    "band_mean_nb",
    "best_boxcar",
    "best_boxcar_nb",
    "boxcar_ladder",
    "boxcar_maxima",
    "boxcar_maxima_nb",
    "boxcar_scatter",
    "boxcar_scatter_nb",
    "channel_levels",
    "channel_levels_nb",
    "column_median",
    "column_median_nb",
    "compress_planes",
    "compress_planes_nb",
    "compress_work_bytes",
    "compressed_bound",
    "cumulative_energy",
    "detect",
    "detect_accumulate",
    "detect_accumulate_nb",
    "detect_nb",
    "detrend",
    "detrend_nb",
    "deviations",
    "deviations_nb",
    "expand_planes",
    "expand_planes_nb",
    "expand_work_bytes",
    "fft_plan",
    "fit_scales",
    "fit_scales_nb",
    "flag_deviations",
    "flag_deviations_nb",
    "flag_lines_nb",
    "fletcher32",
    "fletcher32_nb",
    "frame_correlation",
    "frame_energy",
    "frame_energy_nb",
    "friends",
    "gamma",
    "gamma_nb",
    "gaussian",
    "gaussian_nb",
    "gaussian_table",
    "group_median",
    "group_median_nb",
    "half_bin_powers",
    "halve",
    "intersect_spans",
    "intersect_spans_nb",
    "iqrm_mask",
    "iqrm_mask_nb",
    "keep",
    "keep_nb",
    "kurtosis",
    "kurtosis_nb",
    "kurtosis_thresholds",
    "least_frames",
    "median_nb",
    "moving_median",
    "moving_median_nb",
    "nearest_codes_nb",
    "normalize",
    "normalize_nb",
    "pack",
    "pack_nb",
    "pair_sums",
    "pair_sums_nb",
    "phase_pieces",
    "philox_nb",
    "polyphase_fir",
    "polyphase_fir_complex_nb",
    "polyphase_fir_nb",
    "power_sums",
    "power_sums_nb",
    "product_codes",
    "prototype",
    "quantiles",
    "quantiles_nb",
    "quantize",
    "quantize_nb",
    "relative_to_level",
    "relative_to_level_nb",
    "requantize",
    "requantize_nb",
    "resample",
    "resample_nb",
    "resampling_covariance",
    "resampling_tables",
    "response",
    "restore",
    "restore_nb",
    "round_codes_nb",
    "running_median",
    "running_median_nb",
    "series_gain",
    "series_gain_nb",
    "shift_channels",
    "shift_channels_nb",
    "shift_rows",
    "shift_rows_nb",
    "subtract_series",
    "subtract_series_nb",
    "sum_threshold",
    "sum_threshold_nb",
    "sum_thresholds",
    "through_knots",
    "through_knots_nb",
    "to_codes",
    "track_maxima",
    "track_maxima_nb",
    "uniform",
    "uniform_nb",
    "unpack",
    "unpack_nb",
    "whiten",
    "whiten_nb",
    "widen",
    "widen_nb",
    "window_names",
]
