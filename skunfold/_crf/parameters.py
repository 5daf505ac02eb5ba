"""What the parameters of the estimator may be, alone, together and after a fit."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skunfold._crf.structure import fits_kinds, places_of_columns
from skunfold._estimator.base import UnfoldedEstimator
from skunfold._estimator.loop_parameters import FREE_CONSTRAINTS
from skunfold._mrf.initialization import layer_sizes

CONSTRAINTS: dict[str, list[Any]] = {
    **{k: v for k, v in UnfoldedEstimator._parameter_constraints.items() if k != "n_jobs"},
    **FREE_CONSTRAINTS,
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "graph": [StrOptions({"chain", "grid"}), callable],
    "graph_columns": ["array-like", str, Integral, None],
    "inference": [StrOptions({"bp", "mean_field"})],
    "schedule": [StrOptions({"flooding", "sequential"})],
    "coupling": [StrOptions({"table", "features"})],
    "training_loss": [StrOptions({"marginals", "likelihood"})],
    "damping": [Interval(Real, 0, 1, closed="left")],
    "power": [Interval(Real, 0, None, closed="neither")],
    "class_weight": [StrOptions({"balanced"}), dict, None],
}


def check_settings(estimator):
    """Check that parameters fit each other."""
    layer_sizes(estimator.hidden_layer_sizes)
    if estimator.graph_columns is None:
        return
    if estimator.schedule != "sequential":
        if estimator.training_loss == "likelihood":
            raise ValueError(
                "training_loss='likelihood' needs exact inference along chains; use "
                "schedule='sequential', or training_loss='marginals'."
            )
        return
    for name, needed in (("graph", "chain"), ("inference", "bp"), ("power", 1)):
        value = getattr(estimator, name)
        if callable(value) or value != needed:
            raise ValueError(
                "schedule='sequential' passes along chains and back, which is exact belief "
                f"propagation; it needs {name}={needed!r}, not {value!r}. Use "
                "schedule='flooding'."
            )


def check_unchanged(estimator, layout, shapes):
    """Check that parameters that shape the network are those of the fit.

    `layout` and the `shapes` of the arrays of a sweep are those of the parameters as they are.
    """
    names = getattr(estimator, "feature_names_in_", None)
    places = places_of_columns(estimator.graph_columns, names, estimator.n_features_in_)
    arrays = [[a for part in one.values() for a in part] for one in estimator.potentials_]
    tied = all(a is b for found in arrays for a, b in zip(found, arrays[0]))
    same = np.array_equal(places, estimator.graph_columns_) and (tied or not layout.tied)
    same = same and fits_kinds(estimator.graph, len(places), estimator.edge_kinds_)
    [one, *_] = layout.tied_layout.potentials(shapes)
    expected = [shape for part in one.values() for shape in part]
    if not same or [[a.shape for a in f] for f in arrays] != [expected] * layout.n_sweeps:
        raise ValueError(
            "hidden_layer_sizes, graph, graph_columns, n_layers, schedule, coupling or "
            "tied is not that of the fit; set it back, or fit again with warm_start=False."
        )
