"""Where the engine enters the pack. People use `mlp policy`."""

from __future__ import annotations

import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent
# The engine puts this folder on the path, from where `import report` would be a module of ours; it needs the one above.
sys.path[:] = [str(_FOLDER.parent), *(entry for entry in sys.path if Path(entry).resolve() != _FOLDER)]

from policies.pack import start  # noqa: E402 the path comes first

sys.exit(start())
