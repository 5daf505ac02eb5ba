"""Conditional random fields over the rows of X, as a scikit-learn classifier."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils.metaestimators import available_if

from skunfold._crf.base import RowClassifier
from skunfold._crf.decoding import decoded, decoded_chains, log_penalties
from skunfold._estimator.base import trains_on_batches
from skunfold._estimator.data import Given
from skunfold._estimator.docstrings import FIELDS, documented
from skunfold._training.callbacks import with_callbacks


@documented(FIELDS)
class UnfoldedCRFClassifier(RowClassifier):
    """Classification of rows that depend on each other: sequences, images, graphs.

    Each row of X is a node with one class, as usual in scikit-learn. Columns of X that
    `graph_columns` names say where the row belongs: to which sentence and place in it, to which
    pixel of which image, to which node of a graph. The classes of neighbours are coupled, by a
    table of weights for each pair of classes. Inference by belief propagation (or mean field)
    is unfolded: each sweep of messages between neighbours is a layer of a network, which is
    trained. On sequences this is the linear-chain conditional random field, and with hidden
    layers a neural one.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=()
        Number of sigmoid units of each hidden layer between the features of a row and the
        classes; () for none, a linear model.

    graph : {"chain", "grid"} or callable, default="chain"
        Which rows are neighbours; ignored without `graph_columns`.

        - "chain": rows of a sequence, each with the next one. The table of weights is for the
          class of the earlier row and that of the later one.
        - "grid": pixels, each with the one to the right and the one below. There are two
          tables, for (left, right) and for (upper, lower).
        - A callable from the graph columns (n_rows, n_graph_columns), or (n_rows,) for one
          column, to an adjacency matrix (n_rows, n_rows), dense or sparse. Columns of whole
          numbers come as integers, so that ``lambda ids: A[ids][:, ids]`` picks the nodes of a
          graph A. The value of an entry is the kind of edge, and each kind has a table. If all
          entries of a value are there both ways, the table is symmetric; otherwise an entry
          [i, j] is an edge from i to j. The diagonal is ignored.

    graph_columns : str, int, sequence of str or int, or None, default=None
        The columns of X that say where a row belongs, by name (for a DataFrame) or number.
        They are not features. For "chain": the sequence, or the sequence and the position in it
        (a whole number; neighbours are rows whose positions differ by 1). Without positions,
        neighbours are consecutive rows, and the rows of a sequence must not be interrupted by
        others. For "grid": image, row and column. None: rows are independent, and the model is
        an ordinary classification network.

    inference : {"bp", "mean_field"}, default="bp"
        The messages of belief propagation, or of mean field.

    n_layers : int, default=4
        Unfolding depth: number of sweeps, at least 1. The first uses each row alone, each later
        one the messages of its neighbours, so that rows influence each other over up to
        ``n_layers - 1`` edges. Belief propagation on a sequence or tree of at most that many
        edges is exact. Ignored without `graph_columns` and for ``schedule="sequential"``.

    tied : bool, default=True
        Whether all sweeps share one parameter set: inference in one field. Otherwise each has
        its own, and a fit begins with half of its epochs tied.

    schedule : {"flooding", "sequential"}, default="flooding"
        "flooding": all rows send at once in each sweep. "sequential": messages pass along each
        chain and back (forward-backward), which is exact after one pass; for ``graph="chain"``
        and ``inference="bp"`` with ``power=1``. It suits few or long sequences.

    coupling : {"table", "features"}, default="table"
        "table": the weights of pairs of classes are the same for all edges of a kind.
        "features": they also depend, linearly, on the features of both ends. That takes
        ``n_classes ** 2`` weights for each feature, and that much memory for each edge.

    training_loss : {"marginals", "likelihood"}, default="marginals"
        "marginals": the cross-entropy of each row's probabilities, through the sweeps.
        "likelihood": the negative log-likelihood of whole sequences (divided by their rows), as
        in CRFsuite; for ``schedule="sequential"``, where it is exact. It suits `decode`. Rows
        of weight 0 must then be whole sequences, and the rows of a sequence count with their
        mean weight.

    damping : float, default=0.0
        Fraction of the previous sweep's messages to keep, in [0, 1). Helps where couplings are
        strong and messages oscillate. Ignored for ``schedule="sequential"``.

    power : float, default=1.0
        Power of the messages of belief propagation, above 0. 1: sum-product. Towards 0: mean
        field. Above 1: tree-reweighted, with edges that appear in a spanning tree with
        probability ``1 / power``. Ignored by mean field.

    alpha : float, default=1e-5
        Strength of the L2 penalty on all weights but the biases, 0 or more: `alpha` / 2 times
        their sum of squares is added to the mean loss of a row.

    %(solver)s

    batch_size : int or "auto", default="auto"
        Number of components (sequences, images, connected parts of a graph) of one update, at
        least 1; "auto" is as many as have about 200 rows.

    %(learning_rate_init, learning_rate_decay, averaging, max_iter, tol)s

    shuffle : bool, default=True
        Whether to shuffle the components before each epoch.

    early_stopping : bool, default=False
        Whether to monitor the loss of held-out components and keep the parameters that are best
        on them. `fit` takes rows for it as `X_val`.

    validation_fraction : float, default=0.1
        Fraction of the components to hold out, between 0 and 1; only with `early_stopping` and
        without `X_val`.

    %(n_iter_no_change, class_weight, warm_start)s

    random_state : int, RandomState instance or None, default=None
        Seed of the initialisation, of the held-out components and of the shuffling.

    %(verbose)s

    Attributes
    ----------
    potentials_ : list of dict
        The parameters of each sweep; tied sweeps have one and the same. "coefs" and
        "intercepts": lists of ndarray, the weights (units below, units above) and biases of the
        hidden layers and of the classes. "tables": list of ndarray of shape (n_classes,
        n_classes), for each kind of edges the weights of pairs of classes, source first.
        "edge_coefs": with ``coupling="features"``, list of ndarray of shape (n_features,
        n_classes, n_classes), for each kind those of the source and those of the target; one
        for a symmetric kind. The first sweep sends no messages; untied, its tables are those
        of the second.
    edge_kinds_ : ndarray of shape (n_kinds,)
        What the tables are for: "next"; "right" and "down"; or the values that the callable
        returned.
    symmetric_kinds_ : ndarray of shape (n_kinds,)
        Whether the table of each kind is symmetric.
    graph_columns_ : ndarray of int
        The numbers of the graph columns in X.
    classes_ : ndarray of shape (n_classes,)
        The classes.
    n_outputs_ : int
        Number of classes.
    out_activation_ : "softmax"
        The function from totals to probabilities.
    %(n_parameters_, n_iter_, loss_, loss_curve_, best_loss_, validation_loss_curve_,
    validation_scores_, best_validation_score_, history_)s
    n_features_in_ : int
        Number of columns seen in `fit`, graph columns included.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, where X has string names.

    See Also
    --------
    UnfoldedBPClassifier : Hidden layers and labels of one sample as a field; rows are
        independent.
    sklearn.semi_supervised.LabelPropagation : Labels spread over a graph that comes from the
        features.

    Notes
    -----
    The total field of row n is T_n = theta(x_n) + sum of the messages of its neighbours. Its
    softmax gives the marginals. Training minimises, by default, the cross-entropy of
    these marginals, through the messages. `predict` returns the most probable class of each
    row; `decode` the most probable classes of all rows together.

    References
    ----------
    J. R. Hershey, J. Le Roux and F. Weninger, "Deep unfolding: model-based inspiration of
    novel deep architectures", arXiv 1409.2574 (2014), section 3.

    J. Lafferty, A. McCallum and F. Pereira, "Conditional random fields" (ICML 2001).

    Examples
    --------
    Sequences of five rows whose class rarely changes, with one noisy feature:

    >>> import numpy as np
    >>> from skunfold import UnfoldedCRFClassifier
    >>> rng = np.random.default_rng(0)
    >>> sequence, position = np.divmod(np.arange(1000), 5)
    >>> y = np.repeat(rng.integers(3, size=200), 5)
    >>> feature = y + rng.normal(size=1000)
    >>> X = np.column_stack([feature, sequence, position])
    >>> model = UnfoldedCRFClassifier(graph_columns=[1, 2], solver="lbfgs")
    >>> round(model.fit(X[:500], y[:500]).score(X[500:], y[500:]), 2)
    0.84
    >>> alone = UnfoldedCRFClassifier(solver="lbfgs")  # each row by itself
    >>> round(alone.fit(X[:500, :1], y[:500]).score(X[500:, :1], y[500:]), 2)
    0.66
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (),
        *,
        graph: Literal["chain", "grid"] | Callable = "chain",
        graph_columns: Any = None,
        inference: Literal["bp", "mean_field"] = "bp",
        n_layers: int = 4,
        tied: bool = True,
        schedule: Literal["flooding", "sequential"] = "flooding",
        coupling: Literal["table", "features"] = "table",
        training_loss: Literal["marginals", "likelihood"] = "marginals",
        damping: float = 0.0,
        power: float = 1.0,
        alpha: float = 1e-5,
        solver: Literal["adam", "sgd", "lbfgs"] = "adam",
        batch_size: int | Literal["auto"] = "auto",
        learning_rate_init: float = 0.01,
        learning_rate_decay: float = 1.0,
        averaging: float = 0.0,
        max_iter: int = 200,
        tol: float = 1e-4,
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | float = 10,
        class_weight: dict | Literal["balanced"] | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            graph=graph,
            graph_columns=graph_columns,
            inference=inference,
            n_layers=n_layers,
            tied=tied,
            schedule=schedule,
            coupling=coupling,
            training_loss=training_loss,
            damping=damping,
            power=power,
            alpha=alpha,
            solver=solver,
            batch_size=batch_size,
            learning_rate_init=learning_rate_init,
            learning_rate_decay=learning_rate_decay,
            averaging=averaging,
            max_iter=max_iter,
            tol=tol,
            shuffle=shuffle,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            class_weight=class_weight,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
        )

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Initialise the network and train it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_columns)
            Features of each row, and the columns of `graph_columns`.
        y : array-like of shape (n_rows,)
            The class of each row.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows in the training loss, 0 or more, not all 0. A row of weight 0 is
            an unlabelled node: its features and its edges take part in inference, but its class
            in `y`, which may be any of the others, is not looked at.
        groups : array-like of shape (n_rows,), default=None
            With `early_stopping`, whole groups are held out if there is more than one;
            connected rows must be of the same group. Ignored where `X_val` is given.
        X_val, y_val : array-like, default=None
            With `early_stopping`, rows to monitor instead of a part of X; given together.
        sample_weight_val : array-like of shape (n_val_rows,), default=None
            Weights of these in the monitored loss, 0 or more, not all 0.

        Returns
        -------
        self : UnfoldedCRFClassifier

        Raises
        ------
        ValueError
            If data is not finite, if graph columns make no graph (the message names rows), or
            if a parameter does not fit the data.
        MemoryError
            If a component, which cannot be cut, takes more memory than the machine has.
        """
        validation = Given(X_val, y_val, sample_weight_val)
        return self._fit(Given(X, y, sample_weight), groups, validation)

    @available_if(trains_on_batches)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train on one batch of a stream: one pass in updates of `batch_size` components.

        The first call initialises the network. Nothing is held out, untied sweeps do not begin
        tied, and an update that makes the loss worse is not undone.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`; whole sequences, images or graphs.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call. Later they may be left
            out, but not change.

        Returns
        -------
        self : UnfoldedCRFClassifier
        """
        return self._partial_fit(Given(X, y, sample_weight), classes)

    def decode(self, X: ArrayLike, transitions: Any = None) -> NDArray:
        """Return the most probable classes of all connected rows together.

        By max-product in the field of tied sweeps, which is the Viterbi algorithm on chains and
        exact without loops. `predict`, which decides for each row by itself, is right more
        often; together its classes may be impossible, as an inside tag that follows no begin
        tag.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_columns)
            Data.
        transitions : list of pairs or bool array (n_classes, n_classes), default=None
            What may not be, for ``graph="chain"``: pairs (earlier, later) that are forbidden,
            or an array that is True for them, in the order of `classes_`. In a pair, None is
            what is before the first and after the last row of a chain.

        Returns
        -------
        y : ndarray of shape (n_rows,)

        Raises
        ------
        ValueError
            If sweeps are untied, which are no inference in one field; if `transitions` is given
            for other graphs than chains, or forbids everything.
        """
        X = self._validated_data(X)
        if self._n_sweeps > 1 and not self.tied:
            raise ValueError(
                "decode needs tied=True: untied sweeps are layers of a network, not inference "
                "in one field. Use predict."
            )
        chains = self.graph == "chain" and self.graph_columns is not None
        if transitions is not None and not chains:
            raise ValueError(
                "transitions says which classes may follow each other, which needs "
                "graph='chain' and graph_columns; leave it out."
            )
        K = len(self.classes_)
        penalties = log_penalties(transitions, self.classes_)

        def states(network, parameters, rows):
            theta = [parameters[i] for i in network.sets[-1]]
            drive = network.iteration.drive(theta, rows)
            field = drive.field.astype(np.float64)
            tables = [A.astype(np.float64) for A in drive.tables.raw]
            if chains:
                table = tables[0] if tables else np.zeros((K, K))
                return decoded_chains(field, table, rows.graph, penalties)
            return decoded(field, tables, rows.graph)

        return self.classes_[self._by_rows(X, states, (), np.intp)]

    def transform(self, X: ArrayLike) -> NDArray:
        """Return the hidden units of the last sweep, first layer first.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_columns)
            Data.

        Returns
        -------
        units : ndarray of shape (n_rows, n_hidden_units)
            Between 0 and 1. Without hidden layers no columns.
        """
        return self._hidden_units(self._validated_data(X))
