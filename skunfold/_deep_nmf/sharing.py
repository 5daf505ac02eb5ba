"""Lists of arrays that layers share, for formats that do not keep object identity."""


def distinct_arrays(lists):
    """Return for each list (the arrays that no list before has, the places of its arrays).

    Places count the arrays of all lists so far. The lists are the values of a dict.
    """
    places: dict[int, int] = {}
    found = {}
    for name, arrays in lists.items():
        new = {id(W): W for W in arrays if id(W) not in places}
        places |= {key: len(places) + i for i, key in enumerate(new)}
        found[name] = [*new.values()], [places[id(W)] for W in arrays]
    return found


def shared_arrays(found):
    """Return the lists again."""
    known: list = []
    lists = {}
    for name, (new, places) in found.items():
        known += new
        lists[name] = [known[i] for i in places]
    return lists
