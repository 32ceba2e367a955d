"""What all places must agree on, and what the offline check says about it.

These are the rules' own examples and the manifests of `tests.policies.corpus`. Left out are cloud resources, which no
cluster holds, and manifests with a value that is not known yet. `tests.policies.test_corpus` holds the offline check to
the verdicts that were written by hand, so what agrees with it agrees with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final, cast

from policies import sources
from policies._examples import MANIFESTS
from policies._kinds import SERVED_AS
from policies._model import ObjectRule, Resource, Rule, StackRule, Verdict
from policies._paths import MISSING, changed, read
from policies.configuration import Configuration
from policies.engine import evaluate
from policies.registry import RULES
from tests.policies import corpus

STACK: Final = corpus.STACK
_CONTRADICTION: Final = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
REFUSED: Final = {
    "gpu-limit-fails": "Limit must be set for non overcommitable resources",
    "pods: core/Pod models/gpu-request-only": "Limit must be set for non overcommitable resources",
    "jobs: batch/Job research/train-with-two-numbers": "must be equal to nvidia.com/gpu limit of 2",
    "capacity: core/PersistentVolumeClaim web/bound-by-hand": "spec.resources[storage]: Required value",
    "pods: apps/StatefulSet data/claim-without-size": "spec.resources[storage]: Required value",
    "deployments: apps/Deployment web/node-debugger": _CONTRADICTION,
    "jobs: batch/CronJob web/prune-images": _CONTRADICTION,
    "pods: apps/DaemonSet gpu/device-plugin": _CONTRADICTION,
    "pods: core/Pod web/projected-token": 'serviceaccount "uploader" not found',
}
"""Cases that an API server refuses by itself before it asks a policy: they are not valid, or lack an account."""
REMOVED: Final = frozenset({"access: core/Secret web/ci-token", "access: core/Secret web/jenkins-token"})
"""Cases that an API server takes and a controller then removes: tokens of accounts that are not there."""
_UNSERVED: Final = ("keda.sh", "karpenter.sh")
"""Groups whose definitions are not in this repository, so no API server of ours knows them."""
_CLOUD: Final = "aws:"
_FILLED_IN: Final = {"autoscaler-metrics-fails": frozenset({"autoscaler-metrics"})}
_WHOLE: Final = ("labels", "selector", "podSelector", "matchLabels")
"""What a sample says about these is all there is."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Manifests that are deployed together."""

    name: str
    manifests: tuple[Mapping[str, Any], ...]
    filled_in: frozenset[str] = frozenset()
    """Rules that it breaks as it is written, and that an API server keeps for it by filling in a default."""
    together: bool = False
    """Whether rules over several resources are asked about it."""

    def __str__(self) -> str:
        return self.name


def cases() -> list[Case]:
    """Return everything on which the places must agree; whoever widens it adds to this list."""
    return [*(case for rule in RULES for case in _of(rule)), *_written()]


def broken(manifests: Sequence[Mapping[str, Any]], rules: Sequence[Rule] = RULES) -> frozenset[str]:
    """Return the rules that the offline check finds broken, without levels and exemptions."""
    resources = [sources.from_manifest(manifest) for manifest in manifests]
    found = evaluate(resources, Configuration(), STACK, rules).of(Verdict.VIOLATION)
    return frozenset(item.rule.id for item in found)


def _written() -> list[Case]:
    """Return what of the corpus a cluster could be asked to hold."""
    alone = [
        Case(name=case.name, manifests=(case.described,), filled_in=case.filled_in)
        for case in corpus.alone()
        if _can_be_asked(case)
    ]
    stacks = {name: [case for case in found if _can_be_asked(case)] for name, found in corpus.stacks().items()}
    together = [
        Case(name=f"stack {name}", manifests=tuple(case.described for case in found), together=True)
        for name, found in stacks.items()
        if found
    ]
    return [*alone, *together]


def _can_be_asked(case: corpus.Case) -> bool:
    return case.is_cluster_object and case.is_complete and case.resource.kind.rpartition("/")[0] not in _UNSERVED


def _of(rule: Rule) -> list[Case]:
    if isinstance(rule, ObjectRule):
        if rule.example.of not in MANIFESTS:
            return []
        patches = {"fails": rule.example.fails, "passes": rule.example.passes, "neighbour": rule.example.neighbour}
        return [
            Case(
                name=(name := f"{rule.id}-{what}"),
                manifests=(without_nothing(changed(MANIFESTS[rule.example.of], patch)),),
                filled_in=_FILLED_IN.get(name, frozenset()),
            )
            for what, patch in patches.items()
        ]
    assert isinstance(rule, StackRule)
    if all(kind.startswith(_CLOUD) for kind in rule.concerns):
        return []
    # `missing` is left out: workloads whose pods have no labels, which no API server takes.
    stacks = {"fails": rule.fails, "passes": rule.passes, "neighbour": rule.neighbour}
    return [
        Case(name=f"{rule.id}-{what}", manifests=tuple(_manifest(item) for item in resources), together=True)
        for what, resources in stacks.items()
    ]


def _manifest(resource: Resource) -> Mapping[str, Any]:
    """Return what a sample only hints at as an object that an API server would take."""
    sample = cast("Mapping[str, Any]", without_nothing(resource.properties))
    group, _, kind = resource.kind.rpartition("/")
    bare = {"apiVersion": f"{group}/{SERVED_AS[resource.kind][0]}", "kind": kind}
    made = changed(MANIFESTS.get(kind, bare), {"metadata.name": resource.name})
    if resource.kind == "apps/StatefulSet" and read(sample, "spec.volumeClaimTemplates") is MISSING:
        made = changed(made, {"spec.volumeClaimTemplates": MISSING})
    made = _merged(made, sample)
    labels = read(sample, "spec.template.metadata.labels")
    return made if labels is MISSING else changed(made, {"spec.selector.matchLabels": labels})


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        old, new = cast("dict[str, Any]", base), cast("dict[str, Any]", over)
        joined = {key: _merged(old.get(key), value) for key, value in new.items()}
        return {**old, **joined, **{key: new[key] for key in _WHOLE if key in new}}
    if isinstance(base, list) and isinstance(over, list):
        old_items, new_items = cast("list[Any]", base), cast("list[Any]", over)
        if not all(isinstance(item, Mapping) for item in new_items):
            return new_items
        pairs = zip_longest(old_items, new_items)
        return [_merged(old, new) if new is not None else old for old, new in pairs]
    return cast("Any", base if over is None else over)


def without_nothing(value: Any) -> Any:
    """Return a value without nulls, which clients never send: an API server would read `cpu: null` as no CPU at all."""
    if isinstance(value, Mapping):
        table = cast("Mapping[str, Any]", value)
        return {key: without_nothing(item) for key, item in table.items() if item not in (None, MISSING)}
    if isinstance(value, list):
        return [without_nothing(item) for item in cast("list[Any]", value)]
    return value
