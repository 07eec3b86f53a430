"""Packets are put into a ring as the twin puts them, whatever they contain."""

import numpy as np
import pytest
from fastsig_kernels import _packet_loops, reference
from fastsig_kernels._packet_forms import VDIF, WORD, PacketForm
from fastsig_kernels._packet_loops import RESTARTED, flush_packets_nb, place_packets_nb
from fastsig_kernels._ring_words import COUNTER_AT, N_WORD, STATE_AT

ADC = PacketForm(WORD, 8 + 32, 8, 2, reorder=6, confirm=3, most_jump=10_000, mask=1 << 63,
                 value=1 << 63, beam_mask=31 << 57, beam=5 << 57, part_bit=56)
SPECTRA = ADC._replace(n_part=4, value=0, split_bits=1)
FRAMES = PacketForm(VDIF, 32 + 16, 32, 2, reorder=6, confirm=3, mask=3 << 30 | 63 << 56,
                    value=42 << 56, mask_2=0x1FFFFFFF | 0xFC << 56, value_2=6 | 4 << 56,
                    per_second=1000, threads=(3, 1))
N_SLOT = 32


class Ring:
    """A ring in memory, and the kernel that fills it."""

    def __init__(self, form, kernel=place_packets_nb):
        self.form, self.kernel, self.table = form, kernel, form.table()
        self.held, self.held_raw, self.todo = form.held()
        self.words = np.zeros(N_WORD, np.int64)
        self.numbers = np.full((N_SLOT, form.n_part), -1)
        self.samples = form.packet_bytes - form.header_bytes
        self.payload = np.zeros(N_SLOT * form.n_part * self.samples, np.uint8)

    def add(self, packets, senders):
        stride = self.form.packet_bytes + 8
        raw = np.zeros(len(packets) * stride, np.uint8)
        for i, packet in enumerate(packets):
            some = packet[:stride]
            raw[i * stride : i * stride + len(some)] = np.frombuffer(some, np.uint8)
        sizes = np.array([len(packet) if len(packet) <= stride else -1 for packet in packets])
        return self.kernel(self.table, raw, stride, sizes, np.array(senders), len(packets),
                           self.held, self.held_raw, self.todo, self.words, self.numbers,
                           self.payload)

    def state(self, name):
        return int(self.words[STATE_AT[name]])

    def count(self):
        return {name: int(self.words[at]) for name, at in COUNTER_AT.items()}


def packet(form, slot, part, rng, **other):
    """Return a packet with random samples."""
    if form.kind == VDIF:
        second, frame = divmod(slot, form.per_second)
        thread = form.threads[part] if part < len(form.threads) else 9
        first = form.value | second | frame << 32
        head = first.to_bytes(8, "little") + (
            form.value_2 | thread << 48).to_bytes(8, "little") + bytes(16)
    else:
        split = form.split_bits
        count = (slot << split | part % 2**split) % 2**56
        beam = other.get("beam", form.beam >> 57)
        head = (form.value | beam << 57 | part >> split << 56 | count).to_bytes(8, "little")
    return head + rng.bytes(form.packet_bytes - form.header_bytes)


def stream(form, rng, first=10, n=400):
    """Return packets with everything that may happen to them, and their senders."""
    order = [(slot, part) for slot in range(first, first + n) for part in range(form.n_part)]
    order = [each for each in order if rng.random() > 0.05 and not 90 < each[0] - first < 190]
    place = np.arange(len(order)) + rng.uniform(0, 3 * form.n_part, len(order))
    packets = []
    for i in np.argsort(place):
        made = packet(form, *order[i], rng)
        packets += [made] * (1 + (rng.random() < 0.05))
        kind = rng.integers(0, 40)
        if kind < 7:
            packets.append([
                made[:-1], made + b"x", rng.bytes(form.packet_bytes), b"", made * 3,
                packet(form, order[i][0], order[i][1], rng, beam=7),
                packet(form, (order[i][0] + int(rng.integers(-3000, 10**6))) % 2**40,
                       order[i][1], rng)][kind])
    senders = rng.choice([7, 7, 7, 7, 9], len(packets))
    senders[:30] = 7
    return packets, senders


