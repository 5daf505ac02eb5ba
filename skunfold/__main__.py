"""``python -m skunfold`` is ``skunfold``."""

import sys

from skunfold.cli import main

sys.exit(main())
