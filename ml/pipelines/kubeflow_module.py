"""Kubeflow's SDK, imported in one place: its decorators carry no usable types, so it is `Any` from here on."""

from __future__ import annotations

import importlib
from typing import Any

dsl: Any = importlib.import_module("kfp.dsl")
compiler: Any = importlib.import_module("kfp.compiler")
local: Any = importlib.import_module("kfp.local")
