"""Polycos: TEMPO's files read and evaluated to 1e-9 turn."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from astropy.time import Time, TimeDelta
from recordings import recorded

from fastsig.errors import FormatError, OutputError, UsageError
from fastsig.pulsar.polyco import Polyco
from fastsig.pulsar.polyco_text import Block, text_of
from fastsig.run.polyco_files import write_polyco

VELA = """\
0835-4510  13-APR-10    23000.00     55299.10416666660          67.989998  0.359 -7.192
   3616377136.814839   11.194649939500    7  120   15  1382.000
 +5.06097904229914526D-08 -3.24588035865896740D-01 +1.25374640486485155D-07
 -1.92102601070546816D-09 -2.90399337356384680D-12 +1.17404965791625054D-14
 +1.78373988710149083D-15 -7.22590046178193550D-18 -4.58472658166265357D-19
 +9.50653612455473743D-22 -2.83598233175495785D-23 +2.47420603292679438D-25
 +2.92854211222019236D-26 -4.73317387067120704D-29 -3.26435979256966068D-30
"""


def written(folder, text=VELA):
    path = folder / "polyco.dat"
    path.write_text(text)
    return path


def test_a_file_of_tempo_is_read(tmp_path):
    polyco = Polyco.read(written(tmp_path))
    assert (polyco.source, polyco.dm, polyco.reference_mhz) == ("0835-4510", 67.989998, 1382.0)
    assert [t.iso for t in polyco.span] == ["2010-04-13 01:29:59.999994240",
                                            "2010-04-13 03:29:59.999994240"]
    block = polyco.blocks[0]
    assert (block.phase, block.frequency) == (Fraction("3616377136.814839"),
                                              Fraction("11.1946499395"))
    assert (block.site, block.doppler, block.log_rms) == ("7", 0.359, -7.192)
    assert len(block.coefficients) == 15


def test_the_phase_is_that_of_the_formula_in_exact_fractions(tmp_path):
    polyco = Polyco.read(written(tmp_path))
    start = Time("2010-04-13T01:45:00.123456", scale="utc")
    seconds = np.array([0.0, 1e-3, 2345.678901234, 6000.1])
    turns, part = polyco.phase(start, seconds)
    block = polyco.blocks[0]
    begin = (Fraction(start.jd1) + Fraction(start.jd2) - Fraction(4800001, 2) - block.day
             - block.day_part) * 1440
    for n, x, s in zip(turns, part, seconds, strict=True):
        dt = begin + Fraction(s) / 60
        truth = block.phase + 60 * dt * block.frequency + sum(
            c * dt**k for k, c in enumerate(block.coefficients))
        assert abs(float(int(n) + Fraction(x) - truth)) < 1e-12
    assert turns.dtype == np.int64
    slope = np.diff(np.array(polyco.phase(start, np.array([2000.0, 2000.01])))).sum() / 0.01
    assert slope == pytest.approx(polyco.frequency(start, np.array([2000.005]))[0], abs=1e-8)


@pytest.mark.parametrize("hours", [1, 12, 20, 120])
@pytest.mark.parametrize("side", [1, -1])
def test_blocks_far_from_the_start_have_exact_phases(hours, side):
    """Blocks of 45 minutes as `from_par` makes them, hours or days before or after the start."""
    start = Time("2010-04-13T00:00:00.123456", scale="utc")
    begin = Fraction(start.jd1) + Fraction(start.jd2) - Fraction(4800001, 2)
    # Each term adds up to 1e4 turns at the ends of the block, 22.5 minutes from its middle.
    terms = [Fraction(10) ** 4 * Fraction((-1) ** k, 1 + k) / Fraction(23) ** k for k in range(15)]
    block = Block("J0000+00", 55299, Fraction(1, 64) + Fraction(side * hours, 24), 12.3, 0.0, -7.0,
                  Fraction(10) ** 10 * 36, Fraction("641.928222127"), "FAST", 45, 0.0, tuple(terms))
    seconds = side * hours * 3600 + np.array([0.5, 1000.3, 1350.0, 2222.123456789, 2699.7])
    turns, part = Polyco([block]).phase(start, seconds)
    frequency = Polyco([block]).frequency(start, seconds)
    for n, x, hz, s in zip(turns, part, frequency, seconds, strict=True):
        dt = (begin - block.day - block.day_part) * 1440 + Fraction(s) / 60
        truth = block.phase + 60 * dt * block.frequency + sum(
            c * dt**k for k, c in enumerate(terms))
        slope = block.frequency + sum(k * c * dt ** (k - 1) for k, c in enumerate(terms) if k) / 60
        assert abs(float(int(n) + Fraction(x) - truth)) < 1e-9
        assert abs(float(Fraction(hz) - slope)) < 1e-9


def test_a_time_outside_is_refused_with_the_span(tmp_path):
    polyco = Polyco.read(written(tmp_path))
    with pytest.raises(UsageError, match=r"polyco.dat: does not cover 2010-04-13 04:00:00; it has "
                                         r"1 blocks from 2010-04-13 01:29:59 to 2010-04-13 03:29"):
        polyco.phase(Time("2010-04-13T02:00:00"), np.array([0.0, 7200.0]))


@pytest.mark.parametrize(("change", "message"), [
    (("67.989998", "NaN"), "DM = NaN"),
    ((" -3.24588035865896740D-01", " x"), "coefficient 'x' is not a number"),
    ((" 11.194649939500", " 0.0"), "frequency 0.0 Hz"),
    (("13-APR-10", "yesterday"), "line 1 of a polyco expected"),
    ((" 120   15 ", " x 15 "), "line 2 of a polyco expected"),
    ((" 120   15 ", " 120 "), "1382 coefficients for 120 minutes"),
    ((" -4.73317387067120704D-29 -3.26435979256966068D-30\n", "\n"), "13 of 15 coefficients"),
])
def test_a_broken_file_is_refused_in_one_line(tmp_path, change, message):
    text = VELA.replace(*change)
    assert text != VELA
    with pytest.raises(FormatError, match=message) as caught:
        Polyco.read(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_several_pulsars_need_a_name(tmp_path):
    path = written(tmp_path, VELA + VELA.replace("0835-4510", "0437-4715"))
    with pytest.raises(UsageError, match="0437-4715, 0835-4510: give the source"):
        Polyco.read(path)
    assert Polyco.read(path, "0437-4715").source == "0437-4715"
    with pytest.raises(FormatError, match="no polyco of X; the file has 0437-4715, 0835-4510"):
        Polyco.read(path, "X")


@pytest.mark.parametrize(("old", "new", "what"), [
    ("1382.000", "1400.000", "frequencies: 1382 MHz, 1400 MHz"),
    ("    7  120", "    3  120", "sites: 3, 7")])
def test_blocks_of_several_frequencies_or_sites_are_refused(tmp_path, old, new, what):
    """Which of them holds at a time would depend on their order."""
    with pytest.raises(UsageError, match=f"polyco.dat: blocks of several {what}; allowed: one"):
        Polyco.read(written(tmp_path, VELA + VELA.replace(old, new)))


def test_a_block_ends_at_a_leap_second(tmp_path):
    """2016-12-31 had 86401 s: the second belongs to the block before it."""
    before = VELA.replace("55299.10416666660", "57753.99305555556")  # 23:50
    after = VELA.replace("55299.10416666660", "57754.00694444444")  # 00:10
    polyco = Polyco.read(written(tmp_path, before + after))
    leap = Time("2016-12-31T23:59:60", scale="utc")
    turns, part = polyco.phase(leap, np.array([0.0, 1.0, 2.0]))
    first, second = (Polyco(polyco.blocks[k:k + 1]) for k in (0, 1))
    assert first.phase(leap, np.array([0.0, 1.0]))[0][0] == turns[0]
    assert second.phase(leap, np.array([1.0, 2.0]))[0].tolist() == turns[1:].tolist()
    # The first counts 601 s from 23:50 to the end of the leap second, and nothing after it.
    assert first.phase(leap, np.array([0.5]))[1][0] == pytest.approx(
        first.phase(Time("2016-12-31T23:50:00"), np.array([600.5]))[1][0], abs=1e-7)
    with pytest.raises(UsageError, match="does not cover 2017-01-01 00:00:01"):
        first.phase(leap, np.array([2.0]))
    with pytest.raises(UsageError, match="does not cover 2016-12-31 23:59:60"):
        second.phase(leap, np.array([0.5]))
    assert part.min() >= 0


@pytest.mark.parametrize("shift", [Fraction(0), Fraction(1, 3 * 10**11)])
def test_written_blocks_have_the_same_phases(tmp_path, shift):
    block = Polyco.read(written(tmp_path)).blocks[0]
    block = replace(block, day_part=block.day_part + shift, frequency=Fraction(100, 3),
                    phase=Fraction(10**12, 7), source="J1234-5678AA", site="MeerKAT",
                    orbit="0.9358   0.1742")
    polyco = Polyco([block])
    again = Polyco.read(written(tmp_path, text_of([block])))
    assert [(each.source, each.site, each.orbit) for each in again.blocks] == [
        ("J1234-5678AA", "MeerKAT", "0.9358   0.1742")]
    start, seconds = Time("2010-04-13T01:30:00"), np.linspace(1, 7190, 9)
    turns, part = (b - a for a, b in zip(polyco.phase(start, seconds),
                                         again.phase(start, seconds), strict=True))
    assert np.abs(turns + part).max() < 1e-12


def test_written_lines_are_those_of_tempo(tmp_path):
    lines = text_of(Polyco.read(written(tmp_path)).blocks).splitlines()
    assert lines[:2] == [
        "0835-4510  13-Apr-10   23000.00   55299.10416666660            67.989998  0.359 -7.192",
        "   3616377136.814839   11.194649939500    7  120   15  1382.000"]
    assert lines[2] == "  5.06097904229914526e-08 -3.24588035865896740e-01  1.25374640486485155e-07"


@pytest.mark.recorded
def test_recorded_b1937_has_its_published_phase():
    polyco = Polyco.read(recorded("pulsarbat/timing.dat"))
    start = Time(58245, 0.375, format="mjd")
    (turns,), (part,) = polyco.phase(start, np.zeros(1))
    assert (turns, part) == (146774936445, pytest.approx(0.058161699852649296, abs=1e-9))
    assert polyco.frequency(start, np.zeros(1))[0] == pytest.approx(641.973647812571, abs=1e-11)
    # The same instant from far away.
    earlier = start - TimeDelta(3600, format="sec")
    assert polyco.phase(earlier, np.array([3600.0]))[1][0] == pytest.approx(part, abs=2e-9)


@pytest.mark.recorded
@pytest.mark.parametrize(("name", "n", "most"), [
    ("pint/tests/datafile/B1855_polyco.dat", 8, 2e-6),
    ("priwo/tests/data/test.polycos", 72, 3e-6),
])
def test_recorded_blocks_meet(name, n, most):
    """The middles are meant as they are printed, though they are cut to ten decimals."""
    polyco = Polyco.read(recorded(name))
    assert len(polyco.blocks) == n
    for one, two in zip(polyco.blocks[:-1], polyco.blocks[1:], strict=True):
        gap = (two.day + two.day_part - one.day - one.day_part) * 86400
        if gap < one.span_min * 60 + 1:
            middle = Time(one.day, float(one.day_part + gap / 86400 / 2), format="mjd")
            a, b = (Polyco([each]).phase(middle, np.zeros(1)) for each in (one, two))
            assert abs((a[0] - b[0]) + (a[1] - b[1]))[0] < most


def test_a_polyco_file_is_written_whole(tmp_path):
    polyco = Polyco.read(written(tmp_path))
    write_polyco(polyco, tmp_path / "again.dat")
    assert Polyco.read(tmp_path / "again.dat").parameters() == polyco.parameters()
    with pytest.raises(OutputError, match="exists"):
        write_polyco(polyco, tmp_path / "again.dat")


@pytest.mark.parametrize("hours", [0, 3, 12, 24])
def test_a_start_far_from_a_block_is_as_exact(tmp_path, hours):
    """The terms of a polynomial about a start that is hours away cancel to 1 part in 1e20."""
    polyco, seconds = Polyco.read(written(tmp_path)), np.array([-3000.0, 0.0, 3333.0])
    block = polyco.blocks[0]
    middle = Time(block.day, format="mjd") + TimeDelta(float(block.day_part * 86400), format="sec")
    start = middle - TimeDelta(3600.0 * hours, format="sec")
    offset = float(hours * 3600)
    near = polyco.frequency(middle, seconds)
    np.testing.assert_allclose(polyco.frequency(start, seconds + offset), near, rtol=1e-13)
    turns, fraction = polyco.phase(middle, seconds)
    others, parts = polyco.phase(start, seconds + offset)
    np.testing.assert_allclose((others - turns) + (parts - fraction), 0, atol=1e-9)
