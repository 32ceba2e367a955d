"""The pipeline service: what its programs are told.

Does not prove that they understand it: none of Kubeflow's images can be pulled here. Who reaches whom, and what differs
between stacks, is in tests/stack/test_pipelines.py.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components._pipelines.database import DATABASES, account_statements
from components._workload import script
from components.pipeline_definitions import PipelineDefinitions
from components.pipeline_service import PipelineService
from tests.support import catalogue_values, pods
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Graph, Recorded

STORE = "s3.research.svc.cluster.local:9000"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return declare_one(PipelineService, instance="kubeflow")


def config_of(graph: Graph, role: str) -> dict[str, str]:
    (config,) = [item for item in graph.of_kind("ConfigMap") if item.name == f"kubeflow-{role}"]
    return config.manifest["data"]


def deployment(graph: Graph, role: str) -> Recorded:
    return graph.object("Deployment", f"kubeflow-{role}")


def secret(graph: Graph, name: str) -> dict[str, str]:
    (item,) = [item for item in graph.of_kind("Secret") if item.object_name == name]
    return item.manifest["stringData"]


# The API ------------------------------------------------------------------------------------------------------------


def test_configuration_replaces_the_one_that_reports_runs_to_a_foreign_mlflow(graph: Graph) -> None:
    server = pods.containers_of(deployment(graph, "ml-pipeline"))["server"]
    files = config_of(graph, "ml-pipeline-config")
    configuration = json.loads(files["config.json"])
    assert "plugins" not in {key.lower() for key in configuration}
    assert "mlflow" not in files["config.json"].lower()
    assert {"name": "config", "mountPath": "/config", "readOnly": True} in server["volumeMounts"]
    assert server["args"][0] == "--config=/config"
    assert configuration["DBDriverName"] == "mysql"
    assert configuration["DefaultPipelineRunnerServiceAccount"] == "pipeline-runner"


def test_no_tutorial_is_loaded_when_the_api_starts(graph: Graph) -> None:
    assert json.loads(config_of(graph, "ml-pipeline-config")["sample_config.json"])["pipelines"] == []


@pytest.mark.parametrize(("cache", "expected"), [(True, "true"), (False, "false")])
def test_steps_are_cached_when_the_setting_says_so(cache: bool, expected: str) -> None:
    files = config_of(declare_one(PipelineService, instance="kubeflow", cache=cache), "ml-pipeline-config")
    assert json.loads(files["config.json"])["CacheEnabled"] == expected


def test_runs_wait_for_their_turn_when_the_setting_limits_them(graph: Graph) -> None:
    """The controller reads a value of one line as it stands, and one of several as what stands below its key."""
    assert config_of(graph, "workflow-controller-config")["parallelism"] == "7"
    unlimited = declare_one(PipelineService, instance="kubeflow", parallel_runs=None)
    assert "parallelism" not in config_of(unlimited, "workflow-controller-config")


def test_variables_that_service_links_would_bring_are_given_when_links_are_off(graph: Graph) -> None:
    api = pods.env_of(pods.containers_of(deployment(graph, "ml-pipeline"))["server"])
    assert api["METADATA_GRPC_SERVICE_SERVICE_HOST"] == "metadata-grpc-service"
    assert api["ML_PIPELINE_VISUALIZATIONSERVER_SERVICE_HOST"]
    page = pods.env_of(pods.containers_of(deployment(graph, "ml-pipeline-ui"))["page"])
    assert page["ML_PIPELINE_SERVICE_HOST"] == "ml-pipeline"
    assert page["METADATA_ENVOY_SERVICE_SERVICE_HOST"] == "metadata-envoy-service"


def test_passwords_come_from_secrets_and_by_no_argument_when_declared(graph: Graph) -> None:
    for item in pods.workloads(graph):
        for container in pods.containers_of(item).values():
            words = " ".join(str(word) for word in [*container["command"], *container.get("args", [])])
            assert not re.search(r"password=|secret=|\$\(.*PASSWORD\)", words), item.name
            for name, value in pods.env_of(container).items():
                if re.search(r"PASSWORD|_KEY$|ACCESSKEY|SECRET", name):
                    assert "secretKeyRef" in value, name


def test_pods_are_replaced_when_what_they_read_at_their_start_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    def annotations(**changes: Any) -> dict[str, object]:
        changed = declare_one(PipelineService, instance="kubeflow", **changes)
        return {
            item.object_name: pods.template_of(item)["metadata"]["annotations"]
            for item in pods.workloads(changed)
            if "annotations" in pods.template_of(item)["metadata"]
        }

    before = annotations(cache=True)
    without_cache = annotations(cache=False)
    assert {name for name in before if without_cache[name] != before[name]} == {"ml-pipeline"}
    monkeypatch.setattr(catalogue_values, "MASTER_SECRET", "another master secret of component tests")
    renewed = annotations(cache=True)
    changed = {name for name in before if renewed[name] != before[name]}
    assert changed == {"mysql", "ml-pipeline", "metadata-grpc-service"}


# The store ----------------------------------------------------------------------------------------------------------


def test_steps_find_the_platforms_object_store_when_they_run(graph: Graph) -> None:
    launcher = config_of(graph, "kfp-launcher")
    assert launcher["defaultPipelineRoot"] == "minio://runs/v2/artifacts"
    provider = yaml.safe_load(launcher["providers"])["minio"]["default"]
    assert provider["endpoint"] == STORE
    assert provider["disableSSL"] is True
    assert provider["credentials"] == {
        "fromEnv": False,
        "secretRef": {
            "secretName": "mlpipeline-minio-artifact",
            "accessKeyKey": "accesskey",
            "secretKeyKey": "secretkey",
        },
    }


def test_controller_and_page_agree_where_logs_are_when_declared(graph: Graph) -> None:
    repository = yaml.safe_load(config_of(graph, "workflow-controller-config")["artifactRepository"])
    page = pods.env_of(pods.containers_of(deployment(graph, "ml-pipeline-ui"))["page"])
    assert repository["archiveLogs"] is True
    assert repository["s3"]["endpoint"] == STORE
    assert repository["s3"]["bucket"] == page["ARGO_ARCHIVE_BUCKETNAME"] == "runs"
    assert repository["s3"]["keyFormat"] == page["ARGO_KEYFORMAT"]


# Workflows ----------------------------------------------------------------------------------------------------------


def test_controller_reads_its_own_configuration_and_offers_metrics_without_tls(graph: Graph) -> None:
    assert "--configmap" in pods.containers_of(deployment(graph, "workflow-controller"))["controller"]["args"]
    (config,) = [item for item in graph.of_kind("ConfigMap") if item.name == "kubeflow-workflow-controller-config"]
    assert config.urn in deployment(graph, "workflow-controller").depends_on
    metrics = yaml.safe_load(config.manifest["data"]["metricsConfig"])
    assert metrics == {"enabled": True, "path": "/metrics", "port": 9090, "secure": False}


def test_every_pod_of_a_run_is_restricted_when_its_author_says_nothing(graph: Graph) -> None:
    config = config_of(graph, "workflow-controller-config")
    for key in ("executor", "mainContainer"):
        security = yaml.safe_load(config[key])["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    spec = yaml.safe_load(config["workflowDefaults"])["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["serviceAccountName"] == "pipeline-runner"


# Metadata -----------------------------------------------------------------------------------------------------------


def test_metadata_store_reads_its_password_from_a_file_when_it_starts(graph: Graph) -> None:
    store = deployment(graph, "metadata-grpc-service")
    (content,) = secret(graph, "metadata-grpc-service").values()
    assert re.search(
        r'mysql \{ host: "mysql" port: 3306 database: "metadb" user: "metadata" password: "\w{64}" \}', content
    )
    container = pods.containers_of(store)["store"]
    file = next(word for word in container["args"] if "config_file" in word).partition("=")[2]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "config"]
    assert file == f"{mount['mountPath']}/{next(iter(secret(graph, 'metadata-grpc-service')))}"
    # A file that cannot be read would make it keep everything in memory.
    (volume,) = [item for item in pods.template_of(store)["spec"]["volumes"] if item["name"] == "config"]
    assert volume["secret"]["defaultMode"] == 0o440
    assert pods.template_of(store)["spec"]["securityContext"]["fsGroup"] == 1000


def test_nobody_outside_administers_the_proxy_when_it_runs(graph: Graph) -> None:
    configuration = yaml.safe_load(config_of(graph, "metadata-envoy-service-config")["envoy.yaml"])
    assert configuration["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"
    paths = {
        route["match"].get("path") or f"{route['match']['prefix']}*": route["route"]["cluster"]
        for listener in configuration["static_resources"]["listeners"]
        for chain in listener["filter_chains"]
        for host in chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
        for route in host["routes"]
    }
    assert paths == {"/ready": "admin", "/stats/prometheus": "admin", "/ml_metadata.*": "metadata"}


# The database -------------------------------------------------------------------------------------------------------


def test_each_account_may_use_its_own_database_and_no_other_when_set() -> None:
    statements = account_statements("a" * 64, {"pipelines": "b" * 64, "metadata": "c" * 64}).splitlines()
    grants = [line for line in statements if line.startswith("GRANT")]
    assert grants == [f"GRANT ALL PRIVILEGES ON {database}.* TO '{user}'@'%';" for user, database in DATABASES.items()]
    assert [line for line in statements if "a" * 64 in line] == [
        f"ALTER USER 'root'@'localhost' IDENTIFIED WITH mysql_native_password BY '{'a' * 64}';"
    ]
    assert all(line.endswith(";") for line in statements), "the server reads a statement per line"


def test_accounts_of_the_database_are_those_of_its_users_when_derived(graph: Graph) -> None:
    statements = secret(graph, "mysql-accounts")["accounts.sql"]
    assert secret(graph, "ml-pipeline-database")["password"] in statements
    (content,) = secret(graph, "metadata-grpc-service").values()
    assert re.search(r'password: "(\w+)"', content)[1] in statements  # pyright: ignore[reportOptionalSubscript]


def test_server_allows_the_password_scheme_of_the_metadata_store_when_it_starts(graph: Graph) -> None:
    server = pods.containers_of(graph.object("StatefulSet", "kubeflow-mysql"))["server"]
    assert "--mysql-native-password=ON" in pods.env_of(server)["OPTIONS"].split()


# A stand-in for MySQL, which no package registry has: it makes a folder as the real one does, or is killed before.
_STAND_IN = """#!/bin/sh
printf '%s\\n' "$*" >>"$CALLS"
for word in "$@"; do
  case "$word" in --datadir=*) folder=${word#--datadir=} ;; esac
done
case "$*" in
  *--initialize-insecure*)
    mkdir "$folder" || exit 1
    [ -z "${KILLED:-}" ] || kill -9 $$
    echo complete >"$folder/state"
    ;;
  *) cat "$folder/state" ;;
