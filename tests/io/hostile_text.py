"""Other values in headers of text, and in options, for `hostile`."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

#: Values that make no sense, or too much of it, for text headers and overrides.
VALUES = (
    "-1", "0", "1", "2", "3", "4", "7", "16", "0.5", "-0", "65536", "2147483648", "1e18", "1e400",
    "1e-400", "1e999999999", "nan", "-inf", "99999999999999999999", "4611686018427387904", "0x10",
    "", "1/0", "1/3", "9" * 60, "9" * 400, "9" * 5000, "0." + "3" * 60, "\xe9\xff", "1_000", "\xb2",
    "'", "=", "12:61:99", "2016-12-31-23:59:60", "2026-02-30-00:00:00", "END", "TPF", "yes",
    "SIMPLE",
)


def _change_card(raw: bytearray, span: list[int], rng: np.random.Generator
                 ) -> tuple[bytearray, str]:
    """Another value of a card of 80 characters, or another card."""
    at = int(rng.integers(span[0] // 80, span[1] // 80)) * 80 if not span[0] % 80 else (
        span[0] + 80 * int(rng.integers((span[1] - span[0]) // 80)))
    key, value = raw[at : at + 8], str(rng.choice(VALUES)).encode("latin-1")
    if rng.random() < 0.2:  # the key is missing, or there twice
        key = bytearray(str(rng.choice(["", "NPOL", "PKTIDX", "DIRECTIO", "\xe9"])).encode(
            "latin-1").ljust(8))
    raw[at : at + 80] = (key + b"= " + value)[:80].ljust(80)
    return raw, f"card {bytes(raw[at : at + 80]).rstrip()!r} at byte {at}"


def _change_line(raw: bytearray, span: list[int], rng: np.random.Generator
                 ) -> tuple[bytearray, str]:
    """Another value in a line of KEY VALUE; the header takes as much room as before."""
    lines = bytes(raw[: span[1]]).splitlines()
    which = int(rng.integers(len(lines)))
    key, value = lines[which].split()[0], str(rng.choice(VALUES)).encode("latin-1")
    lines[which] = b"" if rng.random() < 0.1 else key + b" " + value
    raw[:4096] = b"\n".join((*lines, b""))[:4096].ljust(4096, b"\0")
    return raw, f"line {lines[which][:60]!r}"


def _change_stamp(raw: bytearray, span: list[int], rng: np.random.Generator
                  ) -> tuple[bytearray, str]:
    """Another value in a line of time stamps, or lines in another order."""
    lines = bytes(raw).splitlines()
    which = int(rng.integers(len(lines)))
    words = lines[which].split()
    words[rng.integers(len(words))] = str(rng.choice(VALUES)).encode("latin-1")
    lines[which] = b" ".join(words)
    if rng.random() < 0.2:
        lines[which] = lines[rng.integers(len(lines))]
    return bytearray(b"\n".join((*lines, b""))), f"line {which + 1} is {lines[which][:80]!r}"


def _change_word(raw: bytearray, span: list[int], rng: np.random.Generator
                 ) -> tuple[bytearray, str]:
    """Another value in a line of KEY=VALUE, or a key that is unknown, missing or there twice."""
    words = bytes(raw[span[0] : span[1]]).split()
    which, kind = int(rng.integers(len(words))), rng.random()
    key, mark, _ = words[which].partition(b"=")
    value = str(rng.choice(VALUES)).encode("latin-1")
    if kind < 0.2:
        words.insert(which + 1, b"unheard_of=" + value)
    elif kind < 0.3:
        words.insert(int(rng.integers(1, len(words) + 1)), words[which])
    elif kind < 0.4:
        del words[which]
    else:
        words[which] = key + mark + value
    line = b" ".join(words)
    return raw[: span[0]] + line + b"\n" + raw[span[1] :], f"the line is {line[:200]!r}"


def other_overrides(given: dict[str, Any], rng: np.random.Generator) -> tuple[str, dict[str, Any]]:
    """Overrides some of which make no sense."""
    sound: dict[str, tuple[Any, ...]] = {
        "n_bits": ("8", "16", "32", 16), "complex": ("yes", "no"), "n_pol": ("1", "2"),
        "n_chan": ("1", "3", "1000", "1048575"), "order": ("TFP", "TPF"),
        "encoding": ("twos", "offset"), "byte_order": ("little", "big"),
        "sample_rate": ("1MHz", "200/3", 1e6), "start_time": ("2016-12-31T23:59:60.5",),
        "frequency": ("1400MHz", "1 mHz"), "sideband": ("lower",), "feed": ("linear",),
        "telescope": ("FAST",), "source": ("x",), "colour": ("red",)}
    changed = dict(given)
    for key in rng.choice(sorted(sound), rng.integers(1, 6), replace=False).tolist():
        values = (*VALUES, None, -1, 0.5, float("nan"), True) if rng.random() < 0.4 else sound[key]
        changed[key] = values[rng.integers(len(values))]
        if rng.random() < 0.05:
            del changed[key]
    return ", ".join(f"{key}={value!r:.60}" for key, value in changed.items()), changed


_FITS = (
    "0", "1", "-1", "2", "7", "8", "-64", "16.5", "999", "2147483648", "9223372036854775807",
    "99999999999999999999", "1E300", "1E-400", "1E9999", "NAN", "-INF", "1/0", "T", "*", "", "''",
    "'1E'", "'0D'", "'99999999999E'", "'16A'", "'1PE(9)'", "'1QD(99999999)'", "'9Z'", "'3X'",
    "'-1E'", "'(4,16)'", "'(1,16,2,8)'", "'(0)'", "'(99999999,99999999)'", "'(1,1,1,1,1,1,1)'",
    "'BINTABLE'", "'IMAGE'", "'SUBINT'", "'SINGLE DISH'", "'\xe9\xff'", "'unclosed", "'text'",
    "'2021-02-30T25:61:61'",
)
_LAYOUT = ("NAXIS", "NAXIS1", "NAXIS2", "BITPIX", "PCOUNT", "GCOUNT", "TFIELDS", "XTENSION",
           "EXTNAME", "THEAP", "TSCAL7", "TZERO7", "TNULL7", "NCHAN", "NPOL", "NBITS", "NSBLK",
           "TBIN", "CHAN_BW", "ZERO_OFF")


def _change_fits(raw: bytearray, span: list[int], rng: np.random.Generator
                 ) -> tuple[bytearray, str]:
    """Another card, one that tells of the layout every other time, or another number in a row."""
    if span[1] - span[0] <= 8:
        return _change_number(raw, span, rng)
    places = [at for at in range(span[0], span[1], 80) if raw[at + 8 : at + 10] == b"= "]
    layout = [at for at in places if bytes(raw[at : at + 8]).rstrip(b" 0123456789").decode() in (
        "NAXIS", "BITPIX", "PCOUNT", "GCOUNT", "TFIELDS", "TFORM", "TDIM", "TTYPE", "EXTNAME",
        "XTENSION")]
    at = int(rng.choice(layout if layout and rng.random() < 0.5 else places))
    key, value = bytes(raw[at : at + 8]), str(rng.choice(_FITS)).encode("latin-1")
    kind = rng.random()
    if kind < 0.15:  # another one in its place
        key = str(rng.choice(_LAYOUT)).encode().ljust(8)
    card = (key + b"= " + value.rjust(20))[:80].ljust(80)
    if kind > 0.9:
        card = b" " * 80 if kind < 0.97 else b"END".ljust(80)
    raw[at : at + 80] = card
    return raw, f"card {card.rstrip()!r} at byte {at}"


def _change_number(raw: bytearray, span: list[int], rng: np.random.Generator
                   ) -> tuple[bytearray, str]:
    """A number of a row that makes no sense, or a text."""
    size = span[1] - span[0]
    floats = (np.nan, np.inf, -np.inf, 0, -1, 1e300, 5e-324, 1e18, -1e5, 88000.5)
    kind = {4: ">f4", 8: ">f8"}.get(size)
    if kind and rng.random() < 0.8:
        with np.errstate(over="ignore", under="ignore"):
            new = np.array(floats[rng.integers(len(floats))]).astype(kind).tobytes()
    else:
        new = [b"\0" * size, b"\xff" * size, b"\x7f" + b"\xff" * (size - 1), b" " * size,
               b"\x80" + b"\0" * (size - 1)][rng.integers(5)]
    raw[span[0] : span[1]] = new
    return raw, f"number {new!r} at byte {span[0]}"


_KEYWORDS = {
    "telescope_id": "i", "data_type": "i", "source_name": "s", "src_raj": "d", "fch1": "d",
    "foff": "d", "nchans": "i", "nbits": "i", "tstart": "d", "tsamp": "d", "nifs": "i",
    "nsamples": "i", "signed": "b", "fchannel": "d", "HEADER_END": "", "FREQUENCY_START": "",
    "unheard_of": "d", "rawdatafile": "s", "npuls": "q", "x" * 90: "i", "\xe9": "i",
}


def _value(kind: str, rng: np.random.Generator) -> bytes:
    """Bytes of a value that makes no sense, mostly."""
    if kind == "s":
        n = int(rng.choice([0, 1, 5, 81, 4097, 2**31 - 1, -1]))
        return struct.pack("<i", n) + rng.bytes(min(max(n, 0), 5000))
    if kind == "d":
        values = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e300, 5e-324, 1e-10, 1e10, 58000.5)
        return struct.pack("<d", values[rng.integers(len(values))])
    limits = {"i": 2**31 - 1, "b": 127, "q": 2**63 - 1, "": 0}[kind]
    values = [each for each in (0, 1, 2, 3, 4, 7, 16, 32, 64, 65536, limits) if each <= limits]
    number = int(values[rng.integers(len(values))]) * int(rng.choice([1, 1, -1]))
    return struct.pack(f"<{kind}", number) if kind else b""


def _change_keyword(raw: bytearray, span: list[int], rng: np.random.Generator
                    ) -> tuple[bytearray, str]:
    """Another value of a keyword of SIGPROC's, a keyword that is missing, or one more."""
    head = bytes(raw[: span[1]])
    there = [key for key in _KEYWORDS
             if struct.pack("<i", len(key)) + key.encode("latin-1") in head]
    name = str(rng.choice(there if rng.random() < 0.75 else list(_KEYWORDS)))
    kind, key = _KEYWORDS[name], name.encode("latin-1")
    item = struct.pack("<i", len(key)) + key
    value = _value(kind, rng)
    at = head.find(item)
    if at < 0 or rng.random() < 0.1:  # right behind the beginning, or before the end
        at, stop = int(rng.choice([16, span[1] - 14])), 0
        new = item + value
    else:
        begin = at + len(item)
        size = {"s": 4 + int.from_bytes(head[begin : begin + 4], "little"), "": 0, "d": 8, "q": 8,
                "i": 4, "b": 1}[kind]
        stop = len(item) + size
        new = b"" if rng.random() < 0.15 else item + value
    return bytearray(raw[:at] + new + raw[at + stop :]), f"{name} is {new[len(item):][:20]!r}"


def _change_inf(raw: bytearray, span: list[int], rng: np.random.Generator
                ) -> tuple[bytearray, str]:
    """Another value in a line of PRESTO's header, a line that is missing, or one twice."""
    lines = bytes(raw).split(b"\n")
    which, kind = int(rng.integers(len(lines))), rng.random()
    label, mark, _ = lines[which].partition(b"=  ")
    if kind < 0.1:
        lines[which] = b""
    elif kind < 0.2:
        lines.insert(int(rng.integers(len(lines))), lines[which])
    elif mark:
        lines[which] = label + mark + str(rng.choice(VALUES)).encode("latin-1")
    return bytearray(b"\n".join(lines)), f"line {which + 1} is {lines[which][:90]!r}"


TEXT = {"cards": _change_card, "lines": _change_line, "stamps": _change_stamp,
        "words": _change_word,
        "fits": _change_fits, "keywords": _change_keyword, "inf": _change_inf}
