"""What a person who runs `pulumi` sees when all goes well: real engine, real API server, stand-in as plugin.

A run of the engine takes seconds, so tests that are about different objects, or about different times of the same ones,
share the runs of one stack: its fixture writes down what was printed and what was there after each step.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest

from local.toolchain import Toolchain
from tests.local.provider.control_plane import ControlPlane
from tests.local.provider.programs import (
    SETTINGS_AND_WEB,
    SKIP_AWAIT,
    exists,
    names,
)
from tests.local.provider.project import Project


class Stack:
    """One stack of several tests, in a namespace of its own."""

    def __init__(self, project: Project, api_server: ControlPlane) -> None:
        self.project, self.namespace = project, f"test-{secrets.token_hex(4)}"
        self._api_server = api_server
        self.kubectl("create", "namespace", self.namespace)

    def kubectl(self, *arguments: str) -> None:
        """Act as somebody else than the provider."""
        self._api_server.kubectl(*arguments)

    def names(self, plural: str = "configmaps") -> set[str]:
        """Return the names of the objects of a core kind in the namespace."""
        return names(self._api_server, self.namespace, plural)

    def live(self, group: str, name: str) -> dict[str, Any]:
        """Return an object; `group` is like `apps/v1`, `name` like `deployments/web`."""
        return self._api_server.get(f"/apis/{group}/namespaces/{self.namespace}/{name}")


@pytest.fixture(scope="module")
def stacks(
    first_project: Project, toolchain: Toolchain, api_server: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Callable[[], Stack]]:
    """Makes stacks, whose namespaces go at the end."""
    made: list[Stack] = []

    def make() -> Stack:
        project = Project(tmp_path_factory.mktemp("shared"), toolchain, api_server.kubeconfig)
        project.create_like(first_project)
        made.append(Stack(project, api_server))
        return made[-1]

    yield make
    for stack in made:
        stack.kubectl("delete", "namespace", stack.namespace, "--wait=false")


def done_to(name: str, printed: str) -> set[str]:
    """Return what the engine says to have done to a resource, such as `updated`."""
    return set(re.findall(rf" kubernetes:\S+ {name} (\w+)", printed)) & {
        *("created", "updated", "replaced", "imported", "deleted"),
    }


# The life of a ConfigMap and a Deployment that names it ---------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Life:
    """What was printed, and the ConfigMaps (`made`) and the name that the stack puts out (`named`) after each step."""

    previewed: str
    made_by_preview: set[str]
    created: str
    made: set[str]
    named: str
    change_previewed: str
    changed: str
    made_by_change: set[str]
    named_by_change: str
    container: dict[str, Any]
    """That of the Deployment after the change."""
    restored: str
    made_by_restoring: set[str]
    named_by_restoring: str
    left: set[str]


@pytest.fixture(scope="module")
def life(stacks: Callable[[], Stack]) -> Life:
    """Previewed, made, run again without changes, changed, partly deleted by hand, made again, destroyed."""
    stack = stacks()
    project = stack.project

    def write(level: str) -> None:
        project.program(SETTINGS_AND_WEB % {"namespace": stack.namespace, "level": level, "annotations": SKIP_AWAIT})

    seen: dict[str, Any] = {}
    write("1")
    seen |= {"previewed": project.run("preview", "--diff"), "made_by_preview": stack.names()}
    seen |= {"created": project.up(), "made": stack.names(), "named": project.outputs()["settings"]}
    project.up("--expect-no-changes")
    project.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    write("2")
    seen |= {"change_previewed": project.run("preview", "--diff"), "changed": project.up()}
    seen |= {"made_by_change": stack.names(), "named_by_change": project.outputs()["settings"]}
    (seen["container"],) = stack.live("apps/v1", "deployments/web")["spec"]["template"]["spec"]["containers"]
    stack.kubectl("-n", stack.namespace, "delete", "configmap", seen["named_by_change"])
    seen |= {"restored": project.up("--refresh"), "made_by_restoring": stack.names()}
    seen["named_by_restoring"] = project.outputs()["settings"]
    project.run("destroy", "--yes", "--skip-preview")
    return Life(**seen, left=stack.names() | stack.names("pods"))


def test_objects_come_and_go_with_the_stack_when_all_is_well(life: Life) -> None:
    assert "+ 4 to create" in life.previewed
    assert life.made_by_preview == set()
    assert "+ 4 created" in life.created
    assert "Kubernetes provider stand-in (not the official plugin" in life.created
    assert "instance 'provider-tests'" in life.created
    assert "pulumi-resource-kubernetes" not in life.created, "the engine warns of plugins that it finds by chance"
    assert life.made == {life.named}
    assert life.left == set()


def test_pods_roll_when_a_config_map_is_replaced(life: Life) -> None:
    assert "+-1 to replace" in life.change_previewed
    assert "~ 1 updated" in life.changed
    assert "+-1 replaced" in life.changed
    assert life.named_by_change != life.named
    assert life.made_by_change == {life.named_by_change}
    assert life.container["env"] == [{"name": "SETTINGS", "value": life.named_by_change}]


def test_an_object_comes_back_when_it_was_deleted_by_hand(life: Life) -> None:
    assert "+ 1 created" in life.restored
    assert life.made_by_restoring == {life.named_by_restoring}


# Five objects that have nothing to do with each other -----------------------------------------------------------------

_FIVE = """
annotations = {"pulumi.com/skipAwait": "true"}
easy = k8s.Provider("easy", kubeconfig="%(kubeconfig)s", enable_patch_force=True, enable_config_map_mutable=True)

