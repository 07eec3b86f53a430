"""Recorded voltages and spectra have their known truths: every row of `truths.py`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import truths
import truths_checks
from recordings import recorded

pytestmark = pytest.mark.recorded


@pytest.mark.parametrize("truth", truths.TRUTHS, ids=lambda truth: truth.name)
def test_truth(truth: Any) -> None:
    if truth.format in ("mark4", "mark5b"):
        pytest.importorskip("baseband")
    checks = truths.check(truth, [recorded(name) for name in truth.files.split()])
    least = 8 + len(truth.values) if truth.format else 1  # a file that is refused
    assert len(checks) >= least + len(getattr(truth, "more", ()))
    assert [each for each in checks if not each.ok] == []


def test_every_file_is_a_row_or_left_out() -> None:
    where = recorded("MANIFEST.tsv").parent
    assert truths.unaccounted(where) == []


def test_the_script_prints_rows_and_tells_what_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded("baseband/sample.dada")
    right = truths.TRUTHS[0]
    wrong = replace(right, start="2013-07-02T01:39:20.000000002", values={(0, 1): -38 + 38j})
    absent = replace(right, files="baseband/absent.dada")
    monkeypatch.setattr(truths, "TRUTHS", (right, wrong))
    monkeypatch.setattr(truths, "unaccounted", lambda where: [])
    assert truths.main([]) == 1
    said = capsys.readouterr().out
    assert "baseband/sample.dada" in said and "OK" in said
    assert "x[0,1]: -38-38j, not -38+38j" in said
    assert truths.main(["--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [row["ok"] for row in rows] == [True, False]
    assert [each["what"] for each in rows[1]["checks"] if not each["ok"]] == [
        "start", "length", "x[0,1]"]
    monkeypatch.setattr(truths, "TRUTHS", (right,))
    assert truths.main([]) == 0
    monkeypatch.setattr(truths, "TRUTHS", (absent,))
    assert truths.main([]) == 1 and "absent.dada is missing" in capsys.readouterr().out


def test_a_row_of_spectra_tells_what_differs() -> None:
    right = next(each for each in truths.TRUTHS if each.files == "your/small.fil")
    wrong = replace(right, start="2019-07-18T14:53:15.363776319", band=(1129.5, 1465.6),
                    std=right.std * (1 + 1e-7), values={(9, 0, 335): 141}, told="nothing of it",
                    more=(truths_checks.twin("your/28.fits", zero_off="none"),))
    paths = [recorded("your/small.fil")]
    recorded("your/28.fil")
    assert all(each.ok for each in truths.check(right, paths))
    assert [each.what for each in truths.check(wrong, paths) if not each.ok] == [
        "start", "band", "std", "x[9,0,335]", "warning"]
    brighter = replace(next(each for each in truths.TRUTHS if each.files == "your/28.fil"),
                       more=(truths_checks.burst(475, 2.0276, 16, 5120),))
    assert [each.what for each in truths.check(brighter, [recorded("your/28.fil")])
            if not each.ok] == ["burst"]
    refused = next(each for each in truths.TRUTHS if each.files.endswith(".sm"))
    assert not truths.check(refused, paths)[0].ok
