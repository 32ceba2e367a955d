"""Holds objects against the schemas that API servers use; a field that the schema does not have is an error."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate  # pyright: ignore[reportMissingTypeStubs] has none
import referencing
import yaml

KUBERNETES_VERSIONS: Final = ("1.34", "1.35", "1.36")
_KUBERNETES_SCHEMAS: Final = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
_CRDS: Final = (
    Path(__file__).resolve().parents[2] / "local" / "node" / "crds",
    Path(__file__).resolve().parent / "crds",
)


class SchemaViolationError(AssertionError):
    """An object that an API server would refuse."""


def check_kubernetes(manifest: Mapping[str, Any], version: str) -> None:
    """Hold an object of Kubernetes itself against one version's strict schemas.

    Raises:
        SchemaViolationError: names the paths and what is wrong there, or that this version has no such kind.
    """
    _check(_kubernetes_validator(str(manifest["apiVersion"]), str(manifest["kind"]), version), manifest)


def check_custom(manifest: Mapping[str, Any]) -> None:
    """Hold a custom resource against its definition in local/node/crds or tests/support/crds.

    Raises:
        SchemaViolationError: names the path and what is wrong there, or that there is no such definition.
    """
    group, _, version = str(manifest["apiVersion"]).partition("/")
    schema = _definitions().get((group, version, str(manifest["kind"])))
    if schema is None:
        raise SchemaViolationError(f"no definition of {manifest['kind']} {manifest['apiVersion']}")
    _check(jsonschema.Draft202012Validator(schema), manifest)


def _check(validator: Any, manifest: Mapping[str, Any]) -> None:
    errors = list(validator.iter_errors(dict(manifest)))
    if errors:
        problems = "; ".join(f"{error.json_path}: {error.message}" for error in errors)
        raise SchemaViolationError(f"{manifest['kind']} {problems}")


@functools.cache
def _kubernetes_validator(api_version: str, kind: str, version: str) -> Any:
    group = api_version.partition("/")[0].partition(".")[0] if "/" in api_version else ""
    name = "-".join(part for part in (kind.lower(), group, api_version.rpartition("/")[2]) if part)
    file = _kubernetes_folder(version) / f"{name}.json"
    if not file.exists():
        raise SchemaViolationError(f"Kubernetes {version} has no {kind} {api_version}")
    schema = json.loads(file.read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema, registry=_kubernetes_registry(version))


@functools.cache
def _kubernetes_registry(version: str) -> Any:
    text = (_kubernetes_folder(version) / "_definitions.json").read_text(encoding="utf-8")
    return referencing.Resource[Any].from_contents(json.loads(text)) @ referencing.Registry[Any]()


def _kubernetes_folder(version: str) -> Path:
    (folder,) = _KUBERNETES_SCHEMAS.glob(f"v{version}.*-local-strict")
    return folder


@functools.cache
def _definitions() -> dict[tuple[str, str, str], dict[str, Any]]:
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for file in sorted(file for folder in _CRDS for file in folder.glob("*.yaml")):
        for crd in yaml.load_all(file.read_text(encoding="utf-8"), yaml.CSafeLoader):
            if not crd or crd.get("kind") != "CustomResourceDefinition":
                continue
            spec = crd["spec"]
            for version in spec["versions"]:
                schema = _closed(version["schema"]["openAPIV3Schema"])
                for name in ("apiVersion", "kind", "metadata"):
                    schema["properties"].setdefault(name, {})
                found[spec["group"], version["name"], spec["names"]["kind"]] = schema
    return found


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a structural schema as JSON schema that refuses unknown fields, as a strict API server does."""
    closed = dict(schema)
    if closed.pop("x-kubernetes-int-or-string", False):
        closed.pop("type", None)
        closed["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if closed.pop("nullable", False) and "type" in closed:
        closed["type"] = [closed["type"], "null"]
    if "properties" in closed:
        closed["properties"] = {name: _closed(item) for name, item in closed["properties"].items()}
        if not closed.get("x-kubernetes-preserve-unknown-fields"):
            closed["additionalProperties"] = False
    elif isinstance(closed.get("additionalProperties"), dict):
        closed["additionalProperties"] = _closed(closed["additionalProperties"])
    if isinstance(closed.get("items"), dict):
        closed["items"] = _closed(closed["items"])
    return closed
