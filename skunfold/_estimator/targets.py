"""Classes and labels as indicators, and back from logits."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from skunfold._kernels.probabilities import log_softmax, softmax, two_states


def class_weights(class_weight, y, weight):
    """Return the weight of each sample, multiplied by that of its class.

    "balanced" brings all classes to the same sum of weights.
    """
    if y.ndim == 2:
        raise ValueError(
            f"class_weight={class_weight!r} is for classes, but y is a label indicator matrix; "
            "use class_weight=None."
        )
    if class_weight == "balanced":
        _, index = np.unique(y, return_inverse=True)
        sums = np.bincount(index, weights=weight)
        with_weight = sums > 0
        factors = np.where(with_weight, weight.sum() / with_weight.sum(), 0)
        factors = np.divide(factors, sums, out=factors, where=with_weight)
        return weight * factors[index].astype(weight.dtype)
    factors = compute_sample_weight(class_weight, y)
    if not (np.isfinite(factors).all() and factors.min() >= 0):
        raise ValueError(
            f"class_weight={class_weight!r} holds something else than finite weights of 0 or "
            "more; mend it, or use 'balanced'."
        )
    return weight * factors.astype(weight.dtype)


def _check_indicators(y):
    """Check that a label indicator matrix, dense or sparse, holds 0 and 1 only."""
    values = y.data if hasattr(y, "toarray") else y
    if not ((values == 0) | (values == 1)).all():
        raise ValueError(
            f"y is a label indicator matrix that holds {np.unique(values).tolist()}; give 1 "
            "for the labels that are on and 0 for the others, such as (y > 0).astype(int)."
        )


@dataclass(frozen=True)
class Targets:
    """The meaning of the outputs: states of a class node, or labels that are on or off.

    Two classes are one label, which is on for the second.
    """

    classes: np.ndarray  # of the class node; numbers of the columns of y where it has many
    n_outputs: int
    class_node: bool

    @classmethod
    def of(cls, y):
        """Return the targets that y holds samples of."""
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise ValueError(
                f"y has shape {y.shape} and holds values other than 0 and 1; give one column "
                "of classes, or a label indicator matrix of 0 and 1."
            )
        if kind.startswith("multilabel"):
            _check_indicators(y)
            return cls(np.arange(y.shape[1]), y.shape[1], class_node=False)
        return cls.of_classes(np.unique(y))

    @classmethod
    def of_classes(cls, classes):
        """Return the targets of one class node."""
        two = len(classes) == 2
        return cls(classes, 1 if two else len(classes), class_node=not two)

    @property
    def multilabel(self):
        """Whether y has a column for each label."""
        return not self.class_node and self.n_outputs == len(self.classes)

    def indicators(self, y, dtype, suffix=""):
        """Return y as 0 and 1, (n, n_outputs); the suffix is that of its name."""
        if type_of_target(y).startswith("multilabel") != self.multilabel:
            kind = "an indicator matrix" if self.multilabel else "one column of classes"
            raise ValueError(
                f"y{suffix} has shape {y.shape}; this model was fitted with {kind}."
            )
        if self.multilabel:
            if y.shape[1] != self.n_outputs:
                raise ValueError(
                    f"y{suffix} has {y.shape[1]} columns; this model was fitted with "
                    f"{self.n_outputs}."
                )
            _check_indicators(y)
            y = y.toarray() if hasattr(y, "toarray") else y
            return np.ascontiguousarray(y, dtype=dtype)
        index = self.numbers(y, suffix)
        if not self.class_node:
            return index[:, None].astype(dtype)
        return np.eye(self.n_outputs, dtype=dtype)[index]

    def numbers(self, y, suffix=""):
        """Return the number of the class of each sample, (n,)."""
        unknown = np.setdiff1d(y, self.classes)
        if len(unknown):
            raise ValueError(
                f"y{suffix} holds the class {unknown.tolist()[0]!r}; this model knows the "
                f"classes {', '.join(map(str, self.classes))}."
            )
        return np.searchsorted(self.classes, y)

    def predictions(self, logits):
        """Return the most probable class of each sample, or the labels that are on."""
        if self.multilabel:
            return (logits > 0).astype(int)
        if not self.class_node:
            return self.classes[(logits[:, 0] > 0).astype(int)]
        return self.classes[logits.argmax(axis=1)]

    def probabilities(self, logits):
        """Return the probabilities of the classes (n, n_classes), or of each label being on."""
        if self.class_node:
            return softmax(logits)
        off, on = two_states(logits)
        return on if self.multilabel else np.hstack([off, on])

    def log_probabilities(self, logits):
        """Return the logarithms of `probabilities`, finite also where these are zero."""
        if self.class_node:
            logs = log_softmax(logits)
        else:
            off, on = two_states(logits, log=True)
            logs = on if self.multilabel else np.hstack([off, on])
        p = self.probabilities(logits)
        return np.log(p, out=logs, where=p > np.finfo(p.dtype).tiny)

    def decisions(self, logits):
        """Return the logits, flat for two classes."""
        return logits if self.class_node or self.multilabel else logits[:, 0]

    def accuracy(self, samples, logits):
        """Return the weighted accuracy of logits."""
        decided = self._decided(logits)
        return float(accuracy_score(samples.y, decided, sample_weight=samples.weight))

    def _decided(self, logits):
        if not self.class_node:
            return (logits > 0).astype(logits.dtype)
        return np.eye(self.n_outputs, dtype=logits.dtype)[logits.argmax(axis=1)]


def check_classes_kept(classes, fitted_classes):
    """Check that a warm start is given the classes of the fit that it continues."""
    if not np.array_equal(classes, fitted_classes):
        raise ValueError(
            f"y holds the classes {', '.join(map(str, classes))}, but warm_start=True "
            f"continues a fit to {', '.join(map(str, fitted_classes))}; set "
            "warm_start=False to start again."
        )
