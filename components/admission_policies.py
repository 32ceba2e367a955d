"""The cluster's own refusal: the rules of `policies/` that are about single objects, judged by the API server.

Their text is generated from the rules (`python -m policies.admission`) and read from a file here, so that the program
need not load them. They hold in the platform's namespace; objects of no namespace are judged if they carry the
platform's label, for nobody else's may be refused. What an operator makes of an object here is not judged, for it makes
pods as it must; the namespace's Pod Security level holds for those too.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._labels import PART_OF, object_labels

_NAME: Final = "admission-policies"
_FOLDER: Final = Path(__file__).parent / "admission"
_UNNAMED: Final = "default"
_BY_CONTROLLER: Final = (
    '(request.userInfo.username.startsWith("system:serviceaccount:kube-system:")'
    ' || request.userInfo.username == "system:kube-controller-manager")'
)
_OF_A_JOB: Final = (
    'object.kind == "Pod" && object.metadata.?ownerReferences.orValue([])'
    '.exists(owner, owner.kind == "Job" && owner.?controller.orValue(false))'
)
_NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"


@dataclass(frozen=True, kw_only=True)
class AdmissionPoliciesArgs:
    """What distinguishes one platform's policies from another's."""

    namespace_name: str
    """Name of the namespace that they hold in, known before it exists."""
    stack: str
    """Whose levels and exemptions hold; one that `policies.toml` does not mention has the default level and none."""
    operators: tuple[str, ...] = ()
    """Namespaces of the operators that make something here."""


class AdmissionPolicies(PlatformComponent):
    """Policies and their bindings. Named after the namespace, as a cluster may have several platforms."""

    names: tuple[str, ...]
    """Names of the policies; each has one binding of the same name."""

    def __init__(self, name: str, args: AdmissionPoliciesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        labels = object_labels(_NAME, name)
        policies = {f"{args.namespace_name}-{policy['name']}": policy for policy in _policies(args.stack)}
        for full_name, policy in policies.items():
            metadata = k8s.meta.v1.ObjectMetaArgs(name=full_name, labels=labels)
            made = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
                f"{name}-{policy['name']}",
                metadata=metadata,
                spec=_trusting(policy["spec"], args.operators),
                opts=self.child(),
            )
            k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
                f"{name}-{policy['name']}",
                metadata=metadata,
                spec=k8s.admissionregistration.v1.ValidatingAdmissionPolicyBindingSpecArgs(
                    policy_name=made.metadata.name.apply(str),
                    validation_actions=policy["actions"],
                    match_resources=_selection(policy["clusterWide"], args.namespace_name),
                ),
                opts=self.child(),
            )
        self.names = tuple(policies)
        self.finish(names=list(self.names))


def _trusting(spec: Any, operators: Sequence[str]) -> Any:
    """Return a policy that leaves out what operators make, and the pods of Jobs that they have made."""
    conditions = [
        {
            "name": f"not-made-by-{namespace}",
            "expression": f'!request.userInfo.username.startsWith("system:serviceaccount:{namespace}:")',
        }
        for namespace in operators
    ]
    if operators:
        # A Job is judged when it is made; the cluster's own controller makes its pods as it says.
        conditions.append({"name": "not-made-of-a-judged-job", "expression": f"!({_BY_CONTROLLER} && {_OF_A_JOB})"})
    return {**spec, "matchConditions": [*spec["matchConditions"], *conditions]}


def _selection(cluster_wide: bool, namespace: str) -> k8s.admissionregistration.v1.MatchResourcesArgs:
    if cluster_wide:
        wanted = k8s.meta.v1.LabelSelectorArgs(match_labels={"app.kubernetes.io/part-of": PART_OF})
        return k8s.admissionregistration.v1.MatchResourcesArgs(object_selector=wanted)
    wanted = k8s.meta.v1.LabelSelectorArgs(match_labels={_NAMESPACE_LABEL: namespace})
    return k8s.admissionregistration.v1.MatchResourcesArgs(namespace_selector=wanted)


@functools.cache
def _policies(stack: str) -> tuple[Mapping[str, Any], ...]:
    file = _FOLDER / f"{stack}.json"
    text = (file if file.is_file() else _FOLDER / f"{_UNNAMED}.json").read_text(encoding="utf-8")
    return tuple(cast("list[Mapping[str, Any]]", json.loads(text)))
