"""The stand-in does what TensorFlow Serving does, behaviour by behaviour."""

from __future__ import annotations

import pytest

from tests.local.modelserver.server_process import ServerProcess
from tests.support.tfserving_conformance import ALL_CHECKS, Check


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.__name__)
def test_stand_in_behaves_like_tensorflow_serving_when_asked(server: ServerProcess, check: Check) -> None:
    check(server.target)
