"""scikit-learn's common checks on several configurations of every estimator."""

from guide import KLNMF, RandomISTA
from sklearn.utils.estimator_checks import parametrize_with_checks

from skunfold import (
    DeepNMFRegressor,
    SparseNMF,
    UnfoldedBPClassifier,
    UnfoldedCRFClassifier,
    UnfoldedMeanFieldClassifier,
)
from skunfold.unfolding import UnfoldedClassifier, UnfoldedRegressor

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
    UnfoldedRegressor(RandomISTA(), n_layers=3, max_iter=100),
    UnfoldedRegressor(RandomISTA(), n_layers=3, tied=True, solver="lbfgs", max_iter=50),
    UnfoldedRegressor(KLNMF(), n_layers=3, n_trained_layers=2, alpha=1e-4, max_iter=20),
    UnfoldedClassifier(RandomISTA(12), n_layers=3, learning_rate_init=0.03, alpha=0.01),
    UnfoldedClassifier(KLNMF(12), n_layers=2, tied=True, learning_rate_init=0.1),
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
    if isinstance(estimator, UnfoldedClassifier) and estimator.iteration.non_negative_input:
        reason = "its data are negative somewhere; it does not heed input_tags.positive_only"
        checks = "check_class_weight_classifiers", "check_decision_proba_consistency"
        return dict.fromkeys(checks, reason)
    return {}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
