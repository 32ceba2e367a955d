"""The same rules as ValidatingAdmissionPolicies, so that the API server refuses what the preview refuses.

`python -m policies.admission` writes components/admission, one file per stack of the configuration, from which the
platform makes the policies of its cluster. Rules over several resources cannot be judged at admission, where one object
is seen at a time, and neither can those about cloud resources. Expired exemptions never get here: the configuration is
refused before.

A policy holds all rules of one level about one family of kinds: a policy per rule would triple what a stack deploys.
Two things are not judged, or a cluster could not keep house: what is being deleted, and what the cluster's own
controllers update. What they make is judged, whoever asked for it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from policies import cel
from policies._kinds import CLUSTER_WIDE, OWNED, POD_SPECS, PODS, SERVED_AS
from policies._model import Exemption, Level, ObjectRule, Scope
from policies.configuration import Configuration, ConfigurationError, load
from policies.registry import OBJECT_RULES

FOLDER: Final = Path(__file__).resolve().parent.parent / "components" / "admission"
UNNAMED: Final = "default"
"""The file for stacks that the configuration does not mention: the default level, no exemptions."""

_ACTIONS: Final = {Level.MANDATORY: ["Deny", "Audit"], Level.ADVISORY: ["Warn", "Audit"]}
_POD_PATHS: Final = {path: [kind for kind, its in POD_SPECS.items() if its == path] for path in POD_SPECS.values()}
_WHOLE: Final = "variables.whole"
_LISTS: Final = {Scope.CONTAINERS: "variables.containers", Scope.SERVERS: "variables.servers"}
_BY_CONTROLLER: Final = (
    '(request.userInfo.username.startsWith("system:serviceaccount:kube-system:")'
    ' || request.userInfo.username == "system:kube-controller-manager")'
)

JsonObject = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Family:
    name: str
    kinds: tuple[str, ...]
    cluster_wide: bool = False


def _families() -> tuple[_Family, ...]:
    mesh = tuple(kind for kind in SERVED_AS if kind.partition("/")[0].endswith("istio.io"))
    # A namespace is matched by its own labels as what lies in it is, so it belongs to the objects of a namespace.
    cluster = tuple(kind for kind in SERVED_AS if kind in CLUSTER_WIDE and kind != "core/Namespace")
    rest = tuple(kind for kind in SERVED_AS if kind not in (*PODS, *mesh, *cluster))
    return (
        _Family(name="workloads", kinds=PODS),
        _Family(name="objects", kinds=rest),
        _Family(name="mesh", kinds=mesh),
        _Family(name="cluster", kinds=cluster, cluster_wide=True),
    )


FAMILIES: Final = _families()


def enforceable(rule: ObjectRule) -> bool:
    """Say whether the API server can judge by this rule."""
    return all(kind in SERVED_AS for kind in rule.kinds)


def policies(configuration: Configuration, stack: str) -> list[JsonObject]:
    """Return the policies of a stack: `name`, `spec`, `actions`, and whether its kinds are `clusterWide`."""
    made: list[JsonObject] = []
    for family in FAMILIES:
        for level, actions in _ACTIONS.items():
            rules = [
                rule
                for rule in OBJECT_RULES
                if enforceable(rule)
                and configuration.level(stack, rule.id) is level
                and not set(rule.kinds).isdisjoint(family.kinds)
            ]
            if rules:
                made.append(
                    {
                        "name": f"{family.name}-{level.value}",
                        "actions": actions,
                        "clusterWide": family.cluster_wide,
                        "spec": _spec(family, rules, configuration, stack),
                    }
                )
    return made


def expression(rule: ObjectRule, settings: Mapping[str, Any]) -> str:
    """Return CEL that is true of an object which keeps the rule."""
    values = rule.values(settings)
    if rule.scope is Scope.OBJECT:
        demanded = cel.expression(rule.demand, _WHOLE, values)
    elif rule.scope is Scope.POD:
        demanded = cel.expression(rule.demand, "variables.pod", values)
    else:
        demanded = f"{_LISTS[rule.scope]}.all(c, {cel.expression(rule.demand, 'c', values)})"
    if rule.when is None:
        return demanded
    return f"!({cel.expression(rule.when, _WHOLE, values)}) || {demanded}"


def _spec(family: _Family, rules: Sequence[ObjectRule], configuration: Configuration, stack: str) -> JsonObject:
    concerned = [kind for kind in family.kinds if any(kind in rule.kinds for rule in rules)]
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": _resource_rules(concerned)},
        "matchConditions": [
            {"name": "not-being-deleted", "expression": "!has(object.metadata.deletionTimestamp)"},
            {
                "name": "not-updated-by-the-cluster",
                "expression": f'request.operation != "UPDATE" || !{_BY_CONTROLLER}',
            },
        ],
        "variables": _variables(family, rules),
        "validations": [_validation(rule, concerned, configuration, stack) for rule in rules],
    }


def _variables(family: _Family, rules: Sequence[ObjectRule]) -> list[JsonObject]:
    # `dyn`: rules ask for fields by name, which the API server's types of known kinds do not allow.
    found = [{"name": "whole", "expression": "dyn(object)"}]
    if any(rule.scope is not Scope.OBJECT for rule in rules):
        containers = f'variables.pod[?"containers"].orValue({cel.EMPTY_LIST})'
        found += [
            {"name": "pod", "expression": _pod_expression(family.kinds)},
            {"name": "servers", "expression": containers},
            {
                "name": "containers",
                "expression": f'{containers} + variables.pod[?"initContainers"].orValue({cel.EMPTY_LIST})',
            },
        ]
    return found


def _validation(rule: ObjectRule, kinds: Sequence[str], configuration: Configuration, stack: str) -> JsonObject:
    text = expression(rule, configuration.of_rule(rule.id))
    others = [kind for kind in kinds if kind not in rule.kinds]
    excuses = [f"({_exempt(item)})" for item in configuration.exemption(stack, rule.id)]
    if others:
        names = [kind.rpartition("/")[2] for kind in kinds if kind in rule.kinds]
        excuses.insert(0, f"!(object.kind in {json.dumps(names)})")
    return {
        "expression": " || ".join([*excuses, f"({text})"]) if excuses else text,
        "message": f"{rule.id}: {rule.title}. {rule.how}",
        "reason": "Invalid",
    }


def _resource_rules(kinds: Sequence[str]) -> list[JsonObject]:
    groups: dict[tuple[str, str], list[str]] = {}
    for kind in kinds:
        version, plural = SERVED_AS[kind]
        groups.setdefault((kind.rpartition("/")[0], version), []).append(plural)
    # One version of each kind: the API server converts requests in others, so rules always see the same fields.
    return [
        {
            "apiGroups": ["" if group == "core" else group],
            "apiVersions": [version],
            "operations": ["CREATE", "UPDATE"],
            "resources": plurals,
        }
        for (group, version), plurals in groups.items()
    ]


def _pod_expression(kinds: Sequence[str]) -> str:
    paths = [(path, its) for path, its in _POD_PATHS.items() if any(kind in kinds for kind in its)]
    *others, (most, _) = sorted(paths, key=lambda item: len(item[1]))
    text = f"{cel.optional(_WHOLE, most)}.orValue({cel.EMPTY_TABLE})"
    for path, its in others:
        names = json.dumps([kind.rpartition("/")[2] for kind in its])
        text = f"object.kind in {names} ? {cel.optional(_WHOLE, path)}.orValue({cel.EMPTY_TABLE}) : ({text})"
    return text


def _exempt(exemption: Exemption) -> str:
    kind = exemption.kind.rpartition("/")[2]
    own = f"object.kind == {json.dumps(kind)} && {_named('object.metadata.name', exemption)}"
    if exemption.kind not in POD_SPECS or exemption.kind == "core/Pod":
        return own
    owners = [f"o.kind == {json.dumps(kind)} && {_named('o.name', exemption)}"]
    if exemption.kind in OWNED:
        between, ending = OWNED[exemption.kind]
        owners.append(f"o.kind == {json.dumps(between)} && {_named('o.name', exemption, ending)}")
    # Only controllers are believed whose pod it is: people may write any owner into a pod.
    found = "object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false) && "
    return f"{own} || {_BY_CONTROLLER} && {found}({' || '.join(owners)}))"


def _named(text: str, exemption: Exemption, ending: str = "") -> str:
    if exemption.name.endswith("*"):
        return f"{text}.startsWith({json.dumps(exemption.name[:-1])})"
    if ending:
        return f"{text}.matches({json.dumps(f'^{re.escape(exemption.name)}{ending}$')})"
    return f"{text} == {json.dumps(exemption.name)}"


def files(configuration: Configuration) -> dict[str, str]:
    """Return the text of every file in components/admission by the name of its stack."""
    return {
        stack: json.dumps(policies(configuration, stack), indent=1) + "\n"
        for stack in (UNNAMED, *sorted(configuration.levels))
    }


def main() -> int:
    """Write the files; return the exit code."""
    try:
        configuration = load(datetime.now(UTC).date())
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    for stack, text in files(configuration).items():
        (FOLDER / f"{stack}.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
