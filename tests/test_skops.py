"""Files of skops need public names alone, where skops is installed."""

import numpy as np
import pytest

from skunfold import (
    DeepNMFRegressor,
    SparseNMF,
    UnfoldedBPClassifier,
    UnfoldedCRFClassifier,
)

skops_io = pytest.importorskip("skops.io")

X = np.random.default_rng(0).uniform(0.1, 1, size=(30, 5))
MODELS = {
    "skunfold.crf.UnfoldedCRFClassifier": UnfoldedCRFClassifier(3, max_iter=2),
    "skunfold.deep_nmf.DeepNMFRegressor": DeepNMFRegressor(3, averaging=0.5, max_iter=2),
    "skunfold.mrf.UnfoldedBPClassifier": UnfoldedBPClassifier(3, solver="sgd", max_iter=2),
    "skunfold.sparse_nmf.SparseNMF": SparseNMF(2, max_iter=2),
}


@pytest.mark.parametrize("name", MODELS)
def test_one_public_name_is_to_be_trusted(name):
    y = X if "Regressor" in name else (X[:, 0] > 0.5).astype(int)
    model = MODELS[name].fit(X, y)
    data = skops_io.dumps(model)
    assert skops_io.get_untrusted_types(data=data) == [name]
    loaded = skops_io.loads(data, trusted=[name])
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
