"""Code that all formats share: finding files, writing them safely, provenance."""
