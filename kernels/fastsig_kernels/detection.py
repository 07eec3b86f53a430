"""Detection: powers and cross products of complex spectra."""

import numpy as np

from . import _check
from ._jit import jit_strict
from .products import PRODUCTS as PRODUCTS
from .products import product_codes as product_codes


def detect(
    x: np.ndarray,
    energy: np.ndarray,
    products: str,
    *,
    sign_q: int = 1,
    sign_v: int = 1,
    basis: str = "linear",
    out: np.ndarray | None = None,
    out_weight: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the numerators and weights of powers, which can both be summed over frames.

    ``CR + i CI = conj(A) B``; ``I = AA + BB``, ``Q = AA - BB``, ``U = 2 CR`` and
    ``V = 2 CI`` for linear feeds. The mean power is ``sum(out) / sum(out_weight)``.

    =========  ==============================================  ===========
    product    numerator                                       weight
    =========  ==============================================  ===========
    AA, BB     ``|A|^2``, ``|B|^2``                            e_A, e_B
    CR, CI     real and imaginary part of ``conj(A) B``        e_AB
    I          ``e_AB (|A|^2 / e_A + |B|^2 / e_B)``            e_AB
    Q          ``sign_q e_AB (|A|^2 / e_A - |B|^2 / e_B)``     e_AB
    U, V       ``2 CR``, ``2 sign_v CI``                       e_AB
    =========  ==============================================  ===========

    Parameters
    ----------
    x : ndarray, shape (n_frame, n_pol, n_chan), complex64, any unit
        Spectra of one or two polarisations, with any strides.
    energy : ndarray, shape (n_frame, 3) or (n_frame, 1), float64, dimensionless
        Fractions of the prototype's energy on valid samples: e_A, e_B and e_AB
        (samples valid in both) for two polarisations, e_A for one. A value of 0
        excludes the frame from the products with this weight; e_A or e_B of 0
        also excludes it from those with weight e_AB.
    products : str
        A key of `PRODUCTS`. One polarisation allows only ``"I"``, which then is
        ``|A|^2`` with weight e_A.
    sign_q, sign_v : int
        Signs of Q and V, 1 or -1.
    basis : str
        ``"linear"`` or ``"circular"``. Q, U and V are refused for circular feeds,
        since their signs depend on the handedness of A and B.
    out : ndarray, shape (n_frame, n_product, n_chan), float32, unit of x squared, optional
        Receives the numerators.
    out_weight : ndarray, shape (n_frame, n_product), float64, dimensionless, optional
        Receives the weights.

    Returns
    -------
    out, out_weight : ndarray
        As above; new arrays if none were given.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If a shape, the products, a sign or the basis is not allowed.

    Notes
    -----
    A call allocates nothing when both outputs are given; the GIL is released. NaN and Inf propagate
    in frames of positive weight; a frame of weight 0 gives 0 for any x. Energies of exactly 1 give
    scale factors of exactly 1.

    References
    ----------
    W. van Straten et al., PASA 27, 104 (2010), for the PSR/IEEE convention.
    """
    _check_input(x, energy)
    codes = product_codes(products, x.shape[1], basis)
    shape = (x.shape[0], codes.size, x.shape[2])
    out = _check.output("out", out, shape, "float32", x, energy)
    out_weight = _check.output("out_weight", out_weight, shape[:2], "float64", x, energy, out)
    signs = _check.sign("sign_q", sign_q), _check.sign("sign_v", sign_v)
    detect_nb(x, energy, codes, *signs, out, out_weight)
    return out, out_weight


def detect_accumulate(
    x: np.ndarray,
    energy: np.ndarray,
    products: str,
    total: np.ndarray,
    total_weight: np.ndarray,
    *,
    sign_q: int = 1,
    sign_v: int = 1,
    basis: str = "linear",
) -> None:
    """Detect frames and add them, in order, to the two sums of an integration.

    ``total += sum_m out[m]``, bit-identical to `detect` followed by `accumulate`.

    Parameters
    ----------
    x, energy, products, sign_q, sign_v, basis
        As for `detect`.
    total : ndarray, shape (n_product, n_chan), float32, unit of x squared
        Sum of numerators, changed in place; its initial values are zeros.
    total_weight : ndarray, shape (n_product,), float64, dimensionless
        Sum of weights, changed in place; its initial values are zeros.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If a shape, the products, a sign or the basis is not allowed.

    Notes
    -----
    A call allocates nothing; NaN and the GIL are treated as by `detect`.
    """
    _check_input(x, energy)
    codes = product_codes(products, x.shape[1], basis)
    _check.target("total", total, (codes.size, x.shape[2]), "float32", x, energy)
    _check.target("total_weight", total_weight, (codes.size,), "float64", x, energy, total)
    signs = _check.sign("sign_q", sign_q), _check.sign("sign_v", sign_v)
    detect_accumulate_nb(x, energy, codes, *signs, total, total_weight)


@jit_strict
def detect_nb(x, energy, codes, sign_q, sign_v, out, out_weight):
    """Fill both outputs as `detect` does; `codes` come from `product_codes`."""
    for m in range(x.shape[0]):
        # Use the same code as the accumulation, so that both round identically.
        out[m] = np.float32(0)
        out_weight[m] = 0.0
        _add_frame(x[m], energy[m], codes, sign_q, sign_v, out[m], out_weight[m])


@jit_strict
def detect_accumulate_nb(x, energy, codes, sign_q, sign_v, total, total_weight):
    """Add frames as `detect_accumulate` does; `codes` come from `product_codes`."""
    for m in range(x.shape[0]):
        _add_frame(x[m], energy[m], codes, sign_q, sign_v, total, total_weight)


@jit_strict
def _add_frame(x, energy, codes, sign_q, sign_v, total, total_weight):
    # x[-1] is B, or A again where there is one polarisation.
    both = energy[0] > 0 and energy[energy.size // 2] > 0 and energy[-1] > 0
    e_ab = energy[-1] if both else 0.0
    for p in range(codes.size):
        code = codes[p]
        if code < 2:
            if energy[code] > 0:
                _add_power(x[code], total[p])
                total_weight[p] += energy[code]
        elif e_ab > 0:
            _add_common(x[0], x[-1], energy, code, sign_q, sign_v, total[p])
            total_weight[p] += e_ab


@jit_strict
def _add_common(a, b, energy, code, sign_q, sign_v, total):
    if code == 2 or code == 6:
        _add_real(a, b, np.float32(1 if code == 2 else 2), total)
    elif code == 3 or code == 7:
        _add_imag(a, b, np.float32(1 if code == 3 else 2 * sign_v), total)
    else:
        scale_a = np.float32(energy[2] / energy[0]) * np.float32(1 if code == 4 else sign_q)
        scale_b = np.float32(energy[2] / energy[1]) * np.float32(1 if code == 4 else -sign_q)
        _add_powers(a, b, scale_a, scale_b, total)


@jit_strict
def _add_power(a, total):
    for c in range(total.size):
        total[c] += a[c].real * a[c].real + a[c].imag * a[c].imag


@jit_strict
def _add_powers(a, b, scale_a, scale_b, total):
    for c in range(total.size):
        power_a = a[c].real * a[c].real + a[c].imag * a[c].imag
        power_b = b[c].real * b[c].real + b[c].imag * b[c].imag
        total[c] += scale_a * power_a + scale_b * power_b


@jit_strict
def _add_real(a, b, scale, total):
    for c in range(total.size):
        total[c] += scale * (a[c].real * b[c].real + a[c].imag * b[c].imag)


@jit_strict
def _add_imag(a, b, scale, total):
    for c in range(total.size):
        total[c] += scale * (a[c].real * b[c].imag - a[c].imag * b[c].real)


def _check_input(x: np.ndarray, energy: np.ndarray) -> None:
    _check.array("x", x, ("complex64",), 3)
    if x.shape[1] not in (1, 2):
        raise ValueError(f"x: found {x.shape[1]} polarisations, allowed 1 or 2")
    _check.array("energy", energy, ("float64",), 2)
    _check.shape("energy", energy, (x.shape[0], 3 if x.shape[1] == 2 else 1))
