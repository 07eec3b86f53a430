"""Bitshuffle with LZ4 and Fletcher-32: inverse, beside twins and libraries, whatever the bytes."""

import h5py
import hdf5plugin
import numpy as np
import pytest
from fastsig_kernels import (
    _bit_planes,
    _lz4,
    compress_planes,
    compress_work_bytes,
    compressed_bound,
    expand_planes,
    expand_work_bytes,
    fletcher32,
    reference,
)
from fastsig_kernels.bitshuffle import compress_planes_nb, expand_planes_nb
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import many

ITEMS = (1, 2, 4, 8)
GUARD = 64


def numbers(item, n, seed=1):
    """Noise, a ramp, equal values and random bytes: what planes may be like."""
    rng = np.random.default_rng(seed)
    kind = {1: "u1", 2: "i2", 4: "f4", 8: "f8"}[item]
    return {
        "noise": (100 * rng.gamma(16, 1 / 16, n)).astype(kind),
        "ramp": np.arange(n).astype(kind),
        "equal": np.full(n, 3, kind),
        "bytes": rng.integers(0, 256, n * item, np.uint8).view(kind),
    }


@pytest.mark.parametrize("item", ITEMS)
@pytest.mark.parametrize("n", [8, 72, 128, 520, 1000])
def test_planes(item, n):
    """Vectors of every width, and what is left; nothing beside is written."""
    x = numbers(item, n)["bytes"]
    planes, spec = reference.bit_planes(x), _bit_planes.spec_of(item)
    work, found = np.empty(x.nbytes, np.uint8), np.zeros(x.nbytes + GUARD, np.uint8)
    source = np.concatenate([np.zeros(5, np.uint8), x.view(np.uint8)])
    _bit_planes.scatter_bits_nb(spec, source, 5, n, work, found)
    np.testing.assert_array_equal(found[: x.nbytes], planes)
    assert not found[x.nbytes :].any()
    back = np.zeros(x.nbytes + GUARD, np.uint8)
    _bit_planes.gather_bits_nb(spec, planes, n, work, back, 7)
    np.testing.assert_array_equal(back[7 : 7 + x.nbytes], x.view(np.uint8))
    assert not back[:7].any() and not back[7 + x.nbytes :].any()


@pytest.mark.parametrize("item", ITEMS)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 23, 8192, 20011])
def test_inverse_and_twin(item, n):
    for name, x in numbers(item, n).items():
        packed = compress_planes(x)
        expected = x.view(np.uint8)
        np.testing.assert_array_equal(expand_planes(packed, item), expected, err_msg=name)
        assert reference.expand_planes(packed.tobytes(), item) == expected.tobytes(), name


