"""Estimators of scikit-learn in model files: what surrounds ours, and what ours begin with."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import NMF
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM, MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)

from skunfold import (
    DeepNMFRegressor,
    SparseNMF,
    UnfoldedBPClassifier,
    UnfoldedMeanFieldClassifier,
)
from skunfold.audio import SpeechEnhancer
from skunfold.model_files import load_model, save_model

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(40, 4))
Y = X[:, 2:] * [0.5, 2.0]
CLASSES = (3 * X[:, 0]).astype(int)
SETTINGS = {"max_iter": 2, "random_state": 0}


def round_trip(estimator, folder):
    save_model(estimator, folder / "model")
    return load_model(folder / "model")


SCALERS = [
    MaxAbsScaler(),
    MinMaxScaler((0.1, 0.9), clip=True),
    Normalizer("l1"),
    Binarizer(threshold=0.5),
    FunctionTransformer(),
    FunctionTransformer(validate=True),
    "passthrough",
    None,
]


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
def test_scalers_before_a_regressor(scaler, tmp_path):
    steps = [("scale", scaler), ("nmf", DeepNMFRegressor(2, n_layers=2, **SETTINGS))]
    pipeline = Pipeline(steps).fit(X, Y)
    loaded = round_trip(pipeline, tmp_path)
    np.testing.assert_array_equal(loaded.predict(X), pipeline.predict(X))
    assert str(loaded) == str(pipeline)
    refitted = clone(loaded).fit(X, Y)
    np.testing.assert_array_equal(refitted.predict(X), pipeline.predict(X))


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_mean=False, with_std=False),
        RobustScaler(),
        RobustScaler(with_centering=False, with_scaling=False),
        make_pipeline(StandardScaler(), make_pipeline(RobustScaler(), MinMaxScaler())),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_scalers_before_a_classifier(scaler, dtype, tmp_path):
    data = X.astype(dtype)
    classifier = UnfoldedMeanFieldClassifier(3, **SETTINGS)
    pipeline = make_pipeline(scaler, classifier).fit(data, CLASSES)
    loaded = round_trip(pipeline, tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(data), pipeline.predict_proba(data))
    assert loaded.predict_proba(data).dtype == pipeline.predict_proba(data).dtype


def test_names_of_features_and_nested_pipelines_of_ours(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    steps = MaxAbsScaler(), SparseNMF(3, random_state=0), make_pipeline(Normalizer())
    network = DeepNMFRegressor(2, n_layers=2, **SETTINGS)
    pipeline = make_pipeline(*steps, network).fit(frame, Y)
    loaded = round_trip(pipeline, tmp_path)
    np.testing.assert_array_equal(loaded.predict(frame), pipeline.predict(frame))
    np.testing.assert_array_equal(loaded.feature_names_in_, ["a", "b", "c", "d"])


@pytest.mark.filterwarnings("ignore:init holds zeros")  # as bases by coordinate descent do
def test_what_a_search_leaves(tmp_path):
    network = DeepNMFRegressor(2, n_layers=2, **SETTINGS).fit(X, Y)
    for init in (
        FrozenEstimator(network),
        FrozenEstimator(NMF(2, random_state=0).fit(X)),
        [FrozenEstimator(SparseNMF(2, random_state=0).fit(X))],
        network.bases_[0],
        network.bases_[0].tolist(),
    ):
        model = DeepNMFRegressor(2, n_layers=2, init=init, **SETTINGS)
        search = GridSearchCV(model, {"tied": [True, False]}, cv=2, error_score="raise")
        best = search.fit(X, Y).best_estimator_
        loaded = round_trip(best, tmp_path)
        np.testing.assert_array_equal(loaded.predict(X), best.predict(X))
        again = clone(loaded).fit(X, Y)  # from the same start
        np.testing.assert_array_equal(again.predict(X), best.predict(X))


@pytest.mark.parametrize("wrap", [lambda model: model, FrozenEstimator])
@pytest.mark.parametrize("y", [CLASSES, CLASSES > 0, np.array(["a", "b", "c"])[CLASSES]])
def test_a_perceptron_as_start(wrap, y, tmp_path):
    perceptron = MLPClassifier(3, activation="logistic", max_iter=2, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        perceptron.fit(X, y)
    model = UnfoldedBPClassifier(3, init=wrap(perceptron), **SETTINGS).fit(X, y)
    loaded = round_trip(model, tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(loaded.init.predict(X), perceptron.predict(X))
    np.testing.assert_array_equal(loaded.init.predict_proba(X), perceptron.predict_proba(X))
    refitted = UnfoldedBPClassifier(3, init=loaded.init, **SETTINGS).fit(X, y)
    np.testing.assert_array_equal(refitted.predict_proba(X), model.predict_proba(X))


def test_a_perceptron_for_labels(tmp_path):
    labels = (X > 0.5).astype(int)
    perceptron = MLPClassifier(3, activation="logistic", max_iter=2, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        perceptron.fit(X, labels)
    model = UnfoldedMeanFieldClassifier(3, init=perceptron, **SETTINGS).fit(X, labels)
    loaded = round_trip(model, tmp_path)
    np.testing.assert_array_equal(loaded.init.predict(X), perceptron.predict(X))


def test_nmf_and_a_boltzmann_machine(tmp_path):
    nmf = NMF(2, random_state=0).fit(X)
    loaded = round_trip(DeepNMFRegressor(2, init=nmf), tmp_path).init
    np.testing.assert_array_equal(loaded.transform(X), nmf.transform(X))
    machine = BernoulliRBM(3, n_iter=2, random_state=0)
    classifier = UnfoldedMeanFieldClassifier(3, **SETTINGS)
    pipeline = make_pipeline(MinMaxScaler(clip=True), machine, classifier).fit(X, CLASSES)
    loaded = round_trip(pipeline, tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(X), pipeline.predict_proba(X))
    names = machine.get_feature_names_out()
    np.testing.assert_array_equal(loaded[1].get_feature_names_out(), names)


@pytest.mark.parametrize("keys", [int, str, float, np.int64, np.float32, np.str_, bool])
def test_weights_of_classes(keys, tmp_path):
    # scikit-learn takes "0" for 0.
    classes = [keys(c) for c in (["no", "yes"] if issubclass(keys, str) else [0, 1])]
    y = np.array([classes[i % 2] for i in range(len(X))])
    weights = {classes[0]: 1.0, classes[1]: np.float32(2)}
    model = UnfoldedMeanFieldClassifier(3, class_weight=weights, **SETTINGS).fit(X, y)
    loaded = round_trip(model, tmp_path)
    assert loaded.class_weight == weights
    assert [type(key) for key in loaded.class_weight] == [keys, keys]
    np.testing.assert_array_equal(clone(loaded).fit(X, y).predict(X), model.predict(X))


def test_an_enhancer_with_a_pipeline(tmp_path):
    speech, noise = RNG.normal(size=(2, 2, 8000)) * 0.1
    mask = DeepNMFRegressor(2, n_layers=2, output="mask", **SETTINGS)
    for regressor in (make_pipeline(Binarizer(threshold=0.01), mask), mask):
        enhancer = SpeechEnhancer(regressor, n_context=1, context_averages=(), random_state=0)
        enhancer.fit_sources(list(speech), list(noise))
        loaded = round_trip(enhancer, tmp_path)
        np.testing.assert_array_equal(loaded.enhance(speech[0]), enhancer.enhance(speech[0]))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (FunctionTransformer(np.log1p), "is of type .*, which a model file cannot hold"),
        (Pipeline([("a", MaxAbsScaler())], memory="cache"), "has a cache"),
    ],
    ids=["a function", "a cache"],
)
def test_what_could_run_code_is_not_written(step, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        save_model(make_pipeline(step, SparseNMF(2)), tmp_path / "model")
    assert not list(tmp_path.iterdir())
