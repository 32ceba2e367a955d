"""The network of a stack on AWS and the way in: what is reached from where, under which names."""

from __future__ import annotations

from ipaddress import IPv4Network

from policies.render.aws_outputs import Made
from tests.support.cloud_resources import inputs, named
from tests.support.recording_monitor import Graph, reveal


def test_subnets_lie_apart_in_three_zones_inside_the_network_when_deployed(
    cloud: Graph, staging: Graph, prod: Graph
) -> None:
    network = IPv4Network(inputs(cloud, "aws:ec2/vpc:Vpc", "network")["cidrBlock"])
    subnets = [reveal(dict(item.inputs)) for item in cloud.of_type("aws:ec2/subnet:Subnet")]
    blocks = [IPv4Network(item["cidrBlock"]) for item in subnets]
    assert all(block.subnet_of(network) for block in blocks)
    assert not any(one.overlaps(other) for one in blocks for other in blocks if one is not other)
    assert len(subnets) == 9 if cloud is prod else 6
    assert cloud in (prod, staging)
    assert {item["availabilityZone"] for item in subnets} == {f"eu-central-1{zone}" for zone in "abc"}


def test_nothing_but_gateways_has_a_public_address_when_deployed(cloud: Graph) -> None:
    assert not any(item.inputs["mapPublicIpOnLaunch"] for item in cloud.of_type("aws:ec2/subnet:Subnet"))
    private = {item.name: item for item in cloud.of_type("aws:ec2/route:Route") if "private" in item.name}
    assert len(private) == 3
    assert all("natGatewayId" in item.inputs and "gatewayId" not in item.inputs for item in private.values())


def test_a_zone_may_fail_in_prod_and_only_there_when_its_gateway_does(staging: Graph, prod: Graph) -> None:
    def gateways(graph: Graph) -> set[str]:
        return {
            str(item.inputs["natGatewayId"]) for item in graph.of_type("aws:ec2/route:Route") if "private" in item.name
        }

    assert len(gateways(prod)) == 3
    assert len(gateways(staging)) == 1


def test_new_targets_come_before_the_old_go_when_the_gateway_gets_another_port(cloud: Graph) -> None:
    """Pulumi makes the new ones first only where the program leaves the name to it; AWS takes 32 characters."""
    (targets,) = cloud.of_type("aws:lb/targetGroup:TargetGroup")
    assert {"name", "namePrefix"}.isdisjoint(targets.inputs)
    assert len(f"{targets.name}-0123456") <= 32


def test_nothing_gets_a_public_address_before_there_is_a_way_out_when_deployed(cloud: Graph) -> None:
    way_out = named(cloud, "aws:ec2/internetGateway:InternetGateway", "network-internet")
    kinds = ("aws:ec2/eip:Eip", "aws:ec2/natGateway:NatGateway")
    found = [item for kind in kinds for item in cloud.of_type(kind)]
    assert found
    assert all(way_out.urn in item.depends_on for item in found)
    (access,) = cloud.of_type("mlplatform:index:PublicAccess")
    assert way_out.urn in access.depends_on


def test_calls_to_aws_stay_inside_when_deployed(prod: Graph) -> None:
    endpoints = [reveal(dict(item.inputs)) for item in prod.of_type("aws:ec2/vpcEndpoint:VpcEndpoint")]
    services = {item["serviceName"].removeprefix("com.amazonaws.eu-central-1."): item for item in endpoints}
    assert set(services) >= {"s3", "ecr.api", "ecr.dkr", "eks-auth", "kms", "logs", "sqs", "sts"}
    assert services["s3"]["vpcEndpointType"] == "Gateway"
    assert len(services["s3"]["routeTableIds"]) == 3
    assert all(item["privateDnsEnabled"] for name, item in services.items() if name != "s3")


def test_default_security_group_allows_nothing_when_deployed(cloud: Graph) -> None:
    (group,) = cloud.of_type("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
    assert {"ingress", "egress"}.isdisjoint(group.inputs)


def test_only_https_comes_in_from_anywhere_when_deployed(cloud: Graph) -> None:
    rules = [item.inputs for item in cloud.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")]
    open_ports = {(rule["fromPort"], rule["toPort"]) for rule in rules if rule.get("cidrIpv4") == "0.0.0.0/0"}
    assert open_ports == {(443, 443)}


def test_kubernetes_api_is_reached_from_the_network_and_those_connected_to_it_when_it_answers_inside_only(
    staging: Graph, prod: Graph
) -> None:
    for graph, networks in ((staging, ["10.64.0.0/16"]), (prod, ["10.96.0.0/16", "10.64.0.0/16"])):
        (cluster,) = graph.of_type("aws:eks/cluster:Cluster")
        group = f"sg-{Made(token=cluster.type, name=cluster.name, urn=cluster.urn, inputs={}).digest}"
        rules = [item.inputs for item in graph.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")]
        inside = [rule for rule in rules if rule["securityGroupId"] == group and "cidrIpv4" in rule]
        assert [rule["cidrIpv4"] for rule in inside] == networks
        assert {(rule["ipProtocol"], rule["fromPort"], rule["toPort"]) for rule in inside} == {("tcp", 443, 443)}


def test_every_host_has_a_name_at_the_load_balancer_when_deployed(cloud: Graph) -> None:
    records = {item.inputs["name"] for item in cloud.of_type("aws:route53/record:Record") if item.inputs["type"] == "A"}
    assert records == set(cloud.stack_outputs["hosts"].values())
    assert set(cloud.stack_outputs["hosts"]) == {"mlflow", "ml", "api"}


def test_tls_ends_with_a_certificate_that_covers_every_host_when_deployed(cloud: Graph) -> None:
    (certificate,) = cloud.of_type("aws:acm/certificate:Certificate")
    domain = cloud.stack_outputs["domain"]
    assert certificate.inputs["domainName"] == f"*.{domain}"
    (listener,) = cloud.of_type("aws:lb/listener:Listener")
    assert (listener.inputs["protocol"], listener.inputs["port"]) == ("TLS", 443)
    assert "TLS13" in listener.inputs["sslPolicy"]
