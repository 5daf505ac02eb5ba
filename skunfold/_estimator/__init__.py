"""The estimator above the training loop, and the checks of its arguments."""