def place(name):
    return {"name": name, "namespace": "%(namespace)s", "annotations": annotations}

def pod(**more):
    return {"containers": [{"name": "main", "image": "%(image)s"}], **more}

k8s.batch.v1.Job("once", metadata=place("once"), opts=opts(), spec={"template": {"spec": pod(restart_policy="Never")}})
k8s.core.v1.ServiceAccount("robot", metadata={"name": "robot", "namespace": "%(namespace)s"}, opts=opts())
k8s.apiextensions.CustomResource("split", api_version="test.mlplatform.dev/v1", kind="Route",
    metadata={"name": "split", "namespace": "%(namespace)s"},
    spec={"hosts": ["a"], "http": [{"name": "r", "weight": 100}]}, opts=ResourceOptions(provider=easy))
k8s.core.v1.ConfigMap("mine", metadata={"name": "theirs", "namespace": "%(namespace)s"}, data={"a": "1"},
    opts=ResourceOptions(provider=easy, import_=%(imported)r))
k8s.apps.v1.Deployment("web", metadata=place("web"), opts=opts(ignore_changes=["spec.replicas"]), spec={"replicas": 1,
    "selector": {"match_labels": {"app": "web"}},
    "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod()}})
"""


@dataclass(frozen=True, kw_only=True)
class Five:
    """What was printed, and what there was after each step."""

    created: str
    old_job: dict[str, Any]
    forced: str
    accounts: set[str]
    refreshed: str
    previewed: str
    changed: str
    new_job: dict[str, Any]
    split: dict[str, Any]
    refreshed_again: str
    web: dict[str, Any]
    left: set[str]


@pytest.fixture(scope="module")
def five(stacks: Callable[[], Stack], api_server: ControlPlane) -> Five:
    """Made and imported; one forced to be replaced; one changed by hand and refreshed; one scaled by hand, and two
    changed in the program; refreshed, run again without changes, and destroyed."""
    stack = stacks()
    project, namespace = stack.project, stack.namespace

    def write(image: str, imported: str | None) -> None:
        values = {"kubeconfig": api_server.kubeconfig, "namespace": namespace, "image": image, "imported": imported}
        project.program(_FIVE % values)

    seen: dict[str, Any] = {}
    stack.kubectl("-n", namespace, "create", "configmap", "theirs", "--from-literal=a=1")
    write("first", f"{namespace}/theirs")
    seen |= {"created": project.up(), "old_job": stack.live("batch/v1", "jobs/once")}
    seen |= {"forced": project.up("--target-replace", project.resources()["robot"]["urn"])}
    seen |= {"accounts": stack.names("serviceaccounts")}
    api_server.patch(namespace, "route/split", {"spec": {"http": [{"name": "r", "weight": 1, "timeout": "1s"}]}})
    seen |= {"refreshed": project.run("refresh", "--yes", "--skip-preview")}
    stack.kubectl("-n", namespace, "scale", "deployment/web", "--replicas=3")
    write("second", None)
    seen |= {"previewed": project.run("preview"), "changed": project.up()}
    seen |= {"new_job": stack.live("batch/v1", "jobs/once")}
    seen |= {"split": stack.live("test.mlplatform.dev/v1", "routes/split")}
    seen |= {"refreshed_again": project.run("refresh", "--yes", "--skip-preview")}
    project.up("--expect-no-changes")
    seen |= {"web": stack.live("apps/v1", "deployments/web")}
    project.run("destroy", "--yes", "--skip-preview")
    return Five(**seen, left=stack.names())


def test_the_old_object_goes_first_when_a_named_one_is_replaced(five: Five) -> None:
    assert "+-1 to replace" in five.previewed
    assert "replaced" in done_to("once", five.changed)
    assert five.new_job["metadata"]["uid"] != five.old_job["metadata"]["uid"]
    assert five.new_job["spec"]["template"]["spec"]["containers"][0]["image"] == "second"


def test_the_object_survives_when_a_replacement_of_the_same_name_is_forced(five: Five) -> None:
    assert "is the same object, updated in place; it stays" in five.forced
    assert five.accounts == {"default", "robot"}


def test_drift_is_found_and_repaired_when_refreshed(five: Five) -> None:
    assert "~ 1 updated" in five.refreshed
    assert done_to("split", five.refreshed) == {"updated"}
    assert done_to("split", five.changed) == {"updated"}
    assert five.split["spec"]["http"] == [{"name": "r", "weight": 100}]
    assert done_to("split", five.refreshed_again) == set()


def test_an_existing_object_is_managed_when_imported(five: Five) -> None:
    assert "= 1 imported" in five.created
    assert done_to("mine", five.created) == {"imported"}
    assert done_to("mine", five.changed) == set(), "the program does not import it any more"
    assert five.left == set()


def test_a_scaled_deployment_keeps_its_size_when_replicas_are_ignored(five: Five) -> None:
    assert done_to("web", five.changed) == {"updated"}
    assert five.web["spec"]["replicas"] == 3
    assert five.web["spec"]["template"]["spec"]["containers"][0]["image"] == "second"


# Stacks of their own --------------------------------------------------------------------------------------------------


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
