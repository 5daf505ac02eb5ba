"""What every estimator does, whatever its model: samples, weights, types, copies, search."""

import io
import pickle

import joblib
import numpy as np
import pytest
from configurations import (
    ALL,
    ONE_OF_EACH,
    SPARSE_NMF,
    TRAINED,
    dtypes_of,
    learned_arrays,
    make_model,
    outputs,
    staged_outputs,
)
from guide import KLNMF, RandomISTA
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skunfold.model_files import load_model, save_model

every_configuration = pytest.mark.parametrize("name", ALL)
every_trained = pytest.mark.parametrize("name", TRAINED)
one_of_each = pytest.mark.parametrize("name", ONE_OF_EACH)


def one_model(name, **params):
    return clone(ONE_OF_EACH[name]).set_params(**params)


# Samples and weights


@every_trained
def test_samples_are_independent(data_for, name):
    model = make_model(name)
    X, y = data_for(model)
    model.fit(X, y)
    rows = np.concatenate([outputs(model, X[i : i + 1]) for i in range(len(X))])
    assert_allclose(rows, outputs(model, X), rtol=1e-9, atol=1e-12)


@every_trained
def test_a_sample_of_weight_two_is_two_samples(data_for, name):
    model = make_model(name, early_stopping=False, batch_size=1000)
    X, y = data_for(model)
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    weighted = clone(model).fit(X, y, sample_weight=weight)
    repeated = clone(model).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0))
    rtol = 1e-5 if is_classifier(model) else 1e-6
    assert_allclose(outputs(weighted, X), outputs(repeated, X), rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("name", [*ONE_OF_EACH, *SPARSE_NMF])
def test_weights_of_nothing_are_refused(data_for, name):
    model = make_model(name) if name in SPARSE_NMF else one_model(name)
    X, y = data_for(model)
    with pytest.raises(ValueError, match=r"zero for all samples|at least one non-zero"):
        model.fit(X, y, sample_weight=np.zeros(len(X)))


# Types


@every_configuration
def test_the_dtype_is_kept(data_for, name):
    model = make_model(name)
    X, y = data_for(model)
    found = []
    for dtype in (np.float32, np.float64):
        data = X.astype(dtype)
        targets = y if is_classifier(model) else y.astype(dtype)
        fitted = clone(model).fit(data, targets)
        assert dtypes_of(fitted, data) == {np.dtype(dtype).name}
        found.append(outputs(fitted, data))
    if is_classifier(model):
        assert_allclose(*found, atol=0.05)


# Copies


def n_distinct(model):
    """Return how many distinct arrays there are in each list of those that layers may share."""
    if hasattr(model, "bases_"):
        projections = getattr(model, "projections_", [])
        lists = model.bases_, projections, [*model.bases_, *projections]
    else:
        lists = (learned_arrays(model),)
    return [len({*map(id, arrays)}) for arrays in lists]


@every_configuration
def test_pickle_joblib_clone_and_model_files(data_for, name, tmp_path):
    model = make_model(name)
    X, y = data_for(model)
    model.fit(X, y)
    expected = outputs(model, X)
    assert_array_equal(outputs(pickle.loads(pickle.dumps(model)), X), expected)
    assert_array_equal(outputs(clone(model).fit(X, y), X), expected)
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    save_model(model, tmp_path / "model")
    for copy in (
        joblib.load(buffer),
        load_model(tmp_path / "model", classes=[RandomISTA, KLNMF]),
    ):
        assert_array_equal(outputs(copy, X), expected)
        assert n_distinct(copy) == n_distinct(model)  # layers still share what they shared
        if is_classifier(model):
            assert_array_equal(copy.predict(X), model.predict(X))
        if hasattr(model, "partial_fit"):
            copy.partial_fit(X, y)
        if name in TRAINED:
            copy.set_params(warm_start=True, max_iter=1).fit(X, y)
            assert copy.score(X, y) > (0 if is_classifier(model) else -np.inf)


# Layers


@every_trained
def test_staged_predictions_end_with_the_prediction(data_for, name):
    model = make_model(name)
    X, y = data_for(model)
    model.fit(X, y)
    stages = list(staged_outputs(model, X))
    assert len(stages) == model.n_layers
    assert_allclose(stages[-1], outputs(model, X), rtol=1e-12)
    *_, last = model.staged_predict(X)
    if is_classifier(model):
        assert_array_equal(last, model.predict(X))


# Tools of scikit-learn


GRIDS = {"deep NMF": {"n_trained_layers": [0, 2]}, "unfolded regressor": {"alpha": [0, 0.1]}}


@one_of_each
def test_grid_search_over_depth_in_a_pipeline(data_for, name):
    model = one_model(name, max_iter=5)
    X, y = data_for(model)
    pipeline = make_pipeline(MinMaxScaler(clip=True), model)
    grid = {"n_layers": [1, 3], "tied": [False, True]} | GRIDS.get(name, {})
    grid = {f"{type(model).__name__.lower()}__{key}": value for key, value in grid.items()}
    search = GridSearchCV(pipeline, grid, n_jobs=2, cv=2).fit(X, y)
    alone = clone(pipeline).set_params(**search.best_params_).fit(X, y)
    assert_array_equal(search.predict(X), alone.predict(X))
    serial = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert_array_equal(
        search.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    )


@pytest.mark.parametrize("name", [*ONE_OF_EACH, *SPARSE_NMF])
def test_outputs_of_transform_have_names(data_for, name):
    pd = pytest.importorskip("pandas")
    model = make_model(name) if name in SPARSE_NMF else one_model(name)
    X, y = data_for(model)
    transformed = model.fit(X, y).transform(X)
    class_name = type(model).__name__.lower()
    names = [f"{class_name}{i}" for i in range(transformed.shape[1])]
    assert list(model.get_feature_names_out()) == names
    frame = model.set_output(transform="pandas").transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert_array_equal(frame, transformed)
    again = clone(model).set_output(transform="default").fit_transform(X, y)
    assert_allclose(again, transformed, rtol=1e-6 if name in SPARSE_NMF else 1e-12)


@one_of_each
def test_a_column_of_targets_is_flattened_with_a_warning(data_for, name):
    model = one_model(name, max_iter=2)
    wide = {"deep NMF": {"output": "linear"}, "unfolded regressor": {"readout": None}}
    model.set_params(**wide.get(name, {}))
    X, y = data_for(model)
    column = y[:, None] if is_classifier(model) else y[:, :1]
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model.fit(X, column)
    assert model.predict(X).shape == (len(X),)


# Failures


FAILING = {
    "deep NMF": ({"init": np.ones((4, 3))}, "init gives bases"),
    "mean field": ({"label_graph": "full"}, "couples labels"),
    "BP": ({"label_graph": "full"}, "couples labels"),
    "unfolded regressor": ({"n_trained_layers": 9}, "n_trained_layers=9"),
    "unfolded classifier": ({"n_trained_layers": 9}, "n_trained_layers=9"),
    "sparse NMF": ({"fixed_components": np.ones((1, 2))}, "fixed_components"),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_failed_fit_leaves_the_former_one(data_for, name):
    model = make_model(name) if name in SPARSE_NMF else one_model(name)
    X, y = data_for(model)
    model.fit(X, y)
    kept, expected = model.get_params(), outputs(model, X)
    X_narrow, y_narrow = X[:, :3], y[:, :3] if name == "deep NMF" else y
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.where(X_narrow > 0, np.nan, X_narrow), y_narrow)
    params, match = FAILING[name]
    with pytest.raises(ValueError, match=match):
        model.set_params(**params).fit(X_narrow, y_narrow)
    assert_array_equal(outputs(model.set_params(**kept), X), expected)


BAD_PARAMETERS = [
    ("linear", {"n_trained_layers": 6}, "n_trained_layers=6 .* at most 5, or 'all'"),
    ("linear", {"n_components": (3, 2)}, r"n_components=\(3, 2\) does not fit output='linear'"),
    ("mask", {"n_components": (0, 2)}, "the residual, which may be 0"),
    ("mask", {"n_components": (4,) * 6}, "y has 12 columns; with output='mask'"),
    ("linear", {"init": np.ones((3, 12))}, r"init gives bases of shape \(3, 12\)"),
    ("linear", {"init": np.full((4, 12), -1.0)}, "Negative values"),
    ("linear", {"init": []}, "init, a list, holds no usable bases"),
    ("linear", {"n_layers": 0}, "The 'n_layers' parameter"),
    ("linear", {"solver": "adam"}, "The 'solver' parameter"),
    ("ISTA", {"n_trained_layers": 9}, r"n_trained_layers=9 .* at most 4"),
    ("ISTA", {"iteration": "ISTA"}, "The 'iteration' parameter of UnfoldedRegressor"),
    *(
        ("sparse NMF", {"n_components": 5} | params, match)
        for params, match in (
            (
                {"fixed_components": np.ones((6, 12))},
                "fixed_components has shape .* at most n_comp",
            ),
            ({"fixed_components": np.ones((2, 3))}, "fixed_components has shape"),
            ({"fixed_components": -np.ones((2, 12))}, "Negative values"),
            ({"init": np.ones((4, 12))}, "init has shape .*n_components=5 rows"),
            ({"sparsity": -1.0}, "The 'sparsity' parameter"),
        )
    ),
    *(
        (name, params, match)
        for name in ("mean field", "BP")
        for params, match in (
            (
                {"hidden_layer_sizes": (3, 0)},
                r"hidden_layer_sizes=\(3, 0\) holds something else",
            ),
            (
                {"hidden_layer_sizes": (3, None)},
                r"hidden_layer_sizes=\(3, None\) holds something",
            ),
            (
                {"hidden_layer_sizes": ["a"]},
                r"hidden_layer_sizes=\['a'\] holds something else",
            ),
            ({"hidden_layer_sizes": 0}, "The 'hidden_layer_sizes' parameter"),
            ({"n_layers": 0}, "The 'n_layers' parameter"),
            ({"damping": 1.0}, "The 'damping' parameter"),
            ({"init": "rbm"}, "init='rbm' needs X between 0 and 1; it is between"),
            ({"init": "rbm", "hidden_layer_sizes": ()}, "init='rbm' needs a hidden layer"),
        )
    ),
]


@pytest.mark.parametrize(("name", "params", "match"), BAD_PARAMETERS)
def test_bad_parameters_are_named(data_for, name, params, match):
    model = make_model(name)
    X, y = data_for(model)
    with pytest.raises(ValueError, match=match):
        model.set_params(**params).fit(X, y)
