"""Deep NMF as a scikit-learn regressor."""

from collections.abc import Sequence
from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.base import _fit_context

from skunfold._deep_nmf.arrays import bases_given, is_list_of_layers, layers_given
from skunfold._deep_nmf.base import DeepNMFBase
from skunfold._deep_nmf.validation import check_recurrence
from skunfold._estimator.data import Given
from skunfold._estimator.docstrings import LOOP, documented
from skunfold._training.callbacks import with_callbacks


@documented(LOOP)
class DeepNMFRegressor(DeepNMFBase):
    """Non-negative regression and source separation by unfolded sparse NMF.

    The updates that infer the activations of a non-negative matrix factorization become the
    layers of a network; the last layers get separate bases and are trained to predict
    non-negative targets. All quantities stay non-negative, and with mask output the estimates
    of all sources add up to the data. Without trained layers it is plain sparse NMF.

    Parameters
    ----------
    n_components : int or sequence of int, default=25
        Number of bases. With mask output, one int for each source group: for the targets, and
        last for the residual (everything that is no target), which alone may be 0. A single
        int then means one target, and as many bases for the residual.

    n_layers : int, default=8
        Unfolding depth: number of inference iterations, at least 1.

    n_trained_layers : int or "all", default="all"
        How many layers are trained, counted from the output: 0 is sparse NMF, 1 trains the
        reconstruction (discriminative NMF), 2 also the bases of the last inference layer, and
        so on, up to ``n_layers + 1`` or "all".

    tied : bool, default=False
        Whether the trained inference layers share one parameter set. It is trained through
        all of them.

    output : {"linear", "mask"}, default="linear"
        "linear": the targets are activations times output bases. "mask", for separation: each
        target is the last features (with stacked context frames, the current frame) times a
        mask, and the masks of all groups add up to one.

    beta_loss : {"frobenius", "kullback-leibler", "itakura-saito"} or float, \
default="kullback-leibler"
        The divergence that inference descends; as a number, its beta, 0 or more. Data may be
        sparse for "frobenius" and "kullback-leibler".

    training_loss : {"frobenius", "kullback-leibler", "itakura-saito"} or float, \
default="frobenius"
        The divergence of the targets from the predictions that training minimises; as a
        number, its beta, 0 or more.

    sparsity : float, default=0.0
        Weight of the L1 penalty on the activations within inference, 0 or more, in units of
        ``X ** (beta - 1)``. Assumes roughly unit-norm bases (``init="sparse_nmf"``).

    relaxation : float, default=1.0
        Exponent of the multiplicative updates of all layers but the first, from 1 (plain
        updates) to 2. Above 1 updates are over-relaxed: each layer does the work of up to that
        many plain ones, at no cost.

    fit_projections : bool, default=False
        Whether each trained inference layer learns a second non-negative array, its
        projections. NMF maps the ratio of data to reconstruction back onto the components by
        the bases; projections replace the bases there. They start as a copy of the bases and
        are trained with them: twice the parameters in a layer, at the same cost.

    recurrence : float or (float, float), default=0.0
        How strongly earlier samples seed inference: a power from 0 (independent samples) to 1.
        Above 0, the rows of X are samples of sequences, in order (see `lengths` in `fit`), and
        are inferred twice: first all begin with the same constant; then each activation of a
        sample begins with the constant times its average over the earlier samples of the
        sequence, relative to the other activations, to this power. A pair (power, n_samples)
        also sets the time constant of that average, in samples, above 0; otherwise it is 300.
        Samples can then not be shared among workers (`n_jobs`).

    init : {"nmf", "sparse_nmf", "random"}, estimator, array-like, or list of these, \
default="nmf"
        The bases that training starts from. "nmf": :class:`sklearn.decomposition.NMF` of each
        source group, or of ``[X, y]`` jointly for linear output; "sparse_nmf":
        :class:`SparseNMF` likewise, with this `sparsity`. Or a fitted NMF (an object with
        `components_`) or an array of shape (n_components, n_features), or a list of these that
        are stacked; for linear output they may have ``n_features + n_outputs`` columns. Or a
        fitted DeepNMFRegressor of the same `n_layers` and shapes, whose layers are copied: so
        one trained with ``tied=True`` can be trained further with ``tied=False``. `clone` (as
        in a grid search) drops fitted attributes: give the arrays instead, or a
        :class:`sklearn.frozen.FrozenEstimator`.

    solver : {"eg", "mu", "naive-mu"}, default="eg"
        "eg": exponentiated gradient with Adam's scaling. "mu": multiplicative
        back-propagation with the parts of the gradient cancelled after every layer.
        "naive-mu": the same without cancellation, as first published, where early layers of
        deep networks hardly learn. All keep parameters positive.

    learning_rate_init : float or "auto", default="auto"
        Step size, above 0: the typical change of a log parameter in one update for "eg" (auto:
        0.03), the exponent for "mu" (auto: 0.25) and "naive-mu" (auto: 1). It is halved
        whenever the monitored loss does not fall, see Notes.

    %(learning_rate_decay, averaging)s

    batch_size : int or "auto", default="auto"
        Samples of one update, at least 1; "auto" is ``min(1024, n_samples)``.

    %(max_iter, tol, shuffle, early_stopping, validation_fraction, n_iter_no_change,
    warm_start, random_state, verbose, n_jobs)s

    memory : str, object with the interface of joblib.Memory, or None, default=None
        Where to cache the initialisation, so that fits that differ in depth, solver or other
        training parameters (as in a grid search) compute it once; a str is the path of a
        folder. Used only if `random_state` is an int.

    Attributes
    ----------
    bases_ : list of n_layers ndarrays of shape (n_components, n_features)
        Bases of each layer; layers that share bases share the array.
    projections_ : list of n_layers ndarrays of shape (n_components, n_features)
        Projections of each layer, only with `fit_projections`; those of layers that are not
        trained are the bases.
    output_bases_ : ndarray of shape (n_components, n_outputs)
        Bases of the reconstruction; for mask output, with the columns of one target.
    initial_activation_ : float
        The activation that inference begins with.
    group_sizes_ : tuple of int
        Components of each source group.
    data_scale_, target_scale_ : float
        The powers of two by which data and targets are divided for the computation.
    n_parameters_ : int
        Number of distinct parameters held.
    n_trained_parameters_ : int
        Number of those that training may change.
    %(n_iter_, loss_, loss_curve_, best_loss_, validation_loss_curve_, validation_scores_,
    best_validation_score_, history_, n_features_in_, feature_names_in_)s
    n_outputs_ : int
        Number of columns of y.

    See Also
    --------
    SparseNMF : The model that is unfolded here, as a transformer.
    skunfold.audio.SpeechEnhancer : Noisy waveforms in, clean ones out.

    Notes
    -----
    Without `recurrence` samples are independent: the prediction of a batch is that of its rows.
    For the Kullback-Leibler divergence, predictions scale with the data.

    %(monitored)s

    Data may be larger than memory (``numpy.memmap``): it is read in blocks. Scikit-learn's
    ``working_memory`` (``sklearn.set_config``, 1 GiB) bounds two things. Beyond it, the outputs
    of the layers that are not trained go to a temporary file. The initialisation takes a random
    part of the samples, at most an eighth of it.

    References
    ----------
    %(paper)s, section 4.

    J. Le Roux, J. R. Hershey and F. Weninger, "Deep NMF for speech separation", ICASSP 2015.

    R. Badeau, N. Bertin and E. Vincent, "Stability analysis of multiplicative update algorithms
    and application to nonnegative matrix factorization", IEEE Transactions on Neural Networks
    21 (2010), for `relaxation`.

    K. Gregor and Y. LeCun, "Learning fast approximations of sparse coding", ICML 2010, where
    the two uses of a dictionary are untied, for `fit_projections`.

    S. Wisdom, T. Powers, J. Pitton and L. Atlas, "Deep recurrent NMF for speech separation by
    unfolding iterative thresholding", WASPAA 2017, section 3, where inference begins with the
    activations of the sample before, for `recurrence`.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold import DeepNMFRegressor
    >>> rng = np.random.default_rng(0)
    >>> concentrations = rng.uniform(size=(200, 3))
    >>> spectra = rng.uniform(size=(3, 20))
    >>> X = rng.poisson(50 * concentrations @ spectra).astype(float)
    >>> model = DeepNMFRegressor(n_components=3, n_layers=4, max_iter=50, random_state=0)
    >>> untrained = DeepNMFRegressor(
    ...     n_components=3, n_layers=4, n_trained_layers=0, random_state=0
    ... ).fit(X, concentrations)
    >>> model.fit(X, concentrations).predict(X).shape
    (200, 3)
    >>> model.score(X, concentrations) > untrained.score(X, concentrations)
    True
    """

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
            Non-negative targets. For mask output, the target sources side by side, each with
            the columns of the last features of X.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, 0 or more, not all 0, in the training loss and in the
            initialisation. Where all samples are one batch, an integer weight is the same as
            that many copies of the sample.
        sources : list of array-like of shape (n_samples_i, n_features), default=None
            For mask output: features of each source group alone, targets first, the residual
            last, to initialise the bases from. They need not be samples of X. By default the
            targets, and for the residual X minus the targets.
        groups : array-like of shape (n_samples,), default=None
            The group of each sample, such as the recording that a frame is from. With
            `early_stopping`, whole groups are held out if there is more than one, since
            held-out samples similar to training samples would not show overfitting. Ignored if
            `X_val` is given.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            With `early_stopping`, data to monitor instead of a part of X, all of which is then
            trained on.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Its targets; given together with `X_val`.
        sample_weight_val : array-like of shape (n_val,), default=None
            Its weights in the monitored loss, 0 or more, not all 0; only with `X_val`.
        lengths : array-like of int of shape (n_sequences,), default=None
            With `recurrence`, the numbers of samples of the sequences that X consists of, one
            after the other; they add up to n_samples. Zero-weight samples are skipped.
            None: X is one sequence. scikit-learn's cross-validation cannot split
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
        check_recurrence(self.recurrence, self._n_trained, self.n_jobs)
        given = Given(X, y, sample_weight, lengths)
        validation = Given(X_val, y_val, sample_weight_val, lengths_val)
        return self._fit(given, groups, validation, sources=sources)

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

        The first call initialises the bases from its batch. No samples are held out, and no
        parameters are restored.

        Parameters
        ----------
        X, y, sample_weight, sources, lengths
            As in `fit`; `sources` are used by the first call only.

        Returns
        -------
        self : DeepNMFRegressor
        """
        return self._partial_fit(Given(X, y, sample_weight, lengths), sources=sources)

    @classmethod
    def from_bases(
        cls,
        bases: Any,
        output_bases: ArrayLike | None = None,
        *,
        projections: Any = None,
        initial_activation: float = 1.0,
        **params: Any,
    ) -> Self:
        """Return a network of given arrays, without a fit.

        It predicts at once, and `fit` trains it further, since it has ``warm_start=True``.
        Until then its `loss_` is infinite, since no loss was computed. Arrays are copied.

        Parameters
        ----------
        bases : array-like of shape (n_components, n_features), or list of n_layers of them
            Non-negative bases, the same for all layers or those of each; layers that are given
            one and the same object share it.
        output_bases : array-like of shape (n_components, n_outputs), default=None
            Bases of the reconstruction; for mask output, with the columns of one target. None:
            the bases of the last layer.
        projections : like `bases`, default=None
            Projections of the layers; sets ``fit_projections=True``. None: the bases, if that
            is set.
        initial_activation : float, default=1.0
            The activation that inference begins with, above 0. `fit` uses
            ``np.sqrt(X.mean() / n_components)``; use it for data of another level as well.
        **params
            Parameters of the estimator. `n_layers` follows from a list of bases, and
            `n_components` from their shape unless there are several source groups.

        Returns
        -------
        model : DeepNMFRegressor

        Raises
        ------
        ValueError
            If an array is negative somewhere or not finite, or if shapes or parameters do not
            fit each other.

        Examples
        --------
        >>> import numpy as np
        >>> from skunfold import DeepNMFRegressor
        >>> spectra = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]])
        >>> model = DeepNMFRegressor.from_bases(spectra, n_layers=100)
        >>> X = np.array([[2.0, 1.0]]) @ spectra
        >>> model.transform(X).round(2)
        array([[2., 1.]])
        """
        layers = layers_given("bases", bases)
        derived: dict[str, Any] = {"warm_start": True}
        if is_list_of_layers(bases):
            derived["n_layers"] = len(layers)
        if params.get("output", "linear") == "linear":
            derived["n_components"] = len(layers[0])
        if projections is not None:
            derived["fit_projections"] = True
            projections = layers_given("projections", projections)
        model = cls(**(derived | params))
        U = None if output_bases is None else bases_given("output_bases", output_bases)
        model._begin(layers, projections, U, initial_activation)
        return model
