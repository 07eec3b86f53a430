"""The noise diode: its cycle, its power, and calibration with it."""
