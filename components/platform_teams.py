"""How the platform arranges its teams: what each gets of the other components, and what they do for it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import _versions
from components._labels import selector_labels
from components._network import ServicePeer
from components.object_store import ObjectStore
from components.settings import Settings
from components.settings_teams import TeamSettings
from components.team import Team, TeamArgs, TeamBucket
from components.team_registry import TeamRegistry, TeamRegistryArgs
from ml.contracts import (
    API_PORT,
    API_SERVICE,
    OBJECT_STORE_SERVICE,
    S3_PORT,
    TRACKING_SERVER_SERVICE,
    WORKSPACE_HEADER,
)


@dataclass(frozen=True, kw_only=True)
class TeamSurroundings:
    """What of the platform the teams use."""

    platform_namespace: pulumi.Output[str]
    object_store: ObjectStore | None
    """None where the cloud's own store is used."""
    registry_url: str


@dataclass(frozen=True, kw_only=True)
class PlacedTeam:
    """A team and its way to the registry."""

    settings: TeamSettings
    team: Team
    registry: TeamRegistry


def team_buckets(settings: Settings) -> dict[str, str]:
    """Return the buckets that the object store keeps for teams, by consumer; the cloud's store gives each a folder."""
    if settings.object_store.kind != "minio":
        return {}
    return {team.consumer: team.consumer for team in settings.teams}


def team_folder(team: TeamSettings) -> str:
    """Return where a team's objects lie in the one bucket of the cloud's store."""
    return f"teams/{team.name}/"


def unheard_headers(settings: Settings) -> tuple[str, ...]:
    """Return by which headers nobody from outside may choose a workspace of the registry: in every way to write them.

    A server behind WSGI cannot tell an underscore from a hyphen.
    """
    if not settings.teams:
        return ()
    first, second, third = WORKSPACE_HEADER.split("-")
    return tuple(f"{first}{one}{second}{two}{third}" for one, two in itertools.product("-_", repeat=2))


def create_teams(settings: Settings, around: TeamSurroundings, opts: pulumi.ResourceOptions) -> tuple[PlacedTeam, ...]:
    """Declare every team."""
    return tuple(_create_team(settings, team, around, opts) for team in settings.teams)


def team_outputs(settings: Settings, teams: Sequence[PlacedTeam]) -> dict[str, Any]:
    """Return what people need in order to find what their team has; nothing if there are no teams."""
    found = {placed.settings.name: _outputs(settings, placed) for placed in teams}
    return {"teams": found} if found else {}


def _create_team(
    settings: Settings, team: TeamSettings, around: TeamSurroundings, opts: pulumi.ResourceOptions
) -> PlacedTeam:
    name = f"team-{team.name}"
    registry = TeamRegistry(
        f"{name}-registry",
        TeamRegistryArgs(
            namespace=around.platform_namespace,
            namespace_name=settings.namespace,
            team=team.name,
            image=settings.image(_versions.ML),
            registry_url=around.registry_url,
            registry_label=TRACKING_SERVER_SERVICE,
            replicas=min(settings.tracking_server.replicas, 2),
        ),
        opts,
    )
    store = around.object_store
    services = [registry.peer, _peer(settings, API_SERVICE, API_PORT)]
    if store is not None:
        services.append(_peer(settings, OBJECT_STORE_SERVICE, S3_PORT))
    made = Team(
        name,
        TeamArgs(
            team=team.name,
            namespace=team.namespace,
            groups=team.groups,
            cost_center=team.cost_center,
            quota=team.quota,
            claims=settings.gpu.by_claims,
            services=tuple(services),
            platform_namespace=around.platform_namespace,
            bucket=store and _bucket(settings, team, store),
            protect=settings.protect_data,
        ),
        opts,
    )
    return PlacedTeam(settings=team, team=made, registry=registry)


def _peer(settings: Settings, service: str, port: int) -> ServicePeer:
    selector = selector_labels(service, service)
    return ServicePeer(service=service, namespace=settings.namespace, selector=selector, port=port)


def _bucket(settings: Settings, team: TeamSettings, store: ObjectStore) -> TeamBucket:
    return TeamBucket(
        access_key=team.consumer,
        secret_key=store.consumer_secret_key(team.consumer),
        bucket=team.consumer,
        endpoint=f"http://{OBJECT_STORE_SERVICE}.{settings.namespace}:{S3_PORT}",
    )


def _outputs(settings: Settings, placed: PlacedTeam) -> dict[str, Any]:
    objects = (
        {"bucket": placed.settings.consumer, "secret": placed.team.bucket_secret}
        if settings.object_store.kind == "minio"
        else {"folder": team_folder(placed.settings), "serviceAccount": placed.team.account}
    )
    return {
        "namespace": placed.team.namespace,
        "trackingUrl": placed.registry.url,
        "workspace": placed.settings.name,
        "objects": objects,
    }
