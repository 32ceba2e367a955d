"""Which objects of the cloud a team's pods may use. What this does not prove: that AWS reads IAM policies as we do."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from ml.contracts import LABEL_DOMAIN
from tests.support.recording_monitor import Graph, reveal
from tests.support.stacks import TEAMS_IN_CLOUD
from tests.support.team_rights import QUALITY, VISION


@pytest.fixture(scope="module")
def in_cloud() -> Graph:
    return TEAMS_IN_CLOUD.run()


def may(policy: dict[str, Any], action: str, resource: str, prefix: str | None = None) -> bool:
    """Say what IAM says of a policy that only allows."""
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        fits = any(fnmatchcase(action, it) for it in statement["Action"])
        fits = fits and any(fnmatchcase(resource, it) for it in statement["Resource"])
        for operator, wanted in statement.get("Condition", {}).items():
            assert (operator, set(wanted)) == ("StringLike", {"s3:prefix"})
            fits = fits and prefix is not None and fnmatchcase(prefix, wanted["s3:prefix"])
        if fits:
            return True
    return False


@pytest.mark.parametrize(("team", "other"), [("vision", "text-quality"), ("text-quality", "vision")])
def test_role_of_a_team_opens_its_folder_and_no_other_when_the_store_is_the_clouds(
    in_cloud: Graph, team: str, other: str
) -> None:
    (found,) = [it for it in in_cloud.of_type("aws:iam/rolePolicy:RolePolicy") if it.name.startswith(f"team-{team}-")]
    policy = json.loads(reveal(dict(found.inputs))["policy"])
    bucket = "arn:aws:s3:::mlplatform-staging-artifacts-111122223333"
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        assert may(policy, action, f"{bucket}/teams/{team}/a/b")
        assert not may(policy, action, f"{bucket}/teams/{other}/a/b")
        assert not may(policy, action, f"{bucket}/teams/{team}")
        assert not may(policy, action, f"{bucket}/1/run/artifacts/model")
    assert may(policy, "s3:ListBucket", bucket, f"teams/{team}/")
    assert not may(policy, "s3:ListBucket", bucket, f"teams/{other}/")
    assert not may(policy, "s3:ListBucket", bucket, "")
    assert not may(policy, "s3:ListBucket", bucket)
    assert not may(policy, "s3:DeleteBucket", bucket)


def test_role_of_a_team_is_for_its_account_in_its_namespace_only_when_trusted(in_cloud: Graph) -> None:
    for team, namespace in (("vision", VISION), ("text-quality", QUALITY)):
        (role,) = [it for it in in_cloud.of_type("aws:iam/role:Role") if it.name.startswith(f"team-{team}-")]
        (statement,) = json.loads(reveal(dict(role.inputs))["assumeRolePolicy"])["Statement"]
        tags = statement["Condition"]["StringEquals"]
        assert tags["aws:RequestTag/kubernetes-namespace"] == namespace
        assert tags["aws:RequestTag/kubernetes-service-account"] == f"team-{team}"
        account = in_cloud.object("ServiceAccount", f"team-{team}")
        assert account.manifest["metadata"]["namespace"] == namespace


def test_keys_of_objects_are_open_to_teams_when_the_store_is_the_clouds(in_cloud: Graph) -> None:
    for key in ("data-key", "replica-key"):
        (found,) = [it for it in in_cloud.of_type("aws:kms/key:Key") if it.name == key]
        policy = reveal(dict(found.inputs))["policy"]
        assert "role/mlplatform-staging-team-vision" in policy
        assert "role/mlplatform-staging-team-text-quality" in policy


def test_no_key_pair_exists_for_teams_when_the_store_is_the_clouds(in_cloud: Graph) -> None:
    assert not [item for item in in_cloud.of_kind("Secret") if "team" in item.name]
    prefix = f"{LABEL_DOMAIN}/access-"
    (policy,) = [item for item in in_cloud.of_kind("NetworkPolicy") if item.name == "team-vision-to-cloud"]
    assert policy.manifest["spec"]["podSelector"] == {"matchLabels": {f"{prefix}object-store": "true"}}
