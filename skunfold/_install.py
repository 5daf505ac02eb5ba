"""Where skunfold is installed from: what messages and the documentation advise alike."""

ON_PYPI = False  # True from the first release on; tests then name the pages that have to follow


def install_command(extra: str = "") -> str:
    """Return the command that installs skunfold, with an extra.

    Before the first release it is one for a checkout, to be given in its folder.
    """
    extras = f"[{extra}]" if extra else ""
    if ON_PYPI:
        return f'python -m pip install "skunfold{extras}"'
    return f'python -m pip install ".{extras}"'


def install_advice(extra: str) -> str:
    """Return the command as messages give it, which say where it works."""
    place = "" if ON_PYPI else " in a checkout of skunfold"
    return f"{install_command(extra)}{place}"
