"""The estimator above the training loop, and how estimators check what they are given."""
