"""The packets of FAST's backend in which simulated recordings are sent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.simulate import components as parts
from fastsig.simulate.engine import FastVoltage
from fastsig.simulate.network import Network
from fastsig.simulate.spectra import FastSpectra
from fastsig.simulate.values import scalar

__all__ = ["HEAD", "PAYLOAD", "Packets", "Repeated", "packets_of"]

#: Bytes of a header, and of the samples of a packet.
HEAD, PAYLOAD = 8, 4096
_COUNT = 2**56 - 1


class Packets(ABC):
    """The packets of a recording: `n_slot` slots of `n_part` packets."""

    n_part: int
    n_slot: int
    slots_per_second: Fraction

    @abstractmethod
    def made(self, slot: int, n: int) -> NDArray[np.uint8]:
        """Return the samples of packets, (slot, part, byte)."""

    @abstractmethod
    def kept(self, slot: int, n: int) -> NDArray[np.bool_]:
        """Whether packets are not lost in the recording, (slot, part)."""

    @abstractmethod
    def heads(self, slot: NDArray[np.int64], part: NDArray[np.int64], network: Network
              ) -> NDArray[np.uint64]:
        """Return the headers of packets."""


class _Samples(Packets):
    """8-bit samples of one polarisation in each packet."""

    n_part = 2

    def __init__(self, recording: FastVoltage) -> None:
        self._recording = recording
        self.n_slot = recording.n_time // PAYLOAD
        self.slots_per_second = recording.header.sample_rate / PAYLOAD

    def made(self, slot: int, n: int) -> NDArray[np.uint8]:
        data, _ = self._recording.generate(slot * PAYLOAD, n * PAYLOAD)
        by_pol = data.T.reshape(self.n_part, n, PAYLOAD)
        return np.ascontiguousarray(by_pol.swapaxes(0, 1)).view(np.uint8)

    def kept(self, slot: int, n: int) -> NDArray[np.bool_]:
        kept = np.zeros((n, self.n_part), bool)
        for part, spans in enumerate(self._recording.valid(slot * PAYLOAD, n * PAYLOAD)):
            for first, stop in (spans // parts.PACKET - slot).tolist():
                kept[first:stop, part] = True
        return kept

    def heads(self, slot: NDArray[np.int64], part: NDArray[np.int64], network: Network
              ) -> NDArray[np.uint64]:
        fixed = np.uint64(3 << 62 | network.beam << 57)
        return np.asarray((slot + network.first & _COUNT | part << 56).astype(np.uint64) | fixed)


class _Spectra(Packets):
    """Two products of half of the channels, 8 bits each, in each packet."""

    n_part = 4

    def __init__(self, recording: FastSpectra) -> None:
        if recording.n_chan != PAYLOAD:
            raise UsageError(f"spectra of {recording.n_chan} channels; allowed in packets: "
                             f"{PAYLOAD}")
        self._recording, self.n_slot = recording, recording.n_time
        self.slots_per_second = recording.header.sample_rate

    def made(self, slot: int, n: int) -> NDArray[np.uint8]:
        values = np.rint(np.nan_to_num(self._recording.generate(slot, n)[0]))
        codes = np.empty(values.shape, np.uint8)
        codes[:, :2] = np.clip(values[:, :2], 0, 255)
        codes[:, 2:] = np.clip(values[:, 2:], -128, 127).astype(np.int8).view(np.uint8)
        halves = codes.reshape(n, 2, 2, 2, PAYLOAD // 2)  # kind, product of it, half, channel
        return np.ascontiguousarray(halves.transpose(0, 1, 3, 4, 2)).reshape(n, 4, PAYLOAD)

    def kept(self, slot: int, n: int) -> NDArray[np.bool_]:
        return np.repeat(self._recording.kept(slot, n)[:, np.newaxis], self.n_part, axis=1)

    def heads(self, slot: NDArray[np.int64], part: NDArray[np.int64], network: Network
              ) -> NDArray[np.uint64]:
        fixed = np.uint64(1 << 62 | network.beam << 57)
        counter = 2 * (slot + network.first) + part % 2 & _COUNT
        return np.asarray((counter | part // 2 << 56).astype(np.uint64) | fixed)


class Repeated(Packets):
    """The first packets of a recording, again and again."""

    def __init__(self, source: Packets, n_cycle: int) -> None:
        self._source, self.n_part, self.n_slot = source, source.n_part, source.n_slot
        self.slots_per_second = source.slots_per_second
        n = min(n_cycle, source.n_slot)
        self.all, self._kept = source.made(0, n), source.kept(0, n)

    def made(self, slot: int, n: int) -> NDArray[np.uint8]:
        """Return the samples of packets, (slot, part, byte)."""
        return self.all[np.arange(slot, slot + n) % len(self.all)]

    def kept(self, slot: int, n: int) -> NDArray[np.bool_]:
        """Whether packets are not lost in the recording, (slot, part)."""
        return self._kept[np.arange(slot, slot + n) % len(self._kept)]

    def heads(self, slot: NDArray[np.int64], part: NDArray[np.int64], network: Network
              ) -> NDArray[np.uint64]:
        """Return the headers of packets."""
        return self._source.heads(slot, part, network)


def packets_of(recording: FastVoltage | FastSpectra, cycle: Any) -> Packets:
    """Return the packets of a recording."""
    if not isinstance(recording, (FastVoltage, FastSpectra)):
        raise UsageError("coarse channels cannot be sent as packets; allowed: real voltages and "
                         "spectra")
    packets: Packets = (_Samples(recording) if isinstance(recording, FastVoltage)
                         else _Spectra(recording))
    if not packets.n_slot:
        raise UsageError(f"the recording is shorter than a packet of {PAYLOAD} samples")
    if cycle is None:
        return packets
    n_cycle = int(scalar(cycle, "s", "cycle") * packets.slots_per_second)
    if n_cycle < 1:
        raise UsageError(f"cycle = {cycle!r} is shorter than a packet")
    return Repeated(packets, n_cycle)
