"""The table of what teams may reach: one answer for everybody who asks, everything that is asked and every place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PLATFORM: Final = "free-deep-research"
VISION: Final = "team-vision"
QUALITY: Final = "quality"
GROUPS: Final = {VISION: ("ml-vision",), QUALITY: ("ml-text", "contractors")}
"""Whose people work in which namespace."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One answer of the table."""

    who: str
    """A team's namespace, or the platform's."""
    what: str
    """`work in`, `look into` ... a place, `reach` a service, `use` a bucket."""
    where: str
    may: bool


def _cells() -> Iterator[Cell]:
    """The whole table. Every team has the same rights, each at home."""
    for who, other in ((VISION, QUALITY), (QUALITY, VISION)):
        home = {"work in", "look into", "read the key of"}
        never = {"read all secrets of", "enter pods of", "open up", "rule"}
        for where in (who, other, PLATFORM, "kube-system"):
            for what in (*sorted(home), *sorted(never)):
                yield Cell(who=who, what=what, where=where, may=what in home and where == who)
        yield Cell(who=who, what="see experiments in", where=PLATFORM, may=True)
        yield Cell(who=who, what="change experiments in", where=PLATFORM, may=False)
        for service in ("api", "object-store"):
            yield Cell(who=who, what="reach", where=f"{PLATFORM}/{service}", may=True)
        for service in ("tracking-server", "metadata-db", "prometheus", "experiment-controller", "database-exporter"):
            yield Cell(who=who, what="reach", where=f"{PLATFORM}/{service}", may=False)
        for team, owner in (("vision", VISION), ("text-quality", QUALITY)):
            yield Cell(who=who, what="reach", where=f"{PLATFORM}/team-{team}-registry", may=owner == who)
            yield Cell(who=who, what="use", where=f"team-{team}", may=owner == who)
        for model in ("research-pattern-predictor-stable", "content-quality-model-candidate-a"):
            yield Cell(who=who, what="reach", where=f"{PLATFORM}/{model}", may=False)
        yield Cell(who=who, what="reach", where=f"{who}/anything", may=True)
        yield Cell(who=who, what="reach", where=f"{other}/anything", may=False)
        yield Cell(who=who, what="reach", where="kubeflow/ml-pipeline", may=False)
        yield Cell(who=who, what="reach", where="istio-system/gateway", may=False)
        yield Cell(who=PLATFORM, what="reach", where=f"{who}/anything", may=False)
        yield Cell(who="kubeflow", what="reach", where=f"{who}/anything", may=False)
        yield Cell(who=who, what="use", where="mlflow-artifacts", may=False)
        yield Cell(who=who, what="use", where="pipelines", may=False)


MATRIX: Final = tuple(_cells())
ASKED: Final[dict[str, list[tuple[str, str]]]] = {
    "work in": [("create", "pods"), ("create", "jobs.batch"), ("delete", "deployments.apps"), ("patch", "services")],
    "look into": [("list", "pods"), ("get", "pods/log"), ("list", "resourcequotas"), ("get", "configmaps")],
    "read the key of": [("get", "secrets/object-store")],
    "read all secrets of": [("list", "secrets"), ("get", "secrets/object-store-admin"), ("get", "secrets/api-tokens")],
    "enter pods of": [("create", "pods/exec"), ("create", "pods/attach"), ("update", "pods/ephemeralcontainers")],
    "open up": [
        ("create", "networkpolicies.networking.k8s.io"),
        ("delete", "networkpolicies.networking.k8s.io"),
        ("update", "resourcequotas"),
        ("patch", "limitranges"),
        ("patch", "namespaces"),
    ],
    "rule": [
        ("create", "roles.rbac.authorization.k8s.io"),
        ("create", "rolebindings.rbac.authorization.k8s.io"),
        ("create", "serviceaccounts"),
        ("create", "serviceaccounts/token"),
        ("impersonate", "serviceaccounts"),
    ],
    "see experiments in": [("list", "abtests.mlplatform.dev"), ("watch", "abtests.mlplatform.dev")],
    "change experiments in": [
        ("create", "abtests.mlplatform.dev"),
        ("patch", "abtests.mlplatform.dev"),
        ("delete", "abtests.mlplatform.dev"),
    ],
}
"""What is asked of the API server, verb and resource."""


def cells(what: set[str]) -> list[Cell]:
    return [cell for cell in MATRIX if cell.what in what]


def named(cell: Cell) -> str:
    return f"{cell.who} {cell.what} {cell.where}".replace(" ", "-")
