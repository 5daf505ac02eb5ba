"""The iterations of the user guide, for the tests of unfolding."""

import pytest
from guide import module_of_guide


@pytest.fixture(scope="session")
def ISTA():  # noqa: N802
    return module_of_guide("unfolded_ista").ISTA


@pytest.fixture(scope="session")
def KLNMF():  # noqa: N802
    return module_of_guide("unfolded_nmf").KLNMF