def compare(form, packets, senders, kernel=place_packets_nb, piece=50):
    """Add packets to a ring and to the twin, in pieces."""
    ring, twin = Ring(form, kernel), reference.PacketRing(form, N_SLOT)
    for first in range(0, len(packets), piece):
        some = slice(first, first + piece)
        status = ring.add(packets[some], senders[some])
        for one, sender in zip(packets[some], senders[some], strict=True):
            if restarted := twin.add(one, int(sender)):
                break
        assert (status == RESTARTED) == restarted
        if restarted:
            break
    assert ring.count() == twin.count
    assert (ring.state("highest"), ring.state("head")) == (twin.highest, twin.head)
    payload = ring.payload.reshape(N_SLOT, form.n_part, -1)
    for place in range(N_SLOT):
        for part in range(form.n_part):
            slot, samples = twin.places.get((place, part), (-1, None))
            assert ring.numbers[place, part] == slot
            if samples:
                assert payload[place, part].tobytes() == samples
    return ring, twin


@pytest.mark.parametrize("name", ["ADC", "SPECTRA", "FRAMES"])
def test_a_stream_with_all_faults(name):
    form = globals()[name]
    rng = np.random.default_rng(1)
    ring, _ = compare(form, *stream(form, rng))
    count = ring.count()
    assert all(count[key] for key in ("placed", "lost", "duplicate", "bad_length", "jumps",
                                      "other_sender", "unconfirmed")), count
    given = sum(count[key] for key in list(COUNTER_AT)[1:9])
    assert count["received"] == given + ring.held[0]


def test_nothing_outside_of_the_arrays_is_touched(monkeypatch):
    """In Python, all accesses are checked."""
    for name, value in list(vars(_packet_loops).items()):
        if hasattr(value, "py_func"):
            monkeypatch.setattr(_packet_loops, name, value.py_func)
    rng = np.random.default_rng(2)
    compare(ADC, *stream(ADC, rng, n=300), kernel=place_packets_nb.py_func)


def test_random_bytes_alone():
    rng = np.random.default_rng(3)
    packets = [rng.bytes(ADC.packet_bytes) for _ in range(2000)]
    ring, _ = compare(ADC, packets, np.full(2000, 7))
    assert not ring.state("started") and ring.state("head") == 0


@pytest.mark.parametrize("first", [2**56 - 20, 2**56 - 1, 0, 2**55])
def test_counters_begin_again_after_the_largest(first):
    rng = np.random.default_rng(4)
    packets = [packet(ADC, (first + slot) % 2**56, part, rng)
               for slot in range(60) for part in range(2)]
    ring, _ = compare(ADC, packets, np.full(120, 7))
    assert (ring.count()["placed"], ring.count()["lost"], ring.state("highest")) == (120, 0, 60)
    assert ring.state("first") == first


def test_a_start_is_the_lowest_of_the_packets_that_confirm_it():
    rng = np.random.default_rng(5)
    packets = [packet(ADC, slot, 0, rng) for slot in (2**56 - 1, 102, 101, 103)]
    ring, _ = compare(ADC, packets, np.full(4, 7))
    assert ring.state("first") == 101 and ring.count()["unconfirmed"] == 1


def test_a_start_at_an_impossible_counter_is_not_believed():
    form = ADC._replace(most_first=10**6)
    packets = [*sent(form, range(2**56 - 30, 2**56 - 1)), *sent(form, range(10**6, 10**6 + 20))]
    ring, _ = compare(form, packets, np.full(len(packets), 7))
    assert ring.state("first") == 10**6 and ring.count()["unconfirmed"] == 58


def sent(form, slots, seed=6):
    rng = np.random.default_rng(seed)
    return [packet(form, slot, part, rng) for slot in slots for part in range(form.n_part)]


