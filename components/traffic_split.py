"""Brings requests for one model to its slots; what share each slot gets is not decided here.

The root VirtualService belongs to Pulumi and delegates to a split VirtualService that belongs to the experiment
controller, so that no deployment can change a weight. An EnvoyFilter makes the weighted choice sticky: the same user
id meets the same slot, and while a slot's share grows nobody leaves it. The id is salted, else the same users would be
candidates in every experiment. There is one patch per salt, each for a route of its own name: the experiment controller
picks the salt by naming the route of its split, and no deployment has to change a patch for an experiment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._istio import delegating_route, route_patches, subsets
from components._labels import object_labels
from components._network import GatewayPeer
from ml.contracts import (
    MODEL_LABEL,
    SALT_COUNT,
    SLOT_LABEL,
    SLOTS_ANNOTATION,
    TRAFFIC_ROLE_LABEL,
    TRAFFIC_ROLE_ROOT,
    USER_ID_COOKIE,
    USER_ID_HEADER,
    experiment_salt,
    gateway_route_name,
    kube_name,
    root_route_name,
    split_route_name,
)

_NAME = "traffic-split"


@dataclass(frozen=True, kw_only=True)
class TrafficSplitArgs:
    """What routing one model needs to know."""

    namespace: pulumi.Input[str]
    model: str
    """The model's name in the serving API, and so in the path of a request."""
    slots: tuple[str, ...]
    """All slots; their order is the order of destinations and must not change."""
    service: pulumi.Input[str]
    host: str
    """Host under which models are served."""
    gateway_name: pulumi.Input[str]
    gateway_port: int
    """The one at which the gateway routes: another one only redirects."""
    gateway: GatewayPeer


class TrafficSplit(PlatformComponent):
    """Root route, subsets and stickiness of one model."""

    root: pulumi.Output[str]
    """Name of the VirtualService that delegates."""
    split: str
    """Name of the VirtualService that the experiment controller keeps."""

    def __init__(self, name: str, args: TrafficSplitArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self._labels = {**object_labels(_NAME, name), MODEL_LABEL: kube_name(args.model)}
        self.split = split_route_name(args.model)
        self.root = self._create_root()
        self._create_subsets()
        self._create_stickiness()
        self.finish(root=self.root, split=self.split)

    def _create_root(self) -> pulumi.Output[str]:
        args = self._args
        path = f"/v1/models/{args.model}"
        return delegating_route(
            self,
            f"{self._name}-root",
            k8s.meta.v1.ObjectMetaArgs(
                name=root_route_name(args.model),
                namespace=args.namespace,
                labels={**self._labels, TRAFFIC_ROLE_LABEL: TRAFFIC_ROLE_ROOT},
                annotations={SLOTS_ANNOTATION: ",".join(args.slots)},
            ),
            host=args.host,
            gateway=args.gateway_name,
            route=root_route_name(args.model),
            # Three forms, since a bare prefix would also match a model whose name starts with this one's.
            matches=[{"uri": {"exact": path}}, {"uri": {"prefix": f"{path}/"}}, {"uri": {"prefix": f"{path}:"}}],
            delegate=self.split,
            namespace=args.namespace,
        )

    def _create_subsets(self) -> None:
        args = self._args
        subsets(
            self,
            f"{self._name}-subsets",
            k8s.meta.v1.ObjectMetaArgs(name=kube_name(args.model), namespace=args.namespace, labels=self._labels),
            host=pulumi.Output.concat(args.service, ".", args.namespace, ".svc.cluster.local"),
            labels_by_subset={slot: {SLOT_LABEL: slot} for slot in args.slots},
        )

    def _create_stickiness(self) -> None:
        args = self._args
        route_patches(
            self,
            f"{self._name}-sticky",
            k8s.meta.v1.ObjectMetaArgs(
                # The gateway's namespace may hold those of several platforms.
                name=pulumi.Output.concat(args.namespace, "-", kube_name(args.model), "-sticky"),
                namespace=args.gateway.namespace,
                labels=self._labels,
            ),
            selector=args.gateway.selector,
            virtual_host=f"{args.host}:{args.gateway_port}",
            values_by_route={
                gateway_route_name(args.model, index): sticky_route(experiment_salt(args.model, index))
                for index in range(SALT_COUNT)
            },
        )


def sticky_route(salt: str) -> dict[str, Any]:
    """Return the part of an Envoy route that chooses among its weighted clusters by the user's salted id.

    Envoy's own cookie policy cannot salt, so the id is cut out of the cookie header. Who sends cookies but no id keeps
    to one slot as long as these cookies stay the same; who sends neither is placed at random.
    """
    header = _hashed(USER_ID_HEADER, "^(.*)$", salt)
    cookie = _hashed("cookie", rf"^(?:.*;\s*)?{USER_ID_COOKIE}=([^;]*).*$", salt)
    return {
        "route": {
            "weighted_clusters": {"use_hash_policy": True},
            "hash_policy": [{"header": header, "terminal": True}, {"header": cookie}],
        }
    }


def _hashed(header: str, pattern: str, salt: str) -> dict[str, Any]:
    return {
        "header_name": header,
        "regex_rewrite": {"pattern": {"regex": pattern}, "substitution": f"{salt}:\\1"},
    }
