"""What all formats share: looking at files, writing them safely, provenance."""
