"""Which labels are coupled."""

import numpy as np
from scipy import sparse

from skunfold._kernels.graphs import Graph, complete_graph


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
    shared = coupling == "shared"
    if shared and not hidden_sizes and n_features % n:
        raise ValueError(
            f"X has {n_features} features; with coupling='shared' and no hidden layers each "
            f"of the {n} labels sees its own ones, so their number must be a multiple of {n}."
        )
    if isinstance(label_graph, str):
        graph = complete_graph(n)
        return Graph(n, graph.i, graph.j, shared)
    adjacency = sparse.coo_array(label_graph)
    if adjacency.shape != (n, n):
        raise ValueError(
            f"label_graph has shape {adjacency.shape}; y has {n} labels, so give ({n}, {n})."
        )
    known = adjacency.astype(bool)
    if abs(known.astype(int) - known.T.astype(int)).nnz:
        raise ValueError(
            "label_graph is not symmetric; an edge couples two labels both ways, so give "
            "label_graph + label_graph.T."
        )
    upper = sparse.coo_array(sparse.triu(known, k=1))
    i, j = upper.row, upper.col
    order = np.lexsort((j, i))
    return Graph(n, i[order].astype(np.intp), j[order].astype(np.intp), shared)
