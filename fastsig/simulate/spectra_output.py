"""Write simulated spectra to files as recorded by FAST: PSRFITS, and spectral FITS."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from fastsig.errors import UsageError
from fastsig.io.fast.spectral import F_WIDTH, MODES
from fastsig.io.fast.spectral_writer import FastSpectralWriter
from fastsig.io.psrfits.writer import PsrfitsWriter
from fastsig.simulate.spectra import FastSpectra, MadeSpectra
from fastsig.simulate.values import whole
from fastsig.stream.header import Header
from fastsig.work.signals import check, held
from fastsig.work.threads import processors

__all__ = ["OBSERVING", "file_name", "spectral", "write_psrfits", "write_spectral"]

#: Observing modes in the names of FAST's files.
OBSERVING = ("tracking", "drifting", "arcdrift", "onoff", "MultiBeamOTF", "snapshot")
INTEGRATION = Fraction("1.00663296")
MAX_ROWS = 2**22  # 49 days of spectra as usual at FAST
LEVEL = 5 * 10**11  # FAST's values are 1e11 to 1e12


def spectral(mode: str = "W", *, n_chan: Any = None, fstart: Any = Fraction(10**9),
             integration: Any = INTEGRATION, level: Any = LEVEL, **parameters: Any) -> FastSpectra:
    """Simulate a recording of FAST's spectral backend.

    The recording is made in one of the backend's modes, with all channels or some of them. Channel
    0 of the finest mode, F, is centred at the edge of the band, as in a Fourier transform; a
    channel of mode W is as wide as 16 of these channels. The channel frequencies are therefore the
    same as in FAST's files.

    Parameters
    ----------
    mode : {"W", "F", "N"}
        W: 65536 channels of 7629.39 Hz; F: 1048576 of 476.84 Hz; N: 65536 of 476.84 Hz.
    n_chan : int, optional
        Number of channels from `fstart` on; by default, all channels of the mode.
    fstart, integration, level, **parameters
        As for `FastSpectra`; the bandwidth follows from the channels.

    Raises
    ------
    UsageError
        As for `FastSpectra`.
    """
    if mode not in MODES:
        raise UsageError(f"mode = {mode!r}; allowed: {', '.join(MODES)}")
    most, width = MODES[mode]
    count = most if n_chan is None else whole(n_chan, "n_chan", 1)
    if count > most:
        raise UsageError(f"n_chan = {n_chan!r}; allowed in mode {mode}: up to {most}")
    return FastSpectra(n_chan=count, fstart=fstart, bandwidth=count * width, shift=-F_WIDTH / 2,
                       integration=integration, level=level, **parameters)


def file_name(recording: FastSpectra, path: str | os.PathLike[str], observing: str = "tracking",
              mode: str | None = None) -> str:
    """Return the name of the files, with ``{file}`` for their numbers, which begin with 1.

    If `path` is a folder, the names are FAST's: ``NAME_tracking-M01_0001.fits``, with ``_W``
    before the number in spectral files.
    """
    if observing not in OBSERVING:
        raise UsageError(f"observing = {observing!r}; allowed: {', '.join(OBSERVING)}")
    path = os.fspath(path)
    if not os.path.isdir(path):
        return path
    header = recording.header
    told = f"{mode}_" if mode else ""
    return os.path.join(path, f"{header.source}_{observing}-M{header.beam:02d}_{told}"
                              "{file}.fits")


def write_psrfits(
    recording: FastSpectra, path: str | os.PathLike[str], *, observing: str = "tracking",
    n_bits: int = 8, n_block: int = 1024, file_rows: int | None = None, workers: int | None = 1,
    overwrite: bool = False, progress: Callable[[int], Any] | None = None,
) -> list[str]:
    """Write a recording as PSRFITS in search mode with four products, like FAST's pulsar backend.

    The integer values have a scale and an offset for each row, product and channel. The values in
    FAST's own files have neither, but it is not certain whether CR and CI are signed there; files
    with scales and offsets are read correctly in either case.

    Parameters
    ----------
    recording : FastSpectra
        The recording to write.
    path : path
        Name of the file, with ``{file}`` if there are several files, or a folder, in which the
        files have FAST's names.
    observing : str
        Observing mode in FAST's names: one of `OBSERVING`, such as "tracking".
    n_bits : {8, 16, 32}
        Number of bits of a value; 32 for floats.
    n_block : int
        Number of spectra per row, NSBLK.
    file_rows : int, optional
        Maximum number of rows of a file; by default, there is one file.
    workers : int or None
        Number of threads; None for one per core. The files are the same for any number of threads.
    overwrite : bool
        Whether existing files may be replaced.
    progress : callable, optional
        Called with the number of spectra of each block written.

    Returns
    -------
    list of str
        Names of the files.

    Raises
    ------
    UsageError
        If a parameter is out of range.
    OutputError
        If a file exists or cannot be written.
    """
    name = file_name(recording, path, observing)
    shape = (recording.n_time, 4, recording.n_chan)
    with held(), PsrfitsWriter(
            name, _with_diode(recording.header), shape, overwrite=overwrite, n_bits=n_bits,
            n_block=n_block, file_rows=file_rows, first_file=1) as file:
        for data, weight in _blocks(recording, workers):
            file.append(data, weight)
            if progress is not None:
                progress(len(data))
    return file.files


def write_spectral(
    recording: FastSpectra, path: str | os.PathLike[str], *, mode: str | None = None,
    observing: str = "tracking", file_rows: int | None = None, workers: int | None = 1,
    overwrite: bool = False, progress: Callable[[int], Any] | None = None,
) -> list[str]:
    """Write a recording as FAST's spectral FITS; there are no rows for lost spectra.

    Parameters
    ----------
    mode : {"W", "F", "N"}, optional
        Mode in FAST's file names; by default, the mode whose channels have the width of those of
        the recording.
    file_rows : int, optional
        Maximum number of rows of a file; by default, as many as fit into 2 GiB, as in FAST's own
        files.
    recording, path, observing, workers, overwrite, progress
        As for `write_psrfits`.

    Returns
    -------
    list of str
        Names of the files.

    Raises
    ------
    UsageError
        If a parameter is out of range, or all spectra are lost.
    OutputError
        If a file exists or cannot be written.
    """
    if mode is None:
        mode = "W" if recording.axis.step_hz == MODES["W"][1] else "F"
    name = file_name(recording, path, observing, mode)
    if recording.n_time > MAX_ROWS:
        raise UsageError(f"{recording.n_time} spectra; allowed in spectral FITS: up to {MAX_ROWS}")
    slots = np.flatnonzero(recording.kept(0, recording.n_time))
    if not len(slots):
        raise UsageError(f"all {recording.n_time} spectra are lost; allowed: at least one left")
    shape = (len(slots), 4, recording.n_chan)
    with held(), FastSpectralWriter(
            name, recording.header, shape, slots=slots, overwrite=overwrite,
            file_rows=file_rows, obs_type=observing.upper()) as file:
        for data, weight in _blocks(recording, workers):
            file.append(data[weight[:, 0, 0] > 0])
            if progress is not None:
                progress(len(data))
    return file.files


def _blocks(recording: FastSpectra, workers: int | None) -> Iterator[MadeSpectra]:
    cores = processors()
    threads = cores if workers is None else whole(workers, "workers", 1)
    for made in recording.blocks(threads):
        check()
        yield made


def _with_diode(header: Header) -> Header:
    """Return the header with the cards that PSRFITS has for a noise diode."""
    diode = header.diode
    if diode is None:
        return header
    edge = diode.first_tick % diode.period_ticks / diode.period_ticks  # after the start
    cards = {"CAL_MODE": "SYNC", "CAL_FREQ": diode.ticks_per_second / diode.period_ticks,
             "CAL_DCYC": diode.on_ticks / diode.period_ticks, "CAL_PHS": edge}
    return header.replace(extra={**header.extra, **cards})
