"""What the slots of a ring contain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

__all__ = ["RingLayout"]


@dataclass(frozen=True)
class RingLayout:
    """What a slot contains.

    Parameters
    ----------
    kind : {"voltage", "spectra", "bytes"}
        What the numbers are: "bytes" of a pipe may be anything.
    slot_rows : int
        Rows of the stream in a slot.
    n_part, part_bytes : int
        Packets of a slot, and bytes of the samples of each.
    dtype : str
        Type of a number: ``i1``, ``u1``, ``<i2``, ``<u2``, ``<f4``. For voltages, unsigned
        integers are offset binary.
    n_chan : int
        Channels of the stream.
    n_pol : int
        Polarisations or products of a packet. Those of a stream are ``n_pol`` times the number of
        packets that differ in polarisation.
    order : {"TFP", "TPF"}
        Whether polarisation or channel varies faster within a packet.
    bits : int
        Bits of a code of voltages that are packed in bytes, low bits first; 0 if they are not.
    levels : tuple of float
        Values of these codes.
    signed : tuple of bool
        For spectra, whether each product consists of signed numbers of the size of `dtype`.
    """

    kind: Literal["voltage", "spectra", "bytes"]
    slot_rows: int
    n_part: int
    part_bytes: int
    dtype: str = "i1"
    n_chan: int = 1
    n_pol: int = 1
    order: str = "TFP"
    bits: int = 0
    levels: tuple[float, ...] = ()
    signed: tuple[bool, ...] = ()

    @property
    def slot_bytes(self) -> int:
        """Bytes of the samples of a slot."""
        return self.n_part * self.part_bytes

    def bytes_to_keep(self, n_bytes: Fraction) -> int:
        """Return the bytes of a ring that keeps `n_bytes`: a third more, in whole slots."""
        return math.ceil(n_bytes * 4 / 3 / self.slot_bytes) * self.slot_bytes
