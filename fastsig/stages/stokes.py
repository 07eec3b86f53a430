"""Stokes: compute Stokes parameters of linear feeds, in the frame of the receiver or the sky."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.gain_noise import of_stokes
from fastsig.axes.polarization import PRODUCTS
from fastsig.axes.units import number
from fastsig.calibration.stokes import MuellerTable, apply_mueller, rotate, stokes
from fastsig.errors import PlanError, UsageError
from fastsig.stream import Block, SpectraStage, SpectrumStream, Stream

__all__ = ["Stokes"]


class Stokes(SpectraStage):
    """Stokes parameters of integrated products.

    ``I = AA + BB``, ``Q = sign_q (AA - BB)``, ``U = 2 CR``, ``V = sign_v 2 CI``, with ``CR + i CI =
    <A* B>``. In the frame of the sky, Q and U refer to north and east: they are rotated by twice
    the position angle of receptor A, which is the sum of the column ``receiver_deg``, 90 deg and
    `feed_angle`.

    Parameters
    ----------
    source : SpectrumStream
        Spectra with the products AA and BB for I, or with AA, BB, CR and CI of linear feeds for
        other Stokes parameters.
    products : {"IQUV", "I", "V"}
        The Stokes parameters to compute.
    sign_q, sign_v : {1, -1}
        Signs of Q and V, since conventions differ.
    feed_angle : Quantity or str, optional
        Position angle of receptor A minus that of the line from M01 to M02, north through east. If
        it is specified, Q and U are in the frame of the sky. Its value has not been published for
        FAST, so there is no default.
    mueller : MuellerTable, optional
        Mueller matrices of the receiver, in its own frame and for `sign_q` and `sign_v` of 1; their
        effect is removed before Q and U are rotated.
    record : optional
        Description of the Mueller table for the provenance.

    Raises
    ------
    PlanError
        If the source lacks the necessary products or the angles needed to rotate them, or is in Jy.
    UsageError
        If a parameter is not allowed.
    """

    name = "stokes"
    source: SpectrumStream

    def __init__(self, source: Stream, products: str = "IQUV", *, sign_q: int = 1,
                 sign_v: int = 1, feed_angle: Any = None, mueller: MuellerTable | None = None,
                 record: Any = None) -> None:
        if not isinstance(source, SpectrumStream):
            raise PlanError(f"stokes requires spectra, not {source.kind}")
        if products not in ("IQUV", "I", "V") or {sign_q, sign_v} - {1, -1}:
            raise UsageError(f"products = {products!r}, signs {sign_q}, {sign_v}; allowed: IQUV, "
                             "I, V; 1, -1")
        if (source.header.unit or "").startswith("Jy"):
            # Of AA and BB in Jy, I is the mean; of those in kelvin, the sum.
            raise PlanError(f"{source.path}: the spectra are flux densities; allowed: stokes "
                            "before flux, which then gives the flux density of I")
        self._needed = PRODUCTS["AABB" if products == "I" else "AABBCRCI"]
        names, kind = source.polarization.names, source.polarization.kind
        if names[: len(self._needed)] != self._needed or (kind != "linear" and products != "I"):
            raise PlanError(f"{source.path}: Stokes {products} requires "
                            f"{', '.join(self._needed)} of linear feeds; the spectra have "
                            f"{', '.join(names)} of {kind} feeds")
        self.feed_deg = None if feed_angle is None else number(feed_angle, "deg", "feed_angle")
        if self.feed_deg is not None and (products != "IQUV"
                                          or "receiver_deg" not in source.columns):
            raise PlanError(f"{source.path}: Q and U in the frame of the sky require products IQUV "
                            "and the angle of the receiver: give the telescope's track to "
                            "fastsig calibrate (--ky)")
        self._mueller = None
        if mueller is not None:
            if products != "IQUV":
                raise UsageError("Mueller matrices require products IQUV")
            axis = source.header.require_channels(source.path)
            self._mueller = mueller.at(source.start_time.mjd, axis.centers.to_value("Hz"))
            if not np.isfinite(self._mueller).any():
                raise UsageError(f"{source.path}: the table has no Mueller matrices within the "
                                 "band")
        known = None if self._mueller is None else np.isfinite(self._mueller).all(axis=(1, 2))
        self._beyond = None if known is None or known.all() else ~known  # the table's frequencies
        self.record = record
        self.products, self.sign_q, self.sign_v = products, sign_q, sign_v
        kept = PRODUCTS[products]
        pol = replace(source.polarization, names=kept, sign_q=sign_q, sign_v=sign_v,
                      frame="receiver" if self.feed_deg is None else "sky")
        super().__init__(source, header=source.header.replace(
            polarization=pol, gain_noise=of_stokes(source.header.gain_noise, kept)),
                         shape=(source.shape[0], len(kept), source.shape[2]))

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values."""
        return {"products": self.products, "sign_q": self.sign_q, "sign_v": self.sign_v,
                "feed_angle_deg": self.feed_deg,
                **({} if self._mueller is None else {"mueller": self.record or "given"})}

    def all_valid(self) -> bool | None:
        """Return True if the whole source is valid; otherwise None, as all rows must be read."""
        return (self._beyond is None and self.source.all_valid()) or None

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis; channels without a Mueller matrix have weight 0."""
        return self.source.weight_channels if self._beyond is None else self.shape[2]

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return Stokes parameters, float32, with the smallest weight of their products."""
        self._check_range(start, n)
        block = self.source.read_block(start, n)
        data = self._made(block.data, start, n)
        if out is not None:
            np.copyto(out[:n], data)
            data = out[:n]
        weight = np.broadcast_to(block.valid, (n, self.source.shape[1], block.valid.shape[2]))
        weight = weight[:, : len(self._needed)].min(axis=1, keepdims=True)
        weight = np.repeat(weight, self.shape[1], axis=1)
        if self._beyond is not None:
            weight = np.where(self._beyond, np.float32(0), weight)
        if not weight.min(initial=1) > 0:
            np.copyto(data, np.float32(np.nan), where=~(weight > 0))
        view = data.view()
        view.flags.writeable = weight.flags.writeable = False
        return Block(view, weight, start, n)

    def _made(self, data: NDArray[np.float32], start: int, n: int) -> NDArray[np.float32]:
        if self.products == "I":
            return data[:, :1] + data[:, 1:2]
        if self.products == "V":
            return np.asarray(data[:, 3:4] * np.float32(2 * self.sign_v))
        found = stokes(data)
        if self._mueller is not None:
            apply_mueller(found, self._mueller, out=found)
        found[:, 3] *= np.float32(self.sign_v)
        if self.feed_deg is not None:
            angle = self.source.read_columns(start, n)["receiver_deg"] + 90 + self.feed_deg
            rotate(found, np.deg2rad(angle), out=found)
        found[:, 1] *= np.float32(self.sign_q)
        return np.asarray(found)
