"""`python -m ml.controller`: runs the controller in a pod until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import kopf

from ml.controller.config import Config, ConfigError, load_config
from ml.controller.keeper import SplitKeeper
from ml.controller.operator import build_registry
from ml.controller.virtual_services import ApiError, VirtualServices, in_cluster_client

# They write a line per request, probe and event; what the controller did is in its own lines.
_CHATTY = ("httpx", "aiohttp.access", "kopf.objects")


async def run(config: Config) -> None:
    """Watch and keep until SIGTERM or SIGINT."""
    async with in_cluster_client() as client:
        api = VirtualServices(client, config.namespace)
        keeper = SplitKeeper(api, timeout_seconds=config.split_timeout_seconds)
        await kopf.operator(
            registry=build_registry(api, keeper),
            namespaces=[config.namespace],
            standalone=True,
            liveness_endpoint=f"http://0.0.0.0:{config.health_port}/healthz",
        )


def main() -> int:
    """Return the process's exit status."""
    kopf.configure(log_format=kopf.LogFormat.FULL)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        asyncio.run(run(load_config(os.environ)))
    except (ConfigError, ApiError) as error:
        print(f"controller: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
