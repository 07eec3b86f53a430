"""Search of drifting carriers: the plan, the noise, the tracks and the signals."""
