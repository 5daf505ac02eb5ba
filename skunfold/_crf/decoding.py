"""The most probable joint states of the rows: max-product."""

from collections.abc import Hashable, Iterable

import numpy as np

from skunfold._kernels.chains import most_probable
from skunfold._kernels.class_messages import largest_messages

MAX_ROUNDS = 100  # of messages where there are loops
DAMPING = 0.5  # where there are loops


def log_penalties(transitions, classes):
    """Return 0 or -inf for each pair of classes (K, K), for the first row and the last (K,).

    Parameters
    ----------
    transitions : array-like or sequence of pairs, or None
        As in `UnfoldedCRFClassifier.decode`.
    classes : ndarray of shape (K,)
        The classes.
    """
    K = len(classes)
    forbidden = np.zeros((K + 1, K + 1), bool)  # with None last
    if isinstance(transitions, np.ndarray):
        if transitions.shape != (K, K) or transitions.dtype != bool:
            raise ValueError(
                f"transitions is an array of {transitions.dtype} and shape "
                f"{transitions.shape}; give booleans of shape ({K}, {K}), or a list of pairs "
                "of classes."
            )
        forbidden[:K, :K] = transitions
    elif transitions is not None:
        number = {label: i for i, label in enumerate(classes.tolist())} | {None: K}
        listed = isinstance(transitions, Iterable) and not isinstance(transitions, str)
        for pair in transitions if listed else [transitions]:
            if not _is_pair(pair, number):
                raise ValueError(
                    f"transitions holds {pair!r}; give pairs of the classes "
                    f"{', '.join(map(str, classes))}, or None for what is before the first and "
                    "after the last row."
                )
            forbidden[tuple(number[label] for label in pair)] = True
    penalties = np.where(forbidden, -np.inf, 0)
    return penalties[:K, :K], penalties[K, :K], penalties[:K, K]


def _is_pair(pair, number):
    """Return whether something is a pair of keys of a dict."""
    if not isinstance(pair, tuple | list | np.ndarray) or len(pair) != 2:
        return False
    return all(isinstance(label, Hashable) and label in number for label in pair)


def decoded_chains(field, table, graph, penalties):
    """Return the number of the class of each row in the most probable chains."""
    between, first, last = penalties
    ends = ~graph.linked
    field = field.copy()
    field[np.append(True, ends[:-1])] += first
    field[ends] += last
    states, scores = most_probable(field, table + between, graph)
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores))[0])
        length = int(np.flatnonzero(ends[row:])[0]) + 1
        raise ValueError(
            f"transitions forbids every sequence of classes for one of {length} rows; allow "
            "more."
        )
    return states


def decoded(field, tables, graph):
    """Return the number of the class of each row by max-product, exact without loops."""
    totals, messages = field, None
    is_forest = graph.n_edges == len(field) - graph.n_components
    for _ in range(len(field) if is_forest else MAX_ROUNDS):
        sent = largest_messages(totals, messages, tables, graph)
        if messages is not None:
            if not is_forest:
                sent += DAMPING * (messages - sent)
            if np.abs(sent - messages).max(initial=0) < 1e-9:
                break
        messages = sent
        totals = field + graph.at_receivers(messages)
    return totals.argmax(axis=1)
