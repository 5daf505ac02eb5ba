"""Pages of the API reference: links to the guide at the top, parameters in groups."""

GUIDE = {
    "skunfold.DeepNMFRegressor": ("deep_nmf", "choosing", "training"),
    "skunfold.SparseNMF": ("deep_nmf",),
    "skunfold.UnfoldedMeanFieldClassifier": ("mean_field", "label_graphs", "choosing"),
    "skunfold.UnfoldedBPClassifier": ("belief_propagation", "label_graphs", "choosing"),
    "skunfold.UnfoldedCRFClassifier": ("sequences", "choosing", "training"),
    "skunfold.audio.SpeechEnhancer": ("speech", "noise_suppressors", "command_line"),
    "skunfold.unfolding.UnfoldedRegressor": ("unfold_your_own", "training"),
    "skunfold.unfolding.UnfoldedClassifier": ("unfold_your_own", "training"),
}
GROUPS = {  # parameters that are in no group are those of the model
    "Initialisation": ("init", "fixed_components"),
    "Training": (
        "alpha", "averaging", "batch_size", "class_weight", "early_stopping", "forget_factor",
        "learning_rate_decay", "learning_rate_init", "max_iter", "n_iter_no_change", "shuffle",
        "solver", "tol", "validation_fraction",
    ),
    "Running": ("memory", "n_jobs", "random_state", "verbose", "warm_start"),
}  # fmt: skip


def group_of(parameter):
    """Return the title of the group of a parameter."""
    for title, names in GROUPS.items():
        if parameter in names:
            return title
    return "Model"


def add_links(app, what, name, obj, options, lines):
    """Insert links to the guide and to the gallery after the first line of a docstring."""
    if name in GUIDE:
        guide = ", ".join(f":ref:`{label}`" for label in GUIDE[name])
        links = f"User guide: {guide}.  Examples: below, and in the :ref:`gallery <gallery>`."
        lines[1:1] = ["", links, ""]


def group_parameters(app, what, name, obj, options, lines):
    """Insert a title above each group of parameters, which numpydoc has formatted."""
    if name not in GUIDE or ":Parameters:" not in lines:
        return
    start = lines.index(":Parameters:")
    grouped, former = [], None
    for i, line in enumerate(lines[start + 1 :], start + 1):
        if line and not line.startswith(" "):
            lines[start + 1 : i] = grouped
            return
        if line.startswith("    **"):
            group = group_of(line.split("**")[1].split(",")[0])
            if group != former:
                grouped += [f"    .. rubric:: {group}", ""]
            former = group
        grouped.append(line)


def setup(app):
    """Connect before numpydoc, and after it."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", add_links, priority=400)
    app.connect("autodoc-process-docstring", group_parameters, priority=600)
    return {"parallel_read_safe": True}
