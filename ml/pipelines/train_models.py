"""Pipeline `train_models`: for each model prepare, train, evaluate against baselines, export and register.

Kubeflow reads the types of a pipeline's parameters from its annotations, which must therefore be real objects: this
module does without postponed annotations.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ml.contracts import DEFAULT_MODELS, TRAINING_PIPELINE, kube_name
from ml.pipelines import components
from ml.pipelines.kubeflow_module import compiler, dsl
from ml.training.dataset import DEFAULT_DATASET
from ml.training.registration import AUTOMATIC_ALIAS

_CPU_REQUEST: Final = "500m"
_MEMORY_REQUEST: Final = "1Gi"
_MEMORY_LIMIT: Final = "3Gi"


def build(
    base_image: str, models: Sequence[str] = DEFAULT_MODELS, *, environment: Mapping[str, str] | None = None
) -> Any:
    """Return the pipeline.

    Args:
        base_image: the training image, in which every step runs.
        models: which models to train; their branches do not depend on each other.
        environment: variables that every step gets besides those of its image; the local runner passes its own on.

    Raises:
        ValueError: no model, or no image.
    """
    if not models or not base_image:
        raise ValueError(f"models={list(models)}, base_image={base_image!r}: both must be given")
    steps = {
        step.__name__: dsl.component(step, base_image=base_image, install_kfp_package=False)
        for step in components.STEPS
    }

    def train_models(
        dataset: str = DEFAULT_DATASET,
        sample: int = 0,
        epochs: int = 3,
        learning_rate: float = 0.005,
        seed: int = 1,
        alias: str = AUTOMATIC_ALIAS,
    ) -> None:
        for model in models:
            data = steps["prepare_data"](model=model, dataset=dataset, sample=sample, seed=seed)
            trained = steps["train_model"](
                data=data.outputs["data"], epochs=epochs, learning_rate=learning_rate, seed=seed
            )
            delivered = _add_delivery(steps, data, trained, alias)
            for task in (data, trained, *delivered):
                _arrange(task, model, environment or {})

    return dsl.pipeline(
        train_models, name=TRAINING_PIPELINE, description="Trains, judges and registers the platform's text models."
    )


def compile_to(
    path: Path,
    base_image: str,
    models: Sequence[str] = DEFAULT_MODELS,
    *,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Write the compiled pipeline, for a Kubeflow installation; see `build`."""
    compiler.Compiler().compile(build(base_image, models, environment=environment), str(path))


def cluster_environment(tracking_url: str) -> dict[str, str]:
    """Return the variables that steps need in a cluster, where nobody passes any on."""
    return {
        "MLFLOW_TRACKING_URI": tracking_url,
        # A step runs as a user without a home.
        "HOME": "/tmp",  # noqa: S108 inside the step's container
        "PYTHONUNBUFFERED": "1",
        # The image has no git, and MLflow would say so at length.
        "GIT_PYTHON_REFRESH": "quiet",
    }


def _add_delivery(steps: dict[str, Any], data: Any, trained: Any, alias: Any) -> tuple[Any, ...]:
    """Add what follows training: judge, export and register, in this order."""
    evaluated = steps["evaluate_model"](data=data.outputs["data"], trained=trained.outputs["trained"])
    exported = steps["export_model"](
        data=data.outputs["data"], trained=trained.outputs["trained"], evaluation=evaluated.outputs["evaluation"]
    )
    registered = steps["register_model"](exported=exported.outputs["exported"], alias=alias)
    return evaluated, exported, registered


def _arrange(task: Any, model: str, environment: Mapping[str, str]) -> None:
    """Set what all steps have in common."""
    # A cached register step would register nothing, and cached training hides that data or code has changed.
    task.set_caching_options(False)
    task.set_display_name(f"{task.name.rstrip('-0123456789')} {kube_name(model)}")
    task.set_cpu_request(_CPU_REQUEST).set_memory_request(_MEMORY_REQUEST).set_memory_limit(_MEMORY_LIMIT)
    for name, value in environment.items():
        task.set_env_variable(name, value)
