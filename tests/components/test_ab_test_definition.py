"""The definition as the program declares it. That an API server takes it is tested in tests/ml/contracts."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components.ab_test_definition import AbTestDefinition, AbTestDefinitionArgs
from tests.support.catalogue import declare
from tests.support.recording_monitor import Graph, Recorded
from tests.support.schemas import KUBERNETES_VERSIONS, check_kubernetes

_REPOSITORY = Path(__file__).resolve().parents[2]
_FILE = _REPOSITORY / "components" / "crds" / "abtests.yaml"


@functools.cache
def _declared(*, protect: bool = True, preview: bool = False) -> Graph:
    args = AbTestDefinitionArgs(protect=protect)
    return declare(lambda opts: AbTestDefinition("ab-tests", args, opts), preview=preview)


def _definition(graph: Graph) -> Recorded:
    (definition,) = graph.kubernetes_objects()
    assert definition.kind == "CustomResourceDefinition"
    return definition


@pytest.mark.parametrize("preview", [True, False])
def test_the_file_is_declared_word_for_word_when_made(preview: bool) -> None:
    written = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    manifest = _definition(_declared(preview=preview)).manifest
    assert manifest["spec"] == written["spec"]
    assert manifest["metadata"]["name"] == written["metadata"]["name"] == "abtests.mlplatform.dev"
    assert manifest["metadata"]["labels"]["app.kubernetes.io/instance"] == "ab-tests"


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_definition_fits_the_schema_when_declared(version: str) -> None:
    check_kubernetes(_definition(_declared()).manifest, version)


@pytest.mark.parametrize("protect", [True, False])
def test_experiments_survive_the_platform_when_data_are_protected(protect: bool) -> None:
    assert _definition(_declared(protect=protect)).retain_on_delete is protect


def test_program_loads_no_models_when_the_component_is_imported() -> None:
    code = "import sys, components.ab_test_definition; print('ml.contracts.abtest' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_REPOSITORY, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"
