"""The same rules as ValidatingAdmissionPolicies, so that the API server refuses what the preview refuses.

Rules over several resources cannot be judged at admission, where one object is seen at a time, and neither can those
about cloud resources. Expired exemptions never get here: the configuration is refused before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from policies import cel
from policies._kinds import POD_SPECS, SERVED_AS
from policies._model import Exemption, Level, ObjectRule, Scope
from policies.configuration import Configuration
from policies.registry import OBJECT_RULES

_API: Final = "admissionregistration.k8s.io/v1"
_PREFIX: Final = "mlplatform.dev-"
_ACTIONS: Final = {Level.MANDATORY: ["Deny", "Audit"], Level.ADVISORY: ["Warn", "Audit"]}
_POD_PATHS: Final = {path: [kind for kind, its in POD_SPECS.items() if its == path] for path in POD_SPECS.values()}

JsonObject = dict[str, Any]


def enforceable(rule: ObjectRule) -> bool:
    """Say whether the API server can judge by this rule."""
    return all(kind in SERVED_AS for kind in rule.kinds)


def objects(configuration: Configuration, stack: str, namespaces: Sequence[str] = ()) -> list[JsonObject]:
    """Return policies and bindings for a stack; `namespaces` limits them to these, otherwise they hold everywhere."""
    made: list[JsonObject] = []
    for rule in OBJECT_RULES:
        level = configuration.level(stack, rule.id)
        if level is Level.DISABLED or not enforceable(rule):
            continue
        made.append(_policy(rule, configuration, stack))
        made.append(_binding(rule, level, namespaces))
    return made


def expression(rule: ObjectRule, settings: Mapping[str, Any]) -> str:
    """Return CEL that is true of an object which keeps the rule."""
    values = rule.values(settings)
    if rule.scope is Scope.OBJECT:
        demanded = cel.expression(rule.demand, "object", values)
    elif rule.scope is Scope.POD:
        demanded = cel.expression(rule.demand, "variables.pod", values)
    else:
        lists = ["containers", "initContainers"] if rule.scope is Scope.CONTAINERS else ["containers"]
        parts = [f'variables.pod[?"{name}"].orValue([])' for name in lists]
        demanded = f"({' + '.join(parts)}).all(c, {cel.expression(rule.demand, 'c', values)})"
    if rule.when is None:
        return demanded
    return f"!({cel.expression(rule.when, 'object', values)}) || {demanded}"


def _policy(rule: ObjectRule, configuration: Configuration, stack: str) -> JsonObject:
    spec: JsonObject = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": _resource_rules(rule.kinds)},
        "validations": [
            {
                "expression": expression(rule, configuration.of_rule(rule.id)),
                "message": f"{rule.id}: {rule.title}. {rule.how}",
                "reason": "Invalid",
            }
        ],
    }
    if rule.scope is not Scope.OBJECT:
        spec["variables"] = [{"name": "pod", "expression": _pod_expression(rule.kinds)}]
    exemptions = configuration.exemption(stack, rule.id)
    if exemptions:
        spec["matchConditions"] = [
            {"name": f"exemption-{number}", "expression": f"!({_exempt(item)})"}
            for number, item in enumerate(exemptions, start=1)
        ]
    return {"apiVersion": _API, "kind": "ValidatingAdmissionPolicy", "metadata": _metadata(rule), "spec": spec}


def _binding(rule: ObjectRule, level: Level, namespaces: Sequence[str]) -> JsonObject:
    spec: JsonObject = {"policyName": f"{_PREFIX}{rule.id}", "validationActions": _ACTIONS[level]}
    if namespaces:
        wanted = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(namespaces)}
        spec["matchResources"] = {"namespaceSelector": {"matchExpressions": [wanted]}}
    kind = "ValidatingAdmissionPolicyBinding"
    return {"apiVersion": _API, "kind": kind, "metadata": _metadata(rule), "spec": spec}


def _metadata(rule: ObjectRule) -> JsonObject:
    labels = {"app.kubernetes.io/part-of": "mlplatform", "app.kubernetes.io/name": "policies"}
    return {"name": f"{_PREFIX}{rule.id}", "labels": labels}


def _resource_rules(kinds: Sequence[str]) -> list[JsonObject]:
    groups: dict[str, list[str]] = {}
    for kind in kinds:
        groups.setdefault(kind.rpartition("/")[0], []).append(SERVED_AS[kind][1])
    return [
        {
            "apiGroups": ["" if group == "core" else group],
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE"],
            "resources": plurals,
        }
        for group, plurals in groups.items()
    ]


def _pod_expression(kinds: Sequence[str]) -> str:
    text = "object.spec.template.spec"
    for path, its_kinds in _POD_PATHS.items():
        if path != "spec.template.spec" and any(kind in kinds for kind in its_kinds):
            names = [kind.rpartition("/")[2] for kind in its_kinds]
            text = f"object.kind in {json.dumps(names)} ? object.{path} : ({text})"
    return text


def _exempt(exemption: Exemption) -> str:
    kind = f"object.kind == {json.dumps(exemption.kind.rpartition('/')[2])}"
    if exemption.name.endswith("*"):
        return f"{kind} && object.metadata.name.startsWith({json.dumps(exemption.name[:-1])})"
    return f"{kind} && object.metadata.name == {json.dumps(exemption.name)}"
