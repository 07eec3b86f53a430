"""The case table, in the order in which it is printed."""

from bench import (
         banks,
         bursts,
         calibration,
         commands,
         dispersion,
         drifting,
         excision,
         fast_folding,
         folding,
         gridding,
         periodic,
         pointing,
         readers,
         resampling,
         shapes,
         spectra_files,
         spectrometers,
         stages,
         transforms,
)

CASES = [*spectrometers.CASES, *shapes.CASES, *transforms.CASES, *banks.CASES, *stages.CASES,
         *commands.CASES, *readers.CASES, *spectra_files.CASES, *pointing.CASES, *calibration.CASES,
         *resampling.CASES, *gridding.CASES, *dispersion.CASES,
         *folding.CASES, *excision.CASES, *bursts.CASES, *drifting.CASES,
         *periodic.CASES, *fast_folding.CASES]
