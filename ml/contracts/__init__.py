"""Names and numbers that the infrastructure and the behaviour share; one place, so that they cannot drift apart."""

from __future__ import annotations

from typing import Final

# Models and slots --------------------------------------------------------------------------------------------------
RESEARCH_PATTERN_PREDICTOR: Final = "research_pattern_predictor"
CONTENT_QUALITY_MODEL: Final = "content_quality_model"
DEFAULT_MODELS: Final = (RESEARCH_PATTERN_PREDICTOR, CONTENT_QUALITY_MODEL)

STABLE_SLOT: Final = "stable"
DEFAULT_CANDIDATE_SLOT: Final = "candidate-a"
CHAMPION_ALIAS: Final = "champion"

# Pipelines ---------------------------------------------------------------------------------------------------------
TRAINING_PIPELINE: Final = "train-models"

# Labels ------------------------------------------------------------------------------------------------------------
LABEL_DOMAIN: Final = "mlplatform.dev"
MODEL_LABEL: Final = f"{LABEL_DOMAIN}/model"
SLOT_LABEL: Final = f"{LABEL_DOMAIN}/slot"
TRAFFIC_ROLE_LABEL: Final = f"{LABEL_DOMAIN}/traffic"
TRAFFIC_ROLE_ROOT: Final = "root"
TRAFFIC_ROLE_SPLIT: Final = "split"
PIPELINE_LABEL: Final = f"{LABEL_DOMAIN}/pipeline"
"""On the Job of a pipeline's run: the pipeline's name. By it the controller finds runs that have ended."""
TEAM_LABEL: Final = f"{LABEL_DOMAIN}/team"
COST_CENTER_LABEL: Final = f"{LABEL_DOMAIN}/cost-center"
SLOTS_ANNOTATION: Final = f"{LABEL_DOMAIN}/slots"
"""On a root VirtualService: the model's slots in the fixed order of destinations, comma separated."""

# Ports -------------------------------------------------------------------------------------------------------------
POSTGRES_PORT: Final = 5432
S3_PORT: Final = 9000
S3_CONSOLE_PORT: Final = 9001
MLFLOW_PORT: Final = 5000
SERVING_GRPC_PORT: Final = 8500
SERVING_REST_PORT: Final = 8501
SYNC_PORT: Final = 8502
GATEWAY_PORT: Final = 80
GATEWAY_TLS_PORT: Final = 443
GATEWAY_ADMIN_PORT: Final = 15090
"""Of a gateway pod: its metrics (`/stats/prometheus`) and, where allowed, its configuration (`/config_dump`)."""
API_PORT: Final = 8000
CONTROLLER_METRICS_PORT: Final = 8081
DATABASE_EXPORTER_PORT: Final = 9187
PROMETHEUS_PORT: Final = 9090
TEAM_REGISTRY_PORT: Final = 5001
"""Of a team's own way to the registry."""
LOGIN_PORT: Final = 4180
LOGIN_METRICS_PORT: Final = 44180
PIPELINES_PORT: Final = 8888
"""Of Kubeflow Pipelines' API over HTTP."""

# Services ----------------------------------------------------------------------------------------------------------
METADATA_DB_SERVICE: Final = "metadata-db"
DATABASE_EXPORTER: Final = "database-exporter"
OBJECT_STORE_SERVICE: Final = "object-store"
TRACKING_SERVER_SERVICE: Final = "tracking-server"
EXPERIMENT_CONTROLLER: Final = "experiment-controller"
API_SERVICE: Final = "api"
EXPERIMENTS_PATH: Final = "/ml/ab-tests"
"""Path of the API's host below which experiments are."""
PROMETHEUS_SERVICE: Final = "prometheus"
WORKSPACE_HEADER: Final = "x-mlflow-workspace"
"""By which callers of the registry name a workspace; it believes them."""
TEAM_REGISTRY: Final = "team-registry"
"""What all ways of teams to the registry have in common; each has a name of its own."""
PAGE_LOGIN: Final = "page-login"
"""Name of what stands in front of web pages; each page has an instance of its own."""
GATEWAY_NAME: Final = "platform-gateway"
PIPELINES_SERVICE: Final = "ml-pipeline"
"""Kubeflow Pipelines' own programs look for their API under this name."""

