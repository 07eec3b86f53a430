"""What formats in HDF5 share."""
