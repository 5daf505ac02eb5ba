"""
================================
Unfold your own algorithm: LISTA
================================

Sparse coding describes a patch of an image by a few atoms of a dictionary. ISTA finds the code
in hundreds of iterations, FISTA in fewer. LISTA makes a few iterations of ISTA the layers of a
network and trains them to give the same code at once (Gregor and LeCun, "Learning fast
approximations of sparse coding", ICML 2010). In :mod:`skunfold.unfolding` that takes one class;
see :ref:`unfold_your_own`.
"""

# %%
# Patches and a dictionary
# ------------------------
# The patches of 8 x 8 pixels come from two photographs; one in eleven is left for the test.
# Each patch has a mean of zero and a norm of one. The dictionary of 100 atoms is learned by
# scikit-learn.
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.feature_extraction.image import extract_patches_2d


def patches(name, n_patches):
    """Return random patches of a photograph in grey, of shape (n_patches, 64)."""
    grey = load_sample_image(name).mean(axis=2) / 255
    found = extract_patches_2d(grey, (8, 8), max_patches=2 * n_patches, random_state=0)
    found = found.reshape(len(found), -1)
    found -= found.mean(axis=1, keepdims=True)
    found = found[np.argsort(-found.std(axis=1))[:n_patches]]  # those that show something
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


X = np.concatenate([patches(name, 11000) for name in ("china.jpg", "flower.jpg")])
X_train, X_test = X[np.arange(len(X)) % 11 > 0], X[::11]
dictionary = MiniBatchDictionaryLearning(100, alpha=0.1, max_iter=5, random_state=0)
atoms = dictionary.fit(X_train[::5]).components_.astype(np.float32)

# %%
# One iteration and its adjoint
# -----------------------------
# ISTA computes ``z <- soft(x W + z S, t)``, where ``soft`` moves each number towards zero by
# at most a threshold ``t``. A layer learns ``W``, ``S`` and ``t``. The adjoint gets the
# gradient by the new code; it returns those by the old one, by ``x W`` (the drive) and by the
# parameters.
from skunfold.unfolding import Iteration


class ISTA(Iteration):
    """The iterative shrinkage-thresholding algorithm."""

    def __init__(self, atoms, sparsity=0.1):
        self.atoms = atoms
        self.sparsity = sparsity

    def parameters(self, X, y, random_state):
        """Return W, S and t as the algorithm has them."""
        D, n = self.atoms, len(self.atoms)
        step = 1 / np.linalg.norm(D @ D.T, 2)
        return step * D.T, np.eye(n) - step * D @ D.T, np.full(n, step * self.sparsity)

    def drive(self, theta, X):
        """Return x W."""
        return X @ theta[0]

    def drive_adjoint(self, theta, X, g):
        """Return the gradient by W."""
        return X.T @ g, None, None

    def initial(self, theta, drive, n_samples):
        """Begin with a code of zeros."""
        return np.zeros_like(drive)

    def step(self, theta, drive, z, k):
        """Return the next code, and what the adjoint needs."""
        u = drive + z @ theta[1]
        after = np.sign(u) * np.maximum(np.abs(u) - theta[2], 0)
        return after, (z, after)

    def adjoint(self, theta, tape, g, k):
        """Return the gradients by z, by the drive and by S and t."""
        z, after = tape
        g = g * (after != 0)
        return g @ theta[1].T, g, (None, z.T @ g, -np.sum(g * np.sign(after), axis=0))


# %%
# A mistake in an adjoint would spoil training without a message. Finite differences find it.
from skunfold.unfolding import check_adjoint

check_adjoint(ISTA(atoms), X_train[:20])

# %%
# The algorithms
# --------------
# Without trained layers, the estimator is ISTA itself, and ``staged_predict`` yields the code
# after each iteration. FISTA adds momentum to it. Its codes after hundreds of iterations are
# the targets; the error is the squared distance to them, relative to their squared norm.
from skunfold.unfolding import IdentityReadout, UnfoldedRegressor


def fista(X, n_iterations):
    """Yield the codes after each iteration of FISTA (Beck and Teboulle, 2009)."""
    W, S, t = (a.astype(X.dtype) for a in ISTA(atoms).parameters(X, None, None))
    z = before = np.zeros((len(X), len(atoms)), X.dtype)
    momentum = 1.0
    for _ in range(n_iterations):
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        u = z + X.dtype.type((momentum - 1) / following) * (z - before)
        u = X @ W + u @ S
        before, z = z, np.sign(u) * np.maximum(np.abs(u) - t, 0)
        momentum = following
        yield z


*_, Z_train = fista(X_train, 200)
*_, Z_test = fista(X_test, 1000)


def error(codes):
    """Return the relative squared error of codes of the test patches."""
    return np.sum((codes - Z_test) ** 2) / np.sum(Z_test**2)


n_iterations = 200
ista = UnfoldedRegressor(
    ISTA(atoms), readout=IdentityReadout(), n_layers=n_iterations, n_trained_layers=0
).fit(X_train, Z_train)
errors = {
    "ISTA": [error(codes) for codes in ista.staged_predict(X_test)],
    "FISTA": [error(codes) for codes in fista(X_test, n_iterations)],
}
print(f"{np.mean(Z_test != 0):.0%} of the numbers in the codes are not zero")

# %%
# Trained layers
# --------------
# Networks of 1 to 8 layers begin as ISTA, and are trained for 10 epochs; each layer learns its
# own parameters.
import warnings

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

warnings.simplefilter("ignore", ConvergenceWarning)
lista = UnfoldedRegressor(
    ISTA(atoms),
    readout=IdentityReadout(),
    learning_rate_init=3e-3,
    averaging=0.99,
    batch_size=100,
    max_iter=10,
    random_state=0,
)
depths = [1, 2, 4, 8]
networks = {
    depth: clone(lista).set_params(n_layers=depth).fit(X_train, Z_train) for depth in depths
}
errors["LISTA"] = [error(networks[depth].predict(X_test)) for depth in depths]
for depth, reached in zip(depths, errors["LISTA"]):
    needed = [1 + np.argmax(np.array(errors[name]) <= reached) for name in ("ISTA", "FISTA")]
    print(
        f"{depth} trained layers: error {reached:.3f}, "
        f"reached by ISTA after {needed[0]} iterations, by FISTA after {needed[1]}"
    )

# %%
# Convergence by layer
# --------------------
# Each circle is a network of that depth. A trained layer costs as much as an iteration, and
# four of them are worth 27 iterations of FISTA. ISTA and FISTA converge; the error of a network
# is limited by what it has learned from the training patches.
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for name in ("ISTA", "FISTA"):
    axes.loglog(np.arange(1, n_iterations + 1), errors[name], label=name)
axes.loglog(depths, errors["LISTA"], "o-", label="LISTA, trained")
axes.set(
    xlabel="layers, or iterations",
    ylabel="relative squared error of the codes",
    ylim=(1e-2, 1),
)
_ = axes.legend()
