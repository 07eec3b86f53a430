"""Detect: channelised voltages into powers, cross products or Stokes parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from fastsig_kernels import detect

from fastsig.errors import PlanError, UsageError
from fastsig.polarization import product_names
from fastsig.stages.channelize import Channelize
from fastsig.stream import FrameStream, SpectrumStream, Stream, Sums

__all__ = ["Detect"]


class Detect(SpectrumStream):
    """Products of the polarisations of every frame and channel.

    ``AA = |A|^2, BB = |B|^2, CR + i CI = A* B``; ``I = AA + BB, Q = AA - BB, U = 2 CR, V = 2 CI``
    for linear feeds. With one polarisation, I is its power.

    Parameters
    ----------
    source : FrameStream
        Frames of one or two polarisations.
    products : {"I", "AABB", "AABBCRCI", "IQUV", "V"}
        What to make.
    sign_q, sign_v : {1, -1}
        Signs of Q and V, for recorders and users of the other convention; recorded.

    Raises
    ------
    PlanError
        Where the source holds no frames.
    UsageError
        Where the products cannot be made of these polarisations.
    """

    sum_dtype = np.float32

    def __init__(
        self, source: Stream, products: str = "I", *, sign_q: int = 1, sign_v: int = 1
    ) -> None:
        if not isinstance(source, FrameStream):
            raise PlanError(f"detect takes channelised voltages, not {source.kind}")
        if sign_q not in (1, -1) or sign_v not in (1, -1):
            raise UsageError(f"sign_q = {sign_q}, sign_v = {sign_v}; allowed: 1, -1")
        basis = source.polarization
        names = product_names(products, basis.n_pol, basis.kind)
        self.source, self.products = source, products
        self.signs: dict[str, Any] = {"sign_q": int(sign_q), "sign_v": int(sign_v)}
        header = source.header.replace(
            is_complex=False, n_sum=1, polarization=replace(basis, names=names, **self.signs)
        )
        super().__init__(header, (source.shape[0], len(names), source.shape[2]), np.float32,
                         source.path)

    def inputs(self) -> tuple[Stream, ...]:
        """The frames."""
        return (self.source,)

    def parameters(self) -> Mapping[str, Any]:
        """What decides the numbers."""
        return {"products": self.products, **self.signs}

    @property
    def rows_at_once(self) -> int:
        """Rows that `accumulate` reads at a time: voltages, frames and sums within some MB."""
        source = self.source
        samples = source.n_fft * source.source.row_bytes if isinstance(source, Channelize) else 0
        return max(1, 2**22 // (self.row_bytes + source.row_bytes + samples))

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to make `n` spectra."""
        return self.source.work_bytes(n) + n * self.row_bytes

    def read_sums(self, start: int, n: int) -> Sums:
        """Numerators (float32) and the energies they belong to."""
        block = self.source.read_block(start, n)
        total, weight = detect(block.data, block.valid, self.products, **self.signs)
        return Sums(total, weight[:, :, np.newaxis])
