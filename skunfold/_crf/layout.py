"""Parameters of the sweeps: the potentials of the estimator as the flat list of training."""

from dataclasses import dataclass, replace

import numpy as np

PARTS = ("coefs", "intercepts", "tables", "edge_coefs")


@dataclass(frozen=True)
class Layout:
    """How many arrays each sweep has, and which sweeps share them.

    Theta of a sweep is W and b of each hidden layer and of the classes, then the table of each
    kind of edges, then the coefficients of edge features. The first sweep sends nothing: where
    sweeps are untied, its tables are those of the second.
    """

    n_unary: int  # arrays that make the field
    n_tables: int
    n_edge_coefs: int
    n_sweeps: int
    tied: bool

    @property
    def n_theta(self):
        """The number of arrays of a sweep."""
        return self.n_unary + self.n_tables + self.n_edge_coefs

    @property
    def sets(self):
        """For each sweep, the places of its arrays in the flat list."""
        one = tuple(range(self.n_theta))
        if self.tied or self.n_sweeps == 1:
            return (one,) * self.n_sweeps
        later = [
            tuple(range(start, start + self.n_theta))
            for start in range(
                self.n_unary, self.n_unary + (self.n_sweeps - 1) * self.n_theta, self.n_theta
            )
        ]
        return (one[: self.n_unary] + later[0][self.n_unary :], *later)

    @property
    def tied_layout(self):
        """The same with one parameter set."""
        return replace(self, tied=True)

    @property
    def penalised(self):
        """The places of all arrays but the biases."""
        biases = {s[i] for s in self.sets for i in range(1, self.n_unary, 2)}
        return tuple(sorted({place for s in self.sets for place in s} - biases))

    def can_begin_tied(self, potentials):
        """Return whether the sweeps are untied, but the same until now."""
        if self.tied or self.n_sweeps == 1:
            return False
        first, *others = [[a for part in one.values() for a in part] for one in potentials]
        return all(np.array_equal(a, b) for one in others for a, b in zip(first, one))

    def repeated(self, theta):
        """Return the flat list in which each sweep begins with copies of theta."""
        parameters = [None] * (1 + max(place for s in self.sets for place in s))
        for places in self.sets:
            for place, array in zip(places, theta):
                if parameters[place] is None:
                    parameters[place] = array.copy()
        return parameters

    def potentials(self, parameters):
        """Return a dict for each sweep; sweeps with the same parameters have the same dict."""
        found: dict = {}
        for places in self.sets:
            if places not in found:
                theta = [parameters[place] for place in places]
                found[places] = {
                    "coefs": theta[: self.n_unary : 2],
                    "intercepts": theta[1 : self.n_unary : 2],
                    "tables": theta[self.n_unary : self.n_unary + self.n_tables],
                    "edge_coefs": theta[self.n_unary + self.n_tables :],
                }
        return [found[places] for places in self.sets]

    def parameters(self, potentials):
        """Return the flat list of the potentials of the sweeps."""
        parameters = [None] * (1 + max(place for s in self.sets for place in s))
        for places, one in zip(self.sets, potentials):
            unary = [a for pair in zip(one["coefs"], one["intercepts"]) for a in pair]
            for place, array in zip(places, [*unary, *one["tables"], *one["edge_coefs"]]):
                parameters[place] = array
        return parameters
