"""Which pods a selector means; shared by the rules over several resources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from policies._kinds import POD_SPECS
from policies._model import Finding, Resource, unknown
from policies._paths import UNKNOWN, read


def pod_labels(workload: Resource) -> Any:
    """Return the labels of a workload's pods, or UNKNOWN."""
    spec = POD_SPECS[workload.kind]
    return read(workload.properties, f"{spec.removesuffix('spec')}metadata.labels")


def selects(selector: Any, labels: Any) -> bool | None:
    """Say whether a label selector fits labels; None if that is not known."""
    if selector is UNKNOWN or labels is UNKNOWN:
        return None
    if not isinstance(selector, Mapping):
        return False
    own: Mapping[str, Any] = cast("Mapping[str, Any]", labels) if isinstance(labels, Mapping) else {}
    wanted = read(selector, "matchLabels")
    pairs: Mapping[str, Any] = cast("Mapping[str, Any]", wanted) if isinstance(wanted, Mapping) else {}
    truths = [None if UNKNOWN in (value, own.get(key)) else own.get(key) == value for key, value in pairs.items()]
    expressions = read(selector, "matchExpressions")
    if wanted is UNKNOWN or expressions is UNKNOWN:
        truths.append(None)
    items = cast("list[Any]", expressions) if isinstance(expressions, list) else []
    truths.extend(_fits(item, own) for item in items)
    return False if False in truths else (None if None in truths else True)


def _fits(expression: Any, labels: Mapping[str, Any]) -> bool | None:
    key, operator, values = (read(expression, name) for name in ("key", "operator", "values"))
    if UNKNOWN in (key, operator, values):
        return None
    there = labels.get(key) if isinstance(key, str) else None
    listed = isinstance(values, list) and there in cast("list[Any]", values)
    answers = {"In": listed, "NotIn": not listed, "Exists": there is not None, "DoesNotExist": there is None}
    return answers.get(operator, False) if isinstance(operator, str) else False


def lacking(workload: Resource, selectors: Iterable[Any], message: str) -> list[Finding]:
    """Return a finding unless one of the selectors means the workload's pods."""
    labels = pod_labels(workload)
    is_unknown = False
    for selector in selectors:
        truth = selects(selector, labels)
        if truth:
            return []
        is_unknown = is_unknown or truth is None
    if is_unknown:
        return [unknown(workload, "metadata.labels")]
    return [Finding(resource=workload, message=message)]
