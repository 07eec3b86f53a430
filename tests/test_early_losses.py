"""What a format cannot hold is reported before anything long is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli import fastsig
from click.testing import CliRunner

import fastsig as fs
from fastsig.cli.main import cli
from fastsig.errors import PlanError

SAMPLE = Path(__file__).parents[1] / "data" / "samples" / "frb_carrier_16MHz.h5"

HI = "SIMHI_onoff-M01_W_0001.fits"


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading samples fails."""
    def read(*_: Any, **__: Any) -> None:
        raise AssertionError("samples were read")

    for name in ("fastsig.run.engine.execute", "fastsig.run.products.execute",
                 "fastsig.run.products.run", "fastsig.reductions.diode.calibration.solve",
                 "fastsig.stages.baseline_lines.line_windows", "fastsig.stream.Stream.verify"):
        monkeypatch.setattr(name, read)


@pytest.mark.usefixtures("forbidden")
@pytest.mark.parametrize("words", [
    ["calibrate", HI, "--tcal", "12.5K"],
    ["baseline", HI, "--method", "polynomial", "--protect", "auto"],
    ["baseline", HI, "--method", "polynomial", "--verify"],
    ["convert", HI], ["flag", HI, "--verify"],
    ["spectra", "fast_band_1GSa.h5", "--n-chan", "64", "--verify"],
], ids=" ".join)
def test_losses_come_before_long_work(words: list[str], samples: Path, tmp_path: Path) -> None:
    command, name, *options = words
    result = CliRunner().invoke(cli, [command, str(samples / name), "-o",
                                      str(tmp_path / "x.fil"), *options])
    assert isinstance(result.exception, PlanError), result.exception
    assert "lossy=True" in str(result.exception)


@pytest.mark.usefixtures("forbidden")
def test_losses_come_before_long_work_in_python(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="lossy=True"):
        fs.open(samples / HI).write(tmp_path / "x.fil")
    with pytest.raises(PlanError, match="lossy=True"):
        fs.open(samples / "pulsar_lower_8MHz.h5").write(tmp_path / "x.vdif")


@pytest.mark.parametrize("words", [
    ("a.h5", "--blank", "zero"), ("a.h5", "--blank", "mean", "--bits", "8"),
    ("a.fil", "--blank", "nan", "--bits", "8", "--lossy")])
def test_a_dry_run_refuses_what_a_run_refuses(words: tuple[str, ...], tmp_path: Path) -> None:
    given = ("spectra", SAMPLE, "--n-chan", "8", "--n-int", "64",
             "-o", tmp_path / words[0], *words[1:])
    for more in ((), ("--dry-run",)):
        assert "blank = " in fastsig(*given, *more, code=2).stderr
