"""Friends of friends against their twin, and what their order is."""

import fastsig_kernels as fk
import numpy as np
import pytest
from fastsig_kernels import reference


def events(n, seed, rows=40, span=3000, widest=20):
    rng = np.random.default_rng(seed)
    return (rng.integers(0, span, n), rng.integers(-rows // 2, rows // 2, n),
            rng.integers(1, widest, n))


@pytest.mark.parametrize("n", [0, 1, 2, 50, 300])
def test_as_the_twin(n):
    for seed in range(12):
        given, links = events(n, seed), (seed % 4, seed % 3)
        found = fk.friends(*given, time_link=links[0], row_link=links[1])
        np.testing.assert_array_equal(found, reference.friends(*given, *links))


def test_the_order_of_events_does_not_matter():
    given = events(400, 1)
    order = np.random.default_rng(2).permutation(400)
    first = fk.friends(*given, time_link=2, row_link=2)
    second = fk.friends(*(each[order] for each in given), time_link=2, row_link=2)
    # The same pairs of labels, and so the same groups.
    assert len(np.unique(np.stack([first[order], second]), axis=1).T) == first.max() + 1
    assert second[0] == 0 and (np.diff(np.unique(second, return_index=True)[1]) > 0).all()


def test_links():
    time, row, width = (np.array(each) for each in ([0, 10, 25], [0, 0, 5], [10, 5, 1]))
    for time_link, row_link, expected in ((0, 5, [0, 1, 2]), (1, 0, [0, 0, 1]), (1, 5, [0, 0, 1]),
                                          (11, 5, [0, 0, 0]), (11, 4, [0, 0, 1])):
        found = fk.friends(time, row, width, time_link=time_link, row_link=row_link)
        assert found.tolist() == expected, (time_link, row_link)


def test_a_million_events_in_a_second(capsys):
    """The time is that of n, not of its square."""
    given = events(10**6, 1, rows=4000, span=10**8, widest=200)
    assert fk.friends(*given, time_link=3, row_link=4).max() > 9 * 10**5
    given = events(10**5, 1, rows=200, span=100)
    assert not fk.friends(*given, time_link=3, row_link=4).any()


def test_no_events():
    ones = np.ones(2, np.int64)
    for given, name in (((ones, ones[:1], ones), "row"), ((ones, ones, 0 * ones), "width"),
                        ((ones * 2**61, ones, ones), "time")):
        with pytest.raises(ValueError, match=f"{name}: found"):
            fk.friends(*given, time_link=1, row_link=1)
    with pytest.raises(ValueError, match="time_link: found -1"):
        fk.friends(ones, ones, ones, time_link=-1, row_link=1)
