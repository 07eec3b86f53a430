"""Stokes: products of linear feeds to Stokes parameters, in the receiver's frame or the sky's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError, UsageError
from fastsig.polarization import PRODUCTS
from fastsig.stream import Block, SpectrumStream, Stream, Sums, sums

__all__ = ["Stokes"]


class Stokes(SpectrumStream):
    """Stokes parameters of integrated products.

    ``I = AA + BB``, ``Q = sign_q (AA - BB)``, ``U = 2 CR``, ``V = sign_v 2 CI``, with
    ``CR + i CI = <A* B>``. On the sky Q and U are along north and east::

        Q + i U -> (Q + i U) exp(2 i angle)

    with the angle of the receiver's A axis, north through east.

    Parameters
    ----------
    source : SpectrumStream
        AA and BB of linear feeds; with CR and CI for all but I.
    products : {"IQUV", "I", "V"}
        Which.
    sign_q, sign_v : {1, -1}
        Signs; conventions differ.
    angle : Quantity, optional
        Of the receiver's A axis on the sky: then Q and U are on the sky.

    Raises
    ------
    PlanError
        Where the source lacks the products.
    UsageError
        Where a parameter is not allowed.
    """

    def __init__(self, source: Stream, products: str = "IQUV", *, sign_q: int = 1,
                 sign_v: int = 1, angle: Any = None) -> None:
        if not isinstance(source, SpectrumStream):
            raise PlanError(f"stokes takes spectra, not {source.kind}")
        if products not in ("IQUV", "I", "V") or {sign_q, sign_v} - {1, -1}:
            raise UsageError(f"products = {products!r}, signs {sign_q}, {sign_v}; allowed: IQUV, "
                             "I, V; 1, -1")
        needed = PRODUCTS["AABB" if products == "I" else "AABBCRCI"]
        names = source.polarization.names
        if names[: len(needed)] != needed or source.polarization.kind != "linear":
            raise PlanError(f"{source.path}: Stokes {products} is made of {', '.join(needed)} of "
                            f"linear feeds; here are {', '.join(names)} of "
                            f"{source.polarization.kind} ones")
        if angle is not None and products != "IQUV":
            raise UsageError(f"angle with products = {products!r}; allowed: with IQUV")
        self.source, self.products, self.sign_q, self.sign_v = source, products, sign_q, sign_v
        self.angle = None if angle is None else float(u.Quantity(angle, "deg").value)
        self._turn = np.exp(2j * np.deg2rad(self.angle or 0.0)).astype(np.complex64)
        kept = PRODUCTS[products]
        pol = replace(source.polarization, names=kept, sign_q=sign_q, sign_v=sign_v,
                      frame="receiver" if angle is None else "sky")
        super().__init__(source.header.replace(polarization=pol),
                         (source.shape[0], len(kept), source.shape[2]), np.float32, source.path)

    def inputs(self) -> tuple[Stream, ...]:
        """The products."""
        return (self.source,)

    def parameters(self) -> Mapping[str, Any]:
        """What decides the numbers."""
        return {"products": self.products, "sign_q": self.sign_q, "sign_v": self.sign_v,
                "angle_deg": self.angle}

    @property
    def weight_channels(self) -> int:
        """As of the source."""
        return self.source.weight_channels

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to make `n` rows."""
        return self.source.work_bytes(n) + n * self.row_bytes

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Stokes parameters, float32, with the least weight of what they are made of."""
        self._check_range(start, n)
        block = self.source.read_block(start, n)
        data = np.empty((n, *self.shape[1:]), np.float32) if out is None else out[:n]
        parts = self._parts(block.data)
        for index, name in enumerate(self.polarization.names):
            data[:, index] = parts[name]
        needed = 2 if self.products == "I" else 4
        weight = np.broadcast_to(block.valid, (n, self.source.shape[1], block.valid.shape[2]))
        weight = np.repeat(weight[:, :needed].min(axis=1, keepdims=True), self.shape[1], axis=1)
        if not weight.min(initial=1) > 0:
            np.copyto(data, np.float32(np.nan), where=~(weight > 0))
        view = data.view()
        view.flags.writeable = weight.flags.writeable = False
        return Block(view, weight, start, n)

    def _parts(self, data: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        aa, bb = data[:, 0], data[:, 1]
        if self.products == "I":
            return {"I": aa + bb}
        if self.products == "V":
            return {"V": self.sign_v * 2 * data[:, 3]}
        q, u_ = self.sign_q * (aa - bb), 2 * data[:, 2]
        if self.angle is not None:
            turned = (q + 1j * u_) * self._turn
            q, u_ = turned.real, turned.imag
        return {"I": aa + bb, "Q": q, "U": u_, "V": self.sign_v * 2 * data[:, 3]}

    def read_sums(self, start: int, n: int) -> Sums:
        """The parameters times their weights, float64."""
        return sums(self.read_block(start, n), self.header.n_sum, self.weight_channels)
