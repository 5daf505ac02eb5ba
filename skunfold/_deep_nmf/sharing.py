"""Lists of arrays that layers share, for formats that do not keep object identity."""


def distinct_arrays(arrays):
    """Return (the distinct arrays of a list, the place of each item among them)."""
    distinct = list({id(W): W for W in arrays}.values())
    places = [next(i for i, D in enumerate(distinct) if D is W) for W in arrays]
    return distinct, places


def shared_arrays(distinct, places):
    """Return the original list."""
    return [distinct[i] for i in places]
