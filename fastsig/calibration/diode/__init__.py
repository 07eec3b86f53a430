"""The noise diode: its cycle, its power, and what it calibrates."""
