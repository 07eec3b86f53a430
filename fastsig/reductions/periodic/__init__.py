"""The search of recordings for periodic signals: series, searches, candidates."""
