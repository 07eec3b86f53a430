"""Some channels of an FBH5 file are read alone, from chunks of any shape."""

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastsig as fs

SHAPE = 6, 2, 40


def written(path, *, foff=-0.5, chunks=(2, 1, 16)):
    """Write a small file, and return its values, channels ascending."""
    values = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    values[3, 0, 17] = np.nan
    with h5py.File(path, "w") as file:
        file.attrs["CLASS"] = "FILTERBANK"
        data = file.create_dataset("data", data=values, chunks=chunks,
                                   fletcher32=chunks is not None)
        data.attrs.update(fch1=1400.0, foff=foff, tsamp=1.0, tstart=58000.0, nchans=SHAPE[2])
    return values[:, :, ::-1] if foff < 0 else values


@pytest.mark.filterwarnings("ignore:.*does not name its 2 products")
@pytest.mark.parametrize("foff", [-0.5, 0.5])
@pytest.mark.parametrize("chunks", [(2, 1, 16), (6, 2, 40), None])
def test_a_band_is_that_of_all_channels(tmp_path, foff, chunks):
    values = written(tmp_path / "a.h5", foff=foff, chunks=chunks)
    with fs.open(tmp_path / "a.h5") as whole:
        stream = whole.stream
        for first, stop in ((0, 40), (3, 30), (16, 17), (31, 40)):
            part = stream.narrowed(first, stop)
            assert part is not None and part.shape == (6, 2, stop - first)
            block = part.read_block(1, 4)
            assert_array_equal(block.data, values[1:5, :, first:stop])
            assert_array_equal(np.broadcast_to(block.valid, block.data.shape) > 0,
                               np.isfinite(block.data))
            assert part.header.channels == stream.header.channels.sliced(first, stop)
            again = part.narrowed(0, 1)
            assert_array_equal(again.read_block(0, 6).data, values[:, :, first : first + 1])