# Model artifacts ---------------------------------------------------------------------------------------------------
MODELS_MOUNT: Final = "/models"
SAVED_MODEL_ARTIFACT: Final = "saved_model"
"""Artifact path, below a model version, of the SavedModel that the model server loads."""
SERVING_INPUT: Final = "input"
"""Name of the string input of every model's serving signature."""

# Traffic -----------------------------------------------------------------------------------------------------------
USER_ID_HEADER: Final = "x-user-id"
USER_ID_COOKIE: Final = "uid"
SPLIT_ROUTE: Final = "split"
"""Name of the one HTTP route of a split VirtualService, before the number of its salt."""
SALT_COUNT: Final = 16
"""How many salts a model's route can have. The gateway's patches are declared once for each; by the route's name the
controller picks one, so that successive experiments of a model mix their users anew without touching those patches."""
SLOT_HEADER: Final = "x-served-by-slot"
"""Response header by which a caller learns which slot answered."""
GATEWAY_SELECTOR: Final = {"istio": "ingressgateway"}
GATEWAY_NAMESPACE: Final = "istio-system"


# Metrics: what is read, and what recording rules make, whether Envoy's own series or Istio's are underneath ----------
MEASURED_JOBS: Final = (
    "api",
    "controller",
    "gateway",
    "metadata-db",
    "model-server",
    "object-store",
    "tracking-server",
    "version-sync",
)
"""What Prometheus reads besides itself, by the names of its jobs."""
GATEWAY_REQUESTS_SERIES: Final = "mlplatform:gateway_requests:total"
"""Counter by gateway `instance`, `model` (as Kubernetes writes it), `slot` and `code_class` ("2xx" to "5xx")."""
GATEWAY_LATENCY_SERIES: Final = "mlplatform:gateway_latency_millis:bucket"
"""Cumulative counter by gateway `instance`, `model`, `slot` and `le` (milliseconds, "+Inf" included)."""
GATEWAY_MILLIS_SERIES: Final = "mlplatform:gateway_millis:total"
"""Counter of the milliseconds that all answers took together, by gateway `instance`, `model` and `slot`."""

PIPELINE_RUNS_SERIES: Final = "mlplatform:pipeline_runs:total"
"""Counter of the runs that have ended, by `pipeline` and `result` ("succeeded", "failed")."""


def kube_name(model: str) -> str:
    """Return a model's name as Kubernetes allows it: lower case, hyphens for underscores."""
    return model.lower().replace("_", "-")


def slot_alias(slot: str) -> str:
    """Return the MLflow alias that a slot follows."""
    return CHAMPION_ALIAS if slot == STABLE_SLOT else slot


def slot_workload(model: str, slot: str) -> str:
    """Return the name of the Deployment that serves one slot of a model."""
    return f"{kube_name(model)}-{slot}"


def root_route_name(model: str) -> str:
    """Return the name of the VirtualService that Pulumi owns and the gateway reads."""
    return f"{kube_name(model)}-{TRAFFIC_ROLE_ROOT}"


def split_route_name(model: str) -> str:
    """Return the name of the VirtualService that holds the weights; only the controller writes it."""
    return f"{kube_name(model)}-{TRAFFIC_ROLE_SPLIT}"


def split_route(salt_index: int) -> str:
    """Return the name of a split's HTTP route, which says by which salt users are hashed."""
    return f"{SPLIT_ROUTE}-{salt_index:02d}"


def salt_index_of(route: str) -> int | None:
    """Return the salt that a split's HTTP route names; None if it is no such route.

    A route without a number is one that was written before routes were numbered: it counts as the first.
    """
    if route == SPLIT_ROUTE:
        return 0
    return next((index for index in range(SALT_COUNT) if route == split_route(index)), None)


def gateway_route_name(model: str, salt_index: int) -> str:
    """Return a model's route as the gateway names it: Istio joins the names of the root's and the split's HTTP route.

    All models share a host, so the name must be the model's own: patches of the gateway find routes by it.
    """
    return f"{root_route_name(model)}-{split_route(salt_index)}"


def experiment_salt(model: str, salt_index: int) -> str:
    """Return what is put before a user's id when the gateway hashes it (`ml.experiments.assignment`)."""
    return f"{model}-{salt_index:02d}"


def access_label(service: str) -> dict[str, str]:
    """Return the label that a pod carries so that the network policies let it reach a service of the platform."""
    return {f"{LABEL_DOMAIN}/access-{service}": "true"}
