"""Code that the formats in HDF5 share."""
