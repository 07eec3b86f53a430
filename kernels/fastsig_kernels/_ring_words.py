"""Positions of the numbers that describe the state of a ring of packets in shared memory."""

#: State: whether the first packet has come, its counter, the slot after the highest one that has
#: come, the slots that may be read, whether nothing more will come and why, the number of rows
#: then, the times of the last sign of life and of the last packet (monotonic clock, ns), the number
#: of readers that the writer awaits and that have come, and the sender of the first packet.
STATE = ("started", "first", "highest", "head", "ended", "reason", "end_rows", "beat", "last",
         "n_expected", "n_attached", "sender")

#: Counters of packets. All but the last three add up to the first one.
COUNTERS = ("received", "placed", "late", "duplicate", "bad_length", "bad_header", "other_beam",
            "other_sender", "unconfirmed", "lost", "jumps", "kernel_drops")

#: Reasons for which a stream ended.
REASONS = ("", "ended", "stopped", "restarted", "writer died", "failed")

_AT = 32  # of the first counter
N_WORD = 64
STATE_AT = {name: number for number, name in enumerate(STATE)}
COUNTER_AT = {name: _AT + number for number, name in enumerate(COUNTERS)}
