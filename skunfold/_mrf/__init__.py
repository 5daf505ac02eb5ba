"""The parts of the estimators of `skunfold.mrf`: shapes, potentials, targets."""
