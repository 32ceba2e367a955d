"""One corpus, one verdict: the offline check, the engine's pack and the audit of a cluster.

The API server's own verdict on the same cases shows test_admission_server.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.toolchain import Toolchain
from policies import sources
from policies._model import Resource, Verdict
from policies._paths import changed
from policies.configuration import Configuration
from policies.engine import evaluate
from policies.registry import OBJECT_RULES, RULES
from tests.local.provider.control_plane import ControlPlane
from tests.local.provider.project import Project
from tests.policies.admission_server import create
from tests.policies.cases import REFUSED, REMOVED, STACK, Case, cases
from tests.policies.clusters import read
from tests.policies.packs import findings, pack

_PLACE = "audited"
_AS_ADVICE = '[levels]\ndefault = "advisory"\n'
"""So that the engine goes on to the rules over several resources."""
_ADOPTED = {"ReplicaSet", "ReplicationController"}
"""Kinds that a workload beside them takes for its own when the labels fit."""
_OWN = "metadata.labels[app.kubernetes.io/part-of]"


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A manifest with a name that no other has."""

    case: Case
    key: str
    manifest: Mapping[str, Any]


def placed(found: Sequence[Case]) -> list[Placed]:
    """Return all manifests of a corpus, those that are about each other in namespaces of their own."""
    made: list[Placed] = []
    for number, case in enumerate(found):
        for index, manifest in enumerate(case.manifests):
            metadata = manifest["metadata"]
            key = f"c{number}-{index}"
            patch = {"metadata.name": f"{key}-{metadata.get('name', '')}".rstrip("-")}
            if "namespace" not in metadata:
                patch[_OWN] = "mlplatform"  # an audit reads nothing else of what lies in no namespace
            elif metadata["namespace"] != "default":
                own = case.together or manifest["kind"] in _ADOPTED
                patch["metadata.namespace"] = f"case-{number}" if own else _PLACE
            made.append(Placed(case=case, key=key, manifest=changed(manifest, patch)))
    return made


def verdicts(resources: Iterable[Resource]) -> dict[str, set[str]]:
    """Return the broken rules by the key in a resource's name."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for item in evaluate(list(resources), Configuration(), STACK).of(Verdict.VIOLATION):
        found["-".join(item.finding.resource.name.split("-")[:2])].add(item.rule.id)
    return dict(found)


def token(manifest: Mapping[str, Any]) -> str:
    group, slash, version = str(manifest["apiVersion"]).rpartition("/")
    return f"kubernetes:{group if slash else 'core'}/{version}:{manifest['kind']}"


def test_pack_agrees_with_the_offline_check_when_the_engine_asks(toolchain: Toolchain, tmp_path: Path) -> None:
    corpus = placed(cases())
    project = Project(tmp_path, toolchain, Path("/nowhere"))
    project.create()
    file = tmp_path / "corpus.json"
    file.write_text(json.dumps([[token(item.manifest), item.key, item.manifest] for item in corpus]), encoding="utf-8")
    project.program(
        f"""
        import json
        for token, name, manifest in json.load(open({str(file)!r})):
            pulumi.CustomResource(token, name, manifest, opts=opts())
        """
    )

    output = project.run("preview", "--policy-pack", str(pack(tmp_path, _AS_ADVICE)))

    expected = verdicts(sources.from_manifest(item.manifest, protected=False) for item in corpus)
    found = {name: {rule for _, rule in pairs} for name, pairs in findings(output).items()}
    assert len(expected) > 250
    assert found == expected


def test_audit_agrees_with_the_offline_check_when_the_cluster_holds_the_corpus(api_server: ControlPlane) -> None:
    corpus = [item for item in placed(cases()) if item.case.name not in REFUSED.keys() | REMOVED]
    # A quota would keep out what comes after it.
    corpus.sort(key=lambda item: item.manifest["kind"] == "ResourceQuota")
    namespaces = {str(item.manifest["metadata"].get("namespace", "default")) for item in corpus}
    for namespace in sorted(namespaces - {"default"}):
        api_server.kubectl("create", "namespace", namespace)
    for item in corpus:
        answer = create(api_server, item.manifest, dry_run=False)
        assert answer.status == 201, f"{item.case}: {answer.message}"
        if item.manifest["kind"] == "Namespace":
            namespaces.add(str(item.manifest["metadata"]["name"]))

    found: dict[str, set[str]] = {}
    for namespace in sorted(namespaces):
        made = {item.key for item in corpus}
        resources = [
            item
            for item in read(api_server, namespace)
            if "-".join(item.name.split("-")[:2]) in made and _is_made(item)
        ]
        for key, rules in verdicts(resources).items():
            found.setdefault(key, set()).update(rules)

    filled_in = {item.key: item.case.filled_in for item in corpus}
    expected = verdicts(sources.from_manifest(item.manifest) for item in corpus)
    assert len(expected) > 250
    assert found == {key: left for key, rules in expected.items() if (left := rules - filled_in[key])}


def _is_made(resource: Resource) -> bool:
    """Whether it is of the corpus itself, and not what a controller made of it."""
    return not dict(resource.properties["metadata"]).get("ownerReferences")


@pytest.mark.parametrize("rule", [rule for rule in RULES if not rule.id.startswith("aws-")], ids=lambda rule: rule.id)
def test_corpus_has_a_case_that_breaks_the_rule_when_asked(rule: Any) -> None:
    corpus = [case for case in cases() if case.name == f"{rule.id}-fails"]
    assert corpus
    resources = [sources.from_manifest(item.manifest, protected=False) for item in placed(corpus)]
    assert rule.id in {found for rules in verdicts(resources).values() for found in rules}
    assert len(OBJECT_RULES) > 80
