"""Links from the estimators' HTML representation to their pages in our documentation."""

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata


class DocumentedEstimator:
    """Tells scikit-learn where the page of an estimator is; a base class before BaseEstimator.

    Without an address of the documentation in the package's metadata there is no link.
    """

    _doc_link_module = "skunfold"

    @property
    def _doc_link_template(self):
        address = documentation_address()
        return f"{address}/generated/{{page}}.html" if address else ""

    def _doc_link_url_param_generator(self):
        cls = type(self)
        public_module, _, _ = cls.__module__.rpartition(".")
        return {"page": f"{public_module}.{cls.__name__}"}


@cache
def documentation_address() -> str:
    """Return the URL that the package's metadata call "Documentation", or an empty string."""
    try:
        urls = metadata("skunfold").get_all("Project-URL") or []
    except PackageNotFoundError:  # a checkout that is not installed
        urls = []
    addresses = dict(url.split(", ", 1) for url in urls)
    return addresses.get("Documentation", "").rstrip("/")
