"""Every impossible combination of the cloud's settings is refused before anything is declared, all of them at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.settings import Settings, SettingsError, parse
from tests.support.catalogue_cloud import AUTHORITIES, AWS

SECRET = "s" * 32
L4 = {"name": "l4", "families": ["g6"]}
A100 = {"name": "a100", "families": ["p4d"], "gpusPerNode": 8, "gpuLimit": 8}
US = {"region": "us-east-1"}
DATABASE = {"authorities": AUTHORITIES}
RDS = {"kind": "rds"}


def parse_with(aws: dict[str, Any], **others: Any) -> Settings:
    """Read a stack that survives a zone, with these changes; None takes a part of `aws` away."""
    section = {key: value for key, value in {**AWS, "database": DATABASE, **aws}.items() if value is not None}
    values = {"masterSecret": SECRET, "imageRegistry": "registry.test", "aws": section}
    sections = {**values, "objectStore": {"kind": "s3"}, "metadataDb": RDS, **others}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in sections.items()}
    return parse(texts, {"masterSecret"})


def problems_of(aws: dict[str, Any], **others: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_with(aws, **others)
    return [str(problem) for problem in caught.value.problems]


def test_defaults_survive_the_loss_of_a_zone_when_only_the_required_is_set() -> None:
    read = parse_with({}).aws
    assert read is not None
    assert read.nat_per_zone
    assert read.highly_available
    assert read.api_cidrs == ()
    assert read.kubernetes_version == "1.35"
    assert read.cpu_pool.capacity == ("on-demand",)
    assert read.gpu_pools == ()
    assert read.tags["owner"] == "research"


def test_gpu_pool_prefers_spot_and_falls_back_when_nothing_is_said() -> None:
    read = parse_with({"gpuPools": [L4]}).aws
    assert read is not None
    (pool,) = read.gpu_pools
    assert pool.capacity == ("spot", "on-demand")
    assert pool.accelerator == "l4"
    assert pool.idle_seconds <= 900


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("region", {"region": "eu-nowhere-1"}, "aws.region"),
    ("account as number", {"accountId": 111122223333}, "aws.accountId"),
    ("old kubernetes", {"kubernetesVersion": "1.34"}, "aws.kubernetesVersion"),
    ("same region", {"replicaRegion": "eu-central-1"}, "another region than `region`"),
    ("two zones", {"zones": ["a", "b"]}, "a list of 3 to 3 different items"),
    ("a zone twice", {"zones": ["a", "a", "b"]}, "aws.zones"),
    ("host bits", {"vpcCidr": "10.64.0.1/16"}, "aws.vpcCidr"),
    ("small network", {"vpcCidr": "10.64.0.0/24"}, "up to /20"),
    ("services inside", {"serviceCidr": "10.64.128.0/20"}, "a network outside vpcCidr, which is 10.64.0.0/16"),
    ("taken network", {"connectedCidrs": ["10.0.0.0/8"]}, "apart from connectedCidrs, of which 10.0.0.0/8 overlaps"),
    ("one gateway", {"natPerZone": False}, "true, unless `highlyAvailable` is false"),
    ("retention", {"logRetentionDays": 100}, "one of 1, 3, 5, 7"),
    ("spot alone", {"cpuPool": {"capacity": ["spot"]}}, "stable slots and databases run on these nodes"),
    ("idle for an hour", {"cpuPool": {"idleSeconds": 3600}}, "from 30 to 900"),
    ("no such card here", {"gpuPools": [{"name": "big", "families": ["p5"]}]}, "there is no p5"),
    ("two cards", {"gpuPools": [{"name": "mix", "families": ["g5", "g6"]}]}, "families with one and the same card"),
    ("pool twice", {"gpuPools": [L4, {**L4, "gpuLimit": 2}]}, "a list in which every name occurs once"),
    ("slices of a card that has none", {"gpuPools": [{**L4, "migProfile": "1g.5gb"}]}, "absent: l4 cannot be cut"),
    ("slices of another card", {**US, "gpuPools": [{**A100, "migProfile": "1g.10gb"}]}, "one of 1g.5gb, 2g.10gb"),
    (
        "slices and turns",
        {**US, "gpuPools": [{**A100, "migProfile": "1g.5gb", "timeSlices": 2}]},
        "promised to one pod",
    ),
    ("too many turns", {"gpuPools": [{**L4, "timeSlices": 17}]}, "from 1 to 16 (pods per card)"),
    ("no node fits", {"gpuPools": [{**L4, "gpusPerNode": 8}]}, "at least gpusPerNode, which is 8"),
    ("one system node", {"systemNodes": {"count": 1}}, "aws.systemNodes.count = 1: allowed is a whole number from 2"),
    ("system nodes that grow", {"systemNodes": {"maximum": 4}}, "aws.systemNodes.maximum is an unknown key"),
    ("nobody", {"adminPrincipals": []}, "aws.adminPrincipals"),
    ("unknown endpoint", {"interfaceEndpoints": ["s4"]}, "aws.interfaceEndpoints"),
    ("unknown key", {"colour": "red"}, "aws.colour is an unknown key"),
    ("no owner", {"owner": ""}, "aws.owner"),
    ("budget for nobody", {"budget": {"monthlyUsd": 10, "mails": []}}, "aws.budget.mails"),
    ("port", {"access": {"zoneId": "Z0EXAMPLE", "nodePort": 80}}, "aws.access.nodePort"),
    ("image", {"nodeImage": "bottlerocket@latest"}, "aws.nodeImage"),
]


BAD_DATABASE: list[tuple[str, dict[str, Any], str]] = [
    ("small storage", {"storageGib": 19}, "aws.database.storageGib"),
    (
        "no room to grow",
        {"storageGib": 100, "maximumStorageGib": 109},
        "at least 110, a tenth more than storageGib",
    ),
    ("few backups", {"backupDays": 6}, "from 7 to 35"),
    ("one zone", {"multiAz": False}, "one with multiAz, unless `highlyAvailable` is false"),
    ("class of a virtual machine", {"instanceClass": "m6g.large"}, "aws.database.instanceClass"),
    ("too small a class", {"instanceClass": "db.t4g.small"}, "from db.t4g.medium"),
    ("old version", {"engineVersion": "15"}, "PostgreSQL 17 or 18"),
    ("no window", {"maintenanceWindow": "sunday"}, "aws.database.maintenanceWindow"),
    ("short window", {"maintenanceWindow": "sun:03:00-sun:03:29"}, "at least 30 minutes and at most a day"),
    ("long window", {"maintenanceWindow": "sun:03:00-mon:03:01"}, "at least 30 minutes and at most a day"),
    ("window of the backup", {"maintenanceWindow": "sun:00:31-sun:01:01"}, "outside the backup's 01:00-02:00"),
    ("key", {"authorities": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}, "certificates as PEM"),
    ("torn certificate", {"authorities": AUTHORITIES.replace("MIIB", "MII")}, "certificates as PEM"),
    ("unknown key", {"replicas": 2}, "aws.database.replicas is an unknown key"),
]


@pytest.mark.parametrize(("aws", "named"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_problem_names_key_and_allowed_when_a_setting_is_impossible(aws: dict[str, Any], named: str) -> None:
    problems = problems_of(aws)
    assert any(named in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("database", "named"), [case[1:] for case in BAD_DATABASE], ids=[case[0] for case in BAD_DATABASE]
)
def test_problem_names_key_and_allowed_when_a_database_is_impossible(database: dict[str, Any], named: str) -> None:
    (problem,) = problems_of({"database": {"authorities": AUTHORITIES, **database}}, metadataDb=RDS)
    assert named in problem


def test_all_problems_are_reported_together_when_there_are_several() -> None:
    problems = problems_of(
        {"replicaRegion": "eu-central-1", "natPerZone": False, "cpuPool": {"capacity": ["spot"]}},
        domain="not a domain",
        metadataDb={"storageGib": 0},
    )
    keys = [problem.split()[0] for problem in problems]
    assert set(keys) >= {"domain", "metadataDb.storageGib", "aws.cpuPool.capacity"}
    assert len(keys) >= 3


def test_pipeline_service_is_refused_when_the_store_is_that_of_the_cloud() -> None:
    (problem,) = problems_of({}, pipelineService={"enabled": True})
    assert problem.startswith("pipelineService")
    assert "not enabled, unless `objectStore.kind` is minio" in problem
    assert not parse_with({}, pipelineService={"enabled": False}).pipeline_service.enabled
    in_pods = parse_with({"highlyAvailable": False}, objectStore={"kind": "minio"}, pipelineService={"enabled": True})
    assert in_pods.pipeline_service.enabled


@pytest.mark.parametrize(
    ("part", "kind", "allowed"),
    [("metadataDb", "pod", "cloudNativePg or rds"), ("objectStore", "minio", "s3")],
)
def test_store_in_a_pod_is_refused_when_the_stack_must_survive_a_zone(part: str, kind: str, allowed: str) -> None:
    others = {part: {"kind": kind}}
    database = None if part == "metadataDb" else DATABASE
    (problem,) = problems_of({"database": database}, **others)
    assert problem.startswith(f"{part} = ")
    assert f"allowed is kind {allowed}, unless `aws.highlyAvailable` is false: " in problem
    assert parse_with({"database": database, "highlyAvailable": False}, **others).aws is not None


@pytest.mark.parametrize("part", ["trackingServer", "modelServer", "controller", "api"])
def test_single_replica_is_refused_when_the_stack_must_survive_a_node(part: str) -> None:
    (problem,) = problems_of({}, **{part: {"replicas": 1}})
    assert problem.startswith(part)
    assert "2 replicas or more, unless `aws.highlyAvailable` is false" in problem
    assert parse_with({"highlyAvailable": False}, **{part: {"replicas": 1}}).aws is not None


def test_named_cluster_is_refused_when_the_stack_makes_its_own() -> None:
    (problem,) = problems_of({}, context="dev")
    assert "absent where `kubeconfig` or `context` names a cluster" in problem


def test_s3_is_refused_when_there_is_no_account() -> None:
    others = {"imageRegistry": "registry.test", "context": "dev", "objectStore": json.dumps({"kind": "s3"})}
    with pytest.raises(SettingsError, match="minio, unless `aws` is set"):
        parse({"masterSecret": SECRET, **others}, {"masterSecret"})


def test_gpus_for_serving_are_refused_when_no_pool_has_any() -> None:
    resources = {"cpuMillis": 1000, "memoryMib": 1024, "memoryLimitMib": 2048, "gpus": 1}
    (problem,) = problems_of({}, modelServer={"resources": resources})
    assert "no GPUs, unless `aws.gpuPools` has a pool" in problem
    assert parse_with({"gpuPools": [L4]}, modelServer={"resources": resources}).model_server.resources.gpus == 1


def test_database_survives_a_zone_and_a_mistake_when_only_the_required_is_set() -> None:
    read = parse_with({"database": DATABASE}, metadataDb=RDS).aws
    assert read is not None
    assert read.database is not None
    assert read.database.multi_az
    assert read.database.backup_days >= 7
    assert read.database.maximum_storage_gib > read.database.storage_gib


@pytest.mark.parametrize("window", ["sun:02:00-sun:02:30", "sat:23:00-sun:01:00", "mon:02:00-tue:01:00"])
def test_window_is_taken_when_it_ends_before_the_backup_or_begins_after_it(window: str) -> None:
    read = parse_with({"database": {**DATABASE, "maintenanceWindow": window}}, metadataDb=RDS).aws
    assert read is not None
    assert read.database is not None
    assert read.database.maintenance_window == window


def test_database_in_one_zone_is_taken_when_the_stack_need_not_survive_one() -> None:
    aws = {"database": {**DATABASE, "multiAz": False}, "highlyAvailable": False}
    assert parse_with(aws, metadataDb=RDS).aws is not None


def test_refused_authorities_are_not_shown_when_they_may_be_a_key() -> None:
    (problem,) = problems_of({"database": {"authorities": "my private thing"}}, metadataDb=RDS)
    assert "private thing" not in problem


@pytest.mark.parametrize(
    ("aws", "store", "named"),
    [
        ({"database": None}, RDS, "a section with `database` where `metadataDb.kind` is rds"),
        ({"highlyAvailable": False}, {}, "a section without `database` unless `metadataDb.kind` is rds"),
        ({"highlyAvailable": False}, {"kind": "pod"}, "a section without `database` unless `metadataDb.kind` is rds"),
        ({}, {"kind": "aurora"}, "one of pod, cloudNativePg, rds"),
    ],
)
def test_half_of_a_database_is_refused_when_the_other_is_missing(
    aws: dict[str, Any], store: dict[str, Any], named: str
) -> None:
    (problem,) = problems_of(aws, metadataDb=store)
    assert named in problem


def test_rds_is_refused_when_there_is_no_account() -> None:
    others = {"imageRegistry": "registry.test", "context": "dev", "metadataDb": json.dumps(RDS)}
    with pytest.raises(SettingsError, match="pod or cloudNativePg, unless `aws` is set"):
        parse({"masterSecret": SECRET, **others}, {"masterSecret"})
