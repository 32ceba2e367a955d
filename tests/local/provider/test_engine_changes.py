"""What a person who runs `pulumi` sees when all goes well: real engine, real API server, stand-in as plugin."""

from __future__ import annotations

from tests.local.provider.control_plane import ControlPlane
from tests.local.provider.programs import (
    SETTINGS_AND_WEB,
    SKIP_AWAIT,
    exists,
    names,
)
from tests.local.provider.project import Project


def test_objects_come_and_go_with_the_stack_when_all_is_well(
    project: Project, api_server: ControlPlane, namespace: str
) -> None:
    project.program(SETTINGS_AND_WEB % {"namespace": namespace, "level": "1", "annotations": SKIP_AWAIT})

    preview = project.run("preview", "--diff")
    assert "+ 4 to create" in preview
    assert names(api_server, namespace) == set()

    created = project.up()
    assert "+ 4 created" in created
    assert "Kubernetes provider stand-in (not the official plugin" in created
    assert "instance 'provider-tests'" in created
    assert "pulumi-resource-kubernetes" not in created, "the engine warns of plugins that it finds by chance"
    assert names(api_server, namespace) == {project.outputs()["settings"]}

    project.up("--expect-no-changes")
    project.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")

    project.run("destroy", "--yes", "--skip-preview")
    assert names(api_server, namespace) == set()
    assert names(api_server, namespace, "pods") == set()


def test_pods_roll_when_a_config_map_is_replaced(project: Project, api_server: ControlPlane, namespace: str) -> None:
    project.program(SETTINGS_AND_WEB % {"namespace": namespace, "level": "1", "annotations": SKIP_AWAIT})
    project.up()
    first = project.outputs()["settings"]

    project.program(SETTINGS_AND_WEB % {"namespace": namespace, "level": "2", "annotations": SKIP_AWAIT})
    preview = project.run("preview", "--diff")
    changed = project.up()

    assert "+-1 to replace" in preview
    assert "~ 1 updated" in changed
    assert "+-1 replaced" in changed
    second = project.outputs()["settings"]
    assert first != second
    assert names(api_server, namespace) == {second}
    container = api_server.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web")["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert container["env"] == [{"name": "SETTINGS", "value": second}]


def test_the_old_object_goes_first_when_a_named_one_is_replaced(
    project: Project, api_server: ControlPlane, namespace: str
) -> None:
    body = """
    k8s.batch.v1.Job("once", metadata={"name": "once", "namespace": "%s", "annotations": %s}, opts=opts(),
        spec={"template": {"spec": {"restart_policy": "Never", "containers": [{"name": "c", "image": "%s"}]}}})
    """
    project.program(body % (namespace, SKIP_AWAIT, "first"))
    project.up()
    old = api_server.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/once")

    project.program(body % (namespace, SKIP_AWAIT, "second"))
    assert "+-1 to replace" in project.run("preview")
    project.up()

    new = api_server.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/once")
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert new["spec"]["template"]["spec"]["containers"][0]["image"] == "second"


def test_the_object_survives_when_a_replacement_of_the_same_name_is_forced(
    project: Project, api_server: ControlPlane, namespace: str
) -> None:
    project.program(f"""
    metadata = {{"name": "robot", "namespace": "{namespace}"}}
    k8s.core.v1.ServiceAccount("robot", metadata=metadata, opts=opts())
    """)
    project.up()

    printed = project.up("--target-replace", project.resources()["robot"]["urn"])

    assert "is the same object, updated in place; it stays" in printed
    assert names(api_server, namespace, "serviceaccounts") == {"default", "robot"}


def test_drift_is_found_and_repaired_when_refreshed(project: Project, api_server: ControlPlane, namespace: str) -> None:
    body = """
    k8s.apiextensions.CustomResource("split", api_version="test.mlplatform.dev/v1", kind="Route",
        metadata={"name": "split", "namespace": "%s"}, spec={"hosts": ["a"], "http": [{"name": "r", "weight": 100}]},
        opts=opts())
    """
    project.program(body % namespace, enable_patch_force=True)
    project.up()
    api_server.patch(namespace, "route/split", {"spec": {"http": [{"name": "r", "weight": 1, "timeout": "1s"}]}})

    assert "~ 1 updated" in project.run("refresh", "--yes", "--skip-preview")
    repaired = project.up()

    assert "~ 1 updated" in repaired
    live = api_server.get(f"/apis/test.mlplatform.dev/v1/namespaces/{namespace}/routes/split")
    assert live["spec"]["http"] == [{"name": "r", "weight": 100}]
    project.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")


