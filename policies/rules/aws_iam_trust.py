"""Role of AWS may be taken by everybody."""

from __future__ import annotations

from collections.abc import Iterator

from policies._model import Finding, Severity, Situated, StackRule, unknown
from policies._paths import UNKNOWN, read
from policies._samples import iam_role, thing
from policies._trust import open_to_everybody

_ROLE = "aws:iam/Role"
_TRUST = "assumeRolePolicy"


def check(stack: Situated) -> Iterator[Finding]:
    """Find roles that do not say who may take them."""
    for role in stack.of(_ROLE):
        text = read(role.properties, _TRUST)
        if text is UNKNOWN:
            yield unknown(role, _TRUST)
            continue
        opened = open_to_everybody(text) if isinstance(text, str) else None
        if opened is None:
            yield Finding(resource=role, message="it does not say who may take it", path=_TRUST)
        else:
            yield from (Finding(resource=role, message=f"{sid}: everybody may take it", path=_TRUST) for sid in opened)


RULE = StackRule(
    id="aws-iam-trust",
    title="role may be taken by everybody",
    severity=Severity.CRITICAL,
    frameworks=("AWS Well-Architected SEC03-BP07",),
    why="A role that trusts `*` is taken from any account of AWS; its ARN is no secret.",
    how="Name accounts, roles or services as principals, or the organization in a condition that must fit.",
    check=check,
    concerns=(_ROLE,),
    fails=(iam_role("*"),),
    passes=(iam_role({"Service": "ec2.amazonaws.com"}),),
    neighbour=(iam_role({"AWS": "*"}, {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),),
    unknown=(thing(_ROLE, "use", {_TRUST: UNKNOWN}),),
    missing=(thing(_ROLE, "use", {}),),
)
