from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from ml.cli.addresses import directory
from ml.cli.components import component_names
from ml.cli.connection import Connection
from ml.cli.errors import UserError
from ml.cli.http import gateway_endpoint
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import parse_outputs
from ml.cli.verify.plan import plan_checks
from tests.unit.cli.platform import OUTPUTS


def test_every_output_is_read_when_all_are_there() -> None:
    outputs = parse_outputs(OUTPUTS)
    assert outputs.namespace == "research"
    assert outputs.hosts["mlflow"] == "mlflow.example.org"
    assert outputs.models["content_quality_model"].slots["stable"].alias == "champion"
    assert outputs.metadata_db.consumers == {"mlflow": "metadata-db-mlflow"}
    assert outputs.object_store is not None
    assert outputs.object_store.consumers["mlflow"].bucket == "mlflow-artifacts"
    assert outputs.training.service_account == "training"
    assert outputs.controller == "experiment-controller"


def test_stable_slot_comes_first_when_the_engine_has_sorted_the_names() -> None:
    model = OUTPUTS["models"]["content_quality_model"]
    slots = dict.fromkeys(("candidate-b", "candidate-a", "stable"), model["slots"]["stable"])
    found = parse_outputs({**OUTPUTS, "models": {"m": {**model, "slots": slots}}})
    assert list(found.models["m"].slots) == ["stable", "candidate-a", "candidate-b"]


def test_gateway_address_may_be_unknown_when_the_cluster_gives_it_later() -> None:
    assert parse_outputs({**OUTPUTS, "gateway": {**OUTPUTS["gateway"], "address": ""}}).gateway.address == ""


def test_all_problems_are_named_with_their_path_when_several_outputs_are_wrong() -> None:
    broken: dict[str, Any] = copy.deepcopy(OUTPUTS)
    del broken["namespace"]
    broken["metadataDb"]["port"] = "5432"
    broken["models"]["content_quality_model"]["slots"]["stable"] = None
    del broken["hosts"]["api"]
    with pytest.raises(UserError) as caught:
        parse_outputs(broken)
    for path in (
        "`namespace`",
        "`metadataDb.port`",
        "`models.content_quality_model.slots.stable.`",
        "`hosts.api`",
    ):
        assert path in caught.value.what


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_outputs_are_refused_when_they_are_no_object(value: object) -> None:
    with pytest.raises(UserError, match="not what this `mlp` expects"):
        parse_outputs(value)


def test_store_of_the_cloud_needs_neither_service_nor_console_when_it_is_s3() -> None:
    hosts = {role: host for role, host in OUTPUTS["hosts"].items() if role != "minio"}
    store = {"kind": "s3", "region": "eu-central-1", "consumers": {"mlflow": {"bucket": "artifacts"}}}
    outputs = parse_outputs({**OUTPUTS, "hosts": hosts, "objectStore": store})
    assert outputs.object_store is None
    assert "object-store" not in component_names(outputs)
    connection = Connection(stack="prod", project_dir=Path(), environment={}, context=None)
    checks = plan_checks(Kubectl(connection), outputs, "token")
    assert {"tracking-server", "gateway"} <= {check.component for check in checks}
    assert not any("minio" in check.what for check in checks)


def test_pages_are_neither_checked_nor_shown_when_nobody_may_open_them() -> None:
    hosts = {role: host for role, host in OUTPUTS["hosts"].items() if role in {"ml", "api"}}
    outputs = parse_outputs({**OUTPUTS, "hosts": hosts})
    connection = Connection(stack="dev", project_dir=Path(), environment={}, context=None)
    checks = plan_checks(Kubectl(connection), outputs, "token")
    assert not any(check.what.startswith("open ") for check in checks)
    shown = asyncio.run(directory(Kubectl(connection), outputs, show_secrets=False))
    assert {"MLflow", "object store console"}.isdisjoint(address.name for address in shown.addresses)


def tunnels(**changes: Any) -> Mapping[str, str]:
    """Return the tunnels of a stack whose outputs were changed; None takes one away."""
    outputs = {key: value for key, value in {**OUTPUTS, **changes}.items() if value is not None}
    connection = Connection(stack="dev", project_dir=Path(), environment={}, context=None)
    return asyncio.run(directory(Kubectl(connection), parse_outputs(outputs), show_secrets=False)).tunnels


def test_way_to_the_alerts_is_shown_when_prometheus_is_there() -> None:
    ((name, command),) = [(name, command) for name, command in tunnels().items() if name.startswith("Prometheus")]
    assert "/alerts" in name
    assert command.endswith("port-forward --namespace research service/prometheus 9090")


def test_other_tunnels_are_shown_when_a_stack_from_before_does_not_tell_of_prometheus() -> None:
    assert set(tunnels(prometheus=None)) == {"PostgreSQL", "S3"}


def test_port_of_prometheus_is_missed_when_it_is_no_number() -> None:
    with pytest.raises(UserError, match=r"`prometheus\.port` is missing or not a number"):
        parse_outputs({**OUTPUTS, "prometheus": {"service": "prometheus"}})


