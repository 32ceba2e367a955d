"""The recording monitor refuses what the engine would refuse, and what would only show in a live stack."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s
import pytest

from tests.support.recording_monitor import Graph, InvalidRegistrationError, Secret, Unknown, run


def provider() -> k8s.Provider:
    return k8s.Provider("cluster", context="test")


def config_map(
    name: str, opts: pulumi.ResourceOptions | None = None, **data: pulumi.Input[str]
) -> k8s.core.v1.ConfigMap:
    return k8s.core.v1.ConfigMap(
        name, metadata=k8s.meta.v1.ObjectMetaArgs(namespace="ns"), data=dict(data) or None, opts=opts
    )


def test_second_resource_is_refused_when_its_urn_exists() -> None:
    def program() -> None:
        opts = pulumi.ResourceOptions(provider=provider())
        config_map("same", opts)
        config_map("same", opts)

    with pytest.raises(InvalidRegistrationError, match="declared twice"):
        run(program)


def test_resource_is_refused_when_it_would_use_a_default_provider() -> None:
    with pytest.raises(InvalidRegistrationError, match="would use a default provider"):
        run(lambda: (config_map("lost"), None)[1])


def test_resource_is_refused_when_it_is_declared_inside_an_apply() -> None:
    def program() -> None:
        opts = pulumi.ResourceOptions(provider=provider())
        config_map("first", opts).metadata.apply(lambda _: config_map("second", opts))

    with pytest.raises(InvalidRegistrationError, match="declared inside an apply"):
        run(program)


def test_reading_an_existing_object_is_refused_when_tried() -> None:
    def program() -> None:
        k8s.core.v1.ConfigMap.get("found", "ns/found", pulumi.ResourceOptions(provider=provider()))

    with pytest.raises(InvalidRegistrationError, match="existing resources are not read"):
        run(program)


def named(preview: bool) -> Graph:
    def program() -> None:
        opts = pulumi.ResourceOptions(provider=provider())
        first = config_map("first", opts)
        config_map("second", opts, other=first.metadata.name, id=first.id)
        pulumi.export("secret", pulumi.Output.secret("hidden"))

    return run(program, preview=preview)


def test_object_gets_a_name_when_it_has_none() -> None:
    graph = named(preview=False)
    name = graph.object("ConfigMap", "second").manifest["data"]["other"]
    assert name.startswith("first-")
    assert graph.object("ConfigMap", "second").manifest["data"]["id"] == f"ns/{name}"


def test_id_is_unknown_and_the_name_is_known_when_previewed() -> None:
    data = named(preview=True).object("ConfigMap", "second").manifest["data"]
    assert data["other"].startswith("first-")
    assert data["id"] == Unknown()


def test_secrets_and_dependencies_are_seen_when_recorded() -> None:
    graph = named(preview=False)
    assert graph.stack_outputs["secret"] == Secret("hidden")
    second, first = graph.object("ConfigMap", "second"), graph.object("ConfigMap", "first")
    assert second.depends_on == (first.urn,)
    assert second.property_dependencies == {"data": (first.urn,)}


def test_formatting_an_output_into_a_text_is_an_error_when_run() -> None:
    with pytest.raises(Exception, match="Calling __str__ on an Output"):
        run(lambda: pulumi.export("text", f"{pulumi.Output.from_input('value')}"))


def test_each_run_starts_empty_when_several_follow() -> None:
    assert run(lambda: None).resources == {}
    assert len(named(preview=False).resources) == 3
    assert run(lambda: None).resources == {}
