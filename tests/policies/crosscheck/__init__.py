"""Compares our rules with checkov's checks over the corpus; checkov.toml says which of ours stand for each of its.

checkov has an environment of its own, outside of this project's: it brings along a hundred packages.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

from tests.policies import corpus
from tests.policies.corpus import Case

FILE: Final = Path(__file__).resolve().parent / "checkov.toml"
TERRAFORM: Final = {
    "aws:s3/bucket:Bucket": "aws_s3_bucket",
    "aws:s3/bucketV2:BucketV2": "aws_s3_bucket",
    "aws:s3/bucketAcl:BucketAcl": "aws_s3_bucket_acl",
    "aws:s3/bucketAclV2:BucketAclV2": "aws_s3_bucket_acl",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "aws_s3_bucket_public_access_block",
    "aws:rds/instance:Instance": "aws_db_instance",
    "aws:rds/cluster:Cluster": "aws_rds_cluster",
    "aws:ebs/volume:Volume": "aws_ebs_volume",
    "aws:ec2/securityGroup:SecurityGroup": "aws_security_group",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "aws_default_security_group",
    "aws:ec2/securityGroupRule:SecurityGroupRule": "aws_security_group_rule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "aws_vpc_security_group_ingress_rule",
    "aws:iam/policy:Policy": "aws_iam_policy",
    "aws:iam/rolePolicy:RolePolicy": "aws_iam_role_policy",
    "aws:iam/userPolicy:UserPolicy": "aws_iam_user_policy",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": "aws_iam_user_policy_attachment",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "aws_iam_role_policy_attachment",
    "aws:iam/policyAttachment:PolicyAttachment": "aws_iam_policy_attachment",
    "aws:iam/accessKey:AccessKey": "aws_iam_access_key",
    "aws:iam/role:Role": "aws_iam_role",
    "aws:eks/cluster:Cluster": "aws_eks_cluster",
    "aws:kms/key:Key": "aws_kms_key",
    "aws:ecr/repository:Repository": "aws_ecr_repository",
    "aws:sqs/queue:Queue": "aws_sqs_queue",
}
"""The names that checkov knows cloud resources by; Pulumi's providers are made from these."""
_SINGULAR: Final = {"inlinePolicies": "inline_policy"}
"""Where Pulumi's provider calls a list of blocks by the plural."""


@dataclass(frozen=True)
class Finding:
    """One thing that checkov says about one case of the corpus."""

    check: str
    title: str
    case: Case


@dataclass(frozen=True)
class Decided:
    """What checkov.toml says about one check."""

    rules: frozenset[str]
    """Ours that stand for it."""
    reason: str
    """Why none does, or why ours let something pass that it does not."""
    passing: frozenset[str]
    """Names of cases, or kinds, that it finds and ours let pass, for that reason."""


def content() -> dict[str, Any]:
    """Return checkov.toml."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def decided() -> dict[str, Decided]:
    """Return what is decided, by check."""
    return {
        check: Decided(
            frozenset(entry.get("rules", ())), str(entry.get("reason", "")), frozenset(entry.get("passing", ()))
        )
        for check, entry in content()["checks"].items()
    }


def measured(checkov: Path) -> tuple[str, list[Finding]]:
    """Run checkov over every complete case; return its version and what it found."""
    cases = [case for case in corpus.cases() if case.is_complete]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for number, case in enumerate(cases):
            suffix, text = ("yaml", _manifest(case)) if case.is_cluster_object else ("tf", _terraform(case, number))
            (folder / f"{number:04}.{suffix}").write_text(text, encoding="utf-8")
        command = [str(checkov), "-d", made, "--framework", "kubernetes", "terraform", "--output", "json"]
        done = subprocess.run(
            [*command, "--compact", "--quiet", "--skip-download", "--soft-fail"],
            capture_output=True,
            text=True,
            check=True,
        )
    reports = cast("list[dict[str, Any]]", json.loads(done.stdout))
    version = str(reports[0]["summary"]["checkov_version"])
    findings = {
        (str(item["check_id"]), int(Path(item["file_path"]).stem)): str(item["check_name"])
        for report in reports
        for item in report["results"]["failed_checks"]
    }
    return version, [Finding(check, title, cases[number]) for (check, number), title in sorted(findings.items())]


def open_questions(findings: list[Finding]) -> list[str]:
    """Return what checkov finds and neither a rule of ours finds nor a reason explains."""
    known, wholly = decided(), frozenset(content()["wholly"])
    problems: set[str] = set()
    for finding in findings:
        entry, case = known.get(finding.check), finding.case
        if entry is None:
            problems.add(f"{finding.check} ({finding.title}): checkov.toml says nothing about it")
            continue
        is_found = (entry.rules | wholly) & (case.breaks | case.unknown | case.exempt)
        if entry.rules and not is_found and not entry.passing & {case.name, case.resource.kind}:
            problems.add(f"{finding.check}: {case.name}: none of {', '.join(sorted(entry.rules))} finds it")
    return sorted(problems)


def _manifest(case: Case) -> str:
    return yaml.safe_dump(dict(case.described), sort_keys=False)


def _terraform(case: Case, number: int) -> str:
    kind = TERRAFORM[case.described["type"]]
    return f'resource "{kind}" "case_{number}" {{\n{_block(case.described["inputs"])}\n}}\n'


def _block(table: Mapping[str, Any]) -> str:
    lines: list[str] = []
    for key, value in table.items():
        name = _SINGULAR.get(key) or re.sub(r"(?<=[a-z0-9])[A-Z]", lambda found: f"_{found[0].lower()}", key)
        items = cast("list[Any]", value) if isinstance(value, list) else [value]
        if key == "tags" or not all(isinstance(item, dict) for item in items):
            lines.append(f"{name} = {json.dumps(value)}")
        else:
            lines += [f"{name} {{\n{_block(item)}\n}}" for item in items]
    return "\n".join(lines)
