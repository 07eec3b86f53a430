"""Products of channels that are made one after the other, in the order in which they are returned.

Channels are neighbours in the results. If each channel were written separately, all cache lines of
the results would be read and written again for every channel.
"""

import numpy as np

from ._order import LINE, address

_GROUP = LINE // 4  # channels that share a line


class Products:
    """Products of groups of channels, which are written when a group is complete.

    Parameters
    ----------
    mixing : ndarray, shape (product, 4), float64
        Products as sums of AA, BB, CR and CI.
    n_chan : int
        Number of all channels.
    """

    def __init__(self, mixing: np.ndarray, n_chan: int) -> None:
        self._mixing, self._n_chan = mixing, n_chan
        self._missing: dict[int, int] = {}
        self._groups: dict[int, np.ndarray] = {}
        self._spare: list[np.ndarray] = []

    def put(self, powers: np.ndarray, first: int, out: np.ndarray) -> None:
        """Add the powers of neighbouring channels from `first` on.

        Parameters
        ----------
        powers : ndarray, shape (chan, 4, n_out), float64
        first : int
        out : ndarray, shape (n_out or more, product, all channels), float32
            Receives the products of complete groups.
        """
        from ._coherent_loops import mix_powers_nb

        stop, n_out = first + len(powers), powers.shape[2]
        for group in range(first // _GROUP, -(-stop // _GROUP)):
            begin = group * _GROUP
            low, high = max(first, begin), min(stop, begin + _GROUP)
            products = self._of(group, n_out)
            mix_powers_nb(powers[low - first : high - first], self._mixing, low - begin, products)
            self._missing[group] -= high - low
            if not self._missing[group]:
                self._write(group, out)

    def _of(self, group: int, n_out: int) -> np.ndarray:
        """Return the products of a group so far."""
        if group not in self._groups:
            self._missing[group] = min(_GROUP, self._n_chan - group * _GROUP)
            shape = len(self._mixing), _GROUP, n_out
            found = self._spare.pop() if self._spare else np.empty(0, np.float32)
            size = int(np.prod(shape))
            found = found if found.size >= size else np.empty(size, np.float32)
            self._groups[group] = found[:size].reshape(shape)
        return self._groups[group]

    def _write(self, group: int, out: np.ndarray) -> None:
        """Write a complete group."""
        from ._coherent_loops import put_products_nb

        products, begin = self._groups.pop(group), group * _GROUP
        put_products_nb(products, min(_GROUP, self._n_chan - begin),
                        address(out) + begin * out.itemsize, *out.strides[:2])
        self._spare.append(products.base)
