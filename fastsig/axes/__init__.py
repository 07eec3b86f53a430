"""The axes of streams: time, frequency, polarisation, validity, and their units."""
