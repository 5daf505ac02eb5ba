"""The unfolded classifiers: oracles, invariants, training, and the scikit-learn API."""

import pickle

import numpy as np
import pytest
from configurations import FIELDS, dtypes_of, make_model
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler, scale

from skunfold import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier

both = pytest.mark.parametrize("cls", [UnfoldedMeanFieldClassifier, UnfoldedBPClassifier])
every_configuration = pytest.mark.parametrize("name", FIELDS)


@pytest.fixture(scope="module")
def two_classes(iris):
    X, y = iris
    return X[y != "setosa"], y[y != "setosa"]


# Oracles


@pytest.mark.parametrize("hidden", [(5,), (6, 4), (5, 4, 3)])
@pytest.mark.parametrize("data", ["iris", "two_classes", "labels"])
def test_depth_one_is_the_network_of_scikit_learn(data, hidden, request):
    X, y = request.getfixturevalue(data)
    mlp = MLPClassifier(hidden, activation="logistic", max_iter=30, random_state=0).fit(X, y)
    model = UnfoldedMeanFieldClassifier(hidden, n_layers=1, init=mlp, max_iter=1)
    model.fit(X, y)
    model.potentials_ = [
        {"coefs": mlp.coefs_, "intercepts": mlp.intercepts_, "lateral": [None] * 4}
    ]
    assert_allclose(model.predict_proba(X), mlp.predict_proba(X), rtol=1e-12, atol=1e-14)
    assert_array_equal(model.predict(X), mlp.predict(X))
    assert_array_equal(model.classes_, mlp.classes_)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_depth_one_learns_like_the_network_of_scikit_learn(iris, solver, alpha):
    X, y = iris
    params = {
        "solver": solver,
        "alpha": alpha,
        "learning_rate_init": 1e-3,
        "max_iter": 15,
        "random_state": 0,
    }
    mlp = MLPClassifier(6, activation="logistic", **params).fit(X, y)
    params["alpha"] /= len(X)  # MLPClassifier divides by the samples of an update
    model = UnfoldedMeanFieldClassifier(6, n_layers=1, **params).fit(X, y)
    assert_allclose(model.predict_proba(X), mlp.predict_proba(X), rtol=1e-4)
    assert_allclose(model.loss_curve_, mlp.loss_curve_, rtol=1e-4)


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_lbfgs_finds_the_minimum_that_scikit_learn_finds(iris, alpha):
    X, y = iris
    params = {"solver": "lbfgs", "max_iter": 1000, "tol": 1e-7, "random_state": 0}
    mlp = MLPClassifier(6, activation="logistic", alpha=alpha, **params).fit(X, y)
    model = UnfoldedMeanFieldClassifier(6, n_layers=1, alpha=alpha / len(X), **params)
    model.fit(X, y)
    assert_allclose(model.loss_, mlp.loss_, rtol=1e-4)
    assert_allclose(model.predict_proba(X), mlp.predict_proba(X), atol=5e-3)


@pytest.mark.parametrize("n_layers", [1, 2, 5])
def test_sweeps_of_a_star_change_nothing(iris, n_layers):
    X, y = iris
    one = UnfoldedBPClassifier(6, n_layers=1, max_iter=20, random_state=0).fit(X, y)
    more = UnfoldedBPClassifier(6, n_layers=n_layers, init=one, max_iter=1).fit(X, y)
    more.potentials_ = one.potentials_ * n_layers
    assert_allclose(more.predict_proba(X), one.predict_proba(X), rtol=1e-10)


def test_class_weights_are_sample_weights(two_classes):
    X, y = two_classes
    X, y = X[:35], y[:35]
    weight = np.where(y == "versicolor", 1.0, 3.0)
    model = make_model("mean field")
    by_class = clone(model).set_params(class_weight={"versicolor": 1, "virginica": 3})
    by_sample = clone(model).fit(X, y, sample_weight=weight)
    assert_allclose(by_class.fit(X, y).predict_proba(X), by_sample.predict_proba(X))
    sums = {c: (y == c).sum() for c in np.unique(y)}
    balance = {c: len(y) / (2 * n) for c, n in sums.items()}
    balanced = clone(model).set_params(class_weight="balanced").fit(X, y)
    given = clone(model).set_params(class_weight=balance).fit(X, y)
    assert_allclose(balanced.predict_proba(X), given.predict_proba(X), rtol=1e-8)


# Training


@every_configuration
def test_training_lowers_the_loss(iris, name):
    X, y = iris
    start = make_model(name, max_iter=1, learning_rate_init=1e-12).fit(X, y)
    model = make_model(name).fit(X, y)
    assert log_loss(y, model.predict_proba(X)) < log_loss(y, start.predict_proba(X))


@pytest.mark.parametrize("lateral", [False, True])
@both
def test_what_is_shared_and_counted(iris, cls, lateral):
    X, y = iris
    model = cls((4, 3), n_layers=3, tied=True, lateral=lateral, max_iter=2, random_state=0)
    model.fit(X, y)
    chain = 4 * 4 + 4 + 4 * 3 + 3 + 3 * 3 + 3
    pairs = 6 + 3 if lateral else 0
    assert all(one is model.potentials_[0] for one in model.potentials_)
    assert len(model.potentials_) == 3
    assert model.n_parameters_ == chain + pairs
    model.set_params(tied=False).fit(X, y)
    assert len({id(one["coefs"][0]) for one in model.potentials_}) == 3
    assert model.n_parameters_ == 3 * chain + 2 * pairs


