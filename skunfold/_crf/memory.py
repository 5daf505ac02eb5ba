"""How much memory a component takes, which is always processed as a whole."""

import os

import numpy as np

ARRAYS_OF_A_SWEEP = 5  # for each message: the cavity, the sum, the message, and copies
ARRAYS_OF_A_ROW = 4


def check_memory(components, n_classes, n_kept, edge_tables, itemsize):
    """Raise a MemoryError where the largest component does not fit this machine.

    `n_kept` is the number of sweeps whose messages are held at once.
    """
    sizes = np.diff(components.starts)
    if not len(sizes):
        return
    largest = int(sizes.argmax())
    n_edges = components.graph(np.array([largest])).n_edges
    n_bytes = bytes_of(int(sizes[largest]), n_edges, n_classes, n_kept, edge_tables, itemsize)
    available = physical_memory()
    if available is not None and n_bytes > available:
        raise MemoryError(
            f"The largest component has {sizes[largest]} rows and {n_edges} edges. With "
            f"{n_classes} classes and the messages of {n_kept} sweeps it takes about "
            f"{n_bytes / 1e9:.1f} GB, and this machine has {available / 1e9:.1f} GB. Cut the "
            "graph into smaller components, or use fewer layers or float32."
        )


def bytes_of(n_rows, n_edges, n_classes, n_kept, edge_tables, itemsize):
    """Return about how many bytes inference in one component takes."""
    messages = 2 * n_edges * n_classes * ARRAYS_OF_A_SWEEP * n_kept
    tables = 6 * n_edges * n_classes**2 if edge_tables else 0
    totals = n_rows * n_classes * (ARRAYS_OF_A_ROW + n_kept)
    return itemsize * (messages + tables + totals)


def physical_memory():
    """Return the bytes of memory of this machine, or None where that is not known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # no POSIX system
        return None
