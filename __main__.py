"""The Pulumi program: one platform, from the settings of the stack."""

from __future__ import annotations

import pulumi

from components import settings
from components._timeouts import ready_within
from components.cluster import connect
from components.platform import MlPlatform, MlPlatformArgs

configuration = settings.load()
cluster = connect("cluster", configuration)
options = pulumi.ResourceOptions(
    providers=[cluster], transformations=[ready_within(configuration.ready_timeout_seconds)]
)
platform = MlPlatform("platform", MlPlatformArgs(settings=configuration), options)
for key, value in platform.outputs.items():
    pulumi.export(key, value)
