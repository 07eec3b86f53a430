"""Memory of tables and work spaces."""

import gc
import os
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from fastsig_kernels import _pages
from fastsig_kernels._pages import PAGE, aligned


def place(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("n_byte", [0, 1, 63, 64, 65, 5000, PAGE // 2, PAGE // 2 + 1, 5 * PAGE + 3])
def test_bytes_are_zero_and_begin_on_a_line(n_byte):
    piece = aligned(n_byte)
    assert piece.shape == (n_byte,) and piece.dtype == np.uint8
    assert place(piece) % 64 == 0 and not piece.any()
    piece[:] = 255  # a later piece is nevertheless zero
    assert not aligned(n_byte).any()


def test_pieces_lie_side_by_side_in_a_page_and_never_overlap():
    first, second = aligned(PAGE // 2), aligned(PAGE // 2)
    sizes = np.random.default_rng(1).integers(1, PAGE // 8, 100)
    pieces = [first, second, *map(aligned, sizes.tolist())]
    spans = sorted((place(piece), place(piece) + piece.size) for piece in pieces)
    assert all(stop <= start for (_, stop), (start, _) in pairwise(spans))
    pages = {start // PAGE for start, _ in spans}
    assert len(pages) <= 2 + -(-2 * int(sizes.sum()) // PAGE)


def test_a_large_piece_begins_on_a_page():
    assert place(aligned(PAGE)) % PAGE == 0


def test_a_page_is_freed_with_its_last_piece():
    page = weakref.ref(aligned(PAGE).base)
    assert page() is None
    piece = aligned(100)
    gone = weakref.ref(piece.base)
    aligned(PAGE // 2), aligned(PAGE // 2), aligned(PAGE // 2)  # the newest page is another one
    gc.collect()
    assert gone() is not None
    del piece
    gc.collect()
    assert gone() is None


def test_lasting_tables_lie_in_pages_of_their_own():
    plan, table, again = aligned(64), aligned(64, lasting=True), aligned(64)
    assert place(plan) // PAGE == place(again) // PAGE != place(table) // PAGE


def test_plans_one_after_the_other_begin_at_the_same_place_of_a_page():
    """Otherwise they walk through it, and touch more memory with each plan."""
    _pages._rest.clear()
    for _ in range(3):
        piece = aligned(640)
        assert place(piece) % PAGE == 0
        piece[:] = 1
        gone = weakref.ref(piece.base)
        del piece
        assert gone() is None and not aligned(640).any()


def test_a_forked_process_has_pages_of_its_own():
    """To write to a page of its parent would copy it."""
    before = aligned(64)
    readable, writable = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writable, str(place(aligned(64)) // PAGE).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(readable, 100)) != place(before) // PAGE == place(aligned(64)) // PAGE
    os.close(readable), os.close(writable)


def test_threads_never_get_the_same_bytes():
    with ThreadPoolExecutor(8) as pool:
        pieces = list(pool.map(lambda k: (k, aligned(1000)), range(2000)))
    for k, piece in pieces:
        piece[:] = k % 256
    assert all((piece == k % 256).all() for k, piece in pieces)


def test_a_system_without_large_pages(monkeypatch):
    monkeypatch.delattr(_pages.mmap, "MADV_HUGEPAGE", raising=False)
    assert place(aligned(PAGE)) % PAGE == 0


@pytest.mark.parametrize(("n_byte", "large_pages"), [
    (2**46, True), (2**62, True), (2**63 - 1, True), (2**46, False), (2**62, False)])
def test_memory_that_the_system_refuses(n_byte, large_pages, monkeypatch):
    """As NumPy does: an OSError would be taken for one of a file."""
    if not large_pages:
        monkeypatch.delattr(_pages.mmap, "MADV_HUGEPAGE", raising=False)
    with pytest.raises(MemoryError):
        aligned(n_byte)


def test_a_page_that_the_system_refuses(monkeypatch):
    def refuse(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    aligned(PAGE // 2), aligned(64)
    with monkeypatch.context() as patch:
        patch.setattr(_pages.mmap, "mmap", refuse)
        with pytest.raises(MemoryError, match="unable to allocate"):
            aligned(PAGE // 2)
    first, second = aligned(PAGE // 2), aligned(64)
    first[:] = 255
    assert not second.any()


# A handler, or a process that is forked, comes while a call has the rest of a page in hand.
_MEANWHILE = """
import os, sys
from fastsig_kernels import _pages
from fastsig_kernels._pages import aligned

mapped, pieces = _pages._mapped, []

def meanwhile(n_byte):
    _pages._mapped = mapped
    if sys.argv[1] == "fork":
        child = os.fork()
        if not child:
            pieces.append(aligned(64))
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    else:
        pieces.append(aligned(64))
    return mapped(n_byte)

_pages._mapped = meanwhile
pieces += aligned(64), aligned(64)
for i, piece in enumerate(pieces, 1):
    assert not piece.any()
    piece[:] = i
assert all((piece == i).all() for i, piece in enumerate(pieces, 1))
print("done")
"""


@pytest.mark.parametrize("what", ["fork", "handler"])
def test_memory_is_given_while_another_call_waits_for_a_page(what):
    if what == "fork" and not hasattr(os, "fork"):
        pytest.skip("the system does not fork")
    done = subprocess.run([sys.executable, "-c", _MEANWHILE, what], capture_output=True, text=True,
                          timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
