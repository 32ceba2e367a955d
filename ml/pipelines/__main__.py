"""Command line: `python -m ml.pipelines run train_models` on this machine, `compile train_models` for a cluster."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ml.contracts import DEFAULT_MODELS


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    if options.command == "compile":
        from ml.pipelines.train_models import cluster_environment, compile_to

        environment = cluster_environment(options.tracking_url) if options.tracking_url else None
        compile_to(options.output, options.base_image, options.model or DEFAULT_MODELS, environment=environment)
        sys.stdout.write(f"{options.output}\n")
        return 0
    return _run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml.pipelines", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a pipeline on this machine")
    run.add_argument("pipeline", choices=["train_models"])
    run.add_argument("--runner", choices=["local"], default="local", help="where to run (default: this machine)")
    run.add_argument("--model", choices=DEFAULT_MODELS, action="append", help="train only this model (may be repeated)")
    run.add_argument("--force", action="store_true", help="train although a champion exists already")
    run.add_argument("--alias", choices=["auto", "champion", "candidate-a"], default="auto")
    run.add_argument("--dataset", type=Path, help="default: MLP_DATASET, else the training image's data set")
    run.add_argument("--sample", type=int, default=0, help="packages to learn from (default: each model's own number)")
    run.add_argument("--epochs", type=int, default=3)
    run.add_argument("--seed", type=int, default=1)
    run.add_argument("--pipeline-root", type=Path, help="keep the steps' files here (default: a temporary folder)")
    compile_ = commands.add_parser("compile", help="write a pipeline for upload to a Kubeflow installation")
    compile_.add_argument("pipeline", choices=["train_models"])
    compile_.add_argument("--base-image", required=True, help="the training image")
    compile_.add_argument("--model", choices=DEFAULT_MODELS, action="append", help="only this model (may be repeated)")
    compile_.add_argument("--tracking-url", help="the tracking server as steps reach it (default: they are not told)")
    compile_.add_argument("--output", type=Path, required=True)
    return parser


def _run(options: argparse.Namespace) -> int:
    from ml.pipelines.local_runner import LocalRun, RunFailedError

    if not os.environ.get("MLFLOW_TRACKING_URI"):
        sys.stderr.write("MLFLOW_TRACKING_URI is not set: it says where the tracking server is\n")
        return 2
    started, stream = time.monotonic(), sys.stdout  # the runner's own output is redirected while steps run

    def progress(line: str) -> None:
        stream.write(f"[{time.monotonic() - started:5.0f}s] {line}\n")
        stream.flush()

    run = LocalRun(
        models=tuple(options.model or DEFAULT_MODELS),
        dataset=options.dataset,
        sample=options.sample,
        epochs=options.epochs,
        seed=options.seed,
        alias=options.alias,
        pipeline_root=options.pipeline_root,
    )
    try:
        run.execute(progress, force=options.force)
    except RunFailedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
