"""Addresses outside of the pages: the repository, and other versions of the documentation."""

import json
import os
from importlib.metadata import metadata
from pathlib import Path
from urllib.parse import urlsplit


def project_urls():
    """Return the addresses of ``[project.urls]`` in ``pyproject.toml`` by their labels."""
    entries = metadata("skunfold").get_all("Project-URL") or []
    return dict(entry.split(", ", 1) for entry in entries)


def repository_options(urls):
    """Return the theme's options and the context that link to the repository and to its files.

    Parameters
    ----------
    urls : dict
        Addresses by label.  Without a "Source" on GitHub there are no links.
    """
    address = urlsplit(urls.get("Source", ""))
    parts = address.path.strip("/").split("/")
    if address.netloc != "github.com" or len(parts) != 2:
        return {}, {}
    options = {"github_url": urls["Source"], "use_edit_page_button": True}
    user, name = parts
    return options, {
        "github_user": user,
        "github_repo": name,
        "github_version": "main",
        "doc_path": "doc",
    }


def version_switcher(urls, version, folder):
    """Write the list of versions into a folder, and return the theme's option that shows it."""
    documentation = urls["Documentation"].rsplit("/", 1)[0]
    names = {"stable": f"{version} (stable)", "latest": "development"}
    versions = [
        {"version": key, "name": name, "url": f"{documentation}/{key}/"}
        for key, name in names.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    Path(folder, "versions.json").write_text(json.dumps(versions, indent=2))
    built = os.environ.get("READTHEDOCS_VERSION", "latest")
    return {"json_url": "_static/versions.json", "version_match": built}
