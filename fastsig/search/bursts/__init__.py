"""Single pulses and bursts: from events above a threshold to candidates with errors."""
