"""The same bytes, whatever the blocks, the workers, the memory or the engine."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from fastsig_kernels import _generic_bank
from streams import header, lose_packets, noise, write_native
from thorough import many

import fastsig as fs
from fastsig.run import fitting
from fastsig.run.engine import execute
from fastsig.run.fusing import fuse
from fastsig.run.products import plan_products, products
from fastsig.stages import spectrometer
from fastsig.stages.integrate import SEGMENT, Integrate

N = 150_000


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("bytes") / "voltages.h5"
    valid = lose_packets(rng, N, 0.05, 4096)
    return write_native(path, noise(rng, N), header(), valid)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# Each product with each n_int; either way of channelizing with each of both, fused and not.
@pytest.mark.parametrize("case", many(
    (1, 2, 3, 4, 7, 8, 11, 13, 14, 15, 16, 19, 21, 22, 25, 26, 28, 31), range(40)))
def test_any_split_gives_the_same_product(
    case: int, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(case)
    products = ("I", "AABB", "AABBCRCI", "IQUV")[case % 4]
    n_int = (1, 7, 5 * SEGMENT // 2, 3 * SEGMENT)[case // 4 % 4]
    n_chan = (16, 26)[case // 16 % 2]  # the vector code, and the way through NumPy

    def chain() -> fs.Chain:
        source = fs.open(recording)
        return source.channelize(n_chan).detect(products).integrate(n_int=n_int, n_freq=2)

    chain().write(tmp_path / "plain.h5", workers=1, fused=False)
    monkeypatch.setattr(fitting, "_UNIT_BYTES", int(10 ** rng.uniform(3, 6.5)))
    monkeypatch.setattr(fitting, "_RESULT_BYTES", int(10 ** rng.uniform(3, 6)))
    monkeypatch.setattr(spectrometer, "_READ_BYTES", int(10 ** rng.uniform(3, 6)))
    monkeypatch.setattr(_generic_bank, "_TILE_BYTES", int(10 ** rng.uniform(2, 5)))
    chain().write(tmp_path / "split.h5", workers=int(rng.integers(1, 9)), fused=bool(case % 3))
    assert digest(tmp_path / "split.h5") == digest(tmp_path / "plain.h5")


def test_blocks_read_by_hand_are_the_product(recording: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    chain = fs.open(recording).channelize(16).detect("IQUV").integrate(n_int=11)
    chain.write(tmp_path / "product.h5", workers=2)
    whole = fs.open(tmp_path / "product.h5").read()
    cuts = np.unique(np.concatenate([[0, len(chain)], rng.integers(0, len(chain), 12)]))
    for start, stop in itertools.pairwise(cuts):
        part = chain.read(int(start), int(stop - start))
        np.testing.assert_array_equal(part.values, whole.values[start:stop])
        np.testing.assert_array_equal(part.weight, whole.weight[start:stop])


def test_memory_and_segments_change_nothing(recording: Path, tmp_path: Path) -> None:
    chain = fs.open(recording).channelize(16).detect("AABB").integrate(n_int=10 * SEGMENT + 3)
    made = [products([chain], [tmp_path / name]) for name in ("wide.h5", "tight.h5")]
    ready = plan_products(made[0], workers=4)
    assert ready.lanes[0].long is not None and ready.workers == 4
    tight = plan_products(made[1], workers=4, memory=ready.floor + 10**7)
    assert tight.workers < 4 or tight.in_flight < 6 or tight.lanes[0].rows < ready.lanes[0].rows
    for plan in (ready, tight):
        execute(plan)
    assert digest(tmp_path / "wide.h5") == digest(tmp_path / "tight.h5")


def test_a_limit_below_the_floor_names_the_floor(recording: Path) -> None:
    chain = fs.open(recording).channelize(16).detect("I")
    with pytest.raises(fs.PlanError, match=r"below the floor of this plan, \d+MB"):
        plan_products(products([chain], ["x.h5"]), memory=10**6)


def test_fusing_is_used_and_told(recording: Path) -> None:
    chain = fs.open(recording).channelize(16).detect("I").integrate(n_int=4)
    assert "channelize+detect" in chain.explain()
    assert "Spectrometer" not in chain.explain(fused=False)
    fused = fuse(chain.stream)
    assert isinstance(fused, Integrate) and isinstance(fused.source, spectrometer.Spectrometer)
    with pytest.raises(fs.PlanError, match="frames cannot be written"):
        fs.open(recording).channelize(16).explain()


def test_long_integrations_keep_their_precision() -> None:
    from streams import MemoryVoltages

    n = 20_000 * 16
    data = np.full((n, 1), 100, np.int8)  # all of it in channel 0: the largest sum there can be
    chain = fs.Chain(MemoryVoltages(data, header(n_pol=1))).channelize(8, n_tap=1, window="none")
    power = chain.detect("I").integrate(n_int=20_000).read().values
    one = chain.detect("I").read(0, 1).values
    assert power[0, 0, 0] == pytest.approx(float(one[0, 0, 0]), rel=2e-6)