@pytest.mark.parametrize(
    ("cls", "less"), [(UnfoldedMeanFieldClassifier, 0.8), (UnfoldedBPClassifier, 0.95)]
)
def test_damping_keeps_tied_sweeps_from_overfitting(cls, less):
    X, y = load_digits(return_X_y=True)
    X = scale(X)
    losses = []
    for damping in (0.0, 0.8):
        model = cls((16, 8), n_layers=4, tied=True, damping=damping, batch_size=50)
        model.set_params(learning_rate_init=0.03, max_iter=30, random_state=0)
        p = model.fit(X[:400], y[:400]).predict_proba(X[400:1000])
        losses.append(log_loss(y[400:1000], p))
    assert losses[1] < less * losses[0]


@both
def test_early_stopping_with_sparse_labels(iris, cls):
    X, y = iris
    labels = (y[:, None] == np.unique(y)).astype(int)
    model = cls(4, early_stopping=True, max_iter=3, random_state=0)
    dense, sparse_ = clone(model).fit(X, labels), model.fit(X, sparse.csr_array(labels))
    assert_array_equal(sparse_.predict_proba(X), dense.predict_proba(X))


def test_early_stopping_keeps_what_was_best_on_held_out_samples(iris):
    X, y = iris
    model = make_model("BP, early stopping", max_iter=60).fit(X, y)
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_
    assert model.best_loss_ is None
    assert model.loss_ == min(model.validation_loss_curve_)
    assert model.best_validation_score_ == max(model.validation_scores_)


# Initialisation


@both
def test_init_from_fitted_models(iris, cls):
    X, y = iris
    mlp = MLPClassifier((6, 4), activation="logistic", solver="lbfgs", random_state=0).fit(X, y)
    field = UnfoldedMeanFieldClassifier(
        (6, 4), n_layers=2, tied=False, max_iter=30, random_state=0
    ).fit(X, y)
    for init in (mlp, field):
        for params in ({}, {"tied": False, "n_layers": 4}, {"lateral": True, "n_layers": 3}):
            model = cls((6, 4), init=init, max_iter=1, learning_rate_init=1e-12, **params)
            W = model.fit(X, y).potentials_[-1]["coefs"][0]
            last = init.coefs_ if init is mlp else init.potentials_[-1]["coefs"]
            assert_allclose(W, last[0], atol=1e-6)


@both
def test_init_by_a_restricted_boltzmann_machine(iris, cls):
    X, y = iris
    X = MinMaxScaler(clip=True).fit_transform(X)
    model = cls((6, 4), init="rbm", solver="lbfgs", random_state=0).fit(X, y)
    assert model.score(X, y) > 0.7


# Numbers


@pytest.mark.parametrize("data", ["two_classes", "labels"])
@every_configuration
def test_float32_stays_float32(request, name, data):
    X, y = request.getfixturevalue(data)
    single = X.astype(np.float32)
    model, double = make_model(name).fit(single, y), make_model(name).fit(X, y)
    assert dtypes_of(model, single) == {"float32"}
    assert dtypes_of(double, X) == {"float64"}
    assert_allclose(model.predict_proba(single), double.predict_proba(X), atol=0.05)
    model.set_params(warm_start=True).fit(single, y, sample_weight=np.ones(len(X)))
    assert dtypes_of(model, single) == {"float32"}


@every_configuration
def test_logarithms_of_small_probabilities_are_finite(iris, name):
    X, y = iris
    model = make_model(name).fit(X, y)
    logs = model.predict_log_proba(1e6 * X)
    assert np.isfinite(logs).all()
    for one in model.potentials_:
        one["coefs"] = [1e3 * W for W in one["coefs"]]
    assert np.isfinite(model.predict_log_proba(X)).all()
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)


# The API


@both
def test_beliefs_of_hidden_units(iris, cls):
    pd = pytest.importorskip("pandas")
    X, y = iris
    model = cls((5, 3), max_iter=5).fit(X, y)
    beliefs = model.transform(X)
    assert beliefs.shape == (len(X), 8)
    assert 0 <= beliefs.min() <= beliefs.max() <= 1
    names = [f"{cls.__name__.lower()}{i}" for i in range(8)]
    assert list(model.get_feature_names_out()) == names
    frame = model.set_output(transform="pandas").transform(X)
    assert isinstance(frame, pd.DataFrame)


@both
def test_bad_data_is_named(iris, cls):
    X, y = iris
    mlp = MLPClassifier(5, max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match=r"activation='relu'; only hidden units"):
        cls(5, init=mlp).fit(X, y)
    mlp = MLPClassifier(5, activation="logistic", max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match=r"has couplings of shapes .* this model needs"):
        cls(6, init=mlp).fit(X, y)
    model = cls((5, 4), max_iter=2, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="n_layers=3, but the fit had 2 layers; set it back"):
        clone_with(model, n_layers=3).fit(X, y)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(6,\), but the fit had"):
        clone_with(model, hidden_layer_sizes=6).fit(X, y)
    with pytest.raises(ValueError, match=r"y holds the classes .* continues a fit to"):
        model.fit(X[y != "setosa"], y[y != "setosa"])
    model = cls((5, 4)).partial_fit(X, y, classes=np.unique(y))
    with pytest.raises(ValueError, match=r"y holds the class .*; this model knows the classes"):
        model.partial_fit(X, np.where(y == "setosa", "rose", y))
    with pytest.raises(ValueError, match="was fitted with one column of classes"):
        model.partial_fit(X, np.eye(3, dtype=int)[np.arange(len(X)) % 3])
    for weight in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=r"class_weight=.* finite weights of 0 or more"):
            cls(class_weight={0: weight}).fit(X, np.arange(len(X)) % 3)
    with pytest.raises(ValueError, match="class_weight='balanced' is for classes"):
        cls(class_weight="balanced").fit(X, np.eye(3, dtype=int)[np.arange(len(X)) % 3])


def clone_with(model, **params):
    return pickle.loads(pickle.dumps(model)).set_params(**params)
