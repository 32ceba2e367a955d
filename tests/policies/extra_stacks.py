"""Stacks beside the examples of rules over several resources, where these leave a way to weaken a rule unseen."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from policies._kinds import CONTROLLED, POD_SPECS, PODS
from policies._model import Resource, Verdict
from policies._paths import MISSING, UNKNOWN, changed
from policies._samples import (
    LABELS,
    backup_plan,
    budget,
    database_cluster,
    iam_policy,
    iam_role,
    network_policy,
    service,
    thing,
    workload,
)

_BROKEN: Final = Verdict.VIOLATION


def _runs(kind: str, name: str = "server", labels: Any = LABELS, **spec: Any) -> Resource:
    """Return a workload of any kind, with its pods' labels where that kind has them."""
    place = POD_SPECS[kind].removesuffix("spec")
    return thing(kind, name, changed({"spec": spec, "metadata": {}}, {f"{place}metadata.labels": labels}))


def _set(name: str, claims: Any, *, protected: bool | None = None) -> Resource:
    return thing("apps/StatefulSet", name, {"spec": {"volumeClaimTemplates": claims}}, protected=protected)


def _door(name: str, selector: Any) -> Resource:
    return thing("core/Service", name, {"spec": {"selector": selector}})


def _said(kind: str, *names: str) -> set[tuple[str, Verdict]]:
    return {(f"{kind} models/{name}", _BROKEN) for name in names}


_SERVERS: Final = "postgresql.cnpg.io/Cluster"
_OF_SERVERS: Final = {"cnpg.io/cluster": "db", "cnpg.io/podRole": "instance"}
_ARCHIVER: Final = {"name": "barman-cloud.cloudnative-pg.io", "isWALArchiver": True}
_CLAIMS: Final = [{"metadata": {"name": "data"}}]
_BOTH: Final = network_policy({"matchLabels": LABELS}, "Ingress", "Egress")
_MONITORED: Final = service(LABELS, **{"app.kubernetes.io/name": "monitoring"})
_BACKUP: Final = thing("batch/CronJob", "backup", {"metadata": {"labels": {"mlplatform.dev/backs-up": "second"}}})

