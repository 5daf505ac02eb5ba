"""Settings of the documentation: ``sphinx-build -W --keep-going -n doc doc/_build/html``."""

import re
import sys
import zlib
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import sklearn
from sklearn.utils.discovery import all_displays, all_estimators, all_functions

from skunfold import __version__

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

from addresses import project_urls, repository_options, version_switcher  # noqa: E402

project = "skunfold"
author = "the skunfold developers"
copyright = "the skunfold developers, BSD 3-Clause licence"
version = release = __version__

extensions = [
    "drawings",
    "installing",
    "reference",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/*.md5"]
suppress_warnings = ["config.cache"]  # sphinx-gallery's settings hold a function

templates_path = ["_templates"]
default_role = "literal"
autosummary_generate = True
autodoc_typehints = "none"  # types and shapes are in the docstrings
numpydoc_show_class_members = False  # the class template lists them
numpydoc_use_plots = False
myst_heading_anchors = 3

copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"
copybutton_selector = (
    "div.highlight-python pre, div.highlight-bash pre, div.highlight-default pre"
)

URLS = project_urls()
repository, html_context = repository_options(URLS)
made = HERE / "_build" / "static"
switcher = version_switcher(URLS, __version__, made)

html_theme = "pydata_sphinx_theme"
html_title = "skunfold"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static", str(made)]
if find_spec("mathjax"):  # of django-static-mathjax: formulas show without a network
    html_static_path.append(str(files("mathjax") / "static" / "mathjax" / "es5" / "tex-svg.js"))
    mathjax_path = "tex-svg.js"
html_css_files = ["pages.css"]
html_sidebars = {"index": [], "install": [], "getting_started": []}  # they have no pages below
html_theme_options = {
    "logo": {
        "image_light": "_static/drawings/logo-light.svg",
        "image_dark": "_static/drawings/logo-dark.svg",
        "text": "skunfold",
        "alt_text": "skunfold: home",
    },
    "switcher": switcher,
    "check_switcher": False,  # it is made above
    "navbar_end": ["version-switcher", "theme-switcher", "navbar-icon-links"],
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc", "edit-this-page"],
    "show_prev_next": True,
    "navigation_with_keys": False,
} | repository
html_show_sourcelink = False
toc_object_entries_show_parents = "hide"

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


# Pages of scikit-learn that its docstrings refer to: label, page, what to call it.
LABELS = """\
accuracy_score modules/model_evaluation.html#accuracy-score User Guide
r2_score modules/model_evaluation.html#r2-score User Guide
df_output_transform auto_examples/miscellaneous/plot_set_output.html set_output API
sphx_glr_auto_examples_miscellaneous_plot_set_output.py \
auto_examples/miscellaneous/plot_set_output.html Introducing the set_output API
"""


def scikit_learn_inventory():
    """Write an inventory of the installed scikit-learn for intersphinx; return its path.

    So links are resolved without a network.
    """
    lines = []
    classes = all_estimators() + all_displays()
    for role, objects in (("class", classes), ("function", all_functions())):
        for _, found in objects:
            parts = f"{found.__module__}.{found.__qualname__}".split(".")
            name = ".".join(part for part in parts if not part.startswith("_"))
            lines.append(f"{name} py:{role} 1 modules/generated/$.html#$ -")
    lines.append("sklearn.show_versions py:function 1 modules/generated/$.html#$ -")
    for label in LABELS.splitlines():
        name, page, title = label.split(maxsplit=2)
        lines.append(f"{name} std:label -1 {page} {title}")
    head = [
        "# Sphinx inventory version 2",
        "# Project: scikit-learn",
        f"# Version: {sklearn.__version__}",
        "# The remainder of this file is compressed using zlib.",
    ]
    file = HERE / "_build" / "scikit-learn.inv"
    file.parent.mkdir(exist_ok=True)
    body = zlib.compress("".join(f"{line}\n" for line in lines).encode())
    file.write_bytes("".join(f"{line}\n" for line in head).encode() + body)
    return str(file)


intersphinx_mapping = {
    "sklearn": ("https://scikit-learn.org/stable/", scikit_learn_inventory()),
}


def skip_request_methods(app, what, name, obj, skip, options):
    """Leave scikit-learn's machinery of metadata requests out of the API reference."""
    return (
        skip or name == "get_metadata_routing" or bool(re.fullmatch(r"set_\w+_request", name))
    )


def setup(app):
    """Connect the hooks."""
    app.connect("autodoc-skip-member", skip_request_methods)