def test_jumps_are_believed_if_packets_agree_and_a_single_one_is_not():
    packets = [*sent(ADC, range(20)), *sent(ADC, [5000]), *sent(ADC, range(20, 40)),
               *sent(ADC, range(5000, 5020))]
    ring, _ = compare(ADC, packets, np.full(len(packets), 7))
    count = ring.count()
    assert (count["jumps"], count["unconfirmed"], ring.state("highest")) == (1, 2, 5020)
    assert count["lost"] == 2 * (5000 - 40)


@pytest.mark.parametrize("to", [-3000, 20_000])
def test_a_counter_that_goes_back_or_too_far_ends_the_stream(to):
    packets = [*sent(ADC, range(5000, 5040)), *sent(ADC, range(5000 + to, 5040 + to))]
    ring, _ = compare(ADC, packets, np.full(len(packets), 7))
    assert ring.state("highest") == 40 and ring.held[0] == 3


def test_packets_from_before_and_after_a_jump_may_be_mixed():
    before, after = sent(ADC, range(20)), sent(ADC, range(28, 56))
    mixed = [each for pair in zip(before[-8:], after[4:12], strict=True) for each in pair]
    packets = [*before[:-8], *after[:4], *mixed, *after[12:]]
    ring, _ = compare(ADC, packets, np.full(len(packets), 7))
    count = ring.count()
    assert (count["placed"], count["late"], count["unconfirmed"]) == (96, 0, 0)
    flush_packets_nb(ring.words, ring.numbers, ring.held, 1)
    assert (ring.count()["jumps"], ring.count()["lost"], ring.state("head")) == (1, 16, 56)


def test_nothing_is_put_into_a_gap():
    form = ADC._replace(reorder=2)
    packets = [*sent(form, range(20)), *sent(form, range(30, 32)), *sent(form, [25]),
               *sent(form, range(32, 50))]
    ring, _ = compare(form, packets, np.full(len(packets), 7))
    assert ring.count()["unconfirmed"] == 2 and 25 not in ring.numbers


def test_late_packets_are_counted_and_change_nothing():
    packets = [*sent(ADC, range(9)), *sent(ADC, range(10, 30)), *sent(ADC, [9, 8, 20], seed=9)]
    ring, _ = compare(ADC, packets, np.full(len(packets), 7))
    count = ring.count()
    assert (count["late"], count["duplicate"], count["lost"]) == (2, 4, 2)
    assert ring.state("head") == 24
    flush_packets_nb(ring.words, ring.numbers, ring.held, 1)
    assert ring.state("head") == 30 and ring.count()["lost"] == 2


def test_a_pause_within_a_slot_loses_nothing():
    packets = sent(ADC, range(20))
    ring, _ = compare(ADC, packets[:25], np.full(25, 7))
    flush_packets_nb(ring.words, ring.numbers, ring.held, 0)
    assert (ring.state("head"), ring.count()["lost"]) == (12, 0)  # slot 12 has only one packet
    ring.add(packets[25:], np.full(15, 7))
    flush_packets_nb(ring.words, ring.numbers, ring.held, 0)
    count = ring.count()
    assert (count["placed"], count["late"], count["lost"], ring.state("head")) == (40, 0, 0, 20)


def test_another_sender_does_not_keep_the_first_one_from_starting():
    packets = [each for pair in zip(sent(ADC, range(20)), sent(ADC, range(900, 920)), strict=True)
               for each in pair]
    ring, _ = compare(ADC, packets, np.tile([7, 9], len(packets) // 2))
    assert (ring.count()["placed"], ring.count()["other_sender"]) == (40, 40)


def test_a_first_sender_that_falls_silent_gives_way():
    packets = [*sent(ADC, [3]), *sent(ADC, range(900, 980))]
    ring, _ = compare(ADC, packets, np.array([9] * 2 + [7] * 160))
    assert ring.count()["unconfirmed"] == 2 and ring.state("first") > 900


def test_forms_that_cannot_be():
    with pytest.raises(ValueError, match="allowed 1 to 64 packets that confirm"):
        ADC._replace(confirm=65).table()
