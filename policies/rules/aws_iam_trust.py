"""Role of AWS may be taken by everybody."""

from __future__ import annotations

from collections.abc import Iterator

from policies._model import Finding, Severity, Situated, StackRule, unknown
from policies._paths import UNKNOWN, read
from policies._samples import iam_role, thing
from policies._trust import open_to_everybody

_ROLE = "aws:iam/Role"
_TRUST = "assumeRolePolicy"
_BY_WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
_GITHUB = "token.actions.githubusercontent.com"
_BY_GITHUB = {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{_GITHUB}"}
_FOR_AWS = {"StringEquals": {f"{_GITHUB}:aud": "sts.amazonaws.com"}}


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
    why="A role that trusts `*` is taken from any account of AWS; its ARN is no secret. One that trusts every token of "
    "a provider is taken by all whom it knows: any repository gets a token of GitHub's.",
    how="Name accounts, roles or services as principals, or the organization in a condition that must fit; of tokens "
    "demand the `sub`, at least its beginning.",
    check=check,
    concerns=(_ROLE,),
    fails=(iam_role(_BY_GITHUB, _FOR_AWS, action=_BY_WEB_IDENTITY),),
    passes=(iam_role({"Service": "ec2.amazonaws.com"}),),
    neighbour=(
        iam_role(_BY_GITHUB, {"StringLike": {f"{_GITHUB}:sub": "repo:storefront/models:*"}}, action=_BY_WEB_IDENTITY),
    ),
    unknown=(thing(_ROLE, "use", {_TRUST: UNKNOWN}),),
    missing=(thing(_ROLE, "use", {}),),
)
