"""The graph of every stack, made once."""

from __future__ import annotations

import functools

import pytest

from tests.support.recording_monitor import Graph
from tests.support.stacks import CARD_CLAIMS, CLOUD_STACKS, STACKS


@functools.cache
def graph_of(stack: str) -> Graph:
    """Return what a stack declares on `up`."""
    return STACKS[stack].run()


@pytest.fixture(params=sorted(STACKS))
def graph(request: pytest.FixtureRequest) -> Graph:
    """Every stack in turn."""
    return graph_of(request.param)


@pytest.fixture(params=sorted(set(STACKS) - set(CLOUD_STACKS)))
def given(request: pytest.FixtureRequest) -> Graph:
    """Every stack whose cluster somebody else made."""
    return graph_of(request.param)


@pytest.fixture(params=CLOUD_STACKS)
def cloud(request: pytest.FixtureRequest) -> Graph:
    """Every stack that makes its own cluster."""
    return graph_of(request.param)


@pytest.fixture
def staging() -> Graph:
    """The small stack on AWS."""
    return graph_of("staging")


@pytest.fixture
def prod() -> Graph:
    """The stack of production."""
    return graph_of("prod")


@pytest.fixture
def local() -> Graph:
    """The stack of the embedded cluster."""
    return graph_of("local")


@pytest.fixture
def dev() -> Graph:
    """The stack of a shared cluster."""
    return graph_of("dev")


@functools.cache
def _claimed() -> Graph:
    return CARD_CLAIMS.run()


@pytest.fixture
def claimed() -> Graph:
    """The stack of a shared cluster whose pods claim their cards."""
    return _claimed()
