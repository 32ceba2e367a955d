"""Route leads straight to a page that has no login of its own."""

from __future__ import annotations

from policies._logic import Every, Matches
from policies._model import Example, ObjectRule, Severity

_PAGES = (
    "grafana|kube-prometheus-stack-grafana|metadata-envoy-service|ml-pipeline|ml-pipeline-ui|object-store|prometheus"
    "|tracking-server"
)

RULE = ObjectRule(
    id="page-behind-login",
    title="route leads straight to a page that has no login of its own",
    severity=Severity.CRITICAL,
    frameworks=("OWASP ASVS 4.1", "NSA/CISA"),
    kinds=("networking.istio.io/VirtualService",),
    demand=Every("spec.http", Every("route", ~Matches("destination.host", rf"^({_PAGES})(\..*)?$"))),
    why="Whoever reaches the gateway changes models, reads artifacts and starts pipelines.",
    how="Set `access.login`: the route then leads to what asks who somebody is.",
    example=Example(
        of="VirtualService",
        fails={"spec.http.0.route": [{"destination": {"host": "tracking-server.research.svc.cluster.local"}}]},
        neighbour={"spec.http.0.route": [{"destination": {"host": "login-mlflow"}}]},
    ),
)
