"""Products of two linear receptors, Stokes parameters, and their frames and Mueller matrices.

Products are AA, BB, CR, CI with ``CR + i CI = <A* B>``. Stokes parameters are ``I = AA + BB``,
``Q = AA - BB``, ``U = 2 CR``, ``V = 2 CI``, where the signs of Q and V are options. The four
products or parameters are on axis -2 of arrays, and channels are on axis -1: (..., 4, chan).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FormatError, UsageError, unreadable
from fastsig.work.shown import Shown

__all__ = ["MuellerTable", "apply_mueller", "check_signs", "four_of", "products", "rotate",
           "stokes"]

F8 = NDArray[np.float64]


def stokes(
    aabbcrci: Any, *, sign_q: int = 1, sign_v: int = 1, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Compute ``I = AA + BB``, ``Q = sign_q (AA - BB)``, ``U = 2 CR``, ``V = sign_v 2 CI``.

    Parameters
    ----------
    aabbcrci : array, shape (..., 4, chan), any unit
        AA, BB, CR, CI.
    sign_q, sign_v : {1, -1}
        Signs of Q and V, which differ between recorders and users. Setting both to -1 corresponds
        to exchanging the receptors.
    out : ndarray, shape of the input, optional
        Array for the parameters, which may be the input.

    Raises
    ------
    UsageError
        If there are not four products, or a sign is not allowed.

    References
    ----------
    W. van Straten et al., PASA 27 (2010) 104: signs in pulsar astronomy.
    """
    x = four_of(aabbcrci, "products")
    check_signs(sign_q, sign_v)
    result = np.empty_like(x) if out is None else out
    total, difference = x[..., 0, :] + x[..., 1, :], sign_q * (x[..., 0, :] - x[..., 1, :])
    np.multiply(x[..., 2, :], 2, out=result[..., 2, :])
    np.multiply(x[..., 3, :], 2 * sign_v, out=result[..., 3, :])
    result[..., 0, :], result[..., 1, :] = total, difference
    return result


def products(iquv: Any, *, sign_q: int = 1, sign_v: int = 1) -> NDArray[Any]:
    """Compute products from Stokes parameters; the inverse of `stokes`, with the same options."""
    x = four_of(iquv, "Stokes parameters")
    check_signs(sign_q, sign_v)
    i, q, u, v = (x[..., k, :] for k in range(4))
    return np.stack([(i + sign_q * q) / 2, (i - sign_q * q) / 2, u / 2, sign_v * v / 2], axis=-2)