def test_mlflow_has_a_tunnel_only_when_no_host_leads_to_it() -> None:
    assert "MLflow" not in tunnels()
    closed = {role: host for role, host in OUTPUTS["hosts"].items() if role in {"ml", "api"}}
    assert tunnels(hosts=closed)["MLflow"].endswith("port-forward --namespace research service/tracking-server 5000")


def test_login_is_asked_in_place_of_the_page_when_there_is_one() -> None:
    outputs = parse_outputs({**OUTPUTS, "login": {"issuer": "https://login.example.org", "audience": "mlplatform"}})
    connection = Connection(stack="dev", project_dir=Path(), environment={}, context=None)
    paths = {
        cast("partial[Any]", check.run).args[2]
        for check in plan_checks(Kubectl(connection), outputs, "token")
        if check.what.startswith("open ")
    }
    assert paths == {"/ping"}


RDS = {
    "kind": "rds",
    "host": "one-metadata-db.abc.eu-central-1.rds.amazonaws.com",
    "port": 5432,
    "adminSecret": "metadata-db-admin",
    "consumers": {"mlflow": "metadata-db-mlflow", "events": "metadata-db-events"},
}


def test_database_of_the_cloud_has_neither_logs_nor_tunnel_when_it_is_rds() -> None:
    outputs = parse_outputs({**OUTPUTS, "metadataDb": RDS})
    assert (outputs.metadata_db.service, outputs.metadata_db.host) == ("", RDS["host"])
    assert "metadata-db" not in component_names(outputs)
    connection = Connection(stack="prod", project_dir=Path(), environment={}, context=None)
    checks = {check.what: check for check in plan_checks(Kubectl(connection), outputs, "token")}
    for consumer in ("mlflow", "events"):
        check = checks[f"write and read a row as {consumer}"]
        assert check.component == "metadata-db"
        assert not check.has_logs


def test_database_has_a_tunnel_and_no_administrator_when_an_operator_runs_it() -> None:
    secrets = {"mlflow": "metadata-db-mlflow", "events": "metadata-db-events"}
    cluster = {"kind": "cloudNativePg", "service": "metadata-db-rw", "port": 5432, "consumers": secrets}
    outputs = parse_outputs({**OUTPUTS, "metadataDb": cluster})
    assert outputs.metadata_db.host == "metadata-db-rw"
    assert "metadata-db" not in component_names(outputs)
    connection = Connection(stack="dev", project_dir=Path(), environment={}, context=None)
    shown = asyncio.run(directory(Kubectl(connection), outputs, show_secrets=False))
    assert "service/metadata-db-rw 5432" in shown.tunnels["PostgreSQL"]
    assert "PostgreSQL administrator" not in {credential.name for credential in shown.credentials}
    checks = [check for check in plan_checks(Kubectl(connection), outputs, "token") if "write and read" in check.what]
    assert {(check.component, check.has_logs) for check in checks} == {("metadata-db", False)}


def test_address_of_the_database_is_missed_when_the_cloud_runs_it() -> None:
    without = {key: value for key, value in RDS.items() if key != "host"}
    with pytest.raises(UserError, match=r"`metadataDb\.host` is missing"):
        parse_outputs({**OUTPUTS, "metadataDb": without})


def test_hosts_are_asked_with_tls_and_by_their_own_names_when_there_is_some() -> None:
    outputs = parse_outputs({**OUTPUTS, "gateway": {**OUTPUTS["gateway"], "tls": True}})
    assert outputs.gateway.tls
    assert gateway_endpoint(outputs, "ml").url == "https://ml.example.org"
    connection = Connection(stack="prod", project_dir=Path(), environment={}, context=None)
    shown = asyncio.run(directory(Kubectl(connection), outputs, show_secrets=False))
    assert shown.scheme == "https"
    assert all(address.url.startswith("https://") for address in shown.addresses)
    assert all("Host:" not in address.curl for address in shown.addresses)
    plain = gateway_endpoint(parse_outputs(OUTPUTS), "ml")
    assert plain.url == f"http://{OUTPUTS['gateway']['address']}"


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("10.0.0.7:8080", "10.0.0.7 mlflow.example.org"),
        ("10.0.0.7", "10.0.0.7 mlflow.example.org"),
        ("[2001:db8::7]:443", "2001:db8::7 mlflow.example.org"),
        ("lb-1.elb.example.com", ""),
        ("lb-1.elb.example.com:443", ""),
        ("[nonsense", ""),
        (None, ""),
    ],
)
def test_line_for_the_hosts_file_is_shown_when_the_address_is_one_that_it_may_hold(
    address: str | None, line: str
) -> None:
    outputs = parse_outputs({**OUTPUTS, "gateway": {**OUTPUTS["gateway"], "address": address}})
    connection = Connection(stack="prod", project_dir=Path(), environment={}, context=None)
    shown = asyncio.run(directory(Kubectl(connection), outputs, show_secrets=False))
    assert shown.hosts_line.startswith(line)
    assert bool(shown.hosts_line) == bool(line)
    assert ("/etc/hosts" in "\n".join(shown.as_lines())) == bool(line)
