"""The classes of rows."""

from skunfold._estimator.targets import Targets


class RowTargets(Targets):
    """The classes of rows; two of them have two states, as any other number."""

    def decisions(self, logits):
        """Return the logits, for two classes that of the second against the first."""
        return logits[:, 1] - logits[:, 0] if len(self.classes) == 2 else logits
