"""Who gets in from outside, and how: a page is reached through its login or not at all.

That OAuth2 Proxy decides as it is told to is not shown here (docs/access.md says what was seen); that nothing leads
around it is.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest

from tests.support import pods, schemas
from tests.support.reachability import admits, pod, reaches
from tests.support.recording_monitor import Graph, reveal
from tests.support.stacks import PIPELINES_WITH_PAGE, STACKS

GATEWAY = ("istio-system", {"istio": "ingressgateway"})
PAGES = {"mlflow": ("tracking-server", 5000), "minio": ("object-store", 9001), "kubeflow": ("ml-pipeline-ui", 3000)}
PORTS = {80, 443, 3000, 4180, 5000, 5432, 8000, 8080, 8443, 8501, 8502, 8888, 9000, 9001, 9090, 44180}
every_page = pytest.mark.parametrize("role", sorted(PAGES))


@functools.cache
def graph_with_login() -> Graph:
    return PIPELINES_WITH_PAGE.run()


@pytest.fixture
def guarded() -> Graph:
    return graph_with_login()


def destinations(graph: Graph) -> dict[str, list[str]]:
    """Return where every host that has a whole-host route leads to."""
    return {
        item.manifest["spec"]["hosts"][0].partition(".")[0]: [
            entry["destination"]["host"] for http in item.manifest["spec"]["http"] for entry in http["route"]
        ]
        for item in graph.of_kind("VirtualService")
        if "delegate" not in item.manifest["spec"]["http"][0]
    }


def servers(graph: Graph) -> list[str]:
    """Return every workload that stays."""
    return [item.object_name for item in pods.workloads(graph) if item.kind != "Job"]


# With a login -------------------------------------------------------------------------------------------------------


def test_every_page_leads_to_its_own_login_when_there_is_an_issuer(guarded: Graph) -> None:
    assert destinations(guarded) == {"api": ["api"], **{role: [f"login-{role}"] for role in PAGES}}


@every_page
def test_page_is_reached_through_its_login_only_when_policies_are_enforced(guarded: Graph, role: str) -> None:
    name, port = PAGES[role]
    login = pod(guarded, f"login-{role}")
    assert admits(guarded, GATEWAY, login, 4180)
    assert reaches(guarded, login, pod(guarded, name), port)


def test_gateway_reaches_no_page_when_policies_are_enforced(guarded: Graph) -> None:
    names = servers(guarded)
    found = {name for name in names if any(admits(guarded, GATEWAY, pod(guarded, name), port) for port in PORTS)}
    slots = {name for name in names if name.endswith(("-stable", "-candidate-a"))}
    assert found == {"api", *slots, *(f"login-{role}" for role in PAGES)}


@every_page
def test_login_reaches_its_page_and_the_issuer_only_when_policies_are_enforced(guarded: Graph, role: str) -> None:
    login = pod(guarded, f"login-{role}")
    found = {
        name: {port for port in PORTS if reaches(guarded, login, pod(guarded, name), port)} for name in servers(guarded)
    }
    name, port = PAGES[role]
    assert {server: ports for server, ports in found.items() if ports} == {name: {port}}


@every_page
def test_login_comes_back_to_its_own_host_with_tls_when_deployed(guarded: Graph, role: str) -> None:
    arguments = pods.containers_of(guarded.object("Deployment", f"login-{role}"))["login"]["args"]
    host = guarded.stack_outputs["hosts"][role]
    assert f"--redirect-url=https://{host}/oauth2/callback" in arguments
    assert {"--cookie-secure", "--skip-jwt-bearer-tokens", "--bearer-token-login-fallback=false"} <= set(arguments)


def test_logins_share_the_clients_secret_and_no_cookie_when_deployed(guarded: Graph) -> None:
    secrets = [guarded.object("Secret", f"login-{role}").manifest["stringData"] for role in PAGES]
    assert len({secret["client-secret"] for secret in secrets}) == 1
    assert len({secret["cookie-secret"] for secret in secrets}) == len(PAGES)


def test_pods_of_a_login_roll_when_the_clients_secret_changes() -> None:
    given = replace(PIPELINES_WITH_PAGE, added={**PIPELINES_WITH_PAGE.added, "loginSecret": "made by the issuer"})
    graph = given.run(encrypted=("loginSecret",))
    before, after = (
        pods.template_of(item.object("Deployment", "login-mlflow"))["metadata"]["annotations"]["mlplatform.dev/config"]
        for item in (graph_with_login(), graph)
    )
    assert graph.object("Secret", "login-mlflow").manifest["stringData"]["client-secret"] == "made by the issuer"
    assert before != after
    assert "made by the issuer" not in after


def test_programs_learn_whose_tokens_open_pages_when_deployed(guarded: Graph) -> None:
    assert guarded.stack_outputs["login"] == {"issuer": "https://login.example.org", "audience": "programs"}


def test_prometheus_reads_every_login_when_policies_are_enforced(guarded: Graph) -> None:
    for role in PAGES:
        assert reaches(guarded, pod(guarded, "prometheus"), pod(guarded, f"login-{role}"), 44180)


def test_cloud_has_a_login_and_no_console_when_the_store_is_the_clouds(cloud: Graph) -> None:
    assert destinations(cloud) == {"api": ["api"], "mlflow": ["login-mlflow"]}
    assert {item.object_name for item in cloud.of_kind("Deployment") if "login" in item.name} == {"login-mlflow"}
    assert not [item for item in cloud.of_kind("NetworkPolicy") if "minio" in item.name]


# Without ------------------------------------------------------------------------------------------------------------


def test_no_page_has_a_host_a_route_or_a_permission_when_nobody_may_open_it(dev: Graph) -> None:
    assert set(dev.stack_outputs["hosts"]) == {"ml", "api"}
    assert set(destinations(dev)) == {"api"}
    assert "login" not in dev.stack_outputs
    for name, port in (("tracking-server", 5000), ("object-store", 9001)):
        peers = [
            peer
            for item in dev.of_kind("NetworkPolicy")
            if item.name == f"{name}-offer"
            for rule in item.manifest["spec"]["ingress"]
            if port in {entry["port"] for entry in rule["ports"]}
            for peer in rule["from"]
        ]
        assert all("namespaceSelector" not in peer for peer in peers)


def test_pages_are_open_on_one_machine_only_when_stacks_are_compared(local: Graph) -> None:
    assert destinations(local) == {"api": ["api"], "mlflow": ["tracking-server"], "minio": ["object-store"]}
    assert local.stack_outputs["gateway"]["address"].startswith("127.")
    for stack in set(STACKS) - {"local"}:
        assert not {"tracking-server", "object-store", "ml-pipeline-ui"} & {
            host for hosts in destinations(STACKS[stack].run()).values() for host in hosts
        }


# TLS ----------------------------------------------------------------------------------------------------------------


def test_gateway_ends_tls_for_every_host_and_redirects_the_rest_when_it_has_an_issuer(guarded: Graph) -> None:
    plain, secure = guarded.object("Gateway", "platform-gateway").manifest["spec"]["servers"]
    hosts = {f"./{host}" for host in guarded.stack_outputs["hosts"].values()}
    assert set(plain["hosts"]) == set(secure["hosts"]) == hosts
    assert plain["tls"] == {"httpsRedirect": True}
    assert secure["port"] == {"number": 443, "name": "https", "protocol": "HTTPS"}
    assert secure["tls"]["mode"] == "SIMPLE"


def test_certificate_lies_beside_the_gateway_and_covers_every_host_when_deployed(guarded: Graph) -> None:
    (found,) = guarded.of_kind("Certificate")
    gateway = guarded.object("Gateway", "platform-gateway")
    assert found.manifest["metadata"]["namespace"] == "istio-system"
    assert set(found.manifest["spec"]["dnsNames"]) == set(guarded.stack_outputs["hosts"].values())
    assert found.manifest["spec"]["secretName"] == gateway.manifest["spec"]["servers"][1]["tls"]["credentialName"]
    assert found.manifest["spec"]["issuerRef"] == {
        "group": "cert-manager.io",
        "kind": "ClusterIssuer",
        "name": "public",
    }
    assert found.urn in {urn for urns in gateway.property_dependencies.values() for urn in urns}
    schemas.check_custom(found.manifest)
    schemas.check_custom(gateway.manifest)


def test_certificate_fails_the_check_when_a_field_is_misspelt(guarded: Graph) -> None:
    manifest = guarded.of_kind("Certificate")[0].manifest
    manifest["spec"]["dnsName"] = manifest["spec"].pop("dnsNames")
    with pytest.raises(schemas.SchemaViolationError, match="dnsName"):
        schemas.check_custom(manifest)


def test_stickiness_follows_the_port_at_which_the_gateway_routes_when_it_ends_tls(guarded: Graph, dev: Graph) -> None:
    for graph, port in ((guarded, 443), (dev, 80)):
        names = {
            patch["match"]["routeConfiguration"]["vhost"]["name"]
            for item in graph.of_kind("EnvoyFilter")
            for patch in item.manifest["spec"]["configPatches"]
        }
        assert names == {f"ml.freedeepresearch.org:{port}"}


def test_browsers_are_told_to_use_tls_where_there_is_some_when_deployed(guarded: Graph, cloud: Graph) -> None:
    for graph in (guarded, cloud):
        routes = [item for item in graph.of_kind("VirtualService") if item.name.startswith("platform-gateway-")]
        assert routes
        for item in routes:
            (http,) = item.manifest["spec"]["http"]
            assert http["headers"]["response"]["set"] == {"strict-transport-security": "max-age=2592000"}
            schemas.check_custom(item.manifest)


def test_commands_learn_whether_there_is_tls_when_deployed(guarded: Graph, cloud: Graph, dev: Graph) -> None:
    assert guarded.stack_outputs["gateway"]["tls"] is True
    assert cloud.stack_outputs["gateway"]["tls"] is True
    assert "tls" not in dev.stack_outputs["gateway"]


def test_local_is_plain_when_deployed(local: Graph) -> None:
    (server,) = local.object("Gateway", "platform-gateway").manifest["spec"]["servers"]
    assert server["port"]["protocol"] == "HTTP"
    assert "tls" not in server
    assert not local.of_kind("Certificate")


# What is installed before -------------------------------------------------------------------------------------------


@functools.cache
def graph_with_grafana() -> Graph:
    states = {"certManager": "install", "prometheusStack": "install"}
    return replace(PIPELINES_WITH_PAGE, added={**PIPELINES_WITH_PAGE.added, "prerequisites": states}).run()


def test_mesh_is_installed_before_the_platform_where_the_cluster_is_the_stacks_own(cloud: Graph) -> None:
    (platform,) = cloud.of_type("mlplatform:index:MlPlatform")
    releases = {
        str(item.inputs["name"]): item
        for item in cloud.of_type("kubernetes:helm.sh/v3:Release")
        if "prerequisites" in item.name
    }
    assert set(releases) == {"istio-base", "istiod", "istio-ingressgateway", "keda"}
    assert releases["keda"].urn in platform.depends_on
    assert releases["istio-ingressgateway"].urn in platform.depends_on
    ports = reveal(dict(releases["istio-ingressgateway"].inputs))["values"]["service"]["ports"]
    (target,) = cloud.of_type("aws:lb/targetGroup:TargetGroup")
    assert target.inputs["port"] in [port.get("nodePort") for port in ports]


def test_nothing_is_installed_where_the_mesh_is_expected_to_be_there(given: Graph) -> None:
    assert not given.of_type("mlplatform:index:Prerequisites")
    assert given.stack_outputs["prerequisites"]["istio"] == "present"


def test_grafana_is_a_page_like_the_others_where_it_is_installed() -> None:
    graph = graph_with_grafana()
    login = pod(graph, "login-grafana")
    assert destinations(graph)["grafana"] == ["login-grafana"]
    arguments = pods.containers_of(graph.object("Deployment", "login-grafana"))["login"]["args"]
    assert "--upstream=http://kube-prometheus-stack-grafana.monitoring.svc.cluster.local:3000/" in arguments
    grafana = (
        "monitoring",
        {"app.kubernetes.io/name": "grafana", "app.kubernetes.io/instance": "kube-prometheus-stack"},
    )
    assert admits(graph, grafana, pod(graph, "prometheus"), 9090)
    assert not admits(graph, grafana, pod(graph, "tracking-server"), 5000)
    assert not admits(graph, grafana, login, 4180)


def test_certificates_can_be_asked_for_when_cert_manager_is_installed_first() -> None:
    graph = graph_with_grafana()
    (platform,) = graph.of_type("mlplatform:index:MlPlatform")
    (manager,) = [
        item for item in graph.of_type("kubernetes:helm.sh/v3:Release") if item.inputs["name"] == "cert-manager"
    ]
    assert manager.urn in platform.depends_on
