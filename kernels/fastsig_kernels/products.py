"""Names of the products of detection, and their codes; needs only NumPy."""

from types import MappingProxyType

import numpy as np

from . import _check

#: Names of the products for each value of `products`, in output order.
PRODUCTS = MappingProxyType(
    {
        "I": ("I",),
        "AABB": ("AA", "BB"),
        "AABBCRCI": ("AA", "BB", "CR", "CI"),
        "IQUV": ("I", "Q", "U", "V"),
        "V": ("V",),
    }
)

_CODES = {"AA": 0, "BB": 1, "CR": 2, "CI": 3, "I": 4, "Q": 5, "U": 6, "V": 7}
_BASES = ("linear", "circular")


def _make_tables() -> dict[tuple[str, int], np.ndarray]:
    names = {(key, 2): value for key, value in PRODUCTS.items()} | {("I", 1): ("AA",)}
    tables = {
        key: np.array([_CODES[name] for name in value], dtype=np.int64)
        for key, value in names.items()
    }
    for table in tables.values():
        table.flags.writeable = False
    return tables


_TABLES = _make_tables()


def product_codes(products: str, n_pol: int = 2, basis: str = "linear") -> np.ndarray:
    """Return the codes of products for the njit functions.

    ``codes[p]`` is the code of ``PRODUCTS[products][p]``.

    Parameters
    ----------
    products : str
        A key of `PRODUCTS`. One polarisation allows only ``"I"``.
    n_pol : int
        Number of polarisations, 1 or 2.
    basis : str
        ``"linear"`` or ``"circular"``. Q, U and V are refused for circular feeds,
        since their signs depend on the handedness of A and B.

    Returns
    -------
    ndarray, shape (n_product,), int64, dimensionless
        A shared read-only table.

    Raises
    ------
    ValueError
        If the combination is not allowed.
    """
    _check.choice("basis", basis, _BASES)
    _check.choice("products", products, PRODUCTS)
    n_pol = _check.count("n_pol", n_pol)
    if n_pol > 2:
        raise ValueError(f"n_pol: found {n_pol}, allowed 1 or 2")
    if (products, n_pol) not in _TABLES:
        raise ValueError(f"products: found {products!r} for {n_pol} polarisation, allowed 'I'")
    if basis == "circular" and products in ("IQUV", "V"):
        raise ValueError(
            f"products: found {products!r} for a circular basis, allowed I, AABB, AABBCRCI"
        )
    return _TABLES[products, n_pol]
