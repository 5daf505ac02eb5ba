"""The last layer: from activations to the estimate of the targets.

Linear: y_hat = h U, with h (n, R), U (R, n_outputs).

Mask: components are grouped by source, targets first, the residual (everything else) last.
With n_g = h[:, g] U[g] of shape (n, F_out), d = sum of all n_g, and X_last the last F_out
columns of the data::

    y_hat = [X_last n_g / d for each target g]          (n, n_targets F_out)

so the masks of all groups add up to one: sources are additive. Le Roux, Hershey and Weninger,
"Deep NMF for speech separation" (ICASSP 2015), section 2; arXiv 1409.2574, section 4.1.

Adjoints are split into rising and falling parts, as in `skunfold._kernels.nmf_layers`; where
only their difference is needed, `net_adjoint` takes fewer passes.
"""

from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from skunfold._kernels.fused import fused
from skunfold._kernels.numerics import NEW_ARRAYS, Parts, floor_of
from skunfold._kernels.sparse_rows import dense


@fused
def masked(y, other, X, floor):
    """Set y to X y / (y + other + floor), all (n, F_out); `other` may be overwritten."""
    other += floor
    other += y
    y /= other
    y *= X


@fused
def mask_forward(own, other, X, floor, d, X_over_d, y):
    """Set d to the sum of both groups, X_over_d to X / d, y to own X / d; all (n, F_out)."""
    np.maximum(own, floor, out=d)
    d += other
    np.divide(X, d, out=X_over_d)
    np.multiply(own, X_over_d, out=y)


@fused
def mask_adjoint(x, X_over_d, own, d, g_own, g_other):
    """Set the gradients by both groups, from x = dE/dy of one target; all (n, F_out)."""
    np.multiply(x, X_over_d, out=g_own)
    np.multiply(g_own, own, out=g_other)
    g_other /= d
    np.negative(g_other, out=g_other)
    g_own += g_other


@dataclass(frozen=True)
class LinearOutput:
    """y_hat = h U; all outputs belong to one target."""

    n_targets = 1

    def forward(self, X, h, U, work=NEW_ARRAYS):
        """Return y_hat (n, n_outputs) and the tape."""
        y_hat = np.matmul(h, U, out=work.array("y_hat", (h.shape[0], U.shape[1]), h.dtype))
        return y_hat, h

    def write(self, X, h, U, scale, out, work):
        """Write `scale` times y_hat to `out`."""
        np.matmul(h, U, out=out)
        if scale != 1:
            out *= out.dtype.type(scale)

    def net_adjoint(self, x, U, h, work=NEW_ARRAYS, need_h=True):
        """Return (dE/dh or None, dE/dU) for x = dE/dy_hat."""
        dU = np.matmul(h.T, x, out=work.array("dU", U.shape, h.dtype))
        if not need_h:
            return None, dU
        return np.matmul(x, U.T, out=work.array("dh", h.shape, h.dtype)), dU

    def adjoint(self, x, U, h, work=NEW_ARRAYS, need_h=True):
        """Return (Parts of dE/dh or None, Parts of dE/dU) for x = dE/dy_hat."""
        dh, dU = self.net_adjoint(x, U, h, work, need_h)
        return None if dh is None else Parts(dh, None), Parts(dU, None)


@dataclass(frozen=True)
class MaskTape:
    """The values of the mask layer that its adjoint needs."""

    h: np.ndarray  # (n, R)
    n: list  # of (n, F_out), one a group
    d: np.ndarray  # (n, F_out), floored
    X_over_d: np.ndarray  # (n, F_out)


