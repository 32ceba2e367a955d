"""What a database that AWS runs promises, by name. What this does not prove: that AWS accepts any of it."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support import pods
from tests.support.aws_commands import calls_of_aws, shell_blocks, unknown_options
from tests.support.cloud_resources import ACCOUNT, inputs, named
from tests.support.recording_monitor import Graph, Secret, reveal


def server(graph: Graph) -> dict[str, Any]:
    return inputs(graph, "aws:rds/instance:Instance", "metadata-db")


def test_database_is_encrypted_survives_a_zone_and_has_a_past_when_deployed(prod: Graph) -> None:
    found = server(prod)
    key = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/"
    assert found["storageEncrypted"] is True
    assert found["kmsKeyId"].startswith(key)
    assert found["performanceInsightsKmsKeyId"].startswith(key)
    assert found["multiAz"] is True
    assert found["backupRetentionPeriod"] == 35
    assert found["maxAllocatedStorage"] > found["allocatedStorage"]
    assert (found["engine"], found["engineVersion"], found["autoMinorVersionUpgrade"]) == ("postgres", "18", True)
    assert found["enabledCloudwatchLogsExports"] == ["postgresql", "upgrade"]


def test_database_cannot_be_deleted_without_a_trace_when_deployed(prod: Graph) -> None:
    found = server(prod)
    assert named(prod, "aws:rds/instance:Instance", "metadata-db").protect
    assert found["deletionProtection"] is True
    assert found["skipFinalSnapshot"] is False
    assert found["finalSnapshotIdentifier"] == "mlplatform-prod-metadata-db-final"
    assert found["deleteAutomatedBackups"] is False
    assert found["copyTagsToSnapshot"] is True


def test_only_nodes_of_the_cluster_reach_the_database_when_deployed(prod: Graph) -> None:
    found = server(prod)
    assert found["publiclyAccessible"] is False
    (group,) = found["vpcSecurityGroupIds"]
    rules = [
        reveal(dict(item.inputs))
        for kind in ("Ingress", "Egress")
        for item in prod.of_type(f"aws:vpc/securityGroup{kind}Rule:SecurityGroup{kind}Rule")
        if item.inputs["securityGroupId"] == group
    ]
    (cluster,) = prod.of_type("mlplatform:index:EksCluster")
    assert [(rule["fromPort"], rule["toPort"], "cidrIpv4" in rule) for rule in rules] == [(5432, 5432, False)]
    assert rules[0]["referencedSecurityGroupId"] == prod.outputs[cluster.urn]["securityGroup"]


def test_network_of_the_database_has_no_way_out_when_deployed(prod: Graph) -> None:
    (table,) = [item for item in prod.of_type("aws:ec2/routeTable:RouteTable") if item.name == "metadata-db"]
    assert not [item for item in prod.of_type("aws:ec2/route:Route") if table.urn in item.depends_on]
    associations = prod.of_type("aws:ec2/routeTableAssociation:RouteTableAssociation")
    joined = {item.inputs["subnetId"] for item in associations if table.urn in item.depends_on}
    subnets = inputs(prod, "aws:rds/subnetGroup:SubnetGroup", "metadata-db")["subnetIds"]
    assert joined == set(subnets)
    assert len(subnets) == 3


def test_database_refuses_whoever_uses_no_tls_when_deployed(prod: Graph) -> None:
    group = inputs(prod, "aws:rds/parameterGroup:ParameterGroup", "metadata-db")
    values = {item["name"]: item["value"] for item in group["parameters"]}
    assert group["family"] == "postgres18"
    assert values["rds.force_ssl"] == "1"
    assert values["max_connections"] == "400"
    assert server(prod)["parameterGroupName"] == group["name"]
    assert server(prod)["caCertIdentifier"] == "rds-ca-rsa2048-g1"


def test_password_of_the_administrator_is_a_secret_and_that_of_the_bootstrap_when_deployed(prod: Graph) -> None:
    password = named(prod, "aws:rds/instance:Instance", "metadata-db").inputs["password"]
    assert isinstance(password, Secret)
    assert password.value == prod.object("Secret", "metadata-db-admin").manifest["stringData"]["password"]
    assert server(prod)["username"] == prod.object("Secret", "metadata-db-admin").manifest["stringData"]["username"]
    assert password.value not in json.dumps(reveal(dict(prod.stack_outputs)), default=str)


def test_pods_may_send_to_the_subnets_of_the_database_and_no_further_when_deployed(prod: Graph) -> None:
    (policy,) = [item for item in prod.of_kind("NetworkPolicy") if item.name == "metadata-db-access"]
    subnets = {item.inputs["cidrBlock"] for item in prod.of_type("aws:ec2/subnet:Subnet") if "metadata-db" in item.name}
    (rule,) = policy.manifest["spec"]["egress"]
    assert {peer["ipBlock"]["cidr"] for peer in rule["to"]} == subnets
    assert rule["ports"] == [{"port": 5432, "protocol": "TCP"}]


def test_every_client_wants_the_right_certificate_when_the_database_is_elsewhere(prod: Graph, staging: Graph) -> None:
    for graph, is_elsewhere in ((prod, True), (staging, False)):
        clients = [
            item
            for item in pods.workloads(graph)
            if "mlplatform.dev/access-metadata-db" in pods.template_of(item)["metadata"]["labels"]
        ]
        assert len(clients) == 7
        for item in clients:
            (container,) = pods.containers_of(item).values()
            text, mounts = json.dumps(reveal(container)), [mount["name"] for mount in container["volumeMounts"]]
            assert ("verify-full" in text) == is_elsewhere, item.name
            assert ("/etc/database-authority/authorities.pem" in text) == is_elsewhere, item.name
            assert ("database-authority" in mounts) == is_elsewhere, item.name
            assert "sslmode=disable" not in text or not is_elsewhere


def test_clients_call_the_database_by_the_name_of_its_certificate_when_deployed(prod: Graph) -> None:
    (store,) = prod.of_type("mlplatform:index:MetadataDbRds")
    address = prod.outputs[store.urn]["host"]
    assert address.endswith(".eu-central-1.rds.amazonaws.com")
    data = prod.object("Secret", "metadata-db-mlflow").manifest["stringData"]
    assert data["host"] == address
    assert data["uri"] == f"postgresql://mlflow:{data['password']}@{address}:5432/mlflow?sslmode=verify-full"
    told = prod.stack_outputs["metadataDb"]
    assert (told["kind"], told["host"], "service" in told) == ("rds", address, False)


def test_somebody_is_told_when_the_disk_of_the_database_is_nearly_full(prod: Graph) -> None:
    (alarm,) = prod.of_type("aws:cloudwatch/metricAlarm:MetricAlarm")
    assert alarm.inputs["metricName"] == "FreeStorageSpace"
    assert alarm.inputs["threshold"] == 10 * 1024**3
    assert alarm.inputs["dimensions"] == {"DBInstanceIdentifier": server(prod)["identifier"]}
    (topic,) = prod.of_type("aws:sns/topic:Topic")
    assert topic.inputs["kmsMasterKeyId"]
    (mail,) = prod.of_type("aws:sns/topicSubscription:TopicSubscription")
    assert (mail.inputs["protocol"], mail.inputs["endpoint"]) == ("email", "ml-platform@freedeepresearch.org")
    assert alarm.inputs["alarmActions"] == [mail.inputs["topic"]]


# Restoring it -------------------------------------------------------------------------------------------------------

_MADE_BY_HAND = re.compile(r"-(restored|before|before-final)$")
"""Ends of the names that the steps give themselves."""


def restoring() -> str:
    """Return the shell commands of the steps, one a line."""
    blocks = shell_blocks("operations.md", "Restore the database of a cloud to a point in time")
    assert len(blocks) == 8
    return "".join(blocks)


def test_restore_uses_names_of_the_stack_and_options_of_aws(prod: Graph) -> None:
    commands = restoring()
    named_there = {_MADE_BY_HAND.sub("", name) for name in re.findall(r"mlplatform-prod-[a-z0-9-]+", commands)}
    group = inputs(prod, "aws:rds/parameterGroup:ParameterGroup", "metadata-db")["name"]
    assert named_there == {server(prod)["identifier"], group}
    assert server(prod)["dbSubnetGroupName"] == server(prod)["identifier"]
    assert inputs(prod, "aws:ec2/securityGroup:SecurityGroup", "metadata-db")["name"] == server(prod)["identifier"]
    assert f"--db-instance-class {server(prod)['instanceClass']} " in commands
    assert f"--ca-certificate-identifier {server(prod)['caCertIdentifier']} " in commands
    assert f"--namespace {prod.stack_outputs['namespace']} " in commands
    assert [item for item in prod.resources.values() if item.urn.endswith("::metadata-db-bootstrap")]
    calls = list(calls_of_aws(commands))
    assert len(calls) == 12
    assert {" ".join(call): unknown for call in calls if (unknown := unknown_options(call))} == {}


def test_restore_stops_everybody_who_writes_and_nobody_else(prod: Graph) -> None:
    (stopped,) = re.findall(r"scale deployment --replicas=0 (.*)", restoring())
    writers = {
        item.object_name
        for item in prod.of_kind("Deployment")
        if "mlplatform.dev/access-metadata-db" in pods.template_of(item)["metadata"]["labels"]
    }
    assert set(stopped.split()) == writers - {"database-exporter"}
    scaled = {item.object_name for item in prod.of_kind("ScaledObject")} & set(stopped.split())
    for word in ("paused-replicas=0", "paused-replicas-"):
        (named,) = re.findall(rf"annotate scaledobject (.*) autoscaling.keda.sh/{word}\n", restoring())
        assert set(named.split()) - {"--overwrite"} == scaled
