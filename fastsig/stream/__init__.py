"""What a file and a stage have in common: a header, a shape and blocks to read.

Three kinds of stream follow one another on the way from voltages to spectra::

    VoltageStream    (time, pol) or (time, pol, chan)   valid: spans of samples, per polarisation
    FrameStream      (frame, pol, chan), complex64      valid: energy of each frame
    SpectrumStream   (time, product, chan)              valid: weight of each spectrum

A `Stage` is a stream that is made of others; a `Sink` takes what a stream gives. `read_block` is
stateless and safe from any number of threads; `seek`, `tell` and `read` sit on top. Blocks are
read-only once handed on.
"""

from fastsig.stream.aligned import Aligned
from fastsig.stream.base import ENDLESS, Block, Stream, stream_of
from fastsig.stream.frames import FrameStream
from fastsig.stream.scratch import Scratch
from fastsig.stream.sink import Sink
from fastsig.stream.spectra import Codes, SpectrumStream, Sums, means, spectra_of, sums
from fastsig.stream.stage import (
    FrameStage,
    PassedSpectra,
    SameSamples,
    SpectraStage,
    Stage,
    VoltageStage,
)
from fastsig.stream.voltages import VoltageStream

__all__ = [
    "ENDLESS",
    "Aligned",
    "Block",
    "Codes",
    "FrameStage",
    "FrameStream",
    "PassedSpectra",
    "SameSamples",
    "Scratch",
    "Sink",
    "SpectraStage",
    "SpectrumStream",
    "Stage",
    "Stream",
    "Sums",
    "VoltageStage",
    "VoltageStream",
    "means",
    "spectra_of",
    "stream_of",
    "sums",
]
