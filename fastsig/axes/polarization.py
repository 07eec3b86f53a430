"""The feeds of a receiver, and the meaning of the products computed from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastsig.errors import UsageError

__all__ = ["PRODUCTS", "SIGNED", "PolBasis", "product_names"]

# CR + i CI = <A* B>; I = AA + BB, Q = AA - BB, U = 2 CR, V = 2 CI for linear feeds.
PRODUCTS: dict[str, tuple[str, ...]] = {
    "I": ("I",),
    "AABB": ("AA", "BB"),
    "AABBCRCI": ("AA", "BB", "CR", "CI"),
    "IQUV": ("I", "Q", "U", "V"),
    "V": ("V",),
}

#: Products that may be negative: their noise is not proportional to their value.
SIGNED = ("Q", "U", "V", "CR", "CI")


@dataclass(frozen=True)
class PolBasis:
    """The feeds of a voltage stream, or the products of a stream of spectra.

    Parameters
    ----------
    kind : {"linear", "circular", "unknown"}
        Type of feed.
    names : tuple of str
        One name for each entry of the polarisation axis, such as ("X", "Y") or ("I", "Q", "U",
        "V").
    handedness : str
        Convention for the sign of V; by default, the IEEE convention as used by pulsar astronomers
        (van Straten et al. 2010, PASA 27, 104).
    frame : {"receiver", "sky"}
        Whether Q and U are along the receiver's axes or along north and east.
    sign_q, sign_v : {1, -1}
        Signs applied to Q and V.
    calibrated : bool
        Whether the differences in gain and phase between the feeds were removed.
    n_recorded : {1, 2}
        Number of polarisations that were recorded: I is the power of one, or the sum of two. It is
        2 where a file of spectra does not record it.
    """

    kind: Literal["linear", "circular", "unknown"] = "linear"
    names: tuple[str, ...] = ("X", "Y")
    handedness: str = "PSR/IEEE"
    frame: Literal["receiver", "sky"] = "receiver"
    sign_q: int = 1
    sign_v: int = 1
    calibrated: bool = False
    n_recorded: int = 2

    @property
    def n_pol(self) -> int:
        """Length of the polarisation axis."""
        return len(self.names)

    def n_added(self, name: str) -> int:
        """Return the number of polarisations that a product combines, such as 1 for AA or CR."""
        return self.n_recorded if name == "I" else 2 if name in ("Q", "U", "V") else 1


def product_names(products: str, n_pol: int, kind: str = "linear") -> tuple[str, ...]:
    """Return the names of the products in the set `products`, computed from `n_pol` feeds.

    Raises
    ------
    UsageError
        If there is no such set, or if it needs feeds that the stream does not have.
    """
    if products not in PRODUCTS:
        raise UsageError(f"products = {products!r}; allowed: {', '.join(PRODUCTS)}")
    if n_pol > 2:
        raise UsageError(
            f"products need one or two polarisations, not {n_pol}: choose by the format's own "
            f"override, such as --set input=0,1 or --set subchannel=0,1"
        )
    if n_pol == 1 and products != "I":
        raise UsageError(f"products = {products!r} need two polarisations; this stream has one")
    if products in ("IQUV", "V") and kind != "linear":
        raise UsageError(f"products = {products!r} are defined for linear feeds, not {kind} ones")
    return PRODUCTS[products]
