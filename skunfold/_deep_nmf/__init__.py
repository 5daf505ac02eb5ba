"""The parts of `skunfold.DeepNMFRegressor`, besides the kernels and the training loop."""
