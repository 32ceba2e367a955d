"""`mlp render`: tree, manifests, counts, difference and cost, from lines as `policies.render` writes them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ml.cli.app import app
from ml.cli.errors import UserError
from ml.cli.render import graph, prices, revisions, table
from ml.cli.render.cost import estimate
from ml.cli.render.difference import compare
from ml.cli.render.graph import Rendered, parse
from ml.cli.render.manifests import manifests
from ml.cli.render.tree import counts, tree
from ml.cli.render.workload import demanded, disks_gib

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
PLATFORM = "mlplatform:index:MlPlatform"


def line(kind: str, name: str, inputs: dict[str, Any], *, stack: str = "one", chain: str = PLATFORM) -> dict[str, Any]:
    prefix = f"urn:pulumi:{stack}::mlplatform::"
    return {
        "type": kind,
        "name": name,
        "urn": f"{prefix}{chain}${kind}::{name}" if chain else f"{prefix}{kind}::{name}",
        "parent": f"{prefix}{chain}::platform" if chain else f"{prefix}pulumi:pulumi:Stack::mlplatform-{stack}",
        "custom": not kind.startswith("mlplatform:"),
        "protect": name == "data",
        "inputs": inputs,
    }


def deployment(replicas: int = 2, **requests: str) -> dict[str, Any]:
    container = {"name": "server", "resources": {"requests": requests or {"cpu": "500m", "memory": "1Gi"}}}
    spec = {"replicas": replicas, "template": {"spec": {"containers": [container]}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}, "spec": spec}


def stack(*lines: dict[str, Any], title: str = "one") -> Rendered:
    head = line(PLATFORM, "platform", {}, stack=title, chain="")
    return parse("\n".join(json.dumps(item) for item in (head, *lines)), title)


SMALL = stack(
    line("kubernetes:apps/v1:Deployment", "api", deployment()),
    line("kubernetes:core/v1:Secret", "data", {"kind": "Secret", "metadata": {"name": "data-keys"}}),
)


def test_tree_shows_components_names_and_protection_when_drawn() -> None:
    assert tree(SMALL) == [
        "one",
        "└─ MlPlatform platform",
        "   ├─ Deployment api",
        "   └─ Secret data (data-keys) [protected]",
    ]


def test_counts_are_by_kind_and_leave_out_components_when_taken() -> None:
    found = counts(SMALL)
    assert found["resources"] == 2
    assert found["components"] == 1
    assert found["kubernetes"] == 2
    assert found["kinds"] == {"kubernetes Deployment": 1, "kubernetes Secret": 1}


def test_manifests_are_yaml_documents_with_words_for_the_unknown_when_written() -> None:
    rendered = stack(
        line("kubernetes:core/v1:ConfigMap", "b", {"data": {"id": UNKNOWN}, "kind": "ConfigMap", "apiVersion": "v1"})
    )
    text = manifests(rendered)
    (document,) = yaml.safe_load_all(text)
    assert document == {"apiVersion": "v1", "kind": "ConfigMap", "data": {"id": "(known after the update)"}}
    assert text.index("apiVersion") < text.index("data")


def test_difference_names_paths_when_one_resource_changes() -> None:
    other = stack(
        line("kubernetes:apps/v1:Deployment", "api", deployment(replicas=3), stack="two"),
        line("kubernetes:core/v1:Service", "api", {"kind": "Service"}, stack="two"),
        title="two",
    )
    found = compare(SMALL, other)
    assert [item.name for item in found.removed] == ["data"]
    assert [item.kind for item in found.added] == ["Service"]
    (change,) = found.changed
    assert dict(change.paths) == {"spec.replicas": ("2", "3")}
    assert found.lines()[-1] == "1 added, 1 removed, 1 changed"
    assert found.as_data()["changed"] == {change.item.key: {"spec.replicas": ("2", "3")}}


def test_difference_is_empty_when_nothing_changes() -> None:
    assert compare(SMALL, SMALL).lines() == ["from one to one", "0 added, 0 removed, 0 changed"]


def test_difference_shows_list_items_and_what_is_missing_when_lists_grow() -> None:
    before = stack(line("kubernetes:core/v1:ConfigMap", "m", {"kind": "ConfigMap", "list": [1]}))
    after = stack(line("kubernetes:core/v1:ConfigMap", "m", {"kind": "ConfigMap", "list": [1, 2], "new": True}))
    (change,) = compare(before, after).changed
    assert dict(change.paths) == {"list[1]": ("(nothing)", "2"), "new": ("(nothing)", "true")}


def test_names_that_nobody_chose_do_not_count_when_compared() -> None:
    def mounted(name: str) -> Rendered:
        return stack(line("kubernetes:core/v1:Pod", "p", {"kind": "Pod", "spec": {"config": name}}))

    assert compare(mounted("config-0123abcd"), mounted("config-4567cdef")).changed == []
    assert len(compare(mounted("config-0123abcd"), mounted("settings-0123abcd")).changed) == 1


# Cost ---------------------------------------------------------------------------------------------------------------

PROVIDER = line("pulumi:providers:aws", "aws", {"region": "eu-central-1"}, chain="")


def cluster() -> dict[str, Any]:
    return line("aws:eks/cluster:Cluster", "cluster", {})


def nodes(count: int, kind: str = "m7i.large") -> dict[str, Any]:
    return line("aws:eks/nodeGroup:NodeGroup", "system", {"instanceTypes": [kind], "scalingConfig": {"minSize": count}})


def pool(name: str, families: list[str], gpus: int = 0) -> dict[str, Any]:
    requirements = [
        {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": families},
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
    ]
    if gpus:
        requirements.append({"key": "karpenter.k8s.aws/instance-gpu-count", "operator": "In", "values": [str(gpus)]})
    spec = {"template": {"spec": {"requirements": requirements}}, "limits": {"nvidia.com/gpu": "4"} if gpus else {}}
    return line(
        "kubernetes:karpenter.sh/v1:NodePool", name, {"kind": "NodePool", "metadata": {"name": name}, "spec": spec}
    )


def monthly(rendered: Rendered) -> dict[str, float]:
    return {item.what: round(item.monthly_usd, 2) for item in estimate(rendered, prices.load()).lines}


def database(kind: str, *, zones: int) -> dict[str, Any]:
    inputs = {"instanceClass": kind, "multiAz": zones > 1, "allocatedStorage": 100, "maxAllocatedStorage": 500}
    return line("aws:rds/instance:Instance", "metadata-db", inputs)


def test_database_is_paid_in_every_zone_that_it_is_in_when_declared() -> None:
    alarm = line("aws:cloudwatch/metricAlarm:MetricAlarm", "storage", {})
    one = monthly(stack(PROVIDER, database("db.m6g.large", zones=1)))
    two = monthly(stack(PROVIDER, database("db.m6g.large", zones=2), alarm))
    assert one == {
        "metadata-db, db.m6g.large in 1 zone": 137.24,
        "storage of metadata-db, db.m6g.large in 1 zone": 13.7,
    }
    assert two == {
        "metadata-db, db.m6g.large in 2 zones": 274.48,
        "storage of metadata-db, db.m6g.large in 2 zones": 27.4,
        "alarms": 0.1,
    }


def test_database_is_named_when_its_class_has_no_price() -> None:
    found = estimate(stack(PROVIDER, database("db.r6g.16xlarge", zones=2)), prices.load())
    assert found.unpriced == ("metadata-db: no price of db.r6g.16xlarge in eu-central-1",)
    assert "metadata-db is priced with 100 GiB and grows to 500; backups beyond its size cost more" in found.notes


def test_control_plane_and_managed_nodes_are_paid_for_the_whole_month_when_declared() -> None:
    found = monthly(stack(PROVIDER, cluster(), nodes(2)))
    assert found == {"control plane": 73.0, "managed nodes, 2 x m7i.large": round(2 * 730 * 0.1208, 2)}


def test_pods_need_more_nodes_only_when_they_do_not_fit() -> None:
    api = line("kubernetes:apps/v1:Deployment", "api", deployment(replicas=2))
    large = line("kubernetes:apps/v1:Deployment", "api", deployment(replicas=4, cpu="1500m", memory="2Gi"))
    assert "nodes of pool cpu, 1 x m7i.large" not in monthly(stack(PROVIDER, nodes(2), pool("cpu", ["m7i"]), api))
    # 6 cores asked for, 2 x 2 x 0.85 = 3.4 there, 2.6 left: two more of 1.7.
    assert "nodes of pool cpu, 2 x m7i.large" in monthly(stack(PROVIDER, nodes(2), pool("cpu", ["m7i"]), large))


def test_gpus_cost_only_the_assumed_hours_when_idle() -> None:
    rendered = stack(PROVIDER, pool("gpu-l4", ["g6"], gpus=1))
    found = estimate(rendered, prices.load())
    (one,) = found.lines
    assert one.assumed
    assert one.amount == prices.load().assumed["gpu_hours"]
    assert any("costs nothing while idle" in note for note in found.notes)


def test_missing_price_is_named_instead_of_counted_as_nothing_when_unknown() -> None:
    found = estimate(stack(PROVIDER, nodes(1, "x9z.large"), pool("gpu", ["p5"], gpus=8)), prices.load())
    assert found.lines == ()
    assert any("x9z.large" in text for text in found.unpriced)
    assert any("8 GPUs" in text for text in found.unpriced)


def test_cluster_of_somebody_else_costs_nothing_that_we_could_say_when_estimated() -> None:
    found = estimate(SMALL, prices.load())
    assert (found.lines, found.monthly_usd) == ((), 0)
    assert "somebody else's" in found.notes[0]


def test_demand_counts_replicas_and_disks_when_summed() -> None:
    claim = {"spec": {"resources": {"requests": {"storage": "20Gi"}}}}
    database = {
        "kind": "StatefulSet",
        "spec": {**deployment(replicas=1)["spec"], "volumeClaimTemplates": [claim]},
    }
    rendered = stack(
        line("kubernetes:apps/v1:Deployment", "api", deployment()),
        line("kubernetes:apps/v1:StatefulSet", "db", database),
    )
    assert demanded(rendered).cpus == pytest.approx(1.5)
    assert demanded(rendered).memory_gib == pytest.approx(3)
    assert disks_gib(rendered) == pytest.approx(20)


@pytest.mark.parametrize(
    ("kind", "field"), [("ScaledObject", "minReplicaCount"), ("HorizontalPodAutoscaler", "minReplicas")]
)
def test_demand_counts_the_fewest_pods_when_an_autoscaler_decides(kind: str, field: str) -> None:
    server = deployment()
    del server["spec"]["replicas"]
    scaler = {"kind": kind, "metadata": {"name": "api"}, "spec": {field: 3}}
    declared = line("kubernetes:apps/v1:Deployment", "api", server)
    assert demanded(stack(declared, line(f"kubernetes:x:{kind}", "api", scaler))).cpus == pytest.approx(1.5)
    assert demanded(stack(declared)).cpus == pytest.approx(0.5)


def test_every_price_is_dated_positive_and_says_where_it_is_from_when_loaded() -> None:
    loaded = prices.load()
    assert loaded.date.isoformat() >= "2026-11-01"
    everything = [*loaded.machines.values(), *loaded.prices.values()]
    assert len(everything) >= 20
    assert all(len(item.source) > 10 for item in everything)
    assert all(item.usd > 0 for item in loaded.prices.values())
    assert all(machine.hourly_usd > 0 and machine.cpus > 0 for machine in loaded.machines.values())


def test_estimate_as_data_adds_up_when_read_by_a_program() -> None:
    data = table.as_data(estimate(stack(PROVIDER, cluster(), nodes(2)), prices.load()))
    assert data["monthly"] == pytest.approx(sum(item["monthly"] for item in data["lines"]))
    assert data["pricesOf"] == prices.load().date.isoformat()


# The command --------------------------------------------------------------------------------------------------------


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every stack be the small one, but for `two`, which has more."""
    more = stack(
        line("kubernetes:apps/v1:Deployment", "api", deployment(replicas=5), stack="two"),
        title="two",
    )

    def read(name: str, *_: object, **__: object) -> Rendered:
        return more if name == "two" else SMALL

    monkeypatch.setattr(graph, "read", read)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--show", "tree"], "└─ Secret data (data-keys) [protected]"),
        (["--show", "counts"], "2 resources in 1 components"),
        (["--show", "manifests"], "kind: Deployment"),
        (["--show", "cost"], "somebody else's"),
        ([], "2 resources in 1 components"),
        (["--diff", "two"], "spec.replicas: 5 -> 2"),
        (["--json"], '"protected": true'),
    ],
)
def test_command_prints_what_is_asked_for_when_run(rendered: None, arguments: list[str], expected: str) -> None:
    done = CliRunner().invoke(app, ["render", "one", *arguments])
    assert done.exit_code == 0, done.output
    assert expected in done.stdout


