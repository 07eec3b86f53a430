"""Numbers of calibration: NumPy arrays in, NumPy arrays out; no file, stream or telescope."""
