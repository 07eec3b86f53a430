"""The intensity of spectra, which searches sum: of a single product, or of AA and BB."""

from __future__ import annotations

from fastsig.errors import PlanError
from fastsig.stages.select import SelectProducts
from fastsig.stages.stokes import Stokes
from fastsig.stream import SpectrumStream

__all__ = ["intensity_in", "intensity_of"]


def intensity_of(stream: SpectrumStream) -> SpectrumStream:
    """Return the intensity of spectra: of a single product, or of AA and BB.

    Raises
    ------
    PlanError
        If there are several products, and neither I nor both AA and BB among them; or the end of
        the stream is not known.
    """
    if stream.endless or not stream.shape[0]:
        raise PlanError(f"{stream.path}: " + (
            "the end of the data is not known; allowed: recordings" if stream.endless
            else "contains no spectra"))
    return intensity_in(stream)


def intensity_in(stream: SpectrumStream) -> SpectrumStream:
    """Return `intensity_of` spectra, also if their end is not known."""
    names = stream.polarization.names
    if len(names) == 1:
        return stream
    if "I" in names:
        return SelectProducts(stream, ("I",))
    if names[:2] == ("AA", "BB"):
        return Stokes(stream, "I")
    raise PlanError(f"{stream.path}: has the products {', '.join(names)}; allowed: one, or AA and "
                    "BB, so select one with --products")