def test_command_refuses_two_comparisons_when_both_are_asked_for(rendered: None) -> None:
    done = CliRunner().invoke(app, ["render", "one", "--diff", "two", "--diff-commit", "HEAD"])
    assert done.exit_code == 1
    assert "give one of them" in done.output


def test_unknown_commit_is_named_when_compared_with() -> None:
    with pytest.raises(UserError, match="there is no commit `no-such-revision`"):
        revisions.read_at("no-such-revision", "dev")


def test_program_of_the_commit_is_run_when_compared_with(tmp_path: Path) -> None:
    """A whole project with a renderer of its own: its lines must be read, not those of the files that lie there now."""
    renderer = tmp_path / "policies" / "render"
    renderer.mkdir(parents=True)
    (tmp_path / "policies" / "__init__.py").touch()
    (renderer / "__init__.py").touch()
    (tmp_path / "Pulumi.one.yaml").write_text("config: {}\n")
    old = line("kubernetes:core/v1:ConfigMap", "of-the-commit", {"kind": "ConfigMap"})
    (renderer / "__main__.py").write_text(f"print({json.dumps(json.dumps(old))})\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    (renderer / "__main__.py").write_text("raise SystemExit('the files that lie there now')\n")
    found = revisions.read_at("HEAD", "one", tmp_path)
    assert [item.name for item in found.resources.values()] == ["of-the-commit"]
    assert found.title == "one at HEAD"