def test_an_object_comes_back_when_it_was_deleted_by_hand(
    project: Project, api_server: ControlPlane, namespace: str
) -> None:
    project.program(SETTINGS_AND_WEB % {"namespace": namespace, "level": "1", "annotations": SKIP_AWAIT})
    project.up()
    name = project.outputs()["settings"]
    api_server.kubectl("-n", namespace, "delete", "configmap", name)

    assert "+ 1 created" in project.up("--refresh")

    assert names(api_server, namespace) == {project.outputs()["settings"]}


def test_an_existing_object_is_managed_when_imported(
    project: Project, api_server: ControlPlane, namespace: str
) -> None:
    api_server.kubectl("-n", namespace, "create", "configmap", "theirs", "--from-literal=a=1")
    body = """
    k8s.core.v1.ConfigMap("mine", metadata={"name": "theirs", "namespace": "%s"}, data={"a": "%s"}, opts=opts(%s))
    """
    project.program(body % (namespace, "1", f'import_="{namespace}/theirs"'), enable_config_map_mutable=True)
    assert "= 1 imported" in project.up()

    project.program(body % (namespace, "1", ""), enable_config_map_mutable=True)
    project.up("--expect-no-changes")
    project.run("destroy", "--yes", "--skip-preview")

    assert names(api_server, namespace) == set()


def test_secrets_are_nowhere_in_plain_when_a_stack_holds_them(
    project: Project, api_server: ControlPlane, namespace: str
) -> None:
    body = f"""
    secret = k8s.core.v1.Secret("creds", metadata={{"namespace": "{namespace}"}}, opts=opts(),
        string_data={{"password": "correct-horse"}}, data={{"token": "YmF0dGVyeS1zdGFwbGU="}})
    env = [{{"name": "P", "value": pulumi.Output.secret("hidden-env")}}]
    k8s.core.v1.PodTemplate("holder", metadata={{"namespace": "{namespace}"}}, opts=opts(),
        template={{"spec": {{"containers": [{{"name": "c", "image": "i", "env": env}}]}}}})
    pulumi.export("password", secret.data["password"])
    """
    project.program(body)

    printed = project.run("preview", "--diff") + project.up("--diff") + project.run("refresh", "--yes", "--diff")

    stored = project.stored_text()
    for text in ("correct-horse", "Y29ycmVjdC1ob3JzZQ==", "YmF0dGVyeS1zdGFwbGU=", "hidden-env"):
        assert text not in printed
        assert text not in stored
    assert "ciphertext" in project.outputs()["password"]
    assert names(api_server, namespace, "secrets")


def test_a_scaled_deployment_keeps_its_size_when_replicas_are_ignored(
    project: Project, api_server: ControlPlane, namespace: str
) -> None:
    body = """
    labels = {"app": "web"}
    k8s.apps.v1.Deployment("web", metadata={"name": "web", "namespace": "%s", "annotations": %s}, spec={"replicas": 1,
        "selector": {"match_labels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [
            {"name": "main", "image": "%s"}]}}}, opts=opts(ignore_changes=["spec.replicas"]))
    """
    project.program(body % (namespace, SKIP_AWAIT, "first"))
    project.up()
    api_server.kubectl("-n", namespace, "scale", "deployment/web", "--replicas=3")

    project.program(body % (namespace, SKIP_AWAIT, "second"))
    project.up()
    project.run("refresh", "--yes", "--skip-preview")
    project.up("--expect-no-changes")

    spec = api_server.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web")["spec"]
    assert spec["replicas"] == 3
    assert spec["template"]["spec"]["containers"][0]["image"] == "second"


def test_a_preview_works_when_no_cluster_answers(project: Project, namespace: str) -> None:
    project.program(
        SETTINGS_AND_WEB % {"namespace": namespace, "level": "1", "annotations": SKIP_AWAIT},
        kubeconfig="/nowhere/config",
    )

    preview = project.run("preview")

    assert "+ 4 to create" in preview
    assert "the cluster does not answer: kubeconfig /nowhere/config" in preview


def test_content_is_previewed_and_made_when_its_namespace_is_new_too(
    project: Project, api_server: ControlPlane, namespace: str
) -> None:
    project.program(f"""
    space = k8s.core.v1.Namespace("space", metadata={{"name": "{namespace}-new"}}, opts=opts())
    k8s.core.v1.ConfigMap("c", metadata={{"namespace": space.metadata.name}}, data={{"a": "1"}}, opts=opts())
    uid = k8s.core.v1.ConfigMap("d", metadata={{"name": "d", "namespace": space.metadata["name"]}},
        data={{"uid": space.metadata.uid}}, opts=opts())
    """)

    assert "+ 5 to create" in project.run("preview")
    project.up()

    live = api_server.get(f"/api/v1/namespaces/{namespace}-new/configmaps/d")
    assert live["data"]["uid"] == api_server.get(f"/api/v1/namespaces/{namespace}-new")["metadata"]["uid"]
    project.run("destroy", "--yes", "--skip-preview")
    assert not exists(api_server, f"/api/v1/namespaces/{namespace}-new")
