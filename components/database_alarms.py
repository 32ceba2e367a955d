"""What AWS measures of a database server and Prometheus cannot, and who is told when it goes wrong.

Whether the server answers, its connections and its locks are told by the exporter. Its disk and the processor time that
a small machine has saved up are known to AWS alone. Every address has to confirm once that it wants the mails.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._aws import AwsScope
from components._base import PlatformComponent

_PERIOD_SECONDS = 300
_PERIODS = 3
_LEAST_STORAGE_SHARE = 0.05
"""Of the storage at first. It grows when a tenth is left: below this it cannot grow any more, or not fast enough."""
_LEAST_CREDITS = 30
"""Minutes of one whole processor."""
_GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class DatabaseAlarmsArgs:
    """Which server, and who is told."""

    scope: AwsScope
    instance: pulumi.Input[str]
    """The server's identifier."""
    instance_class: str
    storage_gib: int
    key_arn: pulumi.Input[str]
    """CloudWatch may use it."""
    mails: tuple[str, ...]


class DatabaseAlarms(PlatformComponent):
    """Alarms about one server, and their way to people."""

    def __init__(self, name: str, args: DatabaseAlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self._topic = self._create_topic()
        storage = args.storage_gib * _LEAST_STORAGE_SHARE
        self._create_alarm(
            "storage", "FreeStorageSpace", storage * _GIB, f"Less than {storage:g} GiB are free, and it does not grow"
        )
        if args.instance_class.startswith("db.t"):
            self._create_alarm(
                "credits",
                "CPUCreditBalance",
                _LEAST_CREDITS,
                "Too small a class: its saved processor time is used up",
            )
        self.finish(topic=self._topic)

    def _create_topic(self) -> pulumi.Output[str]:
        args = self._args
        topic = aws.sns.Topic(
            self._name,
            name=args.scope.named(self._name),
            kms_master_key_id=args.key_arn,
            tags=args.scope.tagged(args.scope.named(self._name)),
            opts=self.child(),
        )
        for index, mail in enumerate(args.mails):
            aws.sns.TopicSubscription(
                f"{self._name}-{index}", topic=topic.arn, protocol="email", endpoint=mail, opts=self.child()
            )
        return topic.arn

    def _create_alarm(self, role: str, metric: str, least: float, description: str) -> None:
        name = f"{self._name}-{role}"
        full_name = self._args.scope.named(name)
        aws.cloudwatch.MetricAlarm(
            name,
            name=full_name,
            alarm_description=description,
            namespace="AWS/RDS",
            metric_name=metric,
            dimensions={"DBInstanceIdentifier": self._args.instance},
            statistic="Average",
            comparison_operator="LessThanThreshold",
            threshold=least,
            period=_PERIOD_SECONDS,
            evaluation_periods=_PERIODS,
            alarm_actions=[self._topic],
            ok_actions=[self._topic],
            tags=self._args.scope.tagged(full_name),
            opts=self.child(),
        )
