"""scikit-learn's callbacks (1.9, experimental) behind one interface; no-ops before.

An estimator inherits from `CallbackSupportMixin`, decorates `fit` with `with_callbacks`, and
passes `EpochCallbacks` to the training loop.
"""

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # pragma: no cover - scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Replacement where scikit-learn has no callbacks."""

    def with_callbacks(method):
        """Return the method unchanged."""
        return method


class EpochCallbacks:
    """The task tree fit -> epoch of one fit, which begins here.

    Parameters
    ----------
    estimator : estimator
        The estimator whose `fit` runs, with or without callbacks set.
    X : array-like
        Its training data.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Its targets.
    sample_weight : array-like or None
        Its weights.
    max_iter : int
        The largest number of epochs.
    """

    def __init__(self, estimator, X, y, sample_weight, max_iter):
        self._task = None
        self._attributes = dict
        if hasattr(estimator, "_init_callback_context"):
            self._estimator = estimator
            self._data = {"X": X, "y": y}
            if sample_weight is not None:
                self._data["metadata"] = {"sample_weight": sample_weight}
            self._task = estimator._init_callback_context(max_subtasks=max_iter)
            self._task.call_on_fit_task_begin(estimator=estimator, **self._data)

    def watch(self, attributes):
        """Take a callable that returns the current attributes of the model, a dict."""
        self._attributes = attributes

    def begin_epoch(self):
        """Tell the callbacks that an epoch begins."""
        if self._task is not None:
            self._epoch = self._task.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def end_epoch(self):
        """Tell them that it ended; return whether one asks to stop."""
        return self._task is not None and self._end(self._epoch)

    def end_fit(self):
        """Tell them that the fit ended."""
        if self._task is not None:
            self._end(self._task)

    def _end(self, task):
        return bool(
            task.call_on_fit_task_end(
                estimator=self._estimator,
                reconstruction_attributes=self._attributes,
                **self._data,
            )
        )


class NoCallbacks:
    """For fits without callbacks."""

    def begin_epoch(self):
        """Do nothing."""

    def end_epoch(self):
        """Never ask to stop."""
        return False
