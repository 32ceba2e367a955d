"""What may be said of a database that CloudNativePG runs, and what contradicts the rest of a stack."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.settings import Settings, SettingsError, parse
from tests.support.catalogue_cloud import AUTHORITIES, AWS

SECRET = "s" * 32
KIND = {"kind": "cloudNativePg"}
FOUND = {"cloudNativePg": "present", "barmanCloud": "present"}
CLOUD = {**AWS, "highlyAvailable": False}
OUTSIDE = {"destination": "s3://backups/ml", "endpoint": "https://s3.example.org", "accessKey": "AK1"}


def read(database: dict[str, Any], *, secret: bool = False, **others: Any) -> Settings:
    place = {} if "aws" in others else {"context": "test"}
    more = {"prerequisites": FOUND, **others}
    values = {
        "masterSecret": SECRET,
        "imageRegistry": "registry.test",
        "metadataDb": json.dumps(database),
        **place,
        **{key: json.dumps(value) for key, value in more.items()},
        **({"backupSecret": "hidden"} if secret else {}),
    }
    return parse(values, {"masterSecret", "backupSecret"})


def problems(database: dict[str, Any], *, secret: bool = False, **others: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(database, secret=secret, **others)
    return [str(problem) for problem in caught.value.problems]


def test_three_servers_and_two_weeks_are_the_default_when_only_the_kind_is_set() -> None:
    database = read(KIND).metadata_db
    assert database.is_cluster
    assert (database.servers.instances, database.servers.backup_days) == (3, 14)
    assert (database.servers.generation, database.servers.restore_to) == (1, None)


def test_pod_is_the_default_when_nothing_is_set() -> None:
    assert not read({}, prerequisites={}).metadata_db.is_cluster


@pytest.mark.parametrize(
    ("cluster", "named"),
    [
        ({"instances": 0}, "metadataDb.cluster.instances = 0: allowed is a whole number from 1 to 9"),
        ({"backupDays": 3}, "metadataDb.cluster.backupDays = 3: allowed is a whole number from 7 to 35 (days)"),
        ({"instence": 3}, "metadataDb.cluster.instence is an unknown key"),
        ({"generation": 2}, "`latest` or a moment, where `generation` is 2 or more"),
        ({"restoreTo": "latest"}, "absent, unless `generation` is 2 or more"),
        ({"generation": 2, "restoreTo": "yesterday"}, "`latest` or a moment in UTC such as 2026-11-26T10:15:00Z"),
        ({"generation": 2, "restoreTo": "2026-02-30T10:15:00Z"}, "a moment that there is"),
        ({"external": {**OUTSIDE, "endpoint": "http://s3.example.org"}}, "the https:// address of an S3 service"),
        ({"external": {**OUTSIDE, "destination": "backups"}}, "a bucket and a folder in it"),
    ],
)
def test_value_is_refused_with_what_is_allowed_when_it_is_none(cluster: dict[str, Any], named: str) -> None:
    found = problems({**KIND, "cluster": cluster}, secret="external" in cluster)
    assert any(named in problem for problem in found), found


@pytest.mark.parametrize("moment", ["latest", "2026-11-26T10:15:00Z"])
def test_restore_is_taken_when_it_has_a_generation_of_its_own(moment: str) -> None:
    servers = read({**KIND, "cluster": {"generation": 2, "restoreTo": moment}}).metadata_db.servers
    assert (servers.generation, servers.restore_to) == (2, moment)


@pytest.mark.parametrize("kind", ["pod", "rds"])
def test_second_description_of_the_server_is_refused_when_it_is_another_kind(kind: str) -> None:
    others: dict[str, Any] = {"aws": {**CLOUD, "database": {"authorities": AUTHORITIES}}} if kind == "rds" else {}
    (problem,) = problems({"kind": kind, "cluster": {"instances": 3}}, secret=False, **others)
    assert "metadataDb.cluster" in problem
    assert "absent, unless `kind` is cloudNativePg" in problem


def test_server_of_the_cloud_is_refused_when_the_cluster_has_its_own() -> None:
    (problem,) = problems(KIND, aws={**CLOUD, "database": {"authorities": AUTHORITIES}})
    assert "a section without `database` unless `metadataDb.kind` is rds" in problem


def test_everything_that_is_missing_is_named_at_once_when_the_cluster_has_no_operator() -> None:
    found = problems(KIND, prerequisites={})
    assert len(found) == 2
    for name in ("cloudNativePg", "barmanCloud"):
        assert any(f"{name} install or present, for `metadataDb.kind` is cloudNativePg" in item for item in found)


@pytest.mark.parametrize("instances", [1, 2])
def test_servers_that_do_not_survive_a_zone_are_refused_when_the_stack_must(instances: int) -> None:
    database = {**KIND, "cluster": {"instances": instances}}
    (problem,) = problems(database, aws=AWS, objectStore={"kind": "s3"})
    assert "a cluster of 3 instances or more, unless `aws.highlyAvailable` is false" in problem
    cheaper = read(
        database,
        aws={**CLOUD, "natPerZone": False},
        trackingServer={"replicas": 1},
        modelServer={"replicas": 1},
    )
    assert cheaper.metadata_db.servers.instances == instances


def test_store_outside_is_refused_when_the_stack_makes_a_bucket() -> None:
    found = problems({**KIND, "cluster": {"external": OUTSIDE}}, secret=True, aws=AWS)
    assert any("a cluster without `external` where `aws` is set" in problem for problem in found)


def test_store_outside_is_taken_when_it_has_a_key() -> None:
    settings = read({**KIND, "cluster": {"external": OUTSIDE}}, secret=True)
    external = settings.metadata_db.servers.external
    assert external is not None
    assert (external.destination, external.region) == ("s3://backups/ml", "us-east-1")
    assert settings.backup_secret is not None
    assert "hidden" not in repr(settings)


def test_store_and_its_key_are_refused_without_each_other_when_one_is_missing() -> None:
    (problem,) = problems({**KIND, "cluster": {"external": OUTSIDE}})
    assert "backupSecret" in problem
    (problem,) = problems(KIND, secret=True)
    assert "absent, unless `metadataDb.cluster.external` is set" in problem
    assert "hidden" not in problem
