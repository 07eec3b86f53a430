"""Which formats are asked whose a file is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastsig import registry
from fastsig.io.opening import detect
from fastsig.io.probe import Probe

BEGINNINGS = {"hdf5": b"\x89HDF\r\n\x1a\n", "fits": b"SIMPLE  =", "ecsv": b"# %ECSV ", "other": b""}


def looked_at(path: Path, container: str) -> Probe:
    """A look at a file, or a folder, that is a container and nothing else."""
    if container == "folder":
        path.mkdir()
    elif container == "hdf5":
        with h5py.File(path, "w") as file:
            file["x"] = np.zeros(3)
    else:
        path.write_bytes(BEGINNINGS[container].ljust(4096, b" "))
    probe = Probe(path)
    assert probe.container == container
    return probe


@pytest.mark.parametrize("container", ["folder", "hdf5", "fits", "ecsv", "other"])
def test_formats_that_are_not_asked_would_say_no(container: str, tmp_path: Path) -> None:
    probe = looked_at(tmp_path / "it", container)
    asked = dict(registry.formats_for(container))
    passed_over = {name: module for name, module in registry.formats().items()
                   if name not in asked}
    assert passed_over and not any(module.sniff(probe) for module in passed_over.values())
    assert [name for name in registry.formats() if name in asked] == [*asked]


@settings(deadline=None)
@given(st.sampled_from([*BEGINNINGS]), st.binary(min_size=1, max_size=4000))
def test_formats_that_are_not_asked_say_no_to_any_bytes(container: str, rest: bytes) -> None:
    class Looked(Probe):
        def __init__(self) -> None:
            self.path, self.is_folder, self.head = "/none", False, BEGINNINGS[container] + rest

    probe = Looked()
    asked = dict(registry.formats_for(probe.container))
    for name, module in registry.formats().items():
        if name not in asked:
            assert not module.sniff(probe), name


@pytest.mark.parametrize("name, expected", [
    ("pulsar_lower_8MHz.h5", "native"), ("frb_coarse_16MHz.0000.raw", "guppi"),
    ("SIMPSR_tracking-M01_0001.fits", "psrfits"),
    ("SIMHI_onoff-M01_W_0001.fits", "fast_spectral")])
def test_samples_are_recognised(name: str, expected: str, samples: Path) -> None:
    assert detect(samples / name)[0] == expected


def test_a_plug_in_is_asked_last_and_takes_no_name_of_ours(monkeypatch: pytest.MonkeyPatch,
                                                           tmp_path: Path) -> None:
    ours, theirs = (SimpleNamespace(sniff=lambda probe: True) for _ in range(2))
    monkeypatch.setattr(registry, "plugins", lambda group: {"native": ours, "theirs": theirs})
    registry._format_plugins.cache_clear()
    try:
        path = tmp_path / "it"
        path.write_bytes(b"nobody's")
        assert detect(path) == ("theirs", theirs)
        assert dict(registry.formats_for("hdf5"))["native"] is not ours
    finally:
        registry._format_plugins.cache_clear()
