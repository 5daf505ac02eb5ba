"""Ways to damage a file, or to make it hostile."""

import io
import json
import zipfile
from copy import deepcopy

import numpy as np

# What a length, a count or an offset in a file may be that it should not be.
NUMBERS = [
    0,
    1,
    2**7 - 1,
    2**8 - 1,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
]


def flip_bits(data, rng):
    """Flip a few bits."""
    for position in rng.integers(len(data), size=rng.integers(1, 6)):
        data[position] ^= 1 << int(rng.integers(8))
    return data


def truncate(data, rng):
    """Cut the end off."""
    return data[: rng.integers(len(data))]


def change_length(data, rng):
    """Put another number where one may stand, more often near the beginning or the end."""
    size = int(rng.choice([1, 2, 4, 8]))
    place = int(len(data) * rng.beta(0.3, 0.3))
    number = NUMBERS[rng.integers(len(NUMBERS))] % 256**size
    data[place : place + size] = number.to_bytes(size, rng.choice(["little", "big"]))
    return data


def move_block(data, rng):
    """Remove a block, double it, or put it elsewhere."""
    a, b, c = sorted(rng.integers(len(data) + 1, size=3))
    return [
        data[:a] + data[b:],
        data[:b] + data[a:],
        data[:a] + data[b:c] + data[a:b] + data[c:],
    ][rng.integers(3)]


def overwrite(data, rng):
    """Fill a block with noise, zeros or ones."""
    a, b = sorted(rng.integers(len(data) + 1, size=2))
    fill = [rng.bytes(b - a), bytes(b - a), b"\xff" * (b - a)][rng.integers(3)]
    return data[:a] + fill + data[b:]


BYTES = [flip_bits, truncate, change_length, move_block, overwrite]


def damaged(data, rng):
    """Return the bytes of a file after one to three mutations."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        if len(data) == 0:
            break
        data = bytearray(BYTES[rng.integers(len(BYTES))](data, rng))
    return bytes(data)


def _nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


HOSTILE_VALUES = [
    None,
    True,
    -1,
    10**30,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "__class__",
    "os.system",
    "\ud800\x00",
    "x" * 10_000,
    [],
    {},
    [[]] * 1000,
    _nested(100),
    {"array": 0},
    {"array": -1},
    {"array": 10**9},
    {"strings": 10**9},
    {"strings": -1},
    {"tuple": [1]},
    {"dict": {"__init__": 1}},
    {"float": "nan"},
    {"scalar": ["float32", 1e300]},
    {"scalar": ["object", 1]},
    {"sparse": {"class": "csr_array", "shape": [10**9, 10**9], "row": 0, "col": 0, "data": 0}},
    {"estimator": {"class": "SparseNMF", "params": {}, "attributes": {"predict_": 1}}},
    {"estimator": {"class": "Popen", "params": {"args": "true"}, "attributes": {}}},
    {"pickle": "gASVIQAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAR0cnVllIWUUpQu"},
]


def _places(node, found):
    """Collect (container, key) of everything below a node of JSON."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        found.append((node, key))
        if isinstance(node[key], dict | list):
            _places(node[key], found)
    return found


def changed_document(text, rng):
    """Return a JSON document with some values replaced, removed, renamed or exchanged."""
    document = json.loads(text)
    for _ in range(rng.integers(1, 5)):
        places = _places(document, [])
        if not places:
            break
        node, key = places[rng.integers(len(places))]
        other, other_key = places[rng.integers(len(places))]
        action = rng.integers(4)
        if action == 0:
            node[key] = deepcopy(HOSTILE_VALUES[rng.integers(len(HOSTILE_VALUES))])
        elif action == 1:
            del node[key]
        elif action == 2 and isinstance(node, dict):
            node[["memory", "__dict__", "fit", "x_", "class"][rng.integers(5)]] = node.pop(key)
        else:
            node[key] = deepcopy(other[other_key])
    return json.dumps(document)


def changed_array(data, rng):
    """Return a .npy file with another header, or a damaged one."""
    stream = io.BytesIO()
    choice = rng.integers(5)
    if choice == 0:
        return damaged(data, rng)
    if choice == 1:
        np.lib.format.write_array(stream, np.array([{"a": 1}], dtype=object))
    elif choice == 2:
        np.lib.format.write_array(stream, np.full(rng.integers(5), np.nan, dtype=">f8"))
    elif choice == 3:
        shape = tuple(NUMBERS[i] for i in rng.integers(len(NUMBERS), size=rng.integers(1, 40)))
        header = {"descr": "<f8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(data[-64:])
    else:
        header = {
            "descr": "V8" if rng.integers(2) else "|O",
            "fortran_order": True,
            "shape": (1,),
        }
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(bytes(8))
    return stream.getvalue()


def hostile_model(data, rng):
    """Return a sound zip file whose parts are not what they should be."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    arrays = [name for name in members if name != "model.json"]
    compression = zipfile.ZIP_STORED
    action = rng.integers(8)
    if action < 4:
        members["model.json"] = changed_document(members["model.json"], rng).encode()
    elif action == 4:
        name = arrays[rng.integers(len(arrays))]
        members[name] = changed_array(members[name], rng)
    elif action == 5:
        members["model.json"] = damaged(members["model.json"], rng)
    elif action == 6:
        del members[list(members)[rng.integers(len(members))]]
        members["../../evil"] = members["/etc/evil"] = b"evil"
    else:
        compression = zipfile.ZIP_DEFLATED
        members["array_0.npy"] = bytes(10**6)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return stream.getvalue()
