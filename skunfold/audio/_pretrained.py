"""The model that comes with the package, see ``pretrained/MODEL_CARD.md``."""

from pathlib import Path

PRETRAINED = Path(__file__).parent / "pretrained" / "speech.model"
