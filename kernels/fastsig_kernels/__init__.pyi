from .channelize import Channelizer, ChannelizerScratch
from .detection import detect, detect_accumulate, detect_accumulate_nb, detect_nb
from .energy import (
    cumulative_energy,
    frame_energy,
    frame_energy_nb,
    intersect_spans,
    intersect_spans_nb,
)
from .filters import prototype, response, window_names
from .fir import polyphase_fir, polyphase_fir_complex_nb, polyphase_fir_nb
from .integrate import (
    accumulate,
    accumulate_nb,
    average_channels,
    average_channels_nb,
    normalize,
    normalize_nb,
)
from .noise import gaussian, gaussian_nb, philox_nb, uniform, uniform_nb
from .packing import pack, pack_nb, quantize, quantize_nb, unpack, unpack_nb
from .products import PRODUCTS, product_codes

__all__ = [
    "Channelizer",
    "ChannelizerScratch",
    "PRODUCTS",
    "accumulate",
    "accumulate_nb",
    "average_channels",
    "average_channels_nb",
    "cumulative_energy",
    "detect",
    "detect_accumulate",
    "detect_accumulate_nb",
    "detect_nb",
    "frame_energy",
    "frame_energy_nb",
    "gaussian",
    "gaussian_nb",
    "intersect_spans",
    "intersect_spans_nb",
    "normalize",
    "normalize_nb",
    "pack",
    "pack_nb",
    "philox_nb",
    "polyphase_fir",
    "polyphase_fir_complex_nb",
    "polyphase_fir_nb",
    "product_codes",
    "prototype",
    "quantize",
    "quantize_nb",
    "response",
    "uniform",
    "uniform_nb",
    "unpack",
    "unpack_nb",
    "window_names",
]
