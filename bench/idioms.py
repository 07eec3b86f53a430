"""The code that a careful user of NumPy and SciPy would write: the yardsticks, frozen.

Never change this code to follow fastsig: ratios of different dates are comparable because it stays
the same. Each function fills a preallocated output in pieces of the size that measured fastest, so
that its temporaries stay in the cache. It uses one thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.fft

_PIECE = 64  # frames: 2 MB of float32 at 8192 samples per frame
_BYTES = 2**16
_FRAMES = 16


def rfft(x: np.ndarray, workers: int = 1) -> None:
    """Transform every row of `x` (float32) and discard the results.

    scipy.fft does not accept an output array: with pieces the allocator reuses the same memory,
    which is up to a fifth faster than one call for all of `x`.
    """
    for first in range(0, len(x), _PIECE):
        scipy.fft.rfft(x[first : first + _PIECE], axis=-1, workers=workers)


def irfft(x: np.ndarray) -> None:
    """Apply the inverse of `rfft`, also in pieces: `x` has rows of complex64."""
    for first in range(0, len(x), _PIECE):
        scipy.fft.irfft(x[first : first + _PIECE], axis=-1, workers=1)


def read_and_rfft(
    descriptor: int, n_byte: int, buffer: np.ndarray, x: np.ndarray, n_frame: int
) -> None:
    """Read `n_byte` of a file into `buffer`, repeatedly, and transform `n_frame` rows.

    The rows are those of `x`, already float32, used repeatedly: no conversion, no filter, and the
    results are discarded. No spectrometer based on a library's transform could do less.
    """
    view = memoryview(buffer.view(np.uint8).reshape(-1))  # type: ignore[arg-type]
    done = 0
    while done < n_byte:
        count = os.preadv(descriptor, [view[: n_byte - done]], done)
        if not count:
            raise EOFError(f"the file ends at byte {done}, before {n_byte}")
        done += count
    for first in range(0, n_frame, len(x)):
        rfft(x[: n_frame - first])


def unpack_table(n_bits: int) -> np.ndarray:
    """Return the samples in each of the 256 bytes, lowest bits first, as a table of 256 items."""
    shifts = np.arange(0, 8, n_bits)
    codes = (np.arange(256)[:, np.newaxis] >> shifts) & (2**n_bits - 1)
    return codes.astype(np.float32).view(f"V{4 * len(shifts)}").ravel()  # type: ignore[no-any-return]


def unpack(packed: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """Look up the samples of every byte in a table: faster than shifts and masks."""
    items = out.view(table.dtype)
    for first in range(0, packed.size, _BYTES):
        piece = slice(first, first + _BYTES)
        np.take(table, packed[piece], out=items[piece], mode="clip")


def polyphase(x: np.ndarray, taps: np.ndarray, out: np.ndarray) -> None:
    """Channelise int8 samples: weight, fold, transform, drop the Nyquist channel.

    Parameters
    ----------
    x : ndarray, shape (n_sample,), int8
    taps : ndarray, shape (n_tap, n_fft), float32
    out : ndarray, shape (n_frame, n_fft // 2), complex64
    """
    n_tap, n_fft = taps.shape
    rows = x.reshape(-1, n_fft)
    samples = np.empty((_FRAMES + n_tap - 1, n_fft), np.float32)
    folded, term = np.empty((2, _FRAMES, n_fft), np.float32)
    for first in range(0, len(out), _FRAMES):
        n = min(_FRAMES, len(out) - first)
        samples[: n + n_tap - 1] = rows[first : first + n + n_tap - 1]
        np.multiply(samples[:n], taps[0], out=folded[:n])
        for tap in range(1, n_tap):
            np.multiply(samples[tap : tap + n], taps[tap], out=term[:n])
            folded[:n] += term[:n]
        spectra = scipy.fft.rfft(folded[:n], axis=-1, workers=1)
        out[first : first + n] = spectra[:, :-1]


def stokes(x: np.ndarray, out: np.ndarray) -> None:
    """Compute I, Q, U and V of two polarisations, frame by frame.

    Parameters
    ----------
    x : ndarray, shape (n_frame, 2, n_chan), complex64
    out : ndarray, shape (n_frame, 4, n_chan), float32
    """
    for first in range(0, len(x), _FRAMES):
        a, b = x[first : first + _FRAMES, 0], x[first : first + _FRAMES, 1]
        i, q, u, v = out[first : first + _FRAMES].swapaxes(0, 1)
        aa = a.real**2 + a.imag**2
        bb = b.real**2 + b.imag**2
        ab = a.conj() * b
        np.add(aa, bb, out=i)
        np.subtract(aa, bb, out=q)
        np.multiply(ab.real, 2, out=u)
        np.multiply(ab.imag, 2, out=v)


def stokes_sum(x: np.ndarray, total: np.ndarray) -> None:
    """Add I, Q, U and V of all frames to `total`, shape (4, n_chan), float32."""
    piece = np.empty((_FRAMES, *total.shape), np.float32)
    for first in range(0, len(x), _FRAMES):
        frames = x[first : first + _FRAMES]
        stokes(frames, piece[: len(frames)])
        total += piece[: len(frames)].sum(axis=0)


def plain_spectrometer(x: np.ndarray, taps: np.ndarray, n_int: int, out: np.ndarray) -> None:
    """`spectrometer` as most users would write it, one integration at a time; same parameters."""
    n_tap, n_fft = taps.shape
    rows = x.reshape(-1, n_fft)
    for i in range(len(out)):
        part = rows[i * n_int : (i + 1) * n_int + n_tap - 1].astype(np.float32)
        folded = sum(part[t : t + n_int] * taps[t] for t in range(n_tap))
        spectra = scipy.fft.rfft(folded, axis=-1, workers=1)[:, :-1]
        out[i] = (np.abs(spectra) ** 2).sum(axis=0)


def spectrometer(x: np.ndarray, taps: np.ndarray, n_int: int, out: np.ndarray) -> None:
    """Channelise int8 samples as `polyphase` does, and add up the power of `n_int` frames.

    Parameters
    ----------
    x : ndarray, shape (n_sample,), int8
    taps : ndarray, shape (n_tap, n_fft), float32
    n_int : int
    out : ndarray, shape (n_output, n_fft // 2), float32
    """
    n_tap, n_fft = taps.shape
    rows = x.reshape(-1, n_fft)
    samples = np.empty((_FRAMES + n_tap - 1, n_fft), np.float32)
    folded, term = np.empty((2, _FRAMES, n_fft), np.float32)
    power = folded.reshape(2 * _FRAMES, n_fft // 2)[:_FRAMES]
    out[:] = 0
    for total, begin in zip(out, range(0, len(out) * n_int, n_int), strict=True):
        for first in range(begin, begin + n_int, _FRAMES):
            n = min(_FRAMES, begin + n_int - first)
            samples[: n + n_tap - 1] = rows[first : first + n + n_tap - 1]
            np.multiply(samples[:n], taps[0], out=folded[:n])
            for tap in range(1, n_tap):
                np.multiply(samples[tap : tap + n], taps[tap], out=term[:n])
                folded[:n] += term[:n]
            spectra = scipy.fft.rfft(folded[:n], axis=-1, workers=1)[:, :-1]
            np.multiply(spectra.real, spectra.real, out=power[:n])
            power[:n] += spectra.imag**2
            total += power[:n].sum(axis=0)


def filterbank(path: str | os.PathLike[str], offset: int, n_chan: int, rows: int) -> None:
    """Read 8-bit spectra as sigpyproc's reader does, `rows` at a time, and discard the results.

    A piece is read, concatenated with pieces of other files if there are any, transposed to
    (chan, time) and converted to float32; its channels keep the order of the file.
    """
    size = os.stat(path).st_size
    with open(path, "rb") as file:
        file.seek(offset)
        while file.tell() < size:
            codes = np.concatenate([np.fromfile(file, np.uint8, rows * n_chan)])
            np.asarray(codes.reshape(-1, n_chan).transpose(), dtype=np.float32)


def psrfits(path: str | os.PathLike[str], out: np.ndarray) -> None:
    """Read rows of 8-bit PSRFITS with astropy and NumPy, as most users would write it.

    Parameters
    ----------
    path : path
    out : ndarray, shape (n_block, n_pol, n_chan), float32
        Receives one row after another.
    """
    n_block, n_pol, n_chan = out.shape
    for zero, data, scale, shift, weight in _rows(path):
        codes = data.reshape(n_block, n_pol, n_chan).astype(np.float32)
        scale, shift = scale.reshape(n_pol, n_chan), shift.reshape(n_pol, n_chan)
        out[...] = ((codes - zero) * scale + shift) * weight


def psrfits_in_place(path: str | os.PathLike[str], out: np.ndarray) -> None:
    """`psrfits` without allocating memory."""
    n_block, n_pol, n_chan = out.shape
    for zero, data, scale, shift, weight in _rows(path):
        out[...] = data.reshape(n_block, n_pol, n_chan)
        out -= zero
        out *= scale.reshape(n_pol, n_chan)
        out += shift.reshape(n_pol, n_chan)
        out *= weight


def _rows(path: str | os.PathLike[str]) -> Iterator[tuple[Any, ...]]:
    """Yield ZERO_OFF, codes, scales, offsets and weights of every row."""
    from astropy.io import fits

    with fits.open(path) as file:
        zero = np.float32(file["SUBINT"].header["ZERO_OFF"])
        table = file["SUBINT"].data
        names = ("DATA", "DAT_SCL", "DAT_OFFS", "DAT_WTS")
        for row in zip(*(table[name] for name in names), strict=True):
            yield (zero, *row)


def flag(x: np.ndarray, sigma: float, threshold: float, width: int, longest: int) -> np.ndarray:
    """Return the flags of a piece of spectra, as most users would write it.

    Each channel is divided by its median over time, the running median of each spectrum is
    subtracted, and the residuals are divided by the noise of the channel (from the median absolute
    deviation). They are clipped, and sums of 1, 2, 4, ... up to `longest` neighbours in time and in
    frequency are tested (SumThreshold).

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32
    sigma, threshold : float
        Thresholds of a single sample, for clipping and for SumThreshold.
    width : int
        Number of channels of the running median.

    Returns
    -------
    ndarray, shape (n_time, n_chan), bool
    """
    import scipy.ndimage

    residual = x / np.median(x, axis=0) - 1
    noise = 1.4826 * np.median(np.abs(residual - np.median(residual, axis=0)), axis=0)
    residual -= scipy.ndimage.median_filter(residual, size=(1, width))
    residual /= noise
    flags = np.abs(residual) > sigma
    for axis in (0, 1):
        values, lost = np.moveaxis(residual, axis, 0), np.moveaxis(flags, axis, 0)
        size, limit = 1, threshold
        while size <= longest:
            sums = np.zeros((len(values) + 1, values.shape[1]))
            counts = np.zeros(sums.shape, np.int32)
            np.cumsum(np.where(lost, 0, values), axis=0, out=sums[1:])
            np.cumsum(~lost, axis=0, out=counts[1:])
            over = np.abs(sums[size:] - sums[:-size]) > limit * (counts[size:] - counts[:-size])
            for shift in range(size):
                lost[shift : shift + len(over)] |= over
            size, limit = 2 * size, limit / 1.5
    return flags
