"""Text that the docstrings of several estimators share.

A docstring has slots, such as a line ``%(tol, shuffle)s``, which `documented` fills at import
with the entries of these names. So `help`, Sphinx and IDEs that ask a running Python show it
whole.
"""

import re
from collections.abc import Callable
from inspect import cleandoc
from textwrap import indent
from typing import Any, TypeVar

from skunfold._estimator import loop_parameters
from skunfold._estimator.classifier import ClassTargets

_SLOT = re.compile(r"^( *)%\(([^)]*)\)s(.*)$", re.MULTILINE)
_ENTRY = re.compile(r"^(\w[\w, ]*) : .*(?:\n(?: .*)?)*", re.MULTILINE)

T = TypeVar("T", bound=type)


def documented(shared: dict[str, str]) -> Callable[[T], T]:
    """Return a decorator of classes that fills the slots of the docstring.

    Parameters
    ----------
    shared : dict
        Entries of numpydoc sections, or paragraphs, by name.
    """

    def filled(match: re.Match) -> str:
        names = re.split(r",\s+", match[2])
        gap = "\n" if names[0].endswith("_") else "\n\n"  # attributes follow without one
        return indent(gap.join(shared[name] for name in names) + match[3], match[1])

    def fill(cls: T) -> T:
        if cls.__doc__:  # which python -OO leaves out
            cls.__doc__ = _SLOT.sub(filled, cls.__doc__)
        return cls

    return fill


def entries_of(*described: Any) -> dict[str, str]:
    """Return the entries of docstrings, of classes or modules, which python -OO leaves out."""
    return entries("\n".join(cleandoc(each.__doc__ or "") for each in described))


def entries(text: str) -> dict[str, str]:
    """Return the entries of a text in the format of numpydoc, by their (first) names."""
    found: dict[str, Any] = {}
    for match in _ENTRY.finditer(text):
        found[match[1].split(", ")[0]] = match[0].rstrip()
    return found


# For all estimators above the training loop.
LOOP = entries_of(loop_parameters, ClassTargets) | {
    "monitored": """\
Before training and after every epoch the monitored loss is computed. When it stops falling, the
step is halved and the best parameters are restored (see `learning_rate_init`). A fit ends with
the best parameters, so it is never worse than where it began. Ctrl-C ends training with them
and a warning.""",
    "paper": """\
J. R. Hershey, J. Le Roux and F. Weninger, "Deep unfolding: model-based inspiration of novel
deep architectures", arXiv 1409.2574 (2014)""",
}

# For unfolded fields, over rows as well.
FIELDS = LOOP | entries(
    """
solver : {"adam", "sgd", "lbfgs"}, default="adam"
    "adam": Kingma and Ba (2015). "sgd": gradient descent with Nesterov's momentum. "lbfgs":
    quasi-Newton steps on all samples, for small data; it takes up to `max_iter` iterations,
    stops when no element of the gradient is larger than `tol` or the loss hardly changes, and
    ignores batches, step sizes, averaging and early stopping.

learning_rate_init : float, default=0.01
    Step size, above 0; it is halved when the monitored loss has not fallen for half of
    `n_iter_no_change` epochs (5 if that is infinite), or for one, where all samples are one
    batch.
"""
)