def rotate(iquv: Any, angle_rad: Any, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Rotate Stokes parameters from the frame of the receiver to that of the sky.

    ``Q' + i U' = (Q + i U) exp(2 i angle)``. If the angle is that of receptor A from north through
    east, Q' and U' follow the IAU convention, and the position angle is ``atan2(U', Q') / 2``.

    Parameters
    ----------
    iquv : array, shape (..., 4, chan), any unit
        I, Q, U, V.
    angle_rad : array, broadcastable to (...), rad
        Parallactic angle plus the angle of the receiver. The negative angle gives the inverse
        rotation.
    out : ndarray, shape of the input, optional
        Array for the parameters, which may be the input.

    References
    ----------
    Transactions of the IAU XVB (1973) 166: angles from north through east.
    J. P. Hamaker and J. D. Bregman, A&AS 117 (1996) 161: IAU and Jones conventions.
    """
    x = four_of(iquv, "Stokes parameters")
    angle = 2 * np.asarray(angle_rad, np.float64)[..., np.newaxis]
    c, s = np.cos(angle).astype(x.dtype), np.sin(angle).astype(x.dtype)
    result = np.empty_like(x) if out is None else out
    q = c * x[..., 1, :] - s * x[..., 2, :]
    u = s * x[..., 1, :] + c * x[..., 2, :]
    result[..., 0, :], result[..., 3, :] = x[..., 0, :], x[..., 3, :]
    result[..., 1, :], result[..., 2, :] = q, u
    return result


@dataclass(frozen=True, repr=False)
class MuellerTable(Shown):
    """Mueller matrices of a receiver for several dates and frequencies: ``S_seen = M S``.

    Parameters
    ----------
    mjd : array, shape (date,)
        Dates of the measurements.
    freq_hz : array, shape (freq,), Hz, ascending
        Frequencies.
    matrix : array, shape (date, freq, 4, 4)
        Matrices, for the signs and the frame of the Stokes parameters to which they are applied.
    """

    mjd: F8
    freq_hz: F8
    matrix: F8

    def __post_init__(self) -> None:
        shape = (np.size(self.mjd), np.size(self.freq_hz), 4, 4)
        if np.shape(self.matrix) != shape or (np.diff(self.freq_hz) <= 0).any():
            raise UsageError(f"Mueller table {np.shape(self.matrix)}; allowed: {shape} for (date, "
                             f"freq, 4, 4), with ascending frequencies")

    @classmethod
    def read(cls, path: str) -> MuellerTable:
        """Read a table from an ``.npz`` file with ``mjd``, ``freq_mhz`` and ``matrix``.

        Raises
        ------
        FormatError
            If the file does not contain such a table.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                parts = [np.asarray(file[name], np.float64)
                         for name in ("mjd", "freq_mhz", "matrix")]
        except (FileNotFoundError, PermissionError) as error:
            raise unreadable(path, error) from error
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            allowed = ".npz file with mjd, freq_mhz and matrix (date, freq, 4, 4)"
            raise FormatError(path, f"is not a table of Mueller matrices: {error}; allowed: an "
                                    f"{allowed}") from error
        return cls(np.atleast_1d(parts[0]), np.atleast_1d(parts[1]) * 1e6, parts[2])

    def at(self, mjd: float, freq_hz: Any) -> F8:
        """Return matrices (chan, 4, 4) of the nearest date, interpolated linearly in frequency.

        Matrices are NaN outside the frequencies of the table.
        """
        nearest = self.matrix[int(np.abs(np.asarray(self.mjd) - mjd).argmin())]
        flat = nearest.reshape(len(nearest), 16).T
        found = [np.interp(freq_hz, self.freq_hz, each, np.nan, np.nan) for each in flat]
        return np.stack(found, axis=-1).reshape(-1, 4, 4)


def apply_mueller(
    iquv: Any, matrix: Any, *, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Compute true Stokes parameters from observed ones: ``S = M^-1 S_seen`` in each channel.

    Parameters
    ----------
    iquv : array, shape (..., 4, chan), any unit
        Stokes parameters observed by the receiver, in its frame.
    matrix : array, shape (4, 4) or (chan, 4, 4)
        Mueller matrix or matrices. Where an element is NaN, the result is NaN.
    out : ndarray, shape of the input, optional
        Array for the parameters, which may be the input.

    Raises
    ------
    UsageError
        If a shape is wrong or a matrix has no inverse.

    References
    ----------
    C. Heiles et al., PASP 113 (2001) 1274: ``S_obs = M_TOT S_src``.
    """
    x = four_of(iquv, "Stokes parameters")
    m = np.broadcast_to(np.asarray(matrix, np.float64), (x.shape[-1], 4, 4))
    known = np.isfinite(m).all(axis=(1, 2))
    inverse = np.full(m.shape, np.nan)
    try:
        inverse[known] = np.linalg.inv(m[known])
    except np.linalg.LinAlgError as error:
        raise UsageError("a Mueller matrix has no inverse") from error
    found = np.einsum("fij,...jf->...if", inverse, x)
    if out is None:
        return np.asarray(found.astype(x.dtype))
    out[...] = found
    return out


def four_of(x: Any, name: str) -> NDArray[Any]:
    """Return an array of floats; refuse one without four entries on axis -2."""
    array = np.asarray(x)
    if array.ndim < 2 or array.shape[-2] != 4:
        raise UsageError(f"{name} have shape {array.shape}; allowed: (..., 4, chan): a stream of "
                         f"one or two products has no polarisation to calibrate")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def check_signs(*signs: int) -> None:
    """Refuse signs of Q and V other than 1 and -1."""
    if any(sign not in (1, -1) for sign in signs):
        raise UsageError(f"signs of Q, V = {signs}; allowed: 1, -1")
