"""Whatever values an estimator holds, a model file gives them back, to the bit."""

import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import BaseEstimator

from skunfold._model_files import tree as _model_tree
from skunfold.model_files import load_model, save_model


class Holder(BaseEstimator):
    def __init__(self, value=None):
        self.value = value


@pytest.fixture(scope="module", autouse=True)
def _register_holder():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "holders", sys.modules[Holder.__module__])
        patch.setitem(_model_tree.CLASSES, "Holder", "holders")
        yield


TYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(sizes=(16, 32, 64), endianness="?"),
)
NUMBERS = hnp.arrays(TYPES, hnp.array_shapes(min_side=0, max_side=4))
STRINGS = st.lists(st.text(max_size=5)).map(lambda texts: np.array(texts, dtype=object))
ARRAYS = st.one_of(
    NUMBERS, STRINGS, NUMBERS.map(np.asfortranarray), NUMBERS.map(lambda a: a[::2].T)
)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    hnp.from_dtype(np.dtype(np.float32)),
    hnp.from_dtype(np.dtype(np.int16)),
    ARRAYS,
)
KEYS = st.one_of(
    st.text(max_size=4),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    hnp.from_dtype(np.dtype(np.float32), allow_nan=False),
    hnp.from_dtype(np.dtype(np.int16)),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=4), inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3),
        st.builds(Holder, inner),
    ),
    max_leaves=8,
)


def assert_same(actual, expected):
    assert type(actual) is type(expected)
    if isinstance(expected, np.ndarray):
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        same = actual.tolist() == expected.tolist()
        assert same if expected.dtype == object else actual.tobytes() == expected.tobytes()
    elif isinstance(expected, Holder):
        assert_same(vars(actual), vars(expected))
    elif isinstance(expected, dict):
        assert_same(list(actual), list(expected))
        for key, value in expected.items():
            assert_same(actual[key], value)
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected):
            assert_same(one, other)
    elif isinstance(expected, float | np.floating):
        assert actual == expected or (math.isnan(actual) and math.isnan(expected))
        assert math.copysign(1, actual) == math.copysign(1, expected) or math.isnan(actual)
    else:
        assert actual == expected


@given(VALUES, VALUES)
def test_values_come_back(param, attribute):
    estimator = Holder(param)
    estimator.fitted_ = attribute
    with tempfile.TemporaryDirectory() as folder:
        save_model(estimator, Path(folder) / "model")
        loaded = load_model(Path(folder) / "model")
    assert_same(loaded, estimator)
