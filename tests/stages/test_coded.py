"""Stages on 8-bit codes: the same values and weights as of float32, whatever the chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from excised import N_CHAN, CodedSpectra, FloatSpectra, head

import fastsig as fs
from fastsig.axes.diode_schedule import DiodeSchedule

N = 1100


def both(lost: slice = slice(0), diode: Any = None, n_chan: int = N_CHAN) -> list[fs.Chain]:
    """Noise with interference, in the two forms."""
    rng = np.random.default_rng(3)
    x = rng.gamma(12, 5, (N, n_chan))
    x[:, 20] += 40
    x[::16, 70] *= 2
    x[300:364, 40] += 45
    x[500, 30:60] += 60
    x[::90] += 20
    numbers = np.clip(np.round(x), 0, 255).astype(np.uint8)
    header = head().replace(diode=diode)
    if n_chan != N_CHAN:
        header = header.replace(channels=header.channels.sliced(0, n_chan))
    return [fs.Chain(kind(numbers, lost, header)) for kind in (CodedSpectra, FloatSpectra)]


def all_of(chain: fs.Chain, n_segment: int | None = None) -> fs.Chain:
    return (chain.flag_kurtosis(n_sum=6, n_segment=n_segment).iqrm(n_segment=n_segment)
            .zero_dm(n_segment=n_segment and n_segment // 2).flag_runs(n_segment=128))


CHAINS: dict[str, Callable[[fs.Chain], fs.Chain]] = {
    "all": lambda chain: all_of(chain, 256),
    "all, by default": all_of,
    "a measured number": lambda chain: chain.mask(["1100MHz-1120MHz"]).flag_kurtosis(
        n_sum="measured", protect="1200MHz-1220MHz"),
    "segments that do not fit": lambda chain: all_of(chain, 200),
    "a mask of some rows": lambda chain: all_of(chain.mask(
        ["1100MHz-1120MHz 0.2s-0.4s", "1400MHz-1420MHz"]), 256),
    "a mask of all channels": lambda chain: all_of(chain.mask(
        ["* 0.2s-0.25s", "* 0.255s-0.4s"]), 256),
    "a mask from the first row on": lambda chain: all_of(chain.mask(["* 0s-0.1s"]), 256),
    "runs alone": lambda chain: chain.flag_runs(),
    "runs of the deviant": lambda chain: chain.flag_runs(threshold=3, max_window=16),
    "runs longer than vectors": lambda chain: chain.zero_dm().flag_runs(max_window=128),
    "runs twice": lambda chain: chain.flag_runs().zero_dm().flag_runs(threshold=4),
    "z-dot": lambda chain: chain.iqrm().zero_dm(method="zdot").flag_runs(),
    "the mean twice": lambda chain: chain.zero_dm().iqrm(n_segment=300).zero_dm(),
    "rows and channels": lambda chain: all_of(chain[100:900, 5:100], 128),
    "flag": lambda chain: chain.iqrm().flag(),
    "protected": lambda chain: chain.iqrm(protect="1080MHz-1100MHz").flag_runs(
        protect="1100MHz-1200MHz"),
    **{statistic: lambda chain, name=statistic: chain.iqrm(statistic=name, n_segment=300)
       for statistic in ("modulation", "mean", "skewness", "kurtosis")},
}


def check_same(one: Any, other: Any) -> None:
    for start, n in ((0, N), (130, 500), (700, 1), (N - 90, 90)):
        start, n = min(start, one.shape[0] - n) if n < one.shape[0] else 0, min(n, one.shape[0])
        a, b = one.read_block(start, n), other.read_block(start, n)
        np.testing.assert_array_equal(a.data, b.data)
        np.testing.assert_array_equal(np.broadcast_to(a.valid, a.data.shape),
                                      np.broadcast_to(b.valid, b.data.shape))


@pytest.mark.parametrize("lost", [slice(0), slice(600, 640)], ids=["complete", "a gap"])
@pytest.mark.parametrize("name", CHAINS)
def test_codes_are_as_floats(name: str, lost: slice) -> None:
    coded, plain = (CHAINS[name](chain).stream for chain in both(lost))
    check_same(coded, plain)
    found = coded.read_block(0, coded.shape[0]).valid == 0
    assert 0 < found.mean() < 1 or name == "the mean twice"


def test_the_form_is_kept() -> None:
    """Codes are those of the file, and flags and the series are beside them."""
    coded, plain = both()
    stream = all_of(coded, 256).stream
    assert stream.coded and not all_of(plain, 256).stream.coded
    assert not coded.zero_dm(method="zdot").stream.coded
    block = stream.read_coded(256, 512)
    assert np.shares_memory(block.codes, coded.stream.numbers)
    assert block.flags.shape == (512, N_CHAN) and block.series.shape == (512,)
    made = stream.read_block(256, 512)
    lost = block.flags | block.lost_rows()[:, np.newaxis]
    np.testing.assert_array_equal(made.valid[:, 0] == 0, lost)
    values = block.codes - block.series[:, np.newaxis]
    np.testing.assert_array_equal(made.data[:, 0][~lost], values[~lost])


def test_impulses_are_rows_without_weight() -> None:
    """Stages after the one that found them then need not expand the codes."""
    coded, _ = both()
    block = coded.flag_kurtosis(n_sum=6, n_segment=256).stream.read_coded(256, 512)
    rows = np.flatnonzero(block.lost_rows())
    assert len(rows) > 2 and not ((rows + 256) % 90).any()
    part = block.part(256, 512)
    assert part.lost_channels().any() and not part.lost_channels().all()
    kept = np.delete(part.codes, rows[rows < 256], axis=0).astype(float)
    np.testing.assert_array_equal(part.power_sums(), [(kept**k).sum(axis=0) for k in range(5)])


def test_states_of_the_diode_are_apart() -> None:
    diode = DiodeSchedule(period_ticks=25_000_000 // 10, on_ticks=25_000_000 // 20)  # 10 ms
    coded, plain = (all_of(chain, 256).stream for chain in both(diode=diode))
    check_same(coded, plain)


def test_channels_that_do_not_fill_vectors() -> None:
    coded, plain = (all_of(chain, 256).stream for chain in both(n_chan=101))
    check_same(coded, plain)
