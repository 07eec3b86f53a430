"""The engine of a `Spectrometer` whose products are complex voltages, which are not integrated."""

import numpy as np

from .channelize import Channelizer
from .layout import Layout


class VoltageEngine:
    """An engine that uses a `Channelizer`."""

    def __init__(self, plan: Channelizer, n_pol: int, band: tuple[int, int]) -> None:
        self.plan, self.n_out = plan, 2 * n_pol  # a complex number takes two float32
        self.first, self.width = 0, plan.n_chan
        self._band = slice(*band)
        self.memory_bytes = 0  # the copies of the plan count their tables

    def work(self, least: int = 1, n_stream: int = 1) -> "VoltageWork":
        """Return the work space of one worker."""
        return VoltageWork(self.plan.copy())

    def run(self, x: np.ndarray, layout: Layout, start: int, first_frame: int,
            work: "VoltageWork", out: np.ndarray) -> None:
        """Write the spectra of the frames of `x` (stream, pol, time) from sample `start` on.

        `out` is (frame, stream, pol, chan).
        """
        stop = start + self.plan.n_sample(len(out))
        voltages = layout.cut(x, start, stop)
        for s, pol in np.ndindex(voltages.shape[:2]):
            whole = out[:, s, pol] if out.shape[3] == self.width else None
            made = work.plan.process(voltages[s, pol], first_frame=first_frame, out=whole)
            if whole is None:
                out[:, s, pol] = made[:, self._band]


class VoltageWork:
    """A `Channelizer` of one worker, which has no state to discard."""

    def __init__(self, plan: Channelizer) -> None:
        self.plan = plan

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes."""
        return self.plan.memory_bytes

    def reset(self) -> None:
        """Do nothing."""
