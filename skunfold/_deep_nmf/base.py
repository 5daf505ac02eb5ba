"""What one calls of a deep NMF regressor, and the checks of what is given to it."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    MultiOutputMixin,
    RegressorMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.metrics import r2_score
from sklearn.utils.validation import (
    check_is_fitted,
    check_non_negative,
    column_or_1d,
    validate_data,
)

from skunfold._deep_nmf.recurrence import SequencePredictor, in_order
from skunfold._deep_nmf.training import DeepNMFTraining
from skunfold._deep_nmf.validation import (
    check_depth,
    check_lengths,
    check_mask_targets,
    check_numbers,
    check_recurrence,
    check_validation_data,
)
from skunfold._fitting import checked_weights, restored_on_failure, rows_of
from skunfold._kernels.divergences import beta_of
from skunfold._kernels.sparse_rows import canonical
from skunfold._scaling import check_range
from skunfold._sparse_input import sparse_format, takes_sparse
from skunfold._training.callbacks import CallbackSupportMixin, EpochCallbacks, with_callbacks
from skunfold._training.loop import train_once

_LISTS = frozenset({"bases_", "projections_"})  # attributes with an array for each layer


class DeepNMFBase(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    MultiOutputMixin,
    RegressorMixin,
    DeepNMFTraining,
):
    """All of `DeepNMFRegressor` but its parameters."""

    _learned = frozenset(
        {"bases_", "projections_", "output_bases_", "initial_activation_", "data_scale_"}
    )

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sources: Sequence[ArrayLike] | None = None,
        groups: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        lengths_val: ArrayLike | None = None,
    ) -> Self:
        """Initialise the bases and train them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative data; for mask output, mixtures. Sparse if `beta_loss` is
            "kullback-leibler" or "frobenius".
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Non-negative targets. For mask output, ``n_targets`` sources side by side, each
            with the columns of the last features of X.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, 0 or more, not all 0, in the training loss and in the
            initialisation. An integer weight is the same as so many copies of the sample,
            where all samples are one batch.
        sources : list of array-like of shape (n_samples_i, n_features), default=None
            For mask output: features of each source group alone, targets first, the residual
            last, to initialise the bases from. They need not be samples of X. By default the
            targets, and what they leave of X.
        groups : array-like of shape (n_samples,), default=None
            What belongs together, such as the recording that each frame is from. With
            `early_stopping`, whole groups are held out if there is more than one; samples
            like those trained on would show no overfitting. Ignored where `X_val` is given.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            With `early_stopping`, data to monitor instead of a part of X, all of which is then
            trained on.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Its targets; given together with `X_val`.
        sample_weight_val : array-like of shape (n_val,), default=None
            Its weights in the monitored loss, 0 or more, not all 0; only with `X_val`.
        lengths : array-like of int of shape (n_sequences,), default=None
            With `recurrence`, the numbers of samples of the sequences that X consists of, one
            after the other; they add up to n_samples. Samples without weight do not count as
            earlier ones. None: X is one sequence. scikit-learn's cross-validation cannot split
            lengths; leave them out there.
        lengths_val : array-like of int of shape (n_val_sequences,), default=None
            Those of `X_val`.

        Returns
        -------
        self : DeepNMFRegressor

        Raises
        ------
        ValueError
            If data is negative somewhere or not finite, if shapes do not fit each other, if a
            parameter does not fit the data, if validation data comes without `early_stopping`,
            or if `recurrence` is to be trained by several workers (`n_jobs`).
        TypeError
            If y is sparse, or X for any other `beta_loss`.
        """
        going_on = self.warm_start and hasattr(self, "bases_")
        validation = check_validation_data(
            X_val, y_val, sample_weight_val, lengths_val, self.early_stopping
        )
        check_recurrence(self.recurrence, self._n_trained, self.n_jobs)
        with restored_on_failure(self):
            X, y, weight, groups, lengths = self._validated(
                X, y, sample_weight, groups, lengths, going_on
            )
            if validation:
                validation = self._held_out(validation, X, y)
                lengths_val = check_lengths(lengths_val, validation[0].shape[0], "lengths_val")
                rows, held_out_rows = slice(None), None
            else:
                rows, held_out_rows = self._split(np.shape(X)[0], groups)
            if not going_on:
                some = self._rows_to_initialise_from(rows, X)
                self._initialise(*rows_of(some, X, y, weight), sources=sources)
            if validation:
                self._check_ranges(validation[0], validation[1], "_val")
            callbacks = EpochCallbacks(self, X, self._shaped(y), weight, self._max_epochs)
            if self._n_trained == 0:
                self._set_untrained_results(X, y, weight, lengths)
            else:
                samples, valid = self._samples(X, y, weight), None
                sequences = [(samples.inputs[-1], X, lengths)]
                if validation:
                    valid = self._samples(*validation)
                    sequences.append((valid.inputs[-1], validation[0], lengths_val))
                elif self.early_stopping:
                    valid = samples[held_out_rows]
                if valid is not None and not self.recurrence:  # which changes the start
                    valid = valid.loaded()
                self._train(samples[rows], valid, callbacks, sequences)
            callbacks.end_fit()
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sources: Sequence[ArrayLike] | None = None,
        lengths: ArrayLike | None = None,
    ) -> Self:
        """Train on one batch of a stream: one pass in updates of `batch_size` samples.

        The first call initialises the bases from its batch. Nothing is held out, and an
        update that makes the loss worse is not undone.

        Parameters
        ----------
        X, y, sample_weight, sources, lengths
            As in `fit`; `sources` are used by the first call only.

        Returns
        -------
        self : DeepNMFRegressor
        """
        going_on = hasattr(self, "bases_")
        with restored_on_failure(self):
            X, y, weight, _, lengths = self._validated(
                X, y, sample_weight, None, lengths, going_on
            )
            if not going_on:
                self._initialise(X, y, weight, sources=sources)
            if self._n_trained == 0:
                self._set_untrained_results(X, y, weight, lengths)
                return self
            samples, state = self._samples(X, y, weight), self._state()
            state.average = None
            sequences = [(samples.inputs[-1], X, lengths)]
            with self._objective(sequences) as objective:
                train_once(objective, state, samples, self._loop_settings(len(samples)))
            self._set_results(state)
        return self

    def predict(self, X: ArrayLike, lengths: ArrayLike | None = None) -> NDArray:
        """Return the predicted targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative data.
        lengths : array-like of int of shape (n_sequences,), default=None
            As in `fit`; so in all methods.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._shaped(self._predictions(*self._validated_data(X, lengths)))

    def sequence(self) -> SequencePredictor:
        """Predict the samples of one sequence while they arrive.

        Returns
        -------
        SequencePredictor
            Its ``predict(X)`` takes the next samples, one or more, and returns what `predict`
            would for all of them at once. Without `recurrence` they are independent.
        """
        check_is_fitted(self)
        n_components = len(self.output_bases_)
        return SequencePredictor(self, self._architecture().before_a_sequence(n_components))

    def staged_predict(
        self, X: ArrayLike, lengths: ArrayLike | None = None
    ) -> Iterator[NDArray]:
        """Yield the prediction after each layer.

        Parameters
        ----------
        X, lengths
            As in `predict`.

        Yields
        ------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The last one is that of `predict`.
        """
        for y in self._staged_predictions(*self._validated_data(X, lengths)):
            yield self._shaped(y)

    def transform(self, X: ArrayLike, lengths: ArrayLike | None = None) -> NDArray:
        """Return the activations of the last layer.

        Parameters
        ----------
        X, lengths
            As in `predict`.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_components)
        """
        return self._activations(*self._validated_data(X, lengths))

    def fit_transform(self, X: ArrayLike, y: ArrayLike, **fit_params: Any) -> NDArray:
        """Fit, and return the activations of the last layer.

        Parameters
        ----------
        X, y, **fit_params
            As in `fit`.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_components)
        """
        return self.fit(X, y, **fit_params).transform(X, fit_params.get("lengths"))

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> float:
        """Return the coefficient of determination of the predictions, R^2.

        Parameters
        ----------
        X, lengths
            As in `predict`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        float
            The mean of the outputs' R^2, 1 at best.
        """
        return float(r2_score(y, self.predict(X, lengths), sample_weight=sample_weight))

    def _continued(self, X, earlier):
        """Return the predictions of the next samples of a sequence."""
        X, lengths = self._validated_data(X)
        return self._shaped(self._predictions(X, lengths, earlier))

    def _predictions(self, X, lengths, earlier=None):
        """Return the outputs (n_samples, n_outputs) of checked data."""
        architecture, layers, U = self._inference(X)
        y = np.empty((X.shape[0], self.n_outputs_), X.dtype)
        for rows, factors in in_order(architecture, X, layers, lengths, earlier):
            architecture.predictions(X[rows], layers, U, y[rows], factors)
        return y

    def _staged_predictions(self, X, lengths):
        """Yield the outputs (n_samples, n_outputs) of checked data after each layer."""
        architecture, layers, U = self._inference(X)
        factors = architecture.factors(X, layers, lengths)
        yield from architecture.staged_predictions(X, layers, U, self.n_outputs_, factors)

    def _activations(self, X, lengths):
        """Return the activations (n_samples, n_components) of checked data."""
        architecture, layers, U = self._inference(X)
        h = np.empty((X.shape[0], len(U)), X.dtype)
        for rows, factors in in_order(architecture, X, layers, lengths):
            architecture.activations(X[rows], layers, h[rows], factors)
        return h

    def _validated(self, X, y, sample_weight, groups, lengths, going_on):
        """Check everything before any work.

        Return X, y of shape (n, n_outputs), weights, groups and lengths.
        """
        check_depth(self.n_layers, self._n_trained)
        self._group_sizes()
        if going_on:
            self._check_structure()
        X, y, weight = self._checked(X, y, sample_weight, self.n_outputs_ if going_on else None)
        if going_on:
            self._check_ranges(X, y)
        if groups is not None:
            groups = np.asarray(groups)
            if groups.shape != (X.shape[0],):
                raise ValueError(
                    f"groups has the shape {groups.shape}; give one for each of the "
                    f"{X.shape[0]} samples."
                )
        lengths = check_lengths(lengths, X.shape[0])
        if weight is None or weight.all():
            return X, y, weight, groups, lengths
        used = weight > 0
        sequence = np.repeat(np.arange(len(lengths)), lengths)
        lengths = np.bincount(sequence[used], minlength=len(lengths))
        return *rows_of(used, X, y, weight, groups), lengths

    def _checked(self, X, y, sample_weight, n_outputs, suffix=""):
        """Check samples; return X, y of shape (n, n_outputs) and the weights or None.

        Without a number of outputs, the features are learned. The suffix is that of the names.
        """
        if issparse(y):
            raise TypeError(
                f"y{suffix} is sparse; DeepNMFRegressor needs dense targets: y.toarray()."
            )
        X, y = validate_data(
            self,
            X,
            y,
            reset=n_outputs is None,
            accept_sparse=sparse_format(X, f"X{suffix}", self.beta_loss),
            dtype=[np.float64, np.float32],
            multi_output=True,
        )
        X = canonical(X)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_non_negative(X, f"DeepNMFRegressor (argument X{suffix})")
        y = check_numbers(y, f"y{suffix}", X.dtype).reshape(X.shape[0], -1)
        check_non_negative(y, f"DeepNMFRegressor (argument y{suffix})")
        if n_outputs not in (None, y.shape[1]):
            raise ValueError(
                f"y{suffix} has {y.shape[1]} columns; this model was fitted with {n_outputs}."
            )
        if self.output == "mask":
            check_mask_targets(y, X, self.n_targets)
        return X, y, checked_weights(sample_weight, X, suffix)

    def _check_ranges(self, X, y, suffix=""):
        """Check that samples are within the range of what is computed in the fitted units."""
        check_range(X, self.data_scale_, f"X{suffix}")
        check_range(y, self.target_scale_, f"y{suffix}")

    def _held_out(self, validation, X, y):
        """Check validation data against the checked (X, y); return it in their dtype."""
        X_val, y_val, weight = validation
        checked = self._checked(X_val, y_val, weight, y.shape[1], "_val")
        return [None if a is None else a.astype(X.dtype, copy=False) for a in checked]

    def _check_structure(self):
        """Check that what shapes the network is as it was in the fit."""
        if self.n_layers != len(self.bases_):
            raise ValueError(
                f"n_layers={self.n_layers}, but the model was fitted with {len(self.bases_)} "
                "layers; set it back, or fit anew with warm_start=False."
            )
        if self.fit_projections != hasattr(self, "projections_"):
            raise ValueError(
                f"fit_projections={self.fit_projections}, but the model was fitted with "
                f"{not self.fit_projections}; set it back, or fit anew with warm_start=False."
            )
        if self._group_sizes() != tuple(self.group_sizes_):
            raise ValueError(
                f"n_components={self.n_components!r}, output={self.output!r} and n_targets="
                f"{self.n_targets} ask for source groups of {self._group_sizes()} components, "
                f"but the model was fitted with {tuple(self.group_sizes_)}; fit it anew."
            )

    def _validated_data(self, X, lengths=None):
        check_is_fitted(self)
        self._check_structure()
        X = validate_data(
            self,
            X,
            reset=False,
            accept_sparse=sparse_format(X, "X", self.beta_loss),
            dtype=[np.float64, np.float32],
            ensure_non_negative=True,
        )
        X = canonical(X)
        check_range(X, self.data_scale_, "X")
        return X, check_lengths(lengths, X.shape[0])

    def _inference(self, X):
        """Return (architecture, layers, output bases) for samples like X.

        Layers are prepared once; those of the Frobenius norm for a number of samples.
        """
        dtype, n_samples = X.dtype, X.shape[0]

        def prepare():
            architecture, thetas = self._architecture(), self._thetas()
            like_X = {id(W): W.astype(dtype, copy=False) for theta in thetas for W in theta}
            thetas = [tuple(like_X[id(W)] for W in theta) for theta in thetas]
            layers = architecture.layers(thetas, n_samples)
            return architecture, layers, self.output_bases_.astype(dtype, copy=False)

        key = (dtype, n_samples if beta_of(self.beta_loss) == 2 else None)
        return self._kept(key, prepare)

    def _shaped(self, y):
        """Return outputs as users know them: flat if there is only one."""
        return y.ravel() if self.n_outputs_ == 1 else y

    @property
    def _n_features_out(self):
        return self.output_bases_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = takes_sparse(self.beta_loss)
        tags.target_tags.positive_only = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        # A mask only passes on or attenuates features; it cannot fit any target.
        tags.regressor_tags.poor_score = self.output == "mask"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __getstate__(self):
        """Return the state with each distinct array of bases and projections once."""
        state = dict(super().__getstate__())
        for name in _LISTS.intersection(state):
            arrays = state[name]
            distinct = list({id(W): W for W in arrays}.values())
            places = [next(i for i, D in enumerate(distinct) if D is W) for W in arrays]
            state[name] = (distinct, places)
        return state

    def __setstate__(self, state):
        """Restore the lists of arrays, in which layers share them."""
        lists = {}
        for name in _LISTS.intersection(state):
            distinct, places = state[name]
            lists[name] = [distinct[i] for i in places]
        super().__setstate__(state | lists)
