"""The event store's schema, in a database of the relational store: what experiments are decided and remembered in.

A Job creates or migrates the schema. Whoever takes the access from here starts after it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._database import DatabaseAccess, authority_mounts, authority_volumes, database_env
from components._labels import object_labels
from components._workload import (
    CONFIG_ANNOTATION,
    TMP_DIR,
    Resources,
    container,
    env,
    job_spec,
    pod_template,
    scratch_volume,
)
from ml.contracts import access_label

_NAME = "event-store"
_MIGRATION_DEADLINE_SECONDS = 900
_MIGRATION_RESOURCES = Resources(cpu_millis=50, memory_mib=128, memory_limit_mib=512)


@dataclass(frozen=True, kw_only=True)
class EventStoreArgs:
    """What the event store needs to know."""

    namespace: pulumi.Input[str]
    image: str
    database: DatabaseAccess


class EventStore(PlatformComponent):
    """The schema of the event store."""

    access: DatabaseAccess
    """How to reach it, once the schema is there."""

    def __init__(self, name: str, args: EventStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        role = f"{name}-migration"
        migration = container(
            "migration",
            args.image,
            _MIGRATION_RESOURCES,
            command=["python3", "-m", "ml.events", "migrate"],
            env=[*database_env(args.database), env("HOME", TMP_DIR)],
            mounts={TMP_DIR: "tmp"},
            read_only_mounts=authority_mounts(args.database.authority),
        )
        template = pod_template(
            [migration],
            labels={**object_labels(_NAME, role, args.image), **access_label(args.database.label)},
            annotations={CONFIG_ANNOTATION: args.database.fingerprint},
            restart_policy="OnFailure",
            volumes=[scratch_volume("tmp", 16), *authority_volumes(args.database.authority)],
        )
        job = k8s.batch.v1.Job(
            role,
            metadata=k8s.meta.v1.ObjectMetaArgs(
                namespace=args.namespace, labels=object_labels(_NAME, name, args.image)
            ),
            spec=job_spec(template, deadline_seconds=_MIGRATION_DEADLINE_SECONDS),
            opts=self.child(),
        )
        # The Job counts as created once it has succeeded, so by its data the Secret's name comes after it.
        secret = pulumi.Output.all(job.urn, args.database.secret).apply(lambda known: str(known[1]))
        self.access = dataclasses.replace(args.database, secret=secret)
        self.finish(secret=secret)
