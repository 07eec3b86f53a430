"""Sifting of detections: neighbours, harmonics, known pulsars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from search.pulsars_made import pulsars

from fastsig.errors import FormatError, UsageError
from fastsig.search.pulsars.known import Pulsar, names_of, read_known
from fastsig.search.pulsars.sift import DETECTION, folded_detections, sift

T = 100.0


def _found(*rows: tuple[float, ...], method: int = 0) -> np.ndarray:
    """Detections of given turns in the series, DM, significance and drift."""
    made = np.zeros(len(rows), DETECTION)
    for one, (turns, dm, sigma, *rest) in zip(made, rows, strict=True):
        z = rest[0] if rest else 0.0
        one["frequency"], one["fdot"], one["z"] = (turns - z / 2) / T, z / T**2, z
        one["dm"], one["sigma"], one["r"] = dm, sigma, turns
    made["snr"] = 10.0 * np.arange(len(rows), 0, -1)
    made["method"], made["width"], made["duty"] = method, np.nan, np.nan
    return made


def test_neighbours_at_all_dispersion_measures_are_one_signal() -> None:
    made = sift(_found((1000, 30, 9), (1001, 29, 8), (999.2, 35, 7), (1003, 30, 6.5)), T)
    assert made.best["r"].tolist() == [1000, 1003]
    assert made.n_member.tolist() == [3, 1]
    assert (made.dm_low[0], made.dm_high[0]) == (29, 35)


def test_the_dispersion_measure_is_the_middle_of_those_that_differ_by_noise() -> None:
    found = _found((1000, 20, 9), (1000, 30, 9.5), (1000, 40, 9.3), (1000, 90, 7))
    found["snr"] = 10, 10.2, 9.5, 7
    assert sift(found, T).best["dm"].tolist() == [30]
    found["snr"] = 8, 10.2, 9.5, 7
    assert sift(found, T).best["dm"].tolist() == [35]


def test_the_dispersion_measure_of_a_bright_signal_is_the_middle_of_a_tenth_of_its_snr() -> None:
    # Another bright signal changes the S/N, so that the highest is far from the middle.
    found = _found(*((1000, dm, 100 - k) for k, dm in enumerate((52, 34, 40, 46, 28, 22, 58))))
    found["snr"] = 117.5, 109, 116, 112, 106, 90, 95
    assert sift(found, T).best["dm"].tolist() == [(28 + 52) / 2]


def test_sidelobes_of_strong_signals_are_part_of_them() -> None:
    found = _found((1000, 30, 50), (1003, 30, 9), (1005, 30, 8), (996.5, 30, 7.5))
    found["snr"] = 50, 10, 9, 10.5
    assert sift(found, T).best["r"].tolist() == [1000, 1005, 996.5]


def test_side_lobes_of_very_strong_signals_are_part_of_them_at_any_distance() -> None:
    found = _found((1000, 30, 900), (1030, 30, 9), (2012, 30, 8.5), (1050, 30, 8), (2035, 30, 7.5))
    found["snr"] = 900, 19, 47, 12, 17
    assert sift(found, T).best["r"].tolist() == [1000, 1050, 2035]


def test_drifts_of_one_signal_may_differ_as_far_as_their_frequencies_do() -> None:
    made = sift(_found((1000, 30, 9, 40), (1004, 30, 8, 32), (1009, 30, 7, 32)), T)
    assert made.best["r"].tolist() == [1000, 1009]


def test_harmonics_of_stronger_signals_are_left_out() -> None:
    made = sift(_found((1000, 30, 20), (2000.5, 30, 10), (500, 30, 9), (1500, 30, 8),
                       (1503, 30, 7), (3000, 80, 6.5)), T)
    # 3000 is three times 1000, but at another dispersion measure.
    assert made.best["r"].tolist() == [1000, 1503, 3000]
    assert made.harmonics == ["2, 1/2, 3/2", "", ""]
    assert made.n_harmonic == 3


def test_stronger_harmonics_lead_and_drifts_of_harmonics_are_in_proportion() -> None:
    made = sift(_found((3000, 30, 9, 30), (1000, 30, 8, 10), (1500, 30, 7, 100)), T)
    assert made.best["r"].tolist() == [3000, 1500]
    assert made.harmonics == ["1/3", ""]


def test_fractions_are_harmonics_of_signals_that_are_much_stronger_and_not_slow() -> None:
    found = _found((30, 10, 9), (45, 10, 8), (90, 10, 7), (48, 10, 6.5), (20, 10, 6.2))
    found["snr"] = 9, 8, 7, 5, 5
    # 3 is one; 3/2 is not strong enough, 8/5 is; multiples of 10 are 2/3 of it.
    made = sift(found, T)
    assert (made.best["r"].tolist(), made.harmonics) == ([30, 45], ["3, 8/5, 2/3", ""])
    slow = _found((15, 10, 9), (24, 10, 7))
    slow["snr"] = 20, 5
    assert len(sift(slow, T).best) == 2  # multiples of 15 / 5 are too close to each other
    far = _found((300, 10, 9), (480.3, 10, 7))
    far["snr"] = 20, 5
    assert len(sift(far, T).best) == 2  # it is known better than that
    far["frequency_error"] = 0.05 / T
    assert len(sift(far, T).best) == 1


def test_a_slow_signal_does_not_hide_others() -> None:
    """Of frequencies that have nothing to do with a bright slow signal, most are kept."""
    rng = np.random.default_rng(4)
    others = rng.uniform(60, 3000, 300)
    hidden = 0
    for turns in others:
        found = _found((48.5, 10, 30), (turns, 10, 8))
        found["snr"], found["frequency_error"] = (40, 8), 0.02 / T
        hidden += len(sift(found, T).best) == 1
    assert hidden < 0.35 * len(others)
    harmonics = _found((48.5, 10, 30), *((48.5 * a + 0.04 * a, 10, 8) for a in range(2, 40)))
    harmonics["snr"], harmonics["frequency_error"] = 8, 0.02 / T
    assert len(sift(harmonics, T).best) == 1


def test_a_signal_of_both_searches_has_the_width_of_its_pulse() -> None:
    folded = np.array([(0.5, 2.0, 1e-4, 8.0, 10.0, 0.02, 0.04)], np.dtype([
        (name, float) for name in ("period", "frequency", "frequency_error", "sigma", "snr",
                                   "width", "duty")]))
    made = sift(np.concatenate([_found((200, 30, 9)), folded_detections(folded, 31.0, T)]), T)
    assert (made.n_member.tolist(), made.best["method"].tolist()) == ([2], [0])
    assert (made.best["width"][0], made.best["duty"][0]) == (0.02, 0.04)


def test_no_detections_and_too_many() -> None:
    assert len(sift(_found(), T).best) == 0
    many = sift(_found(*((1000 + 7.3 * k, 30, 20 - 0.1 * k) for k in range(50))), T, most=10)
    assert (len(many.best) + many.n_harmonic, many.n_dropped) == (10, 40)


def test_known_pulsars_are_named_with_the_ratio_of_frequencies(tmp_path: Path) -> None:
    dm = 30.0 + 10 * np.arange(4)
    made = pulsars(4, ra=np.full(4, 10.0), dec=np.full(4, 20.0), dm_low=dm - 1, dm_high=dm + 1)
    known = [Pulsar("A", 0.1, 31.0), Pulsar("B", 0.4, 40.0, 10.1, 20.1),
             Pulsar("C", 0.6, 50.0, 90.0, 20.0), Pulsar("D", 0.6001, 50.0)]
    # 0.1 s at 30, 0.2 s at 40, 0.3 s at 50 and 0.4 s at 60 pc cm^-3.
    assert names_of(made, known) == ["A", "B x 2", "D x 2", ""]
    assert names_of(made, []) == [""] * 4
    with pytest.raises(UsageError, match="radius"):
        names_of(made, known, radius_deg=0)


def test_tables_of_pulsars_may_have_units_or_names_of_the_catalogue(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("PSRJ P0 DM RAJ DECJ\nJ1 0.5 30 01:30:00 -10:30:00\n")
    first, = read_known(tmp_path / "a.txt")
    assert (first.name, first.period_s, first.dm) == ("J1", 0.5, 30.0)
    assert (first.ra_deg, first.dec_deg) == (22.5, -10.5)
    (tmp_path / "b.csv").write_text("name,frequency,dm\nX,4.0,12.5\n")
    second, = read_known(tmp_path / "b.csv")
    assert (second.period_s, second.dm, np.isnan(second.ra_deg)) == (0.25, 12.5, True)
    (tmp_path / "c.csv").write_text("name,dm\nX,12.5\n")
    with pytest.raises(FormatError, match="period or frequency"):
        read_known(tmp_path / "c.csv")
