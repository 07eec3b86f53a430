"""Periodic signals: from series to candidates with a significance that counts trials."""
