"""Gain ratio and phase of two linear receptors from a noise diode, and Stokes parameters.

Conventions are those of `fastsig.calibration.stokes`. The receiver is modelled as ``a = g_A e_A``,
``b = g_B e_B`` with complex voltage gains, so that

    ``AA = |g_A|^2 AA_0``,  ``BB = |g_B|^2 BB_0``,  ``<A* B> = g_A* g_B <A* B>_0``.

The single-axis model of pulsar polarimetry uses other names for the same three numbers: a Jones
matrix ``G diag(exp(gamma + i phi), exp(-gamma - i phi))`` has a power ratio AA/BB of exp(4 gamma)
and rotates ``<A* B>`` by -2 phi. For an ideal diode (U = I), one observes Q/I = tanh(2 gamma) and
arg(U + i V) = -2 phi. Hence ``gamma = artanh(Q/I) / 2`` and ``phi = atan2(-V, U) / 2``, if the
signs of Q and V are +1. `PolGain.gamma` and `PolGain.phi` are these values, corrected for the
diode's own Q and phase.

References
----------
J. P. Hamaker, J. D. Bregman and R. J. Sault, A&AS 117 (1996) 137: Jones and coherency matrices.
W. van Straten, ApJS 152 (2004) 129: gain, differential gain and differential phase.
C. Heiles et al., PASP 113 (2001) 1274: Mueller matrices of a receiver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from fastsig_kernels import apply_gain
from numpy.typing import NDArray

from fastsig.calibration.stokes import (
    MuellerTable,
    apply_mueller,
    four_of,
    products,
    rotate,
    stokes,
)
from fastsig.errors import DataError, UsageError
from fastsig.work.shown import Shown

__all__ = ["IDEAL_DIODE", "MuellerTable", "PolGain", "apply_mueller", "diode_products", "products",
           "rotate", "solve_gain", "stokes"]

F8 = NDArray[np.float64]

#: Stokes parameters of a diode whose signal is split equally and in phase into both feeds.
IDEAL_DIODE = (1.0, 0.0, 1.0, 0.0)


def diode_products(
    tcal_k: Any = 1.0, iquv: Any = IDEAL_DIODE, *, sign_q: int = 1, sign_v: int = 1
) -> F8:
    """Return the products of a diode in a perfect receiver, (4, chan), K.

    With one temperature per channel, they follow from the Stokes parameters
    ``S = 2 Tcal (1, q, u, v)``, since Tcal is the temperature of one polarisation. With one
    temperature per polarisation, (2, chan), these are AA and BB, and the Stokes parameters give
    only the degree and phase of the cross product,
    ``<A* B> = sqrt(T_A T_B) (u + i v) / sqrt(1 - q^2)``.

    Parameters
    ----------
    tcal_k : array, scalar, shape (chan,) or (2, chan), K
        Temperature of the diode.
    iquv : array, shape (4,) or (4, chan), dimensionless
        Stokes parameters of the diode, which are divided by I.
    sign_q, sign_v : {1, -1}
        Signs used for the Stokes parameters.

    Raises
    ------
    UsageError
        If a shape is wrong, or the degree of polarisation is above 1.

    References
    ----------
    C. Heiles et al., PASP 113 (2001) 1274: a diode in one Stokes vector.
    """
    tcal = np.atleast_1d(np.asarray(tcal_k, np.float64))
    vector = np.asarray(iquv, np.float64)
    vector = vector[:, np.newaxis] if vector.ndim == 1 else vector
    vector = four_of(vector, "Stokes parameters of the diode")
    vector = vector / vector[0]
    if tcal.ndim > 2 or (tcal.ndim == 2 and len(tcal) != 2):
        raise UsageError(f"Tcal has shape {tcal.shape}; allowed: (chan,) or (2, chan)")
    if np.nanmax((vector[1:] ** 2).sum(axis=0), initial=0) > 1 + 1e-6:
        raise UsageError("the diode's Q, U, V are larger than its I")
    x = np.asarray(products(vector, sign_q=sign_q, sign_v=sign_v), np.float64)
    if tcal.ndim == 1:
        return 2 * tcal * x
    cross = np.sqrt(tcal[0] * tcal[1]) / np.sqrt(np.maximum(x[0] * x[1], 1e-300))
    ones = np.ones_like(vector[0])
    return np.stack([tcal[0] * ones, tcal[1] * ones, cross * x[2], cross * x[3]])


@dataclass(frozen=True, repr=False)
class PolGain(Shown):
    """Gains of two receptors in each channel; all arrays have shape (chan,).

    `aa` and `bb` are the power gains ``|g_A|^2`` and ``|g_B|^2``, counts per kelvin; `phase` is the
    argument of ``g_A* g_B``, rad. The errors are standard errors; those of the power gains are
    relative errors.
    """

    aa: F8
    bb: F8
    phase: F8
    aa_error: F8
    bb_error: F8
    phase_error: F8

    @property
    def ratio(self) -> F8:
        """Power ratio AA/BB of an unpolarised source."""
        return self.aa / self.bb

    @property
    def gamma(self) -> F8:
        """Differential gain of van Straten (2004): ln(AA/BB) / 4."""
        return np.asarray(np.log(self.ratio) / 4)

    @property
    def phi(self) -> F8:
        """Differential phase of van Straten (2004), rad: -arg<A* B> / 2."""
        return -self.phase / 2

    def apply(
        self, aabbcrci: NDArray[Any], *, weight: NDArray[Any] | None = None,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Return products in kelvin: AA and BB divided by their gains, and <A* B> by ``g_A* g_B``.

        Parameters
        ----------
        aabbcrci : ndarray, shape (time, 4, chan), float32, counts
            Products.
        weight : ndarray, shape (time, 1 or 4, 1 or chan), float32, optional
            Values of weight 0 become NaN.
        out : ndarray, shape of the products, float32, K, optional
            Array for the result, which may be `aabbcrci` itself.
        """
        cross = np.exp(-1j * self.phase) / np.sqrt(self.aa * self.bb)
        gain = np.stack([1 / self.aa, 1 / self.bb]).astype(np.float32)
        return apply_gain(
            aabbcrci, gain, cross=cross.astype(np.complex64), weight=weight, out=out)


