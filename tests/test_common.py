"""scikit-learn's common checks on several configurations of every estimator."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skunfold import (
    DeepNMFRegressor,
    SparseNMF,
    UnfoldedBPClassifier,
    UnfoldedCRFClassifier,
    UnfoldedMeanFieldClassifier,
)

ESTIMATORS = [
    DeepNMFRegressor(),
    DeepNMFRegressor(n_components=5, n_layers=4, tied=True, training_loss="kullback-leibler"),
    DeepNMFRegressor(
        n_components=3, output="mask", n_layers=5, n_trained_layers=2, max_iter=50
    ),
    DeepNMFRegressor(n_components=4, n_layers=6, solver="mu", init="sparse_nmf", sparsity=0.1),
    DeepNMFRegressor(n_components=4, n_trained_layers=0),
    *(
        DeepNMFRegressor(3, n_layers=3, solver="mu", beta_loss=beta, output=output, max_iter=50)
        for beta in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
        for output in ("linear", "mask")
    ),
    SparseNMF(),
    SparseNMF(n_components=3, sparsity=0.2, beta_loss="frobenius"),
    UnfoldedMeanFieldClassifier(10),
    UnfoldedMeanFieldClassifier((6, 4), n_layers=3, tied=False, lateral=True, damping=0.2),
    UnfoldedMeanFieldClassifier((), solver="lbfgs", max_iter=100, class_weight="balanced"),
    UnfoldedBPClassifier((8, 4)),
    UnfoldedBPClassifier(5, lateral=True, power=0.5, damping=0.2, solver="lbfgs", max_iter=30),
    UnfoldedBPClassifier((6, 4), tied=False, solver="sgd", learning_rate_init=0.1),
    UnfoldedCRFClassifier(),
    UnfoldedCRFClassifier(8, class_weight="balanced", averaging=0.9, max_iter=50),
    UnfoldedCRFClassifier(5, solver="lbfgs", max_iter=20),
]


def expected_failures(estimator):
    if isinstance(estimator, DeepNMFRegressor):
        return {
            "check_regressor_multioutput": "its targets are negative somewhere; it does not "
            "heed target_tags.positive_only"
        }
    return {}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
