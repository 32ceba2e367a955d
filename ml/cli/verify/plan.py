"""Which checks a platform gets."""

from __future__ import annotations

from functools import partial
from typing import Final

from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.cli.verify import database, experiments, monitoring, object_store, serving, tracking
from ml.cli.verify.check import Check
from ml.contracts import API_SERVICE, METADATA_DB_SERVICE, PROMETHEUS_SERVICE

_GATEWAY_PAGES: Final = (("mlflow", "/health"), ("minio", "/"))
_LOGIN_ANSWERS: Final = "/ping"
"""What a page's login answers to everybody."""


def plan_checks(kubectl: Kubectl, outputs: StackOutputs, token: str) -> list[Check]:
    """Return one check for every way in which the platform's parts are used.

    Args:
        kubectl: the cluster.
        outputs: what the stack tells about itself.
        token: a text nobody else writes, to tell this run's data from other data.
    """
    database_name = outputs.metadata_db.workload or METADATA_DB_SERVICE
    store = outputs.object_store
    checks = [
        Check(
            component=database_name,
            what=f"write and read a row as {consumer}",
            run=partial(database.write_and_read_row, kubectl, outputs, consumer, token),
            has_logs=bool(outputs.metadata_db.workload),
        )
        for consumer in outputs.metadata_db.consumers
    ]
    # A store of the cloud opens to the tracking server only: its check logs an artifact there.
    checks += (
        []
        if store is None
        else [
            Check(
                component=store.service,
                what=f"put, get and delete an object as {consumer}",
                run=partial(object_store.put_get_delete_object, kubectl, outputs.namespace, store, consumer, token),
            )
            for consumer in store.consumers
        ]
    )
    checks += [
        Check(
            component=outputs.tracking_server.service,
            what="log, read and delete a run with an artifact",
            run=partial(tracking.log_read_delete_run, kubectl, outputs, token),
        ),
        Check(
            component="dns",
            what="resolve the names of the services",
            run=partial(serving.names_resolve, kubectl, outputs),
            has_logs=False,
        ),
        Check(
            component=PROMETHEUS_SERVICE,
            what="measure every part",
            run=partial(monitoring.every_part_is_measured, kubectl, outputs),
        ),
        Check(
            component=API_SERVICE,
            what="list experiments, and refuse whoever has no token",
            run=partial(experiments.list_experiments, kubectl, outputs),
        ),
    ]
    checks += [
        Check(
            component="gateway",
            what=f"open {outputs.hosts[host]}",
            run=partial(serving.route_answers, outputs, host, _LOGIN_ANSWERS if outputs.login else path),
        )
        for host, path in _GATEWAY_PAGES
        if host in outputs.hosts  # nobody may open it from outside, or there is none
    ]
    for model in outputs.models:
        checks += _model_checks(kubectl, outputs, model)
    return checks


def _model_checks(kubectl: Kubectl, outputs: StackOutputs, model: str) -> list[Check]:
    return [
        Check(
            component="controller",
            what=f"keep the split of {model}",
            run=partial(serving.split_is_complete, kubectl, outputs, model),
        ),
        Check(
            component=model,
            what="predict in the stable slot",
            run=partial(serving.predict_in_slot, kubectl, outputs, model),
        ),
        Check(
            component=model,
            what="predict through the gateway",
            run=partial(serving.predict_through_gateway, outputs, model),
        ),
    ]
