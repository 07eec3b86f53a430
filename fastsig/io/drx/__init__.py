"""LWA DRX."""
