"""Stages with an overlap: the same bytes in any pieces, and nothing read twice without need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stages_made import Delayed
from streams import CountedSpectra, header
from thorough import thorough

import fastsig as fs
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.run import fitting
from fastsig.run import plan as plan_module
from fastsig.run.engine import execute
from fastsig.run.products import plan_products, products
from fastsig.stages.integrate import Integrate
from fastsig.stream import kept

N, N_CHAN = 3000, 16


def spectra(n: int = N, n_chan: int = N_CHAN) -> CountedSpectra:
    rng = np.random.default_rng(4)
    data = np.rint(rng.normal(100, 20, (n, 1, n_chan))).astype(np.float32)
    data[n // 3, 0, 3] = np.nan
    about = header(1000, n_chan=n_chan).replace(
        polarization=PolBasis("linear", PRODUCTS["I"]), n_bits=32)
    return CountedSpectra(data, about)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units of some kilobytes, so that a small stream has many."""
    monkeypatch.setattr(fitting, "_UNIT_BYTES", 40_000)
    monkeypatch.setattr(fitting, "_RESULT_BYTES", 20_000)
    monkeypatch.setattr(fitting, "_LEAST_UNIT_BYTES", 1000)
    monkeypatch.setattr(kept, "_PAGE_BYTES", 3000)


@pytest.mark.usefixtures("small")
# Every overlap and every n_int with two of the others.
@pytest.mark.parametrize(("n_int", "before", "after"), [
    (1, 2, 0), (1, 300, 7), (16, 300, 7), (16, 0, 500), (300, 2, 0), (300, 0, 500),
    *(pytest.param(*each, marks=thorough) for each in ((1, 0, 500), (16, 2, 0), (300, 300, 7)))])
def test_any_pieces_the_same_bytes(before: int, after: int, n_int: int, tmp_path: Path) -> None:
    def chain() -> Integrate:
        return Integrate(Delayed(spectra(), before, after), n_int=n_int)

    whole = chain().read_block(0, chain().shape[0])
    paths = [tmp_path / f"{name}.h5" for name in ("one", "many", "tight")]
    for path, workers in zip(paths[:2], (1, 3), strict=True):
        fs.Chain(chain()).write(path, workers=workers)
    made = products([chain()], paths[2:])
    floor = plan_products(made, workers=2).floor
    execute(plan_products(made, workers=2, memory=floor + 10_000))
    for path in paths:
        assert path.read_bytes() == paths[0].read_bytes()
    found = fs.open(paths[0]).read()
    np.testing.assert_array_equal(found.values, whole.data)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("workers", [1, 2])
def test_rows_between_units_are_kept(workers: int, tmp_path: Path) -> None:
    source = spectra()
    stage = Delayed(source, 300, 20)
    made = products([Integrate(stage, n_int=16)], [tmp_path / "x.h5"])
    plan = plan_products(made, workers=workers)
    assert "KeptSpectra" in plan.explain() and "300+20" in plan.explain()
    assert "kept between units" in plan.explain() and not plan.reads_again
    execute(plan)
    assert source.rows_read == N


@pytest.mark.usefixtures("small")
def test_short_memory_gives_up_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units ahead, the length of units down to their overlap, threads; reading again last."""
    monkeypatch.setattr(plan_module, "resident_bytes", lambda: 10**8)
    stage = Delayed(spectra(), 300, 20)
    made = products([stage], [tmp_path / "x.h5"])
    free = plan_products(made, workers=4)
    states = []
    for memory in (*range(free.memory, free.floor, -20_000), free.floor):
        plan = plan_products(made, workers=4, memory=memory)
        assert plan.memory <= memory
        states.append((plan.in_flight - plan.workers, plan.workers, plan.lanes[0].rows,
                       plan.reads_again))
    ahead, threads, rows, again = (list(column) for column in zip(*states, strict=True))
    assert ahead == sorted(ahead, reverse=True) and {0, 2} <= set(ahead)
    assert threads == sorted(threads, reverse=True) and set(threads) == {1, 2, 3, 4}
    assert rows == sorted(rows, reverse=True)
    shortest_with_all_threads = min(n for n, count in zip(rows, threads, strict=True) if count == 4)
    assert 320 <= shortest_with_all_threads < rows[0]
    assert again == sorted(again) and again[-1]
    assert all(count == 1 for count, late in zip(threads, again, strict=True) if late)


@pytest.mark.usefixtures("small")
def test_what_is_available_bounds_a_plan_without_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "resident_bytes", lambda: 10**8)
    made = products([Delayed(spectra(), 300, 20)], [tmp_path / "x.h5"])
    most = plan_products(made, workers=4)
    monkeypatch.setattr(plan_module, "available_bytes", lambda: most.floor - 10**8)
    least = plan_products(made, workers=4)
    assert least.workers == 1 and least.memory == most.floor < most.memory
    # It may take less than it seems, so that it is not refused.
    monkeypatch.setattr(plan_module, "available_bytes", lambda: 0)
    assert plan_products(made, workers=4).memory == most.floor


def test_a_long_overlap_is_bounded(tmp_path: Path) -> None:
    source = spectra(40_000, 64)
    stage = Delayed(source, 10_000, 0)
    made = products([Integrate(stage, n_int=16)], [tmp_path / "x.h5"])
    plan = plan_products(made, workers=2)
    execute(plan)
    assert source.rows_read <= 1.05 * 40_000
    # what the stage reads beside its rows is not many times them
    assert plan.lanes[0].rows * 16 >= 10_000
