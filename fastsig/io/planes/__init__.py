"""DM-time planes in HDF5, with the layout of ``docs/dm-time-format.md``."""
