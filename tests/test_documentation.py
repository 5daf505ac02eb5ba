"""What a notebook and a prompt show of the estimators."""

import inspect
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

from skunfold import (
    DeepNMFRegressor,
    SparseNMF,
    UnfoldedBPClassifier,
    UnfoldedCRFClassifier,
    UnfoldedMeanFieldClassifier,
)
from skunfold._estimator import documentation
from skunfold._estimator.docstrings import documented, entries
from skunfold.audio import SpeechEnhancer
from skunfold.unfolding import UnfoldedClassifier, UnfoldedRegressor

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PAGES = {
    "skunfold.DeepNMFRegressor": DeepNMFRegressor(),
    "skunfold.SparseNMF": SparseNMF(),
    "skunfold.UnfoldedMeanFieldClassifier": UnfoldedMeanFieldClassifier(),
    "skunfold.UnfoldedBPClassifier": UnfoldedBPClassifier(),
    "skunfold.UnfoldedCRFClassifier": UnfoldedCRFClassifier(),
    "skunfold.audio.SpeechEnhancer": SpeechEnhancer(),
}
ESTIMATORS = [*map(type, PAGES.values()), UnfoldedClassifier, UnfoldedRegressor]


class Metadata:
    """Stands in for those of an installed package."""

    def __init__(self, urls):
        self.urls = urls

    def get_all(self, name):
        return self.urls if name == "Project-URL" else None


@pytest.fixture
def project_urls(monkeypatch):
    """Return a function that sets the URLs of the package's metadata; None: not installed."""

    def set_urls(urls, installed=True):
        def metadata(name):
            if name != "skunfold" or not installed:
                raise PackageNotFoundError(name)
            return Metadata(urls)

        monkeypatch.setattr(documentation, "metadata", metadata)
        documentation.documentation_address.cache_clear()

    yield set_urls
    documentation.documentation_address.cache_clear()


@pytest.mark.parametrize("page", PAGES)
def test_html_links_to_the_page_of_the_estimator(page, project_urls):
    project_urls(["Source, https://a.example/", "Documentation, https://docs.example/s/"])
    html = estimator_html_repr(make_pipeline(PAGES[page]))
    assert f'href="https://docs.example/s/generated/{page}.html"' in html
    module, _, name = page.rpartition(".")
    (listed,) = [
        text
        for file in (ROOT / "doc" / "api").glob("*.rst")
        if f".. currentmodule:: {module}\n" in (text := file.read_text())
    ]
    assert f"   {name}\n" in listed


def test_the_address_is_that_of_the_project():
    address = documentation.documentation_address()
    assert address == PYPROJECT["project"]["urls"]["Documentation"]
    assert f'href="{address}/generated/skunfold.SparseNMF.html"' in estimator_html_repr(
        SparseNMF()
    )


@pytest.mark.parametrize(
    "settings", [{"urls": None}, {"urls": ["Source, https://a.example/"]}, {"installed": False}]
)
def test_no_link_without_an_address(settings, project_urls):
    project_urls(**{"urls": [], **settings})
    html = estimator_html_repr(DeepNMFRegressor())
    assert "DeepNMFRegressor" in html
    assert "generated/" not in html


def test_a_class_of_a_users_own_does_not_link_to_ours(project_urls):
    project_urls(["Documentation, https://docs.example/"])

    class Mine(DeepNMFRegressor):
        pass

    assert "docs.example" not in estimator_html_repr(Mine())


def test_repr_shows_what_is_not_the_default_and_is_short():
    model = DeepNMFRegressor(5, init=np.ones((5, 400)), solver="mu")
    assert (
        repr(DeepNMFRegressor(5, solver="mu"))
        == "DeepNMFRegressor(n_components=5, solver='mu')"
    )
    assert len(repr(model)) < 1000
    with config_context(display="text"):
        assert repr(SpeechEnhancer(n_context=3)) == "SpeechEnhancer(n_context=3)"


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_docstrings_are_whole(cls):
    text = inspect.getdoc(cls)
    assert "%(" not in text
    sections = re.split(r"^(\w[\w ]*)\n-+\n", text, flags=re.MULTILINE)
    parameters = dict(zip(sections[1::2], sections[2::2]))["Parameters"]
    names = re.findall(r"^(\w[\w, ]*) : ", parameters, re.MULTILINE)
    assert ", ".join(names).split(", ") == list(inspect.signature(cls).parameters)
    assert re.findall(r"^\S.*\n(?=\S|\Z)", parameters, re.MULTILINE) == []  # without a text


def test_slots_are_filled_in_place():
    @documented(
        entries(
            "a : int\n    One.\n\n    More.\n\nb_, c_ : int\n    Two.\nd_ : int\n    Three."
        )
    )
    class Example:
        """Do.

        %(a)s, indeed.
            %(b_,
            d_)s
        """

    assert inspect.getdoc(Example) == (
        "Do.\n\na : int\n    One.\n\n    More., indeed.\n"
        "    b_, c_ : int\n        Two.\n    d_ : int\n        Three."
    )
    with pytest.raises(KeyError, match="unknown"):

        @documented({})
        class Wrong:
            """%(unknown)s"""


@pytest.fixture
def reference(monkeypatch):
    """Return the extension that writes the pages of the API reference."""
    monkeypatch.syspath_prepend(ROOT / "doc" / "extensions")
    monkeypatch.delitem(sys.modules, "reference", raising=False)
    import reference

    return reference


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_parameters_of_the_reference_are_in_groups(cls, reference):
    parameters = list(inspect.signature(cls).parameters)
    groups = [reference.group_of(name) for name in parameters]
    order = ["Model", "Initialisation", "Training", "Running"]
    assert groups == sorted(groups, key=order.index)  # in the signature, too, they are together
    lines = [":Parameters:", ""]
    for name in parameters:
        lines += [f"    **{name}** : int", "        What it is.", ""]
    lines.append(":Attributes:")
    (name,) = [name for name in reference.GUIDE if name.endswith(f".{cls.__name__}")]
    reference.group_parameters(None, "class", name, cls, None, lines)
    titles = [line.split(":: ")[1] for line in lines if ".. rubric::" in line]
    assert titles == list(dict.fromkeys(groups))
    assert lines[-1] == ":Attributes:"
