"""What stands between `skunfold.mrf` and the kernels: shapes, potentials, targets."""
