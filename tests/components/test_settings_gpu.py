"""What may be said about GPUs, and every impossible combination: refused before anything is declared, all at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.platform_gpus import are_sliced
from components.settings import Settings, SettingsError, parse

AWS: dict[str, Any] = {
    "name": "example",
    "accountId": "111122223333",
    "region": "us-east-1",
    "replicaRegion": "eu-west-1",
    "owner": "research",
    "costCenter": "42",
    "adminPrincipals": ["arn:aws:iam::111122223333:role/deployer"],
    "highlyAvailable": False,
}
L4 = {"name": "l4", "families": ["g6"]}
A100 = {"name": "a100", "families": ["p4d"], "gpusPerNode": 8, "gpuLimit": 8, "migProfile": "1g.5gb"}
ONE = {"resources": {"gpus": 1}}
TURN = {"resources": {"gpus": 1, "gpuResource": "nvidia.com/gpu.shared"}}


def read(pools: list[dict[str, Any]] | None = None, **others: Any) -> Settings:
    """Read settings of a stack on AWS with these pools, or of one in a given cluster."""
    place = {"context": "test"} if pools is None else {"aws": json.dumps({**AWS, "gpuPools": pools})}
    values = {"masterSecret": "s" * 32, "imageRegistry": "registry.test", **place}
    sections = {"prerequisites": {"keda": "present", "gpuOperator": "present"}, **others}
    return parse({**values, **{key: json.dumps(value) for key, value in sections.items()}}, {"masterSecret"})


def problems(pools: list[dict[str, Any]] | None = None, **others: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(pools, **others)
    return [str(problem) for problem in caught.value.problems]


def test_nothing_has_gpus_when_nothing_is_said() -> None:
    settings = read()
    assert settings.serving_resources.gpus == 0
    assert not settings.serving_image.endswith("-gpu")


def test_model_servers_use_the_gpu_build_when_a_pool_has_the_card() -> None:
    settings = read([L4], modelServer={**ONE, "accelerator": "l4", "cpuFallback": True})
    assert settings.serving_resources.gpus == 1
    assert settings.serving_image.endswith("-gpu")


@pytest.mark.parametrize("pools", [[], [L4]], ids=["no pool", "another card"])
def test_all_slots_are_served_by_cpu_when_they_may_and_the_card_is_missing(pools: list[dict[str, Any]]) -> None:
    settings = read(pools, modelServer={**ONE, "accelerator": "h100", "cpuFallback": True})
    assert settings.serving_resources.gpus == 0
    assert not settings.serving_image.endswith("-gpu")


def test_slice_counts_as_a_gpu_when_cards_are_cut() -> None:
    settings = read([A100], modelServer={"resources": {"gpus": 1}, "accelerator": "a100"})
    assert are_sliced(settings)
    assert not are_sliced(read([L4, A100], modelServer={**ONE, "accelerator": "l4"}))
    assert settings.aws is not None
    assert settings.aws.gpu_pools[0].slices == 7


def test_two_ways_of_sharing_go_together_when_pools_differ() -> None:
    pools = [{**L4, "timeSlices": 4}, A100]
    assert read(pools, modelServer=TURN).serving_resources.gpu_resource == "nvidia.com/gpu.shared"
    assert read(pools, modelServer=ONE).serving_resources.gpu_resource == "nvidia.com/gpu"


CLAIMED: dict[str, Any] = {"prerequisites": {"keda": "present", "draDriver": "present"}}
"""What goes with claims beside them."""


def claims(**others: Any) -> dict[str, Any]:
    """Return the sections of a stack whose pods claim cards, with more in `gpu`."""
    return {**CLAIMED, "gpu": {"allocation": "claims", **others}}


def test_cards_are_counted_by_a_device_plugin_when_nothing_is_said() -> None:
    assert not read().gpu.by_claims


def test_cards_are_claimed_when_the_cluster_is_given_and_has_the_driver() -> None:
    settings = read(**claims(quota=8), modelServer={**ONE, "accelerator": "l4", "cpuFallback": True})
    assert settings.gpu.by_claims
    assert settings.serving_resources.gpus == 1
    assert settings.serving_image.endswith("-gpu")


SCALED = {"modelServer": {"maximum": 3, "gpuPercent": 80}}
OPERATOR = {"operator": True}
BAD: list[tuple[str, list[dict[str, Any]] | None, dict[str, Any], str]] = [
    ("no pool", [], {"modelServer": ONE}, "no GPUs, unless `aws.gpuPools` has a pool"),
    ("no such card", [L4], {"modelServer": {**ONE, "accelerator": "t4"}}, "has a pool of t4"),
    ("spot alone", [{**L4, "capacity": ["spot"]}], {"modelServer": ONE}, "do not run on spot alone, as in l4"),
    ("whole card of a shared one", [{**L4, "timeSlices": 2}], {"modelServer": ONE}, "gpuResource nvidia.com/gpu.shar"),
    ("turn on a whole card", [L4], {"modelServer": TURN}, "gpuResource nvidia.com/gpu, which is what nodes of l4 have"),
    ("two turns", [{**L4, "timeSlices": 4}],
     {"modelServer": {"resources": {"gpus": 2, "gpuResource": "nvidia.com/gpu.shared"}}}, "1 where gpuResource is"),
    ("more than a node has", [L4], {"modelServer": {"resources": {"gpus": 2}}}, "at most 1 GPUs: no node of l4"),
    ("unknown resource", [L4], {"modelServer": {"resources": {"gpuResource": "amd.com/gpu"}}}, "one of nvidia.com/gpu"),
    ("both ways", None, {"gpu": {**OPERATOR, "mig": True, "timeSlices": 2}}, "a slice is promised to one pod"),
    ("nobody to share", None, {"gpu": {"timeSlices": 2}}, "true where timeSlices or mig say how cards are shared"),
    ("said twice", [L4], {"gpu": {**OPERATOR, "timeSlices": 2}}, "where `aws.gpuPools` says how cards are shared"),
    ("small quota", None, {"modelServer": ONE, "gpu": {"quota": 7}}, "a quota of 8 or more"),
    ("quota below the maximum", None,
     {"modelServer": ONE, "autoscaling": {"modelServer": {"maximum": 5}}, "gpu": {"quota": 19}}, "a quota of 20"),
    ("no cards", None, {"autoscaling": SCALED, "gpu": OPERATOR}, "modelServer without gpuPercent, unless"),
    ("cards not measured", None, {"autoscaling": SCALED, "modelServer": ONE}, "`gpu.operator` is true"),
    ("busy by the others", [{**L4, "timeSlices": 4}],
     {"autoscaling": SCALED, "modelServer": TURN, "gpu": OPERATOR}, "everybody is as busy as the others"),
    ("claims without the driver", None, {"gpu": {"allocation": "claims"}}, "draDriver present, for `gpu.alloc"),
    ("claims on own nodes", [L4], claims(), "devicePlugin where `aws` is set: Karpenter 1.14 makes no node for pods"),
    ("claims of turns", None, claims(timeSlices=2), "no timeSlices where allocation is claims"),
    ("claims of slices", None, claims(mig=True), "no mig where allocation is claims"),
    ("claims beside a plugin", None,
     {**claims(operator=True), "prerequisites": {"draDriver": "present", "gpuOperator": "present"}},
     "no operator where allocation is claims"),
    ("claims of shared cards", None, {**claims(), "modelServer": TURN}, "gpuResource nvidia.com/gpu where `gpu.alloc"),
    ("claims of no product", None, {**claims(), "modelServer": {**ONE, "accelerator": "large"}}, "with a digit, such"),
    ("small quota of claims", None, {**claims(quota=7), "modelServer": ONE}, "a quota of 8 or more"),
    ("claims of unmeasured cards", None, {**claims(), "modelServer": ONE, "autoscaling": SCALED}, "without gpuPercent"),
    ("another way", None, {"gpu": {"allocation": "extendedResource"}}, "one of devicePlugin, claims"),
]  # fmt: skip


@pytest.mark.parametrize(("pools", "others", "named"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_problem_names_key_and_allowed_when_a_setting_is_impossible(
    pools: list[dict[str, Any]] | None, others: dict[str, Any], named: str
) -> None:
    found = problems(pools, **others)
    assert len(found) == 1, found
    assert named in found[0]


def test_all_problems_are_reported_together_when_there_are_several() -> None:
    found = problems(
        [{**L4, "capacity": ["spot"], "migProfile": "1g.5gb"}],
        modelServer={"resources": {"gpus": 1, "cpuMillis": 0}},
        gpu={"timeSlices": 2},
        domain="not a domain",
    )
    assert {problem.split()[0] for problem in found} == {
        "aws.gpuPools[0].migProfile",
        "modelServer.resources.cpuMillis",
        "gpu.operator",
        "domain",
    }


def test_everything_against_claims_is_reported_together_when_there_are_several() -> None:
    found = problems(
        [L4],
        gpu={"allocation": "claims", "operator": True, "timeSlices": 2, "mig": True},
        modelServer={**TURN, "accelerator": "large", "cpuFallback": True},
        prerequisites={"gpuOperator": "install"},
    )
    text = "\n".join(found)
    for named in (
        "Karpenter 1.14 makes no node",
        "no operator where allocation is claims",
        "no timeSlices where allocation is claims",
        "no mig where allocation is claims",
        "gpuResource nvidia.com/gpu where `gpu.allocation` is claims",
        "with a digit, such as l4",
        "draDriver present",
        "its chart brings the device plugin",
    ):
        assert named in text
