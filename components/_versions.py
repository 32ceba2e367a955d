"""The one place that says which images the platform runs where a stack does not name its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Image:
    """A container image."""

    repository: str
    """Registry and path; for the platform's own images only the path, the registry is a setting."""
    tag: str
    digest: str | None = None
    """`sha256:...`; an image without one can change under its tag."""
    own: bool = False
    """Whether the image is built from this repository and lies in the stack's own registry."""

    def reference(
        self, own_registry: str | None = None, *, own_version: str | None = None, mirror: str | None = None
    ) -> str:
        """Return the reference to pull.

        Args:
            own_registry: where the platform's own images lie.
            own_version: their tag, where it is not the one of this program.
            mirror: what is in front of every reference; own images may lie there without a registry of their own.

        Raises:
            ValueError: the image is the platform's own and neither registry nor mirror is given.
        """
        repository, tag = self.repository, self.tag
        if self.own:
            if own_registry is None and mirror is None:
                raise ValueError(f"image {self.repository}: a registry is needed")
            repository = repository if own_registry is None else f"{own_registry}/{repository}"
            tag = own_version or tag
        return mirrored(f"{repository}:{tag}" + (f"@{self.digest}" if self.digest else ""), mirror)


def mirrored(place: str, mirror: str | None) -> str:
    """Return where an image or chart lies: under its usual name, below the mirror if there is one."""
    return place if mirror is None else f"{mirror}/{place}"


POSTGRES: Final = "postgres"
POSTGRES_CLUSTER: Final = "postgres-cluster"
POSTGRES_EXPORTER: Final = "postgres-exporter"
MINIO: Final = "minio"
MINIO_CLIENT: Final = "minio-client"
MLFLOW: Final = "mlflow"
MODEL_SERVER: Final = "model-server"
MODEL_SERVER_GPU: Final = "model-server-gpu"
ML: Final = "ml"
TRAINING: Final = "training"
PROMETHEUS: Final = "prometheus"
MYSQL: Final = "mysql"
PIPELINES_API: Final = "pipelines-api"
PIPELINES_AGENT: Final = "pipelines-agent"
PIPELINES_SCHEDULER: Final = "pipelines-scheduler"
PIPELINES_UI: Final = "pipelines-ui"
PIPELINES_DRIVER: Final = "pipelines-driver"
PIPELINES_LAUNCHER: Final = "pipelines-launcher"
PIPELINES_METADATA: Final = "pipelines-metadata"
PIPELINES_METADATA_PROXY: Final = "pipelines-metadata-proxy"
WORKFLOW_CONTROLLER: Final = "workflow-controller"
WORKFLOW_EXECUTOR: Final = "workflow-executor"
PAGE_LOGIN: Final = "page-login"

PIPELINE_IMAGES: Final = (
    MYSQL,
    PIPELINES_API,
    PIPELINES_AGENT,
    PIPELINES_SCHEDULER,
    PIPELINES_UI,
    PIPELINES_DRIVER,
    PIPELINES_LAUNCHER,
    PIPELINES_METADATA,
    PIPELINES_METADATA_PROXY,
    WORKFLOW_CONTROLLER,
    WORKFLOW_EXECUTOR,
)
"""What only a stack with the pipeline service pulls."""

PLATFORM_VERSION: Final = "0.1.0"
"""Tag of the platform's own images that were built with this program."""
_PIPELINES_VERSION: Final = "2.17.0"
_ARGO_VERSION: Final = "v4.0.5"

