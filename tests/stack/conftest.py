"""The graph of every stack, made once."""

from __future__ import annotations

import functools

import pytest

from tests.support.recording_monitor import Graph
from tests.support.stacks import CARD_CLAIMS, CLOUD_STACKS, DATABASE_CLUSTER, DATABASE_CLUSTER_IN_CLOUD, STACKS

_DATABASE_CLUSTERS = {"given": DATABASE_CLUSTER, "cloud": DATABASE_CLUSTER_IN_CLOUD}


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
def database_cluster_of(cluster: str) -> Graph:
    """Return what a stack declares on `up` whose database an operator runs, on a cluster that is given or its own."""
    return _DATABASE_CLUSTERS[cluster].run()


@pytest.fixture
def database_cluster() -> Graph:
    """Such a stack on somebody's cluster."""
    return database_cluster_of("given")


@pytest.fixture
def database_cluster_in_cloud() -> Graph:
    """Such a stack on AWS, on a cluster of its own."""
    return database_cluster_of("cloud")


@pytest.fixture(params=sorted(_DATABASE_CLUSTERS))
def any_database_cluster(request: pytest.FixtureRequest) -> Graph:
    """Both in turn."""
    return database_cluster_of(request.param)


@functools.cache
def _claimed() -> Graph:
    return CARD_CLAIMS.run()


@pytest.fixture
def claimed() -> Graph:
    """The stack of a shared cluster whose pods claim their cards."""
    return _claimed()
