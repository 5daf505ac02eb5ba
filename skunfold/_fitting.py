"""What the `fit` methods of all estimators share."""

from contextlib import contextmanager

import numpy as np


@contextmanager
def restored_on_failure(estimator):
    """Give an estimator its fitted attributes back if its fit fails or is interrupted."""

    def is_fitted_attribute(name):
        return name.endswith("_") or name == "_training_state"

    fitted = {k: v for k, v in vars(estimator).items() if is_fitted_attribute(k)}
    try:
        yield
    except BaseException:
        for name in filter(is_fitted_attribute, list(vars(estimator))):
            delattr(estimator, name)
        vars(estimator).update(fitted)
        raise


def split_rows(estimator, splitter, n_samples, y=None, groups=None):
    """Return the rows to train on, and those that are held out for early stopping."""
    fraction = estimator.validation_fraction
    splits = splitter(1, test_size=fraction, random_state=estimator.random_state)
    try:
        return next(splits.split(np.empty(n_samples), y, groups))
    except ValueError as error:
        raise ValueError(
            f"early_stopping cannot hold out validation_fraction={fraction} of {n_samples} "
            f"samples; give another fraction, or early_stopping=False ({error})"
        ) from error


def rows_of(rows, *arrays):
    """Return the rows of each array that is not None."""
    return [None if a is None else a[rows] for a in arrays]