IMAGES: Final[Mapping[str, Image]] = {
    # Digests are those of the index over all processors, as several independent projects pinned them until November
    # 2026; none was pulled here. MLflow's and TensorFlow Serving's were found nowhere: these go by tag until somebody
    # who can pull adds them.
    POSTGRES: Image(
        repository="docker.io/library/postgres",
        tag="18.6",
        digest="sha256:5a5a84b19854a9ffaa54082c166ff4ec27473a361e496e5ea167f298f2da9722",
    ),
    # As CloudNativePG wants it. Its makers build it anew every week under the same tag, and projects pin different
    # digests of it: none is given here.
    POSTGRES_CLUSTER: Image(repository="ghcr.io/cloudnative-pg/postgresql", tag="18.6-standard-trixie"),
    POSTGRES_EXPORTER: Image(
        repository="quay.io/prometheuscommunity/postgres-exporter",
        tag="v0.20.1",
        digest="sha256:ac5ec343104fae0e2d84a27bb8d69b38430a11910c5382cad85d478d2bab713e",
    ),
    MINIO: Image(
        repository="quay.io/minio/minio",
        tag="RELEASE.2025-09-07T16-13-09Z",
        digest="sha256:14cea493d9a34af32f524e538b8346cf79f3321eff8e708c1e2960462bd8936e",
    ),
    MINIO_CLIENT: Image(
        repository="quay.io/minio/mc",
        tag="RELEASE.2025-08-13T08-35-41Z",
        digest="sha256:a7fe349ef4bd8521fb8497f55c6042871b2ae640607cf99d9bede5e9bdf11727",
    ),
    # The plain image has neither a PostgreSQL driver nor an S3 client nor the metrics exporter.
    MLFLOW: Image(repository="ghcr.io/mlflow/mlflow", tag="v3.17.2-full"),
    MODEL_SERVER: Image(repository="docker.io/tensorflow/serving", tag="2.20.0"),
    MODEL_SERVER_GPU: Image(repository="docker.io/tensorflow/serving", tag="2.20.0-gpu"),
    ML: Image(repository="mlplatform/ml", tag=PLATFORM_VERSION, own=True),
    # Any since 2.40 will do: rules and configuration use nothing newer.
    PROMETHEUS: Image(
        repository="docker.io/prom/prometheus",
        tag="v3.14.0",
        digest="sha256:5ce7540c3c00ef4ab0c9d2c995c6a5b9c421f44b4a115d97a2c7af3b1c21cbb0",
    ),
    TRAINING: Image(repository="mlplatform/training", tag=PLATFORM_VERSION, own=True),
    # No digest of it was found.
    PAGE_LOGIN: Image(repository="quay.io/oauth2-proxy/oauth2-proxy", tag="v7.15.6"),
    # Kubeflow Pipelines' metadata store needs a password scheme that MySQL 9 no longer has.
    MYSQL: Image(
        repository="docker.io/library/mysql",
        tag="8.4.10",
        digest="sha256:c592c15aaf4a1961e15d82eb31ea5987dda862d1c4b1e93424438c0e91dc1f8d",
    ),
    # Everything that Kubeflow Pipelines 2.17.0 was released with; no digest of these was found.
    PIPELINES_API: Image(repository="ghcr.io/kubeflow/kfp-api-server", tag=_PIPELINES_VERSION),
    PIPELINES_AGENT: Image(repository="ghcr.io/kubeflow/kfp-persistence-agent", tag=_PIPELINES_VERSION),
    PIPELINES_SCHEDULER: Image(repository="ghcr.io/kubeflow/kfp-scheduled-workflow-controller", tag=_PIPELINES_VERSION),
    PIPELINES_UI: Image(repository="ghcr.io/kubeflow/kfp-frontend", tag=_PIPELINES_VERSION),
    PIPELINES_DRIVER: Image(repository="ghcr.io/kubeflow/kfp-driver", tag=_PIPELINES_VERSION),
    PIPELINES_LAUNCHER: Image(repository="ghcr.io/kubeflow/kfp-launcher", tag=_PIPELINES_VERSION),
    PIPELINES_METADATA: Image(repository="gcr.io/tfx-oss-public/ml_metadata_store_server", tag="1.14.0"),
    PIPELINES_METADATA_PROXY: Image(repository="ghcr.io/kubeflow/kfp-metadata-envoy", tag=_PIPELINES_VERSION),
    WORKFLOW_CONTROLLER: Image(repository="quay.io/argoproj/workflow-controller", tag=_ARGO_VERSION),
    WORKFLOW_EXECUTOR: Image(repository="quay.io/argoproj/argoexec", tag=_ARGO_VERSION),
}
"""By logical name, which is also the key under which a stack may set another reference."""
