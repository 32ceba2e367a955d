"""Pipeline `train_models`: for each model prepare, train, evaluate against baselines, export and register.

Kubeflow reads the types of a pipeline's parameters from its annotations, which must therefore be real objects: this
module does without postponed annotations.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml.contracts import DEFAULT_MODELS, TRAINING_PIPELINE, kube_name
from ml.pipelines import components
from ml.pipelines.kubeflow_module import compiler, dsl
from ml.training.dataset import DEFAULT_DATASET
from ml.training.registration import AUTOMATIC_ALIAS


def build(base_image: str, models: Sequence[str] = DEFAULT_MODELS) -> Any:
    """Return the pipeline.

    Args:
        base_image: the training image, in which every step runs.
        models: which models to train; their branches do not depend on each other.

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
            _add_delivery(steps, model, data, trained, alias)

    return dsl.pipeline(
        train_models, name=TRAINING_PIPELINE, description="Trains, judges and registers the platform's text models."
    )


def compile_to(path: Path, base_image: str) -> None:
    """Write the compiled pipeline, for upload to a Kubeflow installation."""
    compiler.Compiler().compile(build(base_image), str(path))


def _add_delivery(steps: dict[str, Any], model: str, data: Any, trained: Any, alias: Any) -> None:
    """Add what follows training: judge, export and register, in this order."""
    evaluated = steps["evaluate_model"](data=data.outputs["data"], trained=trained.outputs["trained"])
    exported = steps["export_model"](
        data=data.outputs["data"], trained=trained.outputs["trained"], evaluation=evaluated.outputs["evaluation"]
    )
    registered = steps["register_model"](exported=exported.outputs["exported"], alias=alias)
    for task in (data, trained, evaluated, exported, registered):
        # A cached register step would register nothing, and cached training hides that data or code has changed.
        task.set_caching_options(False)
        task.set_display_name(f"{task.name.rstrip('-0123456789')} {kube_name(model)}")
