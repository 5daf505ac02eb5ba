"""Settings of the documentation: ``sphinx-build -W --keep-going -n doc doc/_build/html``."""

import re
import zlib
from pathlib import Path

from skunfold import __version__

HERE = Path(__file__).parent

project = "skunfold"
author = "the skunfold developers"
copyright = "the skunfold developers, BSD 3-Clause licence"
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/*.md5"]
suppress_warnings = ["config.cache"]  # sphinx-gallery's settings hold a function

templates_path = ["_templates"]
default_role = "literal"
autosummary_generate = True
autodoc_typehints = "none"  # types and shapes stand in the docstrings
numpydoc_show_class_members = False  # the class template lists them
numpydoc_use_plots = False
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = "skunfold"
html_theme_options = {
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
    "navigation_with_keys": False,
}
html_show_sourcelink = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skunfold",),
    "reference_url": {"skunfold": None},
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "show_memory": False,
    "min_reported_time": 0,
}


def local_inventory(name):
    """Return the path of an inventory for intersphinx, made of a list in this folder.

    So the documentation builds without a network. A line is the name of an object, its role,
    and its page below the site's address, in which $ stands for the name.
    """
    lines = (HERE / "inventories" / f"{name}.txt").read_text().splitlines()
    items = [line.split() for line in lines if line and not line.startswith("#")]
    entries = "".join(f"{target} {role} 1 {page} -\n" for target, role, page in items)
    head = f"# Sphinx inventory version 2\n# Project: {name}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    file = HERE / "_build" / "inventories" / f"{name}.inv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(head.encode() + zlib.compress(entries.encode()))
    return str(file)


intersphinx_mapping = {
    "sklearn": ("https://scikit-learn.org/stable/", local_inventory("scikit-learn")),
}


def skip_request_methods(app, what, name, obj, skip, options):
    """Leave scikit-learn's machinery of metadata requests out of the API reference."""
    return (
        skip or name == "get_metadata_routing" or bool(re.fullmatch(r"set_\w+_request", name))
    )


def setup(app):
    """Connect the hooks."""
    app.connect("autodoc-skip-member", skip_request_methods)
