"""Towers of classes are low, and a class reads no name from `self` that it cannot know.

The syntax trees of all classes of the package are walked. A class knows what it or one of its
bases defines: methods, class attributes, what is assigned to `self`, and attributes that are
annotated in the class body and named in the docstring of the class. What only a subclass has
is declared there, as an abstract method or as such an annotation.
"""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import sys
import textwrap
from functools import cache

import pytest
from sklearn.base import BaseEstimator

import skunfold

MAX_STOREYS = 3
OF_SCIKIT_LEARN = {"n_features_in_", "feature_names_in_"}  # set by `validate_data`


def classes_of_the_package():
    for module in pkgutil.walk_packages(skunfold.__path__, "skunfold."):
        if module.name.endswith("__main__"):
            continue
        for cls in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(cls) and cls.__module__ == module.name:
                yield cls


CLASSES = sorted(classes_of_the_package(), key=lambda cls: (cls.__module__, cls.__name__))


@cache
def tree_of(module_name):
    return ast.parse(inspect.getsource(importlib.import_module(module_name)))


def body_of(cls):
    """Return the statements of a class."""
    [*path] = cls.__qualname__.split(".")
    nodes = tree_of(cls.__module__).body
    for name in path:
        found = [n for n in ast.walk(ast.Module(nodes, [])) if isinstance(n, ast.ClassDef)]
        nodes = next(node.body for node in found if node.name == name)
    return nodes


def is_ours(cls):
    return cls.__module__.partition(".")[0] == "skunfold"


def uses_of_self(cls, context):
    """Yield the names that methods of a class read from `self` (or store there)."""
    for statement in body_of(cls):
        for node in ast.walk(statement):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, context):
                value = node.value
                if isinstance(value, ast.Name) and value.id == "self":
                    yield node.attr


def uses_of_super(cls):
    """Yield the names that methods of a class read from `super()`."""
    for statement in body_of(cls):
        for node in ast.walk(statement):
            called = getattr(getattr(node, "value", None), "func", None)
            if isinstance(node, ast.Attribute) and getattr(called, "id", None) == "super":
                yield node.attr


def defined_by(cls):
    """Return the names that a class defines, without those of its bases."""
    if not is_ours(cls):
        return set(vars(cls))
    annotated = set(vars(cls).get("__annotations__", {}))
    if not dataclasses.is_dataclass(cls) and not getattr(cls, "_fields", None):
        documented = inspect.cleandoc(cls.__doc__ or "")
        annotated = {name for name in annotated if f"`{name}`" in documented}
    return {*vars(cls), *annotated, *uses_of_self(cls, ast.Store)}


def stands_alone(cls):
    """Return whether a class is a mixin beside a tower, not a part of one."""
    return not issubclass(cls, BaseEstimator) and not any(map(is_ours, cls.__bases__))


def height(cls):
    """Return how many classes of ours stand on each other, this one on top."""
    bases = [b for b in cls.__bases__ if is_ours(b)]
    if issubclass(cls, BaseEstimator):
        bases = [b for b in bases if not stands_alone(b)]
    return 1 + max(map(height, bases), default=0)


def unknown_names(cls):
    """Return the names that a class reads from `self` or `super()` and cannot know."""
    above = OF_SCIKIT_LEARN | {"__class__", "__dict__"}
    above = above.union(*(defined_by(base) for base in cls.__mro__[1:]))
    of_self = set(uses_of_self(cls, ast.Load)) - above - defined_by(cls)
    of_super = {name for name in uses_of_super(cls) if not name.startswith("__")} - above
    return sorted(of_self | of_super)


def test_the_walk_sees_what_it_should():
    names = {cls.__name__ for cls in CLASSES}
    assert {"UnfoldedEstimator", "DeepNMFRegressor", "ClassTargets", "STFT"} <= names
    assert len(CLASSES) > 100

    class Base:
        known = 1

    class Reader(Base):
        """Reads `declared`."""

        declared: int
        hidden: int

        def read(self):
            self.own = self.known
            return self.own, self.declared, self.hidden, self.unknown, super().missing

    module = ast.parse(textwrap.dedent(inspect.getsource(Reader)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "body_of", lambda cls: module.body[0].body)
        patch.setattr(sys.modules[__name__], "is_ours", lambda cls: cls is Reader)
        assert unknown_names(Reader) == ["hidden", "missing", "unknown"]


def test_classes_read_only_names_that_they_can_know():
    unknown = {cls.__qualname__: unknown_names(cls) for cls in CLASSES}
    assert {name: names for name, names in unknown.items() if names} == {}


def test_towers_are_low():
    towers = {
        cls.__qualname__: [c.__name__ for c in cls.__mro__ if is_ours(c)] for cls in CLASSES
    }
    assert [towers[cls.__qualname__] for cls in CLASSES if height(cls) > MAX_STOREYS] == []
