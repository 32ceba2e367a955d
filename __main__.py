"""The Pulumi program: one platform, from the settings of the stack."""

from __future__ import annotations

import pulumi

from components import settings
from components._timeouts import ready_within
from components.place import prepare
from components.platform import MlPlatform, MlPlatformArgs

configuration = settings.load()
place = prepare(configuration)
options = pulumi.ResourceOptions(
    providers=[place.provider],
    depends_on=place.before,
    transformations=[ready_within(configuration.ready_timeout_seconds)],
)
platform = MlPlatform("platform", MlPlatformArgs(settings=configuration, cloud=place.cloud), options)
for key, value in platform.outputs.items():
    pulumi.export(key, value)
