"""The rules as a policy pack of Pulumi's engine, which then refuses by itself what `mlp policy check` refuses.

The engine asks for each resource before it is made, and at the end for all of them together: in a preview with what is
known by then, in an update with everything. A verdict that a preview leaves open is therefore given in the update,
before the resource is touched; rules over several resources are judged again after it.

The pack has three policies for single resources and three for all of them, not one per rule: the engine fixes a level
per policy, ours depends on the stack. Levels, settings and exemptions come from policies.toml only.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

from policies import sources
from policies._model import Level, Resource, Rule, Verdict
from policies.configuration import Configuration, ConfigurationError, load
from policies.engine import Judged, evaluate
from policies.registry import OBJECT_RULES, STACK_RULES

NAME: Final = "mlplatform"
_EXIT_UNUSABLE: Final = 1
_LOOK_SECONDS: Final = 0.5
_MEANINGS: Final = {
    "mandatory": "Breaks a rule that refuses the deployment",
    "advisory": "Breaks a rule that gives advice",
    "unknown": "Depends on a value that is known in the update only, where it is judged again",
}

_Report = Callable[..., None]


def start() -> int:
    """Serve the pack until the engine ends it; return an exit code if the configuration is not usable."""
    try:
        configuration = load(datetime.now(UTC).date())
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return _EXIT_UNUSABLE
    end_with_parent()
    pulumi_policy: Any = importlib.import_module("pulumi_policy")
    policies: list[Any] = []
    for outcome, meaning in _MEANINGS.items():
        level = pulumi_policy.EnforcementLevel("mandatory" if outcome == "mandatory" else "advisory")
        common = {"description": meaning, "enforcement_level": level}
        policies += [
            pulumi_policy.ResourceValidationPolicy(
                name=f"resource-{outcome}", validate=_for_resource(configuration, outcome), **common
            ),
            pulumi_policy.StackValidationPolicy(
                name=f"stack-{outcome}", validate=_for_stack(configuration, outcome), **common
            ),
        ]
    pulumi_policy.PolicyPack(name=NAME, policies=policies)
    return 0


def end_with_parent() -> None:
    """End this process once its parent is gone: an engine that is killed tells its packs nothing."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os._exit(_EXIT_UNUSABLE)

    threading.Thread(target=watch, daemon=True).start()


def _for_resource(configuration: Configuration, outcome: str) -> Callable[[Any, _Report], None]:
    def validate(args: Any, report_violation: _Report) -> None:
        resource = resource_of(args)
        if resource is not None:
            for item in found([resource], configuration, OBJECT_RULES, outcome):
                report_violation(message(item))

    return validate


def _for_stack(configuration: Configuration, outcome: str) -> Callable[[Any, _Report], None]:
    def validate(args: Any, report_violation: _Report) -> None:
        described = [resource_of(item) for item in args.resources]
        resources = [resource for resource in described if resource is not None]
        for item in found(resources, configuration, STACK_RULES, outcome):
            report_violation(message(item), item.finding.resource.urn)

    return validate


def resource_of(args: Any) -> Resource | None:
    """Return what the engine describes; None for what holds nothing to judge."""
    return sources.from_pulumi(
        args.resource_type, args.name, _opened(args.props), urn=args.urn, protected=bool(args.opts.protect)
    )


def found(
    resources: Sequence[Resource], configuration: Configuration, rules: Sequence[Rule], outcome: str
) -> list[Judged]:
    """Return the findings that belong to one of the pack's policies."""
    if not resources:
        return []
    stack = resources[0].urn.split(":")[2]
    judged = evaluate(resources, configuration, stack, rules).judged
    return [item for item in judged if _outcome(item) == outcome]


def message(item: Judged) -> str:
    """Return what a person reads about a finding."""
    place = f" at {item.finding.path}" if item.finding.path else ""
    return f"{item.rule.id} ({item.rule.severity.value}): {item.finding.message}{place}. {item.rule.how}"


def _outcome(item: Judged) -> str:
    if item.finding.verdict is Verdict.VIOLATION:
        return "mandatory" if item.level is Level.MANDATORY else "advisory"
    return item.finding.verdict.value


def _opened(value: Any) -> Any:
    """Return a value without pulumi-policy's wrappers, which raise where something unknown is touched."""
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str | dict | list):
        value = cast("Any", value)["__target"]
    if isinstance(value, dict):
        return {key: _opened(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_opened(item) for item in cast("list[Any]", value)]
    return value
