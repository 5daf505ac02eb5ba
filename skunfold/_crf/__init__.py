"""What `UnfoldedCRFClassifier` is made of: graphs of rows, sweeps, layout, decoding."""