_MODELS: Final = "arn:aws:s3:::models/*"
_IAM_POLICIES: Final = ("aws:iam/Policy", "aws:iam/RolePolicy", "aws:iam/UserPolicy", "aws:iam/GroupPolicy")
_ATTACHMENTS: Final = (
    "aws:iam/RolePolicyAttachment",
    "aws:iam/UserPolicyAttachment",
    "aws:iam/GroupPolicyAttachment",
    "aws:iam/PolicyAttachment",
)
_ROLE: Final = "aws:iam/Role"
_ADMINISTRATOR: Final = "arn:aws:iam::aws:policy/job-function/AdministratorAccess"
_EVERY_ROLE: Final = (
    "*",
    "arn:aws:iam::*",
    "arn:aws:iam::*:*",
    "arn:aws:iam::111122223333:*",
    "arn:aws:iam::111122223333:role/*",
    "arn:aws:iam::111122223333:r?le/x",
    "arn:aws:iam::*:role/?*",
)
_SOME_ROLES: Final = (
    "arn:aws:iam::111122223333:role/shop",
    "arn:aws:iam::111122223333:role/shop-*",
    "arn:aws:iam::111122223333:role/x*",
    "arn:aws:iam::*:role/shop",
)
_ORGANIZATION: Final = {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}
_SAYS_NOTHING: Final[tuple[dict[str, Any] | None, ...]] = (
    None,
    {"Bool": {"aws:SecureTransport": "true"}},
    {"StringEqualsIfExists": _ORGANIZATION},
    {"StringNotEquals": _ORGANIZATION},
    {"ForAllValues:StringEquals": _ORGANIZATION},
    {"StringEquals": {"sts:ExternalId": "shop"}},
    {"StringEquals": {"aws:PrincipalAccount": []}},
    {"StringLike": {"aws:PrincipalOrgID": "o-*"}},
    {"StringLike": {"aws:PrincipalArn": "*"}},
    {"StringLike": {"aws:PrincipalArn": "?*"}},
    {"StringLike": {"aws:PrincipalOrgID": "o-?1b2c3d4e5"}},
    {"StringEquals": {"aws:PrincipalArn": ""}},
    {"ArnLike": {"aws:PrincipalArn": ["arn:aws:iam::111122223333:role/shop", "arn:aws:iam::*:role/shop"]}},
    {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}},
)
"""Conditions that everybody fits."""
_SAYS_WHO: Final[tuple[dict[str, Any], ...]] = (
    {"StringEquals": _ORGANIZATION},
    {"stringequals": {"AWS:principalorgid": ["o-a1b2c3d4e5"]}},
    {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/*/ou-shop/*"}},
    {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/shop-*"}},
    {"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::models"}},
    {"StringEquals": {"aws:SourceAccount": "111122223333"}, "Bool": {"aws:SecureTransport": "true"}},
)
_GITHUB: Final = "token.actions.githubusercontent.com"
_BY_GITHUB: Final = f"arn:aws:iam::111122223333:oidc-provider/{_GITHUB}"
_EKS: Final = "oidc.eks.eu-west-1.amazonaws.com/id/A1B2"
_TO_AWS: Final = {"StringEquals": {f"{_GITHUB}:aud": "sts.amazonaws.com"}}
_ANY_TOKEN: Final[tuple[dict[str, Any] | None, ...]] = (
    None,
    _TO_AWS,
    {"StringLike": {f"{_GITHUB}:sub": "*"}},
    {"StringLike": {f"{_GITHUB}:sub": "?epo:storefront/models:*"}},
    {"StringLike": {f"{_GITHUB}:sub": "repo:*"}},
    {"StringLike": {f"{_GITHUB}:sub": "repo:storefront*"}},
    {"StringLike": {f"{_GITHUB}:sub": "repo:*/models:ref:refs/heads/main"}},
    {"StringLike": {f"{_GITHUB}:sub": "re*"}},
    {"StringLike": {f"{_GITHUB}:sub": ["repo:storefront/models:*", "*"]}},
    {"StringEquals": {f"{_GITHUB}:sub": []}},
    {"StringEquals": {f"{_GITHUB}:sub": ""}},
    {"StringLikeIfExists": {f"{_GITHUB}:sub": "repo:storefront/models:*"}},
    {"StringNotLike": {f"{_GITHUB}:sub": "repo:storefront/models:*"}},
    {"StringEquals": {f"{_GITHUB}:repo_sub": "repo:storefront/models:*"}},
    {"StringEquals": _ORGANIZATION},
)
"""Conditions that every repository's token fits."""
_ONES_TOKEN: Final[tuple[dict[str, Any], ...]] = (
    {**_TO_AWS, "StringLike": {f"{_GITHUB}:sub": "repo:storefront/models:*"}},
    {"stringequals": {f"{_GITHUB.upper()}:SUB": ["repo:storefront/models:environment:prod"]}},
    {"ForAnyValue:StringLike": {f"{_GITHUB}:sub": ["repo:storefront/*", "repo:storefront@1/*"]}},
    {"StringEquals": {f"{_EKS}:sub": "system:serviceaccount:web:shop"}},
    {"StringLike": {f"{_EKS}:sub": "system:serviceaccount:web:*"}},
    {"StringLike": {"api.bitbucket.org:sub": "{a1b2-c3d4}:*"}},
    {"StringEquals": {"accounts.google.com:sub": "113155529801234567890"}},
)
_COGNITO: Final = "cognito-identity.amazonaws.com"
_VOUCHED_FOR: Final = (
    "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
    "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy",
    "arn:aws:iam::111122223333:policy/reads-models",
)


def _attached(kind: str, arn: object) -> Resource:
    return thing(kind, "use", {"policyArn": arn})


def _by_token(
    condition: dict[str, Any] | None, provider: str = _BY_GITHUB, action: Any = "sts:AssumeRoleWithWebIdentity"
) -> tuple[Resource, ...]:
    """Return a role that is taken by a provider's tokens."""
    return (iam_role({"Federated": provider}, condition, action=action),)


def _exceptions(**statement: Any) -> Resource:
    """Return a policy with a statement that names what it does not mean."""
    policy = {"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": _MODELS, **statement}}
    known = {key: value for key, value in policy["Statement"].items() if value is not None}
    return thing("aws:iam/RolePolicy", "use", {"policy": json.dumps({"Statement": known})})


def _inline(*items: Any) -> Resource:
    return thing(_ROLE, "use", {"inlinePolicies": list(items)})


def _inline_of(policy: Resource) -> dict[str, Any]:
    return {"name": "use", "policy": policy.properties["policy"]}


def _said_of(kind: str, verdict: Verdict = _BROKEN) -> set[tuple[str, Verdict]]:
    return {(f"{kind} models/use", verdict)}


