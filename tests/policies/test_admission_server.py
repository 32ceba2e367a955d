"""A real API server judges by the rules: it takes the policies, and it refuses what the offline check refuses."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from components.admission_policies import AdmissionPolicies
from policies import admission
from policies._examples import MANIFESTS
from policies._model import ObjectRule
from policies._paths import changed
from policies.configuration import Configuration
from policies.registry import OBJECT_RULES
from tests.local.provider.control_plane import ControlPlane
from tests.policies.admission_server import apply, await_in_force, change, create, remove_policies, warn_everywhere
from tests.policies.cases import REFUSED, STACK, Case, broken, cases, without_nothing
from tests.support.catalogue import declare_one

_PLATFORM = "judged"
_RULES = [rule for rule in OBJECT_RULES if admission.enforceable(rule)]
_FILLED_IN = {rule for case in cases() if case.name.endswith("-fails") for rule in case.filled_in}
"""Rules whose example the API server mends before admission."""
_CONFLICT = "already exists"
"""Said after admission of what every cluster has, or the tests made: the `default` account, some namespaces."""
_PROBES: list[tuple[str, dict[str, Any], str]] = [
    ("Pod", {"spec.hostNetwork": True, "spec.containers.0.ports": []}, "pod-host-network"),
    ("Service", {"spec.type": "NodePort"}, "service-outside"),
    ("VirtualService", {"metadata.name": "a-split", "spec.http.0.route.0.weight": 5000}, "route-weights"),
    ("PersistentVolume", {"spec.persistentVolumeReclaimPolicy": "Delete"}, "volume-reclaim"),
]
"""What shows that the policies of a family are in force."""
_TYPES_CHECKED_SECONDS = 120.0
_PEOPLE, _CONTROLLER = "system:admin", "system:serviceaccount:kube-system:job-controller"


@pytest.fixture(scope="module")
def judging(api_server: ControlPlane) -> Iterator[ControlPlane]:
    """The API server with every policy: refusing in the platform's namespace, warning everywhere."""
    used = {manifest["metadata"].get("namespace") for case in cases() for manifest in case.manifests} - {None}
    apply(api_server, [_namespace(name) for name in sorted({"default-models", _PLATFORM, *used})])
    platform = declare_one(AdmissionPolicies, namespace_name=_PLATFORM, stack="none of ours")
    apply(api_server, [item.manifest for item in platform.kubernetes_objects()])
    apply(api_server, warn_everywhere(admission.policies(Configuration(), STACK), "warn"))
    for kind, patch, rule in _PROBES:
        foreign = {"metadata.labels[app.kubernetes.io/part-of]": "somebody-elses"}
        for refused, more in ((False, foreign), (True, {"metadata.namespace": _PLATFORM})):
            probe = changed(MANIFESTS[kind], {**more, **patch})
            if kind == "PersistentVolume":
                probe["metadata"].pop("namespace", None)
            await_in_force(api_server, probe, rule, refused=refused)
    yield api_server
    remove_policies(api_server)


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _example(rule: ObjectRule, what: Mapping[str, Any]) -> dict[str, Any]:
    made = without_nothing(changed(MANIFESTS[rule.example.of], what))
    return changed(made, {"metadata.namespace": _PLATFORM}) if "namespace" in made["metadata"] else made


@pytest.mark.parametrize("case", cases(), ids=str)
def test_same_rules_are_broken_when_the_api_server_judges(judging: ControlPlane, case: Case) -> None:
    for manifest in case.manifests:
        if "namespace" not in manifest["metadata"]:
            # What lies in no namespace and is the platform's would be refused, and a refusal names one rule only.
            manifest = changed(manifest, {"metadata.labels[app.kubernetes.io/part-of]": "somebody-elses"})
        answer = create(judging, manifest)
        if case.name in REFUSED:
            assert REFUSED[case.name] in answer.message
            continue
        assert answer.status == 201 or _CONFLICT in answer.message, answer.message
        assert answer.errors == ()
        assert answer.rules == broken([manifest], _RULES) - case.filled_in


@pytest.mark.parametrize("rule", [rule for rule in _RULES if rule.example.of != "Namespace"], ids=lambda rule: rule.id)
def test_object_is_refused_with_the_rules_name_when_it_breaks_one(judging: ControlPlane, rule: ObjectRule) -> None:
    failing = _example(rule, rule.example.fails)
    answer = create(judging, failing)
    if rule.id == "namespace-default" or rule.id in _FILLED_IN:
        assert answer.status == 201, "not in the default namespace any more, or mended"
    elif f"{rule.id}-fails" not in REFUSED:
        assert answer.status == 422, answer.message
        assert "denied request" in answer.message
        assert rule.id in answer.rules
        assert answer.message.partition("request: ")[2].partition(":")[0] in broken([failing], _RULES)
    passing = create(judging, _example(rule, rule.example.passes))
    assert passing.status == 201, passing.message


def test_namespace_is_refused_when_it_would_lose_its_pod_security(judging: ControlPlane) -> None:
    answer = change(judging, _namespace(_PLATFORM), {"metadata": {"labels": {"team": "research"}}}, user=_PEOPLE)
    assert answer.status == 422
    assert "namespace-pod-security" in answer.rules


def test_nobody_elses_objects_are_refused_when_they_break_a_rule(judging: ControlPlane) -> None:
    service = changed(MANIFESTS["Service"], {"spec.type": "NodePort", "metadata.namespace": "default-models"})
    assert create(judging, service).status == 201
    role = changed(MANIFESTS["ClusterRole"], {"rules.0.verbs": ["*"]})
    assert create(judging, role).status == 422
    foreign = changed(role, {"metadata.labels[app.kubernetes.io/part-of]": "somebody-elses"})
    assert create(judging, foreign).status == 201


def test_cluster_keeps_house_when_an_object_broke_a_rule_before(judging: ControlPlane) -> None:
    pod = changed(MANIFESTS["Pod"], {"metadata.namespace": "default-models", "spec.hostNetwork": True})
    moved = {**pod, "metadata": {**pod["metadata"], "name": "from-before"}}
    made = create(judging, moved, dry_run=False)
    assert made.status == 201, made.message
    labelled = {"metadata": {"labels": {"kept": "house"}}}
    assert "pod-host-network" in change(judging, moved, labelled, user=_PEOPLE).rules
    assert change(judging, moved, labelled, user=_CONTROLLER).rules == frozenset()
    assert "pod-host-network" in create(judging, changed(moved, {"metadata.name": "new"}), user=_CONTROLLER).rules


def test_no_type_is_doubted_when_the_api_server_has_checked_the_policies(judging: ControlPlane) -> None:
    """The last one of the file: the API server checks them while it judges what the others ask, and takes its time."""
    deadline = time.monotonic() + _TYPES_CHECKED_SECONDS
    while True:
        items = json.loads(judging.kubectl("get", "validatingadmissionpolicies", "-o", "json"))["items"]
        statuses = {item["metadata"]["name"]: item.get("status", {}) for item in items}
        if all("typeChecking" in status for status in statuses.values()) or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert len(statuses) >= 8
    assert {name: status.get("typeChecking") for name, status in statuses.items()} == {name: {} for name in statuses}
