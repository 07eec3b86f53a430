"""Cases: polyphase filter banks that keep complex spectra, compared with other libraries."""

from __future__ import annotations

from functools import partial

import numpy as np
from fastsig_kernels import Channelizer, Layout, Synthesizer

from bench import idioms, peers
from bench.data import BYTES, MEGA, N_CHAN, N_FFT, N_TAP, gaussian, random_bytes
from bench.timing import Call, Case, Mark, Scale, Task, Yardstick

SETIGEN, LIQUID, IDIOM = "setigen", "liquid-dsp", "NumPy + SciPy filter bank"
_BASEBAND = {"baseband-tasks, time": "PolyphaseFilterBankSamples",
             "baseband-tasks, Fourier": "PolyphaseFilterBank"}


def _own(bank: Channelizer, x: np.ndarray) -> tuple[Call, np.ndarray]:
    out = np.empty((bank.n_frame(x.size), bank.n_chan), np.complex64)
    return partial(bank.process, x, out=out), out


def _baseband(x: np.ndarray, n_fft: int, frames: tuple[int, int]
              ) -> tuple[dict[str, Yardstick], dict[str, str]]:
    """The two banks of baseband-tasks, each with the number of frames that measured fastest."""
    if not peers.is_there("baseband_tasks"):
        return {}, dict.fromkeys(_BASEBAND, peers.NOT_INSTALLED)
    return {title: peers.baseband_bank(name, x, N_TAP, n_fft, n)
            for (title, name), n in zip(_BASEBAND.items(), frames, strict=True)}, {}


def real_bank(scale: Scale) -> Task:
    """int8 samples, 4096 channels."""
    x = random_bytes(scale.pick(BYTES, 2**22)).view(np.int8)
    bank = Channelizer(N_CHAN, n_tap=N_TAP)
    call, out = _own(bank, x)
    few = x[: scale.pick(2**24, 2**21)]  # other libraries need a second for all samples
    yardsticks, missing = _baseband(gaussian(few.size), N_FFT, (64, 16))
    if peers.is_there("setigen"):
        yardsticks[SETIGEN] = peers.setigen_bank(few, N_TAP, N_FFT)
    else:
        missing[SETIGEN] = peers.NOT_INSTALLED
    part = out[: bank.n_frame(few.size)]
    yardsticks[IDIOM] = Yardstick(partial(idioms.polyphase, few, bank.taps, part),
                                  len(part) * N_FFT / MEGA)
    return Task(len(out) * N_FFT / MEGA, call, yardsticks, missing=missing)


def complex_bank(scale: Scale, n_chan: int) -> Task:
    """complex64 samples."""
    x = gaussian(scale.pick(BYTES, 2**22) // 4).view(np.complex64)
    bank = Channelizer(n_chan, n_tap=N_TAP, layout=Layout("float32", is_complex=True))
    call, out = _own(bank, x)
    yardsticks, missing = _baseband(x, n_chan, (128, 128))
    library = peers.liquid()
    if library is None:
        missing[LIQUID] = peers.NOT_INSTALLED
    else:
        yardsticks[LIQUID] = peers.liquid_bank(library, x, bank.taps)
    return Task(out.size / MEGA, call, yardsticks, missing=missing)


def synthesis(scale: Scale) -> Task:
    """Spectra back to voltages, compared with only the inverse transforms of the same frames."""
    n_frame = scale.pick(2**11, 2**8)
    bank = Synthesizer(N_CHAN, oversample="4/3", n_tap=N_TAP)
    x = gaussian(2 * n_frame * N_CHAN).view(np.complex64).reshape(n_frame, N_CHAN)
    out = np.empty(bank.n_sample(n_frame), np.float32)
    rows = np.zeros((n_frame, N_CHAN + 1), np.complex64)
    rows[:, :-1] = x
    return Task(out.size / MEGA, partial(bank.process, x, out=out),
                {"scipy irfft": Yardstick(partial(idioms.irfft, rows), n_frame * bank.hop / MEGA)})


CASES = [
    Case("bank-real", "MS", real_bank, "int8, 8 taps, 4096 channels, spectra kept"),
    Case("bank-complex", "MS", partial(complex_bank, n_chan=256),
         "complex64, 8 taps, 256 channels, spectra kept"),
    Case("synthesis", "MS", synthesis, "4096 channels, 4/3 oversampled, back to voltages",
         ((Mark(0.8, ("scipy irfft",)),),)),
]
