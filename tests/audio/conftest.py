"""An enhancer that several test files share."""

import pytest
from enhancers import WienerLike, make_recordings

from skunfold.audio import SpeechEnhancer


@pytest.fixture(scope="module")
def fitted():
    return SpeechEnhancer(WienerLike()).fit(*make_recordings())
