"""The header of powers that are detected from voltages in channels."""

from __future__ import annotations

from dataclasses import replace

from fastsig.axes.polarization import product_names
from fastsig.errors import UsageError
from fastsig.stream import Stream
from fastsig.stream.header import Header

__all__ = ["detected_header"]


def detected_header(source: Stream, products: str, sign_q: int, sign_v: int) -> Header:
    """Return the header of detected powers, with the names of the products.

    Parameters
    ----------
    source : Stream
        Voltages in channels.
    products : {"I", "AABB", "AABBCRCI", "IQUV", "V"}
    sign_q, sign_v : {1, -1}

    Raises
    ------
    UsageError
        If the products cannot be computed from the polarisations of the source, or a sign is not
        allowed.
    """
    if sign_q not in (1, -1) or sign_v not in (1, -1):
        raise UsageError(f"sign_q = {sign_q}, sign_v = {sign_v}; allowed: 1, -1")
    basis = source.polarization
    names = product_names(products, basis.n_pol, basis.kind)
    return source.header.replace(is_complex=False, n_sum=1, polarization=replace(
        basis, names=names, sign_q=int(sign_q), sign_v=int(sign_v), n_recorded=basis.n_pol))
