"""The protocols of message rules and links (for `skunfold._kernels.layered_mrf`).

A rule makes the links between layers; a link computes one message and its adjoint. Messages are
of n samples at a time, from a sender of m units, or a class node of m states, to a receiver of
k. `mean_field` and `belief_propagation` are the two rules of the package.
"""

from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from skunfold._kernels.graphs import Graph
from skunfold._kernels.layered_mrf import Message


@runtime_checkable
class Link(Protocol):
    """One way from a layer to a neighbour, or to itself."""

    def prepare(self, W: NDArray) -> Any:
        """Return the weights as `send` and `adjoint` take them, computed once for all samples.

        Parameters
        ----------
        W : ndarray of shape (m, k), (k, m) or (n_weights,)
            The couplings: (units below, units above) on the ways up and down, one of each
            weight of the graph inside a layer.
        """

    def send(self, t: NDArray, back: Any, old: Any, W: Any) -> Message:
        """Return a message.

        Parameters
        ----------
        t : ndarray of shape (n, m)
            The total field of the sender.
        back : object or None
            The state of the last message that came the opposite way; None if none did.
        old : object or None
            The state of this link's message in the sweep before; None in the first one.
        W : object
            What `prepare` returned.

        Returns
        -------
        message : Message
            `field` (n, k) is added to the total of the receiver; `state`, of any type, is
            passed to other messages as `back` and `old`; `tape` is for `adjoint`.
        """

    def adjoint(
        self, g_field: NDArray, g_state: Any, message: Message, W: Any
    ) -> tuple[NDArray, Any, Any, NDArray]:
        """Return the gradients by what `send` took.

        Parameters
        ----------
        g_field : ndarray of shape (n, k)
            The gradient by the field of the message; others use it too.
        g_state : object or None
            The gradient by its state; None is zero. It may be changed.
        message : Message
            What `send` returned.
        W : object
            What `prepare` returned.

        Returns
        -------
        g_t : ndarray of shape (n, m)
            By the total field; a new array.
        g_back, g_old : object or None
            By the states `back` and `old`; None is zero.
        g_W : ndarray
            By the couplings, shaped as `prepare` took them, summed over the samples.
        """


@runtime_checkable
class MessageRule(Protocol):
    """A rule of messages: it makes the links, and says how much memory they need."""

    @property
    def block_elements(self) -> int:
        """How many elements of the widest array are best computed at a time."""

    def up_link(self, to_classes: bool) -> Link:
        """Return the link from a layer to the one above, which may be the class node."""

    def down_link(self, from_classes: bool) -> Link:
        """Return the link from a layer, which may be the class node, to the one below."""

    def lateral_link(self, graph: Graph) -> Link:
        """Return the link inside a layer, along the edges of a graph."""

    def table_size(self, sizes: list[int], graphs: tuple[Graph | None, ...]) -> int:
        """Return the elements for each sample of the widest array.

        Parameters
        ----------
        sizes : list of int
            Numbers of units of all layers, the outputs last.
        graphs : tuple of Graph or None
            The graph inside each of them.
        """
