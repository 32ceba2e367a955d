"""What may be said about growing and shrinking, and what is refused, all of it at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components._scaling import Scaler
from components.platform_scaling import scalers
from components.settings import Settings, SettingsError, parse
from tests.support.catalogue_cloud import AWS

SECRET = "s" * 32
KEDA = json.dumps({"keda": "present"})
FULL: dict[str, Any] = {
    "modelServer": {"minimum": 2, "maximum": 8, "concurrency": 4},
    "trackingServer": {"maximum": 4, "requestsPerSecond": 50},
    "api": {"maximum": 6, "requestsPerSecond": 40},
}


def parse_with(autoscaling: dict[str, Any], **others: Any) -> Settings:
    values = {"masterSecret": SECRET, "context": "test", "imageRegistry": "registry.test", "prerequisites": KEDA}
    texts = {key: json.dumps(value) for key, value in {"autoscaling": autoscaling, **others}.items()}
    return parse({**values, **texts}, {"masterSecret"})


def problems_of(autoscaling: dict[str, Any], **others: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_with(autoscaling, **others)
    return [str(problem) for problem in caught.value.problems]


def test_nothing_is_scaled_when_nothing_is_said() -> None:
    settings = parse_with({})
    assert scalers(settings) == ()
    assert settings.replicas("model_server") == 2


def test_autoscaler_alone_decides_when_a_part_is_scaled() -> None:
    settings = parse_with({"api": {"maximum": 6}})
    assert settings.replicas("api") is None
    assert settings.replicas("tracking_server") == 2
    assert settings.replicas("model_server") == 2


def test_every_slot_has_its_own_autoscaler_when_model_servers_are_scaled() -> None:
    models = [{"name": "one"}, {"name": "two_three", "slots": ["stable", "candidate-a", "candidate-b"]}]
    found = scalers(parse_with({"modelServer": FULL["modelServer"]}, models=models))
    assert [scaler.name for scaler in found] == [
        "one-stable",
        "one-candidate-a",
        "two-three-stable",
        "two-three-candidate-a",
        "two-three-candidate-b",
    ]
    assert len({scaler.measures[0].query for scaler in found}) == 5


def test_window_holds_four_looks_when_prometheus_looks_every_five_seconds() -> None:
    (first, *_) = scalers(parse_with(FULL, monitoring={"scrapeIntervalSeconds": 5}))
    assert "[20s]" in first.measures[0].query


def test_names_leave_room_for_kedas_prefix_when_they_are_the_longest_allowed() -> None:
    models = [{"name": "m" * 36, "slots": ["stable", "s" * 16]}]
    longest = max((scaler.name for scaler in scalers(parse_with(FULL, models=models))), key=len)
    assert len(f"keda-hpa-{longest}") <= 63


def test_cpu_alone_is_enough_when_there_is_no_keda() -> None:
    found = scalers(parse_with({"engine": "hpa", "api": {"maximum": 6}}))
    assert found == (Scaler(name="api", minimum=2, maximum=6, cpu_percent=70),)


BAD: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("to zero", {"api": {"minimum": 0, "maximum": 3}}, {}, "autoscaling.api.minimum = 0: allowed is a whole number"),
    ("no maximum", {"api": {}}, {}, "autoscaling.api.maximum is missing"),
    ("beyond the policies", {"api": {"maximum": 51}}, {}, "from 2 to 50 (pods)"),
    ("nothing to decide", {"api": {"minimum": 3, "maximum": 3}}, {}, "more than minimum, which is 3"),
    ("no cpu", {"api": {"maximum": 3, "cpuPercent": 0}}, {}, "from 10 to 95 (percent of the reserved CPU)"),
    ("unknown key", {"api": {"maximum": 3, "memory": 1}}, {}, "autoscaling.api.memory is an unknown key"),
    ("unknown engine", {"engine": "vpa"}, {}, "one of keda, hpa"),
    ("no keda", {"engine": "hpa", "api": FULL["trackingServer"]}, {}, "no requestsPerSecond, unless `engine` is keda"),
    ("both decide", {"api": {"maximum": 3}}, {"api": {"replicas": 5}}, "without replicas where `autoscaling.api`"),
    ("no gpu", {"modelServer": {"maximum": 3, "gpuPercent": 80}}, {}, "modelServer without gpuPercent, unless"),
    ("seldom looked at", FULL, {"monitoring": {"scrapeIntervalSeconds": 30}}, "scrapeIntervalSeconds of at most 15"),
]  # fmt: skip


@pytest.mark.parametrize(("scaling", "others", "named"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_problem_names_key_and_allowed_when_a_setting_is_impossible(
    scaling: dict[str, Any], others: dict[str, Any], named: str
) -> None:
    problems = problems_of(scaling, **others)
    assert len(problems) == 1, problems
    assert named in problems[0]


def test_all_problems_are_reported_together_when_there_are_several() -> None:
    bad = {"modelServer": {"maximum": 3, "gpuPercent": 80}, "api": {"minimum": 1, "maximum": 3, "concurrency": 1}}
    problems = problems_of(bad, domain="not a domain", apiVersion=1)
    assert len(problems) == 3
    assert len(problems_of({**FULL, "api": {"maximum": 3}}, api={"replicas": 5}, modelServer={"replicas": 4})) == 2


def test_single_pod_is_refused_when_the_stack_must_survive_a_node() -> None:
    values = {"masterSecret": SECRET, "imageRegistry": "registry.test", "prerequisites": KEDA}
    scaling = json.dumps({"api": {"minimum": 1, "maximum": 3}})
    with pytest.raises(SettingsError, match=r"unless `aws\.highlyAvailable` is false"):
        parse({**values, "aws": json.dumps(AWS), "autoscaling": scaling}, {"masterSecret"})
    relaxed = json.dumps({**AWS, "highlyAvailable": False})
    assert parse({**values, "aws": relaxed, "autoscaling": scaling}, {"masterSecret"}).replicas("api") is None