esac
"""


def start_database(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    tool = tools / "mysqld"
    tool.write_text(_STAND_IN, encoding="utf-8")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    (folder / "volume").mkdir(exist_ok=True)
    return subprocess.run(
        ["sh", "-c", script("pipeline_database_start.sh")],
        env={
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "CALLS": str(folder / "calls"),
            "VOLUME_DIR": str(folder / "volume"),
            "ACCOUNTS_FILE": "/accounts.sql",
            "OPTIONS": "--one --two",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_database_is_made_once_when_it_starts_twice(tmp_path: Path) -> None:
    for _ in range(2):
        done = start_database(tmp_path)
        assert (done.returncode, done.stdout) == (0, "complete\n"), done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    data = f"{tmp_path}/volume/data"
    serve = f"--no-defaults --datadir={data} --init-file=/accounts.sql --one --two"
    assert calls == [f"--no-defaults --initialize-insecure --datadir={data}.new --one --two", serve, serve]


def test_half_made_database_is_made_anew_when_the_pod_was_killed(tmp_path: Path) -> None:
    killed = start_database(tmp_path, KILLED="yes")
    assert killed.returncode != 0
    done = start_database(tmp_path)
    assert (done.returncode, done.stdout) == (0, "complete\n"), done.stderr
    assert [entry.name for entry in (tmp_path / "volume").iterdir()] == ["data"]


# Definitions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protect", [True, False])
def test_definitions_stay_when_a_protected_stack_is_removed(protect: bool) -> None:
    definitions = declare_one(PipelineDefinitions, instance="definitions", protect=protect).kubernetes_objects()
    assert {item.retain_on_delete for item in definitions} == {protect}
    assert {item.object_name for item in definitions} == {
        "clusterworkflowtemplates.argoproj.io",
        "cronworkflows.argoproj.io",
        "scheduledworkflows.kubeflow.org",
        "workflowartifactgctasks.argoproj.io",
        "workflows.argoproj.io",
        "workflowtaskresults.argoproj.io",
        "workflowtasksets.argoproj.io",
        "workflowtemplates.argoproj.io",
    }
