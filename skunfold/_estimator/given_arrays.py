"""Arrays that an estimator is made of without a fit: messages that name them."""

import numpy as np
from sklearn.utils.validation import check_array

FLOATS = (np.float64, np.float32)


def array_given(name, array, n_dims=2, dtype=FLOATS, **checks):
    """Return check_array of an array with so many dimensions; the name is for messages."""
    try:
        shape = np.shape(array)
    except ValueError as error:  # lists of different lengths
        raise ValueError(f"{name} is no array: its rows differ in length.") from error
    if len(shape) != n_dims:
        wanted = "a matrix" if n_dims == 2 else "one number for each unit"
        raise ValueError(f"{name} has the shape {shape}; give {wanted}.")
    return check_array(array, dtype=dtype, ensure_2d=n_dims == 2, input_name=name, **checks)
