"""Decides by a stack's own IAM policies who may do what, as AWS would: one account, no boundaries, no session policies.

The order is AWS's (IAM User Guide, "Policy evaluation logic"): a denial anywhere wins; otherwise one of the principal's
or the resource's policies must allow. A key is the exception: its own policy must name the principal, or leave the
action to the account and so to the principal's policies. What AWS's managed policies allow is not known here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.recording_monitor import Graph, reveal

_EVERY_VALUE: Final = "ForAllValues:"
_IF_EXISTS: Final = "IfExists"
Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call to AWS."""

    principal: str
    """ARN of a role, or name of a service."""
    action: str
    resource: str
    """An ARN; of a key, its name in the program."""
    context: Mapping[str, str] = field(default_factory=dict[str, str])
    """What AWS knows of the call, by the names of condition keys."""


class Account:
    """The policies of a stack, by what they are attached to."""

    def __init__(self, graph: Graph) -> None:
        def policies(token: str, attached_to: str, policy: str = "policy") -> Iterator[tuple[str, list[Document]]]:
            for item in graph.of_type(token):
                inputs = reveal(dict(item.inputs))
                yield str(inputs.get(attached_to, item.name)), json.loads(inputs[policy])["Statement"]

        self._trusts = dict(policies("aws:iam/role:Role", "name", "assumeRolePolicy"))
        self._keys = dict(policies("aws:kms/key:Key", "no name but the program's"))
        self._resources = [
            *policies("aws:s3/bucketPolicy:BucketPolicy", "bucket"),
            *policies("aws:sqs/queuePolicy:QueuePolicy", "queueUrl"),
        ]
        self._identities = list(policies("aws:iam/rolePolicy:RolePolicy", "role"))

    def allows(self, request: Request) -> bool:
        """Tell whether AWS would do what is asked for.

        Raises:
            NotImplementedError: a condition has an operator that is not known here.
        """
        role = request.principal.rpartition("/")[2]
        own = [statement for name, found in self._identities if name == role for statement in found]
        if request.resource in self._keys:
            return self._key_allows(request, self._keys[request.resource], own)
        theirs = [statement for _, found in self._resources for statement in found if _is_about(statement, request)]
        about = [*theirs, *own]
        effects = {statement["Effect"] for statement in about if _matches(statement, request)}
        return effects == {"Allow"}

    def may_become(self, principal: str, role: str, context: Mapping[str, str]) -> bool:
        """Tell whether a service may take a role."""
        request = Request(principal=principal, action="sts:AssumeRole", resource=role, context=context)
        return any(
            _is_about(statement, request) and _matches({**statement, "Resource": "*"}, request)
            for statement in self._trusts[role]
        )

    def _key_allows(self, request: Request, policy: list[Document], own: list[Document]) -> bool:
        named = any(_is_about(statement, request) and _matches(statement, request) for statement in policy)
        account = re.match(r"arn:aws:iam::[0-9]+:", request.principal)
        whole_account = f"{account[0]}root" if account else ""
        left = any(whole_account in _principals(statement) and _matches(statement, request) for statement in policy)
        return named or (left and any(_matches(statement, request) for statement in own))


def _is_about(statement: Document, request: Request) -> bool:
    """Tell whether the policy of a resource or role speaks of who asks."""
    return not {"*", request.principal}.isdisjoint(_principals(statement))


def _principals(statement: Document) -> list[str]:
    named: str | Mapping[str, Any] = statement["Principal"]
    return [named] if isinstance(named, str) else [name for names in named.values() for name in _texts(names)]


def _matches(statement: Document, request: Request) -> bool:
    return (
        any(_like(pattern, request.action) for pattern in _texts(statement["Action"]))
        and any(_like(pattern, request.resource) for pattern in _texts(statement["Resource"]))
        and all(
            _holds(operator, request.context.get(key), _texts(values))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _holds(operator: str, value: str | None, allowed: list[str]) -> bool:
    if value is None:
        return operator.startswith(_EVERY_VALUE) or operator.endswith(_IF_EXISTS)
    match operator.removeprefix(_EVERY_VALUE).removesuffix(_IF_EXISTS):
        case "StringEquals" | "Bool":
            # A context key with several values is written with commas here.
            return set(value.split(",")) <= set(allowed) if operator.startswith(_EVERY_VALUE) else value in allowed
        case "StringLike" | "ArnLike":
            return any(_like(pattern, value) for pattern in allowed)
        case _:
            raise NotImplementedError(f"condition operator {operator}")


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text) is not None


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
