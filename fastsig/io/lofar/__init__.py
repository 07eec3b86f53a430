"""LOFAR: transient buffer boards and beam-formed data."""
