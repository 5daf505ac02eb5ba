"""The parts of `UnfoldedCRFClassifier`: graphs of rows, sweeps, layout, decoding."""
