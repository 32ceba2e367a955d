"""A site without a way out: every image and chart of every stack lies in the mirror.

What this does not prove: that the mirror has them. Images that EKS itself brings (its add-ons, the nodes' own) come
from AWS's registries in the stack's region, and no setting of a stack changes that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from components._versions import IMAGES
from policies import sources
from policies.configuration import load
from policies.engine import evaluate
from policies.render.__main__ import lines
from tests.support import pods
from tests.support.recording_monitor import Graph, reveal
from tests.support.stacks import PIPELINES_WITH_PAGE, STACKS, TEAMS, TEAMS_IN_CLOUD, StackUnderTest

MIRROR = "mirror.internal/all"
FURTHER_HOSTS = (
    "charts.jetstack.io",
    "helm.ngc.nvidia.com",
    "nvcr.io",
    "public.ecr.aws",
    "registry.freedeepresearch.org",
    "registry.k8s.io",
)
HOSTS = sorted({*FURTHER_HOSTS, *(image.repository.partition("/")[0] for image in IMAGES.values() if not image.own)})
OUTSIDE = re.compile(rf"(?<!{re.escape(MIRROR)}/)\b({'|'.join(map(re.escape, HOSTS))})/[\w./-]+")
"""An image or chart that is looked for at its maker's, or in the registry of the platform's makers."""

VARIANTS = {
    **{name: stack for name, stack in STACKS.items() if name != "local"},
    "pipelines with a page": PIPELINES_WITH_PAGE,
    "teams": TEAMS,
    "teams in the cloud": TEAMS_IN_CLOUD,
}
"""All but `local`, which runs images built on its machine."""


def mirroring(stack: StackUnderTest) -> StackUnderTest:
    return replace(brought(stack), added={**brought(stack).added, "imageMirror": MIRROR})


def brought(stack: StackUnderTest) -> StackUnderTest:
    """Let somebody else bring what the stack would install: not every chart can be told of a mirror."""
    return replace(
        stack, added={**stack.added, "prerequisites": dict.fromkeys(("istio", "keda", "certManager"), "present")}
    )


@pytest.fixture(scope="module", params=sorted(VARIANTS))
def variant(request: pytest.FixtureRequest) -> StackUnderTest:
    return VARIANTS[request.param]


@pytest.fixture(scope="module")
def graph(variant: StackUnderTest) -> Graph:
    return mirroring(variant).run()


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in cast("dict[str, Any]", value).values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def outside(graph: Graph) -> set[str]:
    """Return what is pulled from elsewhere, in arguments, files and values of charts too."""
    found = {
        match.group(0)
        for item in graph.resources.values()
        # What policies allow is no place that anything is pulled from; docs/delivery.md says what a site changes there.
        if item.kind != "ValidatingAdmissionPolicy"
        for text in texts(reveal(dict(item.inputs)))
        for match in OUTSIDE.finditer(text)
    }
    return found | {match.group(0) for match in OUTSIDE.finditer(json.dumps(dict(graph.stack_outputs["images"])))}


def test_nothing_is_pulled_from_elsewhere_when_there_is_a_mirror(graph: Graph) -> None:
    assert outside(graph) == set()


def test_every_container_is_of_the_mirror_when_there_is_one(graph: Graph) -> None:
    images = {item["image"] for workload in pods.workloads(graph) for item in pods.containers_of(workload).values()}
    assert len(images) > 5
    assert {image for image in images if not image.startswith(f"{MIRROR}/")} == set()
    assert set(graph.stack_outputs["images"].values()) >= {image for image in images if "/ml:" in image}


def test_every_chart_is_of_the_mirror_when_there_is_one(graph: Graph) -> None:
    for release in graph.of_type("kubernetes:helm.sh/v3:Release"):
        inputs = reveal(dict(release.inputs))
        source = inputs.get("repositoryOpts", {}).get("repo", inputs["chart"])
        assert source.startswith(f"oci://{MIRROR}/"), release.name


def test_check_notices_what_is_pulled_from_elsewhere_when_there_is_no_mirror(variant: StackUnderTest) -> None:
    found = outside(variant.run())
    assert "docker.io/library/postgres" in found
    assert ("public.ecr.aws/karpenter/karpenter" in found) == (variant.name in {"staging", "prod"})


def test_only_the_place_of_images_and_charts_changes_when_there_is_a_mirror(variant: StackUnderTest) -> None:
    before, after = brought(variant).run(), mirroring(variant).run()
    assert set(before.resources) == set(after.resources)
    for urn, item in after.resources.items():
        moved = json.dumps(reveal(dict(item.inputs)), sort_keys=True).replace(f"{MIRROR}/", "")
        was = json.dumps(reveal(dict(before.resources[urn].inputs)), sort_keys=True)
        if item.type == "kubernetes:helm.sh/v3:Release" or "fingerprint" in was or moved == was:
            continue
        # A file that holds a reference is marked by its hash where pods read it.
        assert re.sub(r"[0-9a-f]{12}", "", moved) == re.sub(r"[0-9a-f]{12}", "", was), item.name


def test_policies_refuse_nothing_when_they_know_the_mirror(variant: StackUnderTest) -> None:
    configuration = load(datetime.now(UTC).date())
    known = {**configuration.settings, "image-registry": {"registries": (f"{MIRROR}/",)}}
    resources = sources.from_lines("\n".join(lines(mirroring(variant).run(preview=True))))
    report = evaluate(resources, replace(configuration, settings=known), variant.name)
    assert [(item.rule.id, item.finding.resource.title) for item in report.judged if item.refuses] == []


def test_own_images_need_no_registry_of_their_own_when_there_is_a_mirror() -> None:
    stack = replace(STACKS["dev"], added={"imageMirror": MIRROR, "imageRegistry": "own.internal/x"})
    assert stack.run().stack_outputs["images"]["ml"] == f"{MIRROR}/own.internal/x/mlplatform/ml:0.1.0"
