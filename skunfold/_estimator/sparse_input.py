"""Which sparse data the non-negative models accept."""

from scipy.sparse import issparse

from skunfold._kernels.divergences import BETA

SPARSE_BETAS = (1.0, 2.0)  # their updates need only the nonzero elements of the data


def takes_sparse(beta_loss):
    """Return whether a model of that divergence takes sparse data."""
    return BETA.get(beta_loss, beta_loss) in SPARSE_BETAS


def sparse_format(X, name, beta_loss):
    """Return `accept_sparse` of scikit-learn's checks for data of that name.

    Raises a TypeError if X is sparse and the divergence needs all of its elements.
    """
    if issparse(X) and not takes_sparse(beta_loss):
        raise TypeError(
            f"{name} is sparse, but beta_loss={beta_loss!r} needs dense data; give "
            f"{name}.toarray(), or use 'kullback-leibler' or 'frobenius'."
        )
    return "csr" if takes_sparse(beta_loss) else False
