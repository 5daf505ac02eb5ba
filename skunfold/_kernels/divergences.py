"""The beta-divergence, the loss of non-negative models.

For y >= 0 and y_hat > 0::

    D(y | y_hat) = (y^b + (b - 1) y_hat^b - b y y_hat^(b-1)) / (b (b - 1))    b not 0, 1
                 = y log(y / y_hat) - y + y_hat                               b = 1
                 = y / y_hat - log(y / y_hat) - 1                             b = 0
    dD/dy_hat    = y_hat^(b-1) - y y_hat^(b-2)

Févotte and Idier, "Algorithms for non-negative matrix factorization with the
beta-divergence", Neural Computation 23 (2011), section 2.
"""

import numpy as np
from scipy.special import kl_div

from skunfold._kernels.numerics import Parts, floor_of, power

BETA = {"frobenius": 2.0, "kullback-leibler": 1.0, "itakura-saito": 0.0}


def beta_of(loss):
    """Return the beta of a loss given by its name or as a number."""
    return float(BETA.get(loss, loss)) if isinstance(loss, str) else float(loss)


def divergence(y, y_hat, beta):
    """Return D(y | y_hat) summed over features: (n_samples,), in float64.

    y_hat is floored as in `divergence_parts`; so is y where its logarithm or a negative power
    is taken.
    """
    if beta == 2:
        difference = y_hat - y
        return 0.5 * np.einsum("nf,nf->n", difference, difference).astype(np.float64)
    floor = floor_of(y_hat.dtype)
    y_hat = np.maximum(y_hat, floor)
    if beta == 1:
        return kl_div(y, y_hat).sum(axis=1, dtype=np.float64)
    y = np.maximum(y, floor).astype(np.float64)
    y_hat = y_hat.astype(np.float64)
    if beta == 0:
        ratio = y / y_hat
        return (ratio - np.log(ratio) - 1).sum(axis=1)
    terms = y**beta + (beta - 1) * y_hat**beta - beta * y * y_hat ** (beta - 1)
    return terms.sum(axis=1) / (beta * (beta - 1))


def divergence_gradient(y, y_hat, beta):
    """Return dD/dy_hat, like y."""
    return y_hat - y if beta == 2 else divergence_parts(y, y_hat, beta).net()


def divergence_parts(y, y_hat, beta):
    """Return dD/dy_hat as Parts: (y_hat^(beta-1), y y_hat^(beta-2)), each like y."""
    if beta == 2:
        return Parts(y_hat.copy(), y.copy())
    y_hat = np.maximum(y_hat, floor_of(y_hat.dtype))
    if beta == 1:
        return Parts(np.ones_like(y_hat), y / y_hat)
    pos = power(y_hat, beta - 1)
    return Parts(pos, y * pos / y_hat)
