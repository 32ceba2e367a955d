"""TensorFlow, imported in one place: it carries no type information, so it is `Any` from here on."""

from __future__ import annotations

import importlib
import os
from typing import Any

# Its start-up notices on stderr say nothing that a person who trains a model can act on.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

tf: Any = importlib.import_module("tensorflow")
