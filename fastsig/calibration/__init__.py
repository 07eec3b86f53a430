"""Numbers of a receiver made kelvin and jansky: NumPy arrays in, NumPy arrays out."""