@pytest.mark.parametrize("item", ITEMS)
def test_the_library_reads_ours_and_we_its(item, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for n in (1, 8, 5003, 40000):
            for name, x in numbers(item, n).items():
                made = [file.create_dataset(f"{name} {n} {mine}", shape=n, dtype=x.dtype, chunks=n,
                                            fletcher32=True, **hdf5plugin.Bitshuffle())
                        for mine in (0, 1)]
                made[0][...] = x
                file.flush()
                theirs = np.frombuffer(made[0].id.read_direct_chunk((0,))[1], np.uint8)
                check = int.from_bytes(theirs[-4:].tobytes(), "little")
                assert fletcher32(theirs[:-4]) == check
                np.testing.assert_array_equal(expand_planes(theirs[:-4], item), x.view(np.uint8))
                ours = compress_planes(x)
                checked = ours.tobytes() + fletcher32(ours).to_bytes(4, "little")
                made[1].id.write_direct_chunk((0,), checked)
                np.testing.assert_array_equal(made[1][()].view(np.uint8), x.view(np.uint8))
                assert len(checked) <= 1.03 * theirs.size + 8, (name, n)


@given(st.binary(max_size=300), st.integers(0, 40), st.sampled_from(ITEMS),
       st.sampled_from([8, 16, 256, None]))
@settings(max_examples=many(50, 150), deadline=None)
def test_any_bytes_come_back(data, repeats, item, block):
    data = (data * (1 + repeats))[: len(data) * (1 + repeats) // item * item]
    x = np.frombuffer(data, f"u{item}")
    packed = compress_planes(x, block=block)
    assert packed.size <= compressed_bound(x.nbytes, item, block=block)
    assert expand_planes(packed, item).tobytes() == data
    assert reference.expand_planes(packed.tobytes(), item) == data


@pytest.mark.parametrize("item", ITEMS)
def test_any_part(item):
    """The bytes that are wanted, and no others, from within blocks and across them."""
    x = numbers(item, 10_007)["noise"]
    packed, octets = compress_planes(x, block=1024 // item), x.view(np.uint8)
    work = np.empty(expand_work_bytes(packed, item), np.uint8)
    for first, n in ((0, 0), (0, 5), (1000, 48), (1023, 2), (1024, 1024), (2000, 7000),
                     (octets.size - 9, 9), (octets.size, 0)):
        whole = np.full(n + 2 * GUARD, 77, np.uint8)
        expand_planes(packed, item, first=first, out=whole[GUARD : GUARD + n], work=work)
        np.testing.assert_array_equal(whole[GUARD : GUARD + n], octets[first : first + n])
        assert (whole[:GUARD] == 77).all() and (whole[GUARD + n :] == 77).all()


def test_one_form_serves_arrays_that_may_be_written_to_and_others():
    x = np.arange(64, dtype=np.uint16)
    packed = compress_planes(x)
    expand_planes(packed, 2)
    n_form = [len(kernel.overloads) for kernel in (compress_planes_nb, expand_planes_nb)]
    x.flags.writeable = packed.flags.writeable = False
    assert compress_planes(x).tobytes() == packed.tobytes()
    assert expand_planes(packed, 2).tobytes() == x.tobytes()
    assert n_form == [len(kernel.overloads) for kernel in (compress_planes_nb, expand_planes_nb)]


def test_blocks_that_are_wanted_alone_are_looked_at():
    x = numbers(4, 8192)["noise"]
    packed = compress_planes(x).copy()
    packed[30:50] ^= 255  # in the first of four blocks
    np.testing.assert_array_equal(expand_planes(packed, 4, first=8192), x.view(np.uint8)[8192:])


def test_equal_bits_whatever_was_in_the_scratch():
    x = numbers(4, 30_000)["noise"]
    expected = compress_planes(x).tobytes()
    for fill in (0, 255):
        out = np.full(compressed_bound(x.nbytes, 4), fill, np.uint8)
        work = np.full(compress_work_bytes(4), fill, np.uint8)
        assert compress_planes(x.reshape(3, -1), out=out, work=work).tobytes() == expected


def damaged(packed, rng):
    """Some bytes changed, or the end cut off."""
    changed = packed.copy()
    if rng.random() < 0.2:
        return changed[: rng.integers(0, changed.size)].copy()
    for _ in range(rng.integers(1, 4)):
        changed[rng.integers(0 if rng.random() < 0.3 else 12, changed.size)] = rng.integers(0, 256)
    return changed


@pytest.mark.parametrize("item", [1, 4])
@pytest.mark.parametrize("name", ["noise", "ramp", "equal"])
def test_damaged_bytes(item, name):
    """An error, or what the twin finds too; what lies around the arrays stays as it was."""
    rng = np.random.default_rng(5)
    packed, errors = compress_planes(numbers(item, 1003)[name], block=512 // item), 0
    for _ in range(400):
        changed = damaged(packed, rng)
        around = rng.integers(0, 256, changed.size + 2 * GUARD, np.uint8)
        around[GUARD:-GUARD] = changed
        before, within = around.copy(), around[GUARD : GUARD + changed.size]
        found = np.full(1003 * item + 2 * GUARD, 77, np.uint8)
        try:
            expand_planes(within, item, out=found[GUARD:-GUARD])
        except ValueError:
            errors += 1
        else:
            expected = reference.expand_planes(changed.tobytes(), item)
            assert found[GUARD:-GUARD].tobytes() == expected[: 1003 * item]
        assert (found[:GUARD] == 77).all() and (found[-GUARD:] == 77).all()
        np.testing.assert_array_equal(around, before)
    assert errors > 50


def checked(monkeypatch):
    """The expanding kernel as Python runs it: each byte outside of an array is an IndexError."""
    one = np.zeros(_lz4.SLACK, np.uint8)
    _lz4.expand_nb(one, 0, 0, one.copy(), 0)  # compiled before it calls what numba cannot
    monkeypatch.setattr(_lz4, "_repeat_nb", _lz4._repeat_nb.py_func)
    return _lz4.expand_nb.py_func


def block_of(data):
    """An LZ4 block, and what it holds, as arrays with room."""
    source = np.frombuffer(data, np.uint8).copy()
    target = np.empty(_lz4.bound(source.size), np.uint8)
    table = np.empty(_lz4.TABLE, np.uint16)
    n = _lz4.compress_nb(source, 0, source.size, target, 0, table)
    return target[:n].copy()


@given(st.binary(min_size=1, max_size=40), st.integers(1, 12), st.data())
@settings(max_examples=many(40, 100), deadline=None)
def test_no_byte_outside_is_touched(data, repeats, draw):
    """In Python, where every place is checked; with room of just the size that is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        expand, whole = checked(patch), data * repeats
        block = block_of(whole)
        for _ in range(4):
            changed = block.copy()
            for _ in range(draw.draw(st.integers(0, 3))):
                changed[draw.draw(st.integers(0, block.size - 1))] = draw.draw(st.integers(0, 255))
            out = np.zeros(len(whole) + _lz4.SLACK, np.uint8)
            good = expand(changed, 0, changed.size, out, len(whole))
            compiled = np.zeros_like(out)
            assert _lz4.expand_nb(changed, 0, changed.size, compiled, len(whole)) == good
            np.testing.assert_array_equal(compiled, out)
            try:
                expected = reference.expand_lz4(changed.tobytes())
            except ValueError:
                assert not good
            else:
                assert good == (len(expected) == len(whole))
                assert not good or out[: len(whole)].tobytes() == expected


def twin_of(block, n):
    """Whether a block is one of `n` bytes."""
    try:
        return len(reference.expand_lz4(block.tobytes())) == n
    except ValueError:
        return False


def test_blocks_cut_anywhere_and_room_of_any_size(monkeypatch):
    rng = np.random.default_rng(8)
    literals, few = rng.integers(0, 256, 90, np.uint8), rng.integers(0, 4, 60, np.uint8)
    data = np.concatenate([literals, few, np.zeros(300, np.uint8), literals[:50]]).tobytes()
    block, expand = block_of(data), checked(monkeypatch)
    for stop in range(block.size + 1):
        part = block[:stop].copy()
        for n in (0, 1, 30, 89, 200, len(data) - 1, len(data), len(data) + 1):
            out = np.zeros(n + _lz4.SLACK, np.uint8)
            assert expand(part, 0, stop, out, n) == twin_of(part, n), (stop, n)
            # Bytes that follow the block do not count.
            assert _lz4.expand_nb(block, 0, stop, out, n) == twin_of(part, n), (stop, n)


def test_compressing_stays_within(monkeypatch):
    block_of(b"compiled")
    for name in ("_find_nb", "_length_nb", "_sequence_nb", "_lengths_nb", "_hash_nb"):
        monkeypatch.setattr(_lz4, name, getattr(_lz4, name).py_func)
    rng = np.random.default_rng(3)
    table = np.empty(_lz4.TABLE, np.uint16)
    for n in (0, 1, 12, 13, 14, 20, 300, 1500):
        for source in (rng.integers(0, 256, n, np.uint8), rng.integers(0, 2, n, np.uint8),
                       np.zeros(n, np.uint8)):
            target = np.zeros(_lz4.bound(n), np.uint8)
            end = _lz4.compress_nb.py_func(source, 0, n, target, 0, table)
            assert target[:end].tobytes() == block_of(source.tobytes()).tobytes()
            assert reference.expand_lz4(target[:end].tobytes()) == source.tobytes()


@pytest.mark.parametrize("change", [
    lambda p: p[:11], lambda p: p[:-1], lambda p: np.append(p, np.uint8(0)),
    lambda p: np.concatenate([p[:8], np.array([0, 0, 0, 0], np.uint8), p[12:]]),
    lambda p: np.concatenate([p[:8], np.array([0, 0, 0, 12], np.uint8), p[12:]]),
    lambda p: np.concatenate([np.full(8, 255, np.uint8), p[8:]]),
    lambda p: np.concatenate([p[:7], np.array([3], np.uint8), p[8:]]),
])
def test_what_cannot_be(change):
    packed = compress_planes(numbers(4, 99)["noise"])
    with pytest.raises(ValueError, match="packed"):
        expand_planes(change(packed), 4)


def test_arguments():
    packed = compress_planes(np.zeros(100, np.float32))
    with pytest.raises(ValueError, match="item_bytes: found 3"):
        expand_planes(packed, 3)
    with pytest.raises(ValueError, match="out: found 401 bytes"):
        expand_planes(packed, 4, out=np.empty(401, np.uint8))
    with pytest.raises(ValueError, match="work: found 5 bytes"):
        expand_planes(packed, 4, work=np.empty(5, np.uint8))
    with pytest.raises(ValueError, match="allowed C-contiguous"):
        expand_planes(np.repeat(packed, 2)[::2], 4)
    with pytest.raises(ValueError, match="block: found 12"):
        compress_planes(np.zeros(100, np.float32), block=12)
    with pytest.raises(ValueError, match="out: found 9 bytes"):
        compress_planes(np.zeros(100, np.float32), out=np.empty(9, np.uint8))
    with pytest.raises(TypeError, match="allowed numbers of 1, 2, 4 or 8 bytes"):
        compress_planes(np.zeros(100, np.complex64))
    with pytest.raises(TypeError, match=r"allowed numpy\.ndarray"):
        fletcher32(b"bytes")


@given(st.binary(max_size=70))
@settings(deadline=None)
def test_fletcher_of_any_bytes(data):
    assert fletcher32(np.frombuffer(data, np.uint8)) == reference.fletcher32(data)


@pytest.mark.parametrize("n", [16383, 16384, 16385, 50_001])
@pytest.mark.parametrize("fill", [None, 0, 255])
def test_fletcher_of_long_runs(n, fill):
    rng = np.random.default_rng(n)
    data = rng.integers(0, 256, n + 1, np.uint8) if fill is None else np.full(n + 1, fill, np.uint8)
    for part in (data[:n], data[1:]):  # of any alignment
        assert fletcher32(part) == reference.fletcher32(part.tobytes())
