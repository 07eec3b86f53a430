"""Switched observations: position, frequency, nodding, on and off."""
