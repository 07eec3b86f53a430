"""Tables as text: astropy tables with units, descriptions and provenance."""
