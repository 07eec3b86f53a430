"""Stokes parameters of profiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.errors import PlanError

__all__ = ["check_products", "defined_stokes", "stokes_of"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]


def stokes_of(data: F4, weights: F8, basis: PolBasis, products: str, path: str
              ) -> tuple[F4, F8]:
    """Return Stokes parameters, and their weights: the smallest of the products they come from.

    Parameters
    ----------
    data : ndarray, shape (subint, product, chan, bin), float32
        AA and BB, or AA, BB, CR and CI; or Stokes parameters, from which some are chosen.
    weights : ndarray, float64
        Weights with the same number of axes, each as long as in `data` or of length 1.
    basis : PolBasis
        Feeds, names and signs.
    products : {"IQUV", "I", "V"}
    path : str
        For messages.

    Raises
    ------
    PlanError
        If the products that are required are missing.
    """
    if set(products) <= set(basis.names):
        at = [basis.names.index(name) for name in products]
        return data[:, at], weights[:, at] if weights.shape[1] > 1 else weights
    needed = check_products(basis, products, path)
    at = [basis.names.index(name) for name in needed]
    made = _made(data[:, at], basis, products)
    weight = weights if weights.shape[1] == 1 else weights[:, at].min(axis=1, keepdims=True)
    return np.where(weight > 0, made, np.float32(np.nan)), weight


def defined_stokes(data: F4, weights: F8, basis: PolBasis, path: str) -> tuple[F4, F8]:
    """Return I, Q, U, V as they are defined, without the signs that were applied to Q and V.

    Position angles, rotation measures and the handedness refer to these.

    Parameters
    ----------
    data, weights, basis, path
        As for `stokes_of`.

    Raises
    ------
    PlanError
        As for `stokes_of`.
    """
    made, weight = stokes_of(data, weights, basis, "IQUV", path)
    signs = np.array([1, basis.sign_q, 1, basis.sign_v], np.float32)
    return made * signs[:, np.newaxis, np.newaxis], weight


def check_products(basis: PolBasis, products: str, path: str) -> tuple[str, ...]:
    """Return the products from which Stokes parameters are computed.

    Raises
    ------
    PlanError
        If one of them is missing.
    """
    needed = PRODUCTS["AABB" if products == "I" else "AABBCRCI"]
    if not set(needed) <= set(basis.names) or (products != "I" and basis.kind == "unknown"):
        raise PlanError(f"{path}: Stokes {products} requires {', '.join(needed)} of linear or "
                        f"circular feeds; there are {', '.join(basis.names)} of {basis.kind} feeds")
    return needed


def _made(data: F4, basis: PolBasis, products: str) -> F4:
    aa, bb = data[:, 0], data[:, 1]
    if products == "I":
        return np.stack([aa + bb], axis=1)
    difference, twice_cr, twice_ci = aa - bb, 2 * data[:, 2], 2 * data[:, 3]
    parts = {"I": aa + bb}
    parts |= ({"Q": difference, "U": twice_cr, "V": twice_ci} if basis.kind == "linear" else
              {"Q": twice_cr, "U": twice_ci, "V": difference})
    signs = {"Q": basis.sign_q, "V": basis.sign_v}
    return np.stack([parts[name] * np.float32(signs.get(name, 1)) for name in products], axis=1)
