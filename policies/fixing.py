"""What would repair a violation, as a JSON patch (RFC 6902), for rules that carry a safe fix."""

from __future__ import annotations

from typing import Any

from policies._model import ObjectRule
from policies._paths import MISSING, join, read, steps
from policies.engine import Judged


def patch(item: Judged) -> list[dict[str, Any]]:
    """Return the operations that repair a violation; none if the rule knows no safe way."""
    rule = item.rule
    if not isinstance(rule, ObjectRule) or rule.fix is None:
        return []
    operations: list[dict[str, Any]] = []
    made: set[str] = set()
    for path, value in rule.fix.items():
        keys = steps(join(item.finding.path, path))
        for depth in range(1, len(keys)):
            parent = _pointer(keys[:depth])
            dotted = "".join(f"[{key}]" for key in keys[:depth])
            if read(item.finding.resource.properties, dotted) is MISSING and parent not in made:
                operations.append({"op": "add", "path": parent, "value": {}})
                made.add(parent)
        operations.append({"op": "add", "path": _pointer(keys), "value": value})
    return operations


def _pointer(keys: tuple[str, ...]) -> str:
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)
