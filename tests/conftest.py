"""What a test asks for says how slow it is: whoever needs an API server or a trained model is not in the edit loop."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

_ROOT = Path(__file__).resolve().parent.parent
_SLOW_FIXTURES = {"api_server", "toolchain", "tracking_server"}
_SLOW_PLACES = (
    "tests/local/modelserver/",
    "tests/local/toolchain/test_gobuild.py",
    "tests/ml/events/test_decisions.py",
    "tests/ml/experiments/test_simulations.py",
    "tests/ml/pipelines/",
    "tests/ml/serving/test_slot.py",
    "tests/ml/serving/test_version_store.py",
    "tests/ml/training/test_steps.py",
    "tests/policies/test_fuzz.py",
    "tests/policies/test_own_stacks.py",
    "tests/stack/test_access.py",
    "tests/stack/test_changes.py",
    "tests/stack/test_cloud_database.py",
    "tests/stack/test_database_cluster.py",
    "tests/stack/test_database_cluster_in_cloud.py",
    "tests/stack/test_isolation.py",
    "tests/stack/test_mirror.py",
    "tests/stack/test_pipelines.py",
    "tests/stack/test_teams.py",
    "tests/stack/test_two_platforms.py",
    "tests/unit/bench/",
    "tests/unit/cli/test_kubectl.py",
    "tests/unit/test_makefile.py",
    "tests/unit/test_workflows.py",
)
"""Tests that train or serve a real model, simulate, compile, run whole stacks in many variants, or need TensorFlow or
MLflow, whose imports take longest. Behaviour and goldens of the stacks as they are stay in the edit loop."""
_SLOW_TESTS = (
    "tests/local/provider/test_waiting.py::test_the_object_is_kept_and_the_cause_named_when_the_server_stays_away",
    "tests/ml/controller/core/test_endings.py::",
    "tests/ml/controller/test_admission.py::test_advice_leads_to_admission_when_it_is_followed",
    "tests/ml/controller/test_admission.py::test_decision_can_be_taken_when_a_spec_is_admitted",
    "tests/ml/serving/test_sync_histories.py::",
    "tests/ml/training/test_dataset.py::test_split_and_sample_are_the_same_when_another_process_makes_them",
    "tests/stack/test_cloud.py::test_package_of_aws_is_loaded_only_where_a_stack_is_there_when_programs_run",
    "tests/stack/test_golden.py::test_graph_is_identical_when_hashes_are_seeded_differently",
    "tests/unit/cli/test_pipeline.py::test_pipeline_is_compiled",
)
"""Tests that wait, start other interpreters or try thousands of cases, in files that are fast otherwise."""
_FAST_EXAMPLES = 20
_PYTESTS_OWN = "PYTEST_CURRENT_TEST"
_NEVER_FAST = tuple(f"{place.removesuffix('/')}/" for place in ("tests/e2e", *_SLOW_PLACES))


@pytest.fixture(autouse=True)
def _environment_is_left_as_it_was() -> Generator[None]:
    """Fail whoever changes the environment for the tests after it: `monkeypatch` puts back what it found itself."""
    before = {**os.environ, _PYTESTS_OWN: ""}
    yield
    assert {**os.environ, _PYTESTS_OWN: ""} == before


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--fast`, which `make check` uses."""
    parser.addoption(
        "--fast", action="store_true", help="only the edit loop: slow and end-to-end tests are not even imported"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let property tests try fewer cases in the edit loop than in `make test`, and nobody report our use of MLflow.

    Where it may report, as anywhere but in CI, MLflow changes the environment of the tests in its first call.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    settings.register_profile("full", deadline=None)
    settings.register_profile("fast", deadline=None, max_examples=_FAST_EXAMPLES)
    settings.load_profile("fast" if config.getoption("fast") else "full")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files that hold slow tests only: what they import takes longer than all fast tests."""
    place = collection_path.relative_to(_ROOT).as_posix() if collection_path.is_relative_to(_ROOT) else ""
    return True if config.getoption("fast") and f"{place}/".startswith(_NEVER_FAST) else None


def pytest_collection_finish() -> None:
    """Let no garbage collection look again at what stays to the end: the modules and tests that have been loaded."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests as slow by what they use and where they are, so that nobody can forget it."""
    for item in items:
        if _SLOW_FIXTURES & set(getattr(item, "fixturenames", ())) or item.nodeid.startswith(
            (*_SLOW_PLACES, *_SLOW_TESTS)
        ):
            item.add_marker(pytest.mark.slow)
    if config.getoption("fast"):
        slow = [item for item in items if item.get_closest_marker("slow") or item.get_closest_marker("e2e")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in set(slow)]