EXTRA_STACKS: Final[dict[str, list[tuple[tuple[Resource, ...], set[tuple[str, Verdict]]]]]] = {
    "aws-iam-narrow": [
        *[((iam_policy("s3:Get*", _MODELS, kind=kind),), _said_of(kind)) for kind in _IAM_POLICIES],
        ((iam_policy("s3:?etObject", _MODELS),), _said_of("aws:iam/RolePolicy")),
        *[((iam_policy("s3:GetObject", "*", kind=kind),), _said_of(kind)) for kind in _IAM_POLICIES],
        *[((_attached(kind, _ADMINISTRATOR),), _said_of(kind)) for kind in _ATTACHMENTS],
        *[((_attached(kind, UNKNOWN),), _said_of(kind, Verdict.UNKNOWN)) for kind in _ATTACHMENTS],
        *[((_attached(kind, arn),), set[tuple[str, Verdict]]()) for kind in _ATTACHMENTS for arn in _VOUCHED_FOR],
        (
            (_attached(_ATTACHMENTS[0], _ADMINISTRATOR.replace(":aws:iam", ":aws-us-gov:iam")),),
            _said_of(_ATTACHMENTS[0]),
        ),
        *[((iam_policy("iam:PassRole", arn),), _said_of("aws:iam/RolePolicy")) for arn in _EVERY_ROLE],
        *[((iam_policy("sts:assumerole", arn),), _said_of("aws:iam/RolePolicy")) for arn in _EVERY_ROLE],
        *[((iam_policy("iam:PassRole", arn),), set[tuple[str, Verdict]]()) for arn in _SOME_ROLES],
        ((iam_policy("iam:GetRole", "arn:aws:iam::111122223333:role/*"),), set()),
        ((iam_policy("s3:GetObject", "arn:aws:s3:::*"),), _said_of("aws:iam/RolePolicy")),
        ((_exceptions(Action=None, NotAction="iam:*"),), _said_of("aws:iam/RolePolicy")),
        ((_exceptions(Resource=None, NotResource=_MODELS),), _said_of("aws:iam/RolePolicy")),
        ((_exceptions(Resource=None, NotResource=_MODELS, Effect="Deny"),), set()),
        ((thing(_ROLE, "use", {"managedPolicyArns": [_VOUCHED_FOR[0], _ADMINISTRATOR]}),), _said_of(_ROLE)),
        ((thing(_ROLE, "use", {"managedPolicyArns": list(_VOUCHED_FOR)}),), set()),
        ((thing(_ROLE, "use", {"managedPolicyArns": UNKNOWN}),), _said_of(_ROLE, Verdict.UNKNOWN)),
        ((thing(_ROLE, "use", {"managedPolicyArns": [UNKNOWN]}),), _said_of(_ROLE, Verdict.UNKNOWN)),
        (
            (_inline(_inline_of(iam_policy("s3:GetObject", _MODELS)), _inline_of(iam_policy("s3:*", _MODELS))),),
            _said_of(_ROLE),
        ),
        ((_inline({"name": "use", "policy": "not a policy"}),), _said_of(_ROLE)),
        ((_inline(_inline_of(iam_policy("s3:GetObject", _MODELS)), {}),), set()),
        ((_inline({"name": "use", "policy": UNKNOWN}),), _said_of(_ROLE, Verdict.UNKNOWN)),
        ((thing(_ROLE, "use", {"inlinePolicies": UNKNOWN}),), _said_of(_ROLE, Verdict.UNKNOWN)),
    ],
    "aws-iam-trust": [
        *[
            ((iam_role(principal, condition),), _said_of(_ROLE))
            for principal in ("*", {"AWS": "*"}, {"AWS": ["arn:aws:iam::111122223333:root", "*"]}, {"Federated": "*"})
            for condition in _SAYS_NOTHING
        ],
        *[((iam_role({"AWS": "*"}, condition),), set[tuple[str, Verdict]]()) for condition in _SAYS_WHO],
        *[(_by_token(condition), _said_of(_ROLE)) for condition in _ANY_TOKEN],
        *[(_by_token(condition), set[tuple[str, Verdict]]()) for condition in _ONES_TOKEN],
        *[
            (_by_token(_TO_AWS, action=action), _said_of(_ROLE))
            for action in ("STS:assumerolewithwebidentity", ["sts:TagSession", "sts:AssumeRole*"], "sts:*")
        ],
        (_by_token(None, "arn:aws:iam::111122223333:saml-provider/shop", action="sts:AssumeRoleWithSAML"), set()),
        (_by_token({"StringEquals": {f"{_COGNITO}:aud": "eu-west-1:a1b2"}}, _COGNITO), set()),
        (_by_token({"StringEquals": {"graph.facebook.com:app_id": "1234"}}, "graph.facebook.com"), set()),
        (_by_token({"ForAnyValue:StringLike": {f"{_COGNITO}:amr": "authenticated"}}, _COGNITO), _said_of(_ROLE)),
        *[
            ((thing(_ROLE, "use", {"assumeRolePolicy": json.dumps({"Statement": statement})}),), answer)
            for statement, answer in (
                (
                    {"Effect": "Allow", "NotPrincipal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"},
                    _said_of(_ROLE),
                ),
                ({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}, set[tuple[str, Verdict]]()),
                (
                    {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"},
                    set[tuple[str, Verdict]](),
                ),
            )
        ],
        ((thing(_ROLE, "use", {"assumeRolePolicy": "{}"}),), _said_of(_ROLE)),
        (
            (thing(_ROLE, "later", {"assumeRolePolicy": UNKNOWN}), iam_role("*")),
            {(f"{_ROLE} models/later", Verdict.UNKNOWN), *_said_of(_ROLE)},
        ),
    ],
    "service-without-pods": [
        *[((_runs(kind), _door("lost", {"app": "sever"})), _said("core/Service", "lost")) for kind in PODS],
        *[((_runs(kind), _door("found", LABELS)), set[tuple[str, Verdict]]()) for kind in PODS],
        (
            (workload(), database_cluster([]), _door("found", _OF_SERVERS), _door("lost", {"cnpg.io/cluster": "no"})),
            _said("core/Service", "lost"),
        ),
        (
            (workload(), replace(database_cluster([]), namespace="other"), _door("lost", _OF_SERVERS)),
            _said("core/Service", "lost"),
        ),
        (
            (workload(), database_cluster([]), _door("found", _OF_SERVERS), _door("lost", {"app": "db"})),
            _said("core/Service", "lost"),
        ),
        (
            (workload(), _door("by-hand", None), _door("found", LABELS), _door("lost", {"app": "sever"})),
            _said("core/Service", "lost"),
        ),
    ],
    "database-cluster-backup": [
        ((database_cluster(MISSING), backup_plan()), _said(_SERVERS, "db")),
        ((database_cluster([]), backup_plan()), _said(_SERVERS, "db")),
        ((database_cluster([{"isWALArchiver": False}]), backup_plan()), _said(_SERVERS, "db")),
        ((database_cluster([_ARCHIVER]),), _said(_SERVERS, "db")),
        ((database_cluster([_ARCHIVER]), backup_plan(cluster={"name": "another"})), _said(_SERVERS, "db")),
        ((database_cluster([_ARCHIVER]), replace(backup_plan(), namespace="other")), _said(_SERVERS, "db")),
        ((database_cluster([_ARCHIVER]), database_cluster([], "second"), backup_plan()), _said(_SERVERS, "second")),
        ((database_cluster(UNKNOWN), backup_plan()), {(f"{_SERVERS} models/db", Verdict.UNKNOWN)}),
        ((database_cluster(UNKNOWN),), _said(_SERVERS, "db")),
        (
            (database_cluster([_ARCHIVER]), backup_plan(cluster={"name": UNKNOWN})),
            {(f"{_SERVERS} models/db", Verdict.UNKNOWN)},
        ),
        ((database_cluster([]), backup_plan(cluster={"name": UNKNOWN})), _said(_SERVERS, "db")),
    ],
    "stateful-backup": [
        (
            (_set("empty", []), _set("none", None), _set("second", _CLAIMS), _set("third", _CLAIMS), _BACKUP),
            _said("apps/StatefulSet", "third"),
        ),
    ],
    "stateful-protected": [
        (
            (_set("empty", [], protected=False), _set("third", _CLAIMS, protected=False)),
            _said("apps/StatefulSet", "third"),
        ),
    ],
    "workload-disruption-budget": [
        ((workload(kind="apps/StatefulSet", replicas=2),), _said("apps/StatefulSet", "server")),
        ((workload(kind="apps/StatefulSet", replicas=2), budget({"matchLabels": LABELS})), set()),
        ((_runs("apps/Deployment", replicas=2.0),), _said("apps/Deployment", "server")),
        ((_runs("apps/Deployment", replicas="many"), _runs("apps/Deployment", "other")), set()),
    ],
    "workload-monitored": [
        *[((_runs(kind),), _said(kind, "server")) for kind in CONTROLLED],
        *[((_runs(kind), _MONITORED), set[tuple[str, Verdict]]()) for kind in CONTROLLED],
    ],
    "workload-network-policy": [
        *[((_runs(kind),), _said(kind, "server")) for kind in PODS],
        *[((_runs(kind), _BOTH), set[tuple[str, Verdict]]()) for kind in PODS],
        (
            (
                workload(),
                thing("networking.k8s.io/NetworkPolicy", "in", {"spec": {"podSelector": {}}}),
                network_policy({}, "Egress"),
            ),
            set(),
        ),
    ],
}
"""By rule over several resources: a stack, and what is said of which resources."""