@dataclass(frozen=True)
class MaskOutput:
    """y_hat = X_last n / d, for the first `n_targets` of the groups of components."""

    group_sizes: tuple
    n_targets: int

    @cached_property
    def groups(self):
        """The slice of each group's components."""
        ends = np.cumsum(self.group_sizes)
        return [
            slice(int(end) - size, int(end))
            for end, size in zip(ends, self.group_sizes)
            if size
        ]

    def forward(self, X, h, U, work=NEW_ARRAYS):
        """Return y_hat (n, n_targets F_out) and the tape."""
        shape = (h.shape[0], U.shape[1])
        n = [
            np.matmul(h[:, g], U[g], out=work.array(("n", i), shape, h.dtype))
            for i, g in enumerate(self.groups)
        ]
        floor, X_last = floor_of(h.dtype), dense(X[:, -shape[1] :])
        d, X_over_d = (work.array(name, shape, h.dtype) for name in ("d", "X_over_d"))
        y_hat = work.array("y_hat", (shape[0], self.n_targets * shape[1]), h.dtype)
        if self._is_simple:
            mask_forward(*n, X_last, floor, d, X_over_d, y_hat)
            return y_hat, MaskTape(h, n, d, X_over_d)
        np.maximum(n[0], floor, out=d)
        for n_g in n[1:]:
            d += n_g
        np.divide(X_last, d, out=X_over_d)
        for target, y_g in enumerate(self._by_target(y_hat)):
            np.multiply(n[target], X_over_d, out=y_g)
        return y_hat, MaskTape(h, n, d, X_over_d)

    def write(self, X, h, U, scale, out, work):
        """Write y_hat to `out`; h is in units of `scale`, X and y_hat are not.

        Masks have no unit.
        """
        groups, shape = self.groups, (len(h), U.shape[1])
        y_hat = self._by_target(out)
        n = [*y_hat]
        n += [work.array(("n", i), shape, h.dtype) for i in range(len(groups) - len(n))]
        for n_g, g in zip(n, groups):
            np.matmul(h[:, g], U[g], out=n_g)
        floor, X_last = floor_of(h.dtype), dense(X[:, -shape[1] :])
        if self._is_simple:
            masked(*n, X_last, floor)
            return
        d = np.add(n[-1], floor, out=work.array("d", shape, h.dtype))
        for n_g in n[:-1]:
            d += n_g
        for y_g in y_hat:
            y_g /= d
            y_g *= X_last

    @property
    def _is_simple(self):
        """Whether there are one target and a residual."""
        return self.n_targets == 1 and len(self.groups) == 2

    def _by_target(self, y):
        """Return views of y (n, n_targets F_out), each the outputs of one target."""
        return np.split(y, self.n_targets, axis=1) if self.n_targets > 1 else [y]

    def net_adjoint(self, x, U, tape, work=NEW_ARRAYS, need_h=True):
        """Return (dE/dh or None, dE/dU) for x = dE/dy_hat.

        With dE/dd = -sum of x X_last n / d^2 over the targets, dE/dn = x X_last / d + dE/dd
        for a target, and dE/dd for any other group.
        """
        n_targets, shape, dtype = self.n_targets, tape.d.shape, x.dtype
        dn = [work.array(("dE/dn", i), shape, dtype) for i in range(n_targets)]
        dd = work.array("dE/dd", shape, dtype)
        if self._is_simple:
            mask_adjoint(x, tape.X_over_d, tape.n[0], tape.d, *dn, dd)
        else:
            product = work.array("product", shape, dtype)
            for i, (direct, x_g) in enumerate(zip(dn, self._by_target(x))):
                np.multiply(x_g, tape.X_over_d, out=direct)
                np.multiply(direct, tape.n[i], out=product if i else dd)
                if i:
                    dd += product
            dd /= tape.d
            np.negative(dd, out=dd)
            for direct in dn:
                direct += dd
        dn += [dd] * (len(tape.n) - n_targets)
        dU = self._by_bases(dn, U, tape.h, work)
        return self._by_activations(dn, U, tape.h, work) if need_h else None, dU

    def adjoint(self, x, U, tape, work=NEW_ARRAYS, need_h=True):
        """Return (Parts of dE/dh or None, Parts of dE/dU) for x = dE/dy_hat.

        Own group: dy_hat/dn = X_last (d - n) / d^2. Any other: -X_last n / d^2.
        """
        scaled, through_masks = [], []
        for i, x_g in enumerate(self._by_target(x)):
            s = np.multiply(x_g, tape.X_over_d, out=work.array(("s", i), x_g.shape, x.dtype))
            s /= tape.d
            scaled.append(s)
            out = work.array(("s n", i), s.shape, x.dtype)
            through_masks.append(np.multiply(s, tape.n[i], out=out))
        signed = {
            "rise": self._rising(scaled, tape, work),
            "fall": self._falling(through_masks, len(tape.n)),
        }
        dU = [self._by_bases(dn, U, tape.h, work.scope(part)) for part, dn in signed.items()]
        if not need_h:
            return None, Parts(*dU)
        dh = [self._by_activations(dn, U, tape.h, work.scope(p)) for p, dn in signed.items()]
        return Parts(*dh), Parts(*dU)

    def _by_bases(self, signed, U, h, work):
        """Return dU (R, F_out), from the gradients by n of each group."""
        dU = work.array("dU", U.shape, h.dtype)
        for g, dn in zip(self.groups, signed):
            if dn is None:
                dU[g] = 0
            else:
                np.matmul(h[:, g].T, dn, out=dU[g])
        return dU

    def _by_activations(self, signed, U, h, work):
        """Return dh (n, R), from the gradients by n of each group."""
        dh = work.array("dh", h.shape, h.dtype)
        for g, dn in zip(self.groups, signed):
            if dn is None:
                dh[:, g] = 0
            else:
                np.matmul(dn, U[g].T, out=dh[:, g])
        return dh

    def _rising(self, scaled, tape, work):
        """Return the rising part by n of each group, (n, F_out) or None: from its own mask."""
        rising = []
        for i, (s, n_g) in enumerate(zip(scaled, tape.n)):
            others = np.subtract(tape.d, n_g, out=work.array(("rising", i), s.shape, s.dtype))
            rising.append(np.multiply(others, s, out=others))
        return rising + [None] * (len(tape.n) - len(rising))

    def _falling(self, through_masks, n_groups):
        """Return the falling part by n of each group, (n, F_out) or None: from other masks."""
        others = [
            [through for j, through in enumerate(through_masks) if j != i]
            for i in range(n_groups)
        ]
        return [reduce(np.add, through) if through else None for through in others]