def solve_gain(
    on: Any, off: Any, model: Any, *, n_on: Any = None, n_off: Any = None, mask: Any = None,
    path: str = "noise diode",
) -> PolGain:
    """Compute gains from folded products with the diode on and off.

    With D = on - off and the diode's products M, the gains are ``|g_A|^2 = D_AA / M_AA``,
    ``|g_B|^2 = D_BB / M_BB`` and ``arg g_A* g_B = arg(D_CR + i D_CI) - arg(M_CR + i M_CI)``. Only
    the phase of the cross product is used, so the result does not depend on the coherence of the
    diode's signal.

    Parameters
    ----------
    on, off : array, shape (4, chan), counts
        Mean AA, BB, CR, CI with the diode on and off.
    model : array, shape (4, 1 or chan), K
        The diode's products, from `diode_products`.
    n_on, n_off : float or array (chan,), optional
        Numbers of independent samples in the means; without them, the errors are NaN.
    mask : array of bool, shape (chan,), optional
        Channels that become NaN.
    path : str
        Path with which messages begin.

    Raises
    ------
    DataError
        If no channel shows the diode in both polarisations and in their cross product.
    UsageError
        If a shape is wrong.

    References
    ----------
    W. van Straten, ApJS 152 (2004) 129, section 2: the single-axis model.
    """
    lit, dark, diode = (four_of(x, name) for x, name in (
        (on, "products with the diode on"), (off, "products with it off"), (model, "the diode")))
    d = np.asarray(lit - dark, np.float64)
    diode = np.broadcast_to(diode, d.shape)
    aa, bb, phase, size = _ratios(d, diode)
    bad = ~((aa > 0) & (bb > 0) & np.isfinite(phase))
    bad |= False if mask is None else np.asarray(mask, bool)
    if bad.all():
        raise DataError(path, f"none of {d.shape[1]} channels has more power with the diode on, "
                              f"in both polarisations and in their cross product")
    variance = [_variance(lit, n_on, k) + _variance(dark, n_off, k) for k in (0, 1)]
    cross = [x[0] * x[1] / 2 / (np.nan if n is None else np.asarray(n, np.float64))
             for x, n in ((lit, n_on), (dark, n_off))]
    relative = [np.sqrt(each) / np.abs(power) for each, power in zip(variance, d[:2], strict=True)]
    found = (aa, bb, phase, *relative, np.sqrt(cross[0] + cross[1]) / size)
    return PolGain(*(np.where(bad, np.nan, each) for each in found))


def _ratios(d: F8, diode: F8) -> tuple[F8, F8, F8, F8]:
    """Return the power gains, and the phase and modulus of the cross product."""
    with np.errstate(divide="ignore", invalid="ignore"):
        aa, bb = d[0] / diode[0], d[1] / diode[1]
    cross = (d[2] + 1j * d[3]) * (diode[2] - 1j * diode[3])
    size = np.hypot(d[2], d[3])
    return aa, bb, np.where(cross == 0, np.nan, np.angle(cross)), np.where(size > 0, size, np.nan)


def _variance(x: F8, n: Any, k: int) -> F8:
    return np.asarray(x[k] ** 2 / (np.nan if n is None else np.asarray(n, np.float64)))
