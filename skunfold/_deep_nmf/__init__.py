"""What `skunfold.DeepNMFRegressor` is made of, besides the kernels and the training loop."""
