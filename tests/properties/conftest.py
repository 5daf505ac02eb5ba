"""How many cases hypothesis tries: few and the same ones in the suite, thousands by command.

HYPOTHESIS_PROFILE=thorough python -m pytest tests/properties --hypothesis-show-statistics
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite",
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", settings.get_profile("suite"), max_examples=1000, derandomize=False
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
