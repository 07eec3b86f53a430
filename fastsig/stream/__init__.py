"""Streams: files and stages, which have a header, a shape and blocks to read.

There are four kinds of stream, in this order from voltages to time series::

    VoltageStream    (time, pol) or (time, pol, chan)   valid: spans of samples, per polarisation
    FrameStream      (frame, pol, chan), complex64      valid: energy of each frame
    SpectrumStream   (time, product, chan)              valid: weight of each spectrum
    PlaneStream      (time, product, dm)                valid: weight of each value

A `Stage` is a stream computed from other streams; a `Sink` receives the blocks of a stream.
`read_block` is stateless, and any number of threads may call it; `seek`, `tell` and `read` are
built on it. Blocks are read-only once they have been returned.
"""

from fastsig.stream.aligned import Aligned
from fastsig.stream.base import ENDLESS, Block, Stream, stream_of
from fastsig.stream.coded import CodedBlock
from fastsig.stream.frames import FrameStream
from fastsig.stream.planes import PlaneStream
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
    "CodedBlock",
    "Codes",
    "FrameStage",
    "FrameStream",
    "PassedSpectra",
    "PlaneStream",
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
