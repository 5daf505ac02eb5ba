"""Common to all regressors: targets and scores."""

from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.model_selection import ShuffleSplit

from skunfold._estimator.data import r2_of_samples


class NumberTargets(MultiOutputMixin, RegressorMixin):
    """Mixin of an `UnfoldedEstimator` whose outputs are numbers."""

    def _learn_targets(self, y, classes=None, first=True, stream=False):
        if first:
            self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]

    def _encoded(self, y, dtype, suffix=""):
        y = y.astype(dtype, copy=False).reshape(len(y), -1)
        if y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y{suffix} has {y.shape[1]} columns; this model was fitted with "
                f"{self.n_outputs_}."
            )
        return y

    def _score_of(self, samples, output):
        return r2_of_samples(samples, output)

    def _splitter(self, y):
        return ShuffleSplit, None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = True
        return tags
