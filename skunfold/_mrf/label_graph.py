"""Which labels are coupled, and which edges share a weight."""

import numpy as np
from scipy import sparse

from skunfold._kernels.graphs import Graph, complete_graph


def sees_own_features(graph, coupling, hidden_sizes):
    """Return whether each label sees its own features only."""
    return graph is not None and coupling != "edge" and not hidden_sizes


def graph_of_labels(label_graph, coupling, targets, n_features, hidden_sizes):
    """Return the Graph of the labels, or None; the arguments are those of the estimators."""
    if label_graph is None:
        return None
    if not targets.multilabel:
        raise ValueError(
            f"label_graph={label_graph!r} couples labels, but y holds classes; give y as a "
            "label indicator matrix, or label_graph=None."
        )
    n = targets.n_outputs
    if sees_own_features(label_graph, coupling, hidden_sizes) and n_features % n:
        raise ValueError(
            f"X has {n_features} features; with coupling={coupling!r} and no hidden layers "
            f"each of the {n} labels sees its own ones, so their number must be a multiple "
            f"of {n}."
        )
    if isinstance(label_graph, str):
        graph = complete_graph(n)
        i, j, values = graph.i, graph.j, np.ones(len(graph.i))
    else:
        i, j, values = _edges(label_graph, n, coupling == "shared")
    if coupling != "shared":
        return Graph(n, i, j)
    _, kinds = np.unique(values, return_inverse=True)
    return Graph(n, i, j, kinds.astype(np.intp))


def _edges(label_graph, n, by_value):
    """Return both ends and the value of each edge of an adjacency matrix, by rows."""
    try:
        adjacency = sparse.csr_array(label_graph, copy=True)
        adjacency = adjacency.astype(np.float64, casting="same_kind")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"label_graph is no matrix of real numbers ({error}); give an array or a sparse "
            f"matrix of shape ({n}, {n})."
        ) from error
    if adjacency.shape != (n, n):
        raise ValueError(
            f"label_graph has shape {adjacency.shape}; y has {n} labels, so give ({n}, {n})."
        )
    if not np.isfinite(adjacency.data).all():
        raise ValueError(
            "label_graph holds NaN or infinity; give 0 where there is no edge, and a finite "
            "number where there is one."
        )
    adjacency.eliminate_zeros()
    present = (adjacency != 0).astype(int)
    if (present != present.T).nnz:
        raise ValueError(
            "label_graph is not symmetric; an edge couples two labels both ways, so give "
            "label_graph + label_graph.T."
        )
    if by_value and (adjacency != adjacency.T).nnz:
        raise ValueError(
            "label_graph has other values below the diagonal than above; with "
            "coupling='shared' they say which edges share a weight, so make it symmetric."
        )
    upper = sparse.coo_array(sparse.triu(adjacency, k=1))
    order = np.lexsort((upper.col, upper.row))
    i, j = (ends[order].astype(np.intp) for ends in (upper.row, upper.col))
    return i, j, upper.data[order]
