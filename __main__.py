"""The Pulumi program: one platform, from the settings of the stack."""

from __future__ import annotations

import pulumi

from components import settings
from components.cluster import connect
from components.platform import MlPlatform, MlPlatformArgs

configuration = settings.load()
cluster = connect("cluster", configuration)
platform = MlPlatform("platform", MlPlatformArgs(settings=configuration), pulumi.ResourceOptions(providers=[cluster]))
for key, value in platform.outputs.items():
    pulumi.export(key, value)
