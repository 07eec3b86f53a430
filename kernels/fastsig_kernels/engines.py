"""The interface of the plan of a spectrometer, which other engines can implement.

An engine is a function or class that accepts the arguments of `Spectrometer` and returns a
`SpectrometerPlan`. `Spectrometer` itself is the engine "cpu".
"""

from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from ._plan import SamplePlan


@runtime_checkable
class SpectrometerPlan(SamplePlan, Protocol):
    """The interface of `Spectrometer`, whose docstrings define what each method and property does.

    Voltages and spectra are arrays in main memory, in the layout and shape that the arguments of
    the constructor specify. An engine that lacks something, such as `flag_sigma` or a layout,
    raises ValueError in its constructor. Spectra must agree with those of `Spectrometer` to within
    the rounding of float32, and weights must agree exactly; neither may depend on how a stream is
    split into calls. Only one thread uses a plan at a time; other threads use its copies.

    Raises
    ------
    TypeError, ValueError
        Raised by the methods, as for `Spectrometer`.
    """

    @property
    def out_dtype(self) -> np.dtype:
        """Type of the spectra."""
        ...

    @property
    def weight(self) -> np.ndarray:
        """Weights of the last call's spectra."""
        ...

    def copy(self, *, n_int: int | None = None) -> Self:
        """Return a plan with an empty state, and optionally another `n_int`."""
        ...

    def reset(self, first_frame: int = 0) -> None:
        """Discard all samples and sums; the next sample is the first of a frame."""
        ...

    def n_output(self, n_sample: int) -> int:
        """Return the number of spectra that `n_sample` further samples finish."""
        ...

    def process(self, x: np.ndarray, *, valid: Any = None, zeroed: bool = False,
                out: np.ndarray | None = None) -> np.ndarray:
        """Process the next voltages of the stream; return the spectra that they finish."""
        ...

    def flush(self) -> np.ndarray:
        """End the stream; return the unfinished integration, if it has frames."""
        ...
