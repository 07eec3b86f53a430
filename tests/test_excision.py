"""The options that excise interference: the same bytes as the verbs, in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from cli import fastsig
from excised import chain, noise

import fastsig as fs
from fastsig.cli import excision

pytestmark = pytest.mark.filterwarnings("ignore:.*flagged throughout")


def contaminated() -> np.ndarray:
    """Powers of 25 samples or so, with a carrier, an impulse and a pulsed channel."""
    data = noise(400)
    data[::7, 40] += 60
    data[100, :] += 30
    data[200:230, 90] += 20
    return data


def test_options_of_flag_are_the_verbs(tmp_path: Path) -> None:
    chain(contaminated()).write(tmp_path / "s.h5")
    (tmp_path / "bad.txt").write_text("1200MHz-1210MHz 0.1s-0.2s\n")
    call = ("flag", "s.h5", "-o", "a.h5", "--mask", "bad.txt", "--kurtosis", 0.001,
            "--kurtosis-n-sum", "measured", "--iqrm", 3, "--zero-dm", "zdot", "--runs", 6,
            "--clip", 0, "--sum-threshold", 0, "--n-segment", 100, "--picture", "a.png", "--json")
    done = json.loads(fastsig(*call, cwd=tmp_path, code=0).stdout)
    source = fs.open(tmp_path / "s.h5")
    verbs = (source.mask(tmp_path / "bad.txt").flag_kurtosis(n_sum="measured", n_segment=100)
             .iqrm(n_segment=100).zero_dm(method="zdot", n_segment=100).flag_runs(n_segment=100))
    verbs.write(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    verbs.write(tmp_path / "c.h5", workers=3)
    assert (tmp_path / "c.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    steps = [step["stage"] for step in fs.open(tmp_path / "a.h5").stream.provenance["stages"]]
    assert steps == ["mask", "flag_kurtosis", "iqrm", "zero_dm", "flag_runs"]
    weight = fs.open(tmp_path / "a.h5").read().weight[:, 0]
    assert (weight[:, 40] == 0).all() and (weight[200:230, 90] == 0).mean() > 0.8
    assert done["flagged"]["noise_share"] == pytest.approx(0.00154, rel=0.01)
    assert (tmp_path / "a.png").exists()


def test_flag_follows_what_was_excised(tmp_path: Path) -> None:
    chain(contaminated()).write(tmp_path / "s.h5")
    fastsig("flag", "s.h5", "-o", "a.h5", "--iqrm", 3, "-q", cwd=tmp_path, code=0)
    fs.open(tmp_path / "s.h5").iqrm().flag().write(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    fastsig("flag", "s.h5", "-o", "c.h5", "-q", cwd=tmp_path, code=0)
    fs.open(tmp_path / "s.h5").flag().write(tmp_path / "d.h5")
    assert (tmp_path / "c.h5").read_bytes() == (tmp_path / "d.h5").read_bytes()


def test_pictures_have_the_same_colours_unless_the_mean_was_removed() -> None:
    source = chain(contaminated())
    for after, bars in ((source.iqrm(), 1), (source.zero_dm(), 2)):
        figure = fs.view.draw_flags(source, after)
        labels = [axes.get_xlabel() for axes in figure.axes]
        assert sum(label.startswith("I (") for label in labels) == bars


def test_what_is_refused(tmp_path: Path) -> None:
    chain(contaminated()).write(tmp_path / "s.h5")
    call = ("flag", "s.h5", "-o", "a.h5")
    for options, text in ((("--kurtosis-n-sum", 6), "--kurtosis-n-sum without --kurtosis"),
                          (("--kurtosis", 0.9), "noise_share = 0.9"),
                          (("--kurtosis", 0.01, "--kurtosis-n-sum", "six"), "or measured"),
                          (("--iqrm", 0), "threshold = 0.0"), (("--runs", -1), "threshold = -1.0"),
                          (("--clip", 0, "--sum-threshold", 0), "nothing is flagged")):
        assert text in fastsig(*call, *options, cwd=tmp_path, code=2).stderr
    assert "none.mask" in fastsig(*call, "--mask", "none.mask", cwd=tmp_path, code=3).stderr


def test_other_commands_can_take_the_options() -> None:
    @click.command()
    @excision.excision_options
    def search(**options: Any) -> None:
        given = excision.parameters_of(options)
        assert not options
        click.echo(type(excision.excise(chain(noise(64)), given).stream).__name__)

    from click.testing import CliRunner

    run = CliRunner().invoke
    assert run(search, []).output == "MemorySpectra\n"
    assert run(search, ["--iqrm", "3", "--zero-dm", "mean"]).output == "ZeroDM\n"
    assert run(search, ["--runs", "6"]).output == "FlagRuns\n"
