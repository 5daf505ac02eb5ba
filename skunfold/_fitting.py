"""What the `fit` methods of all estimators share."""

from contextlib import contextmanager


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


def rows_of(rows, *arrays):
    """Return the rows of each array that is not None."""
    return [None if a is None else a[rows] for a in arrays]
