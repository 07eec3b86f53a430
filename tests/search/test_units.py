"""Units of a band: read in parts, shared by tiles, and failures that reach the caller."""

import threading

import numpy as np
import pytest

from fastsig.reductions.drifting.units import Units


class Source:
    """Channels whose values are their numbers, plus 1000 times the spectrum."""

    run = 1

    def read_rows(self, first, stop, row, out):
        out[:] = np.arange(first, stop) + 1000 * np.arange(row, row + len(out))[:, np.newaxis]


def test_what_is_beyond_the_band_is_nan_and_buffers_are_used_again():
    units = Units(Source(), 5, 30, 1)
    for low, high in ((-4, 12), (20, 33), (8, 16)):
        unit = units.unit(low, high, 2, 3)
        for part in range(unit.n_part):
            unit.read(part)
        for _ in range(2):
            with unit.values() as values:
                there = np.arange(low, high)
                inside = (there >= 0) & (there < 30)
                expected = there + 1000.0 * np.arange(5)[:, np.newaxis]
                np.testing.assert_array_equal(values[:, inside], expected[:, inside])
                assert np.isnan(values[:, ~inside]).all()


def test_a_unit_waits_for_a_buffer_and_its_tiles_for_its_parts():
    units = Units(Source(), 4, 30, 1)
    first, second = units.unit(0, 10, 1, 2), units.unit(10, 20, 1, 1)
    first.read(0)
    done = []
    waiting = threading.Thread(target=lambda: (second.read(0), done.append("second")))
    waiting.start()
    first.read(1)
    with first.values():
        assert not done
    waiting.join(20)
    assert done == ["second"]
    with second.values() as values:
        assert values[0, 0] == 10


def test_a_unit_that_cannot_be_read_raises_an_error_in_every_tile():
    class Broken(Source):
        def read_rows(self, first, stop, row, out):
            raise OSError("gone")

    unit = Units(Broken(), 4, 30, 1).unit(0, 10, 2, 1)
    with pytest.raises(OSError, match="gone"):
        unit.read(0)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="not been read"), unit.values():
            pass
