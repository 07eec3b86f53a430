"""PSRFITS in fold mode: archives of pulse profiles."""
