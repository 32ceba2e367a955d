"""`python -m ml.workspaces`: shows one workspace of the registry until it is told to stop.

Environment: REGISTRY_URL, WORKSPACE, PORT.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from typing import Final

import httpx
import uvicorn

from ml.workspaces.proxy import WorkspaceProxy

_STOP_SECONDS: Final = 20
_TIMEOUT: Final = httpx.Timeout(300.0, connect=5.0)
"""Artifacts are large: the registry may take its time between two pieces of one."""


async def serve(registry_url: str, workspace: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    async with httpx.AsyncClient(base_url=registry_url, timeout=_TIMEOUT, trust_env=False) as registry:
        config = uvicorn.Config(
            WorkspaceProxy(registry, workspace).app(),
            host="0.0.0.0",  # noqa: S104 - a pod's address is not known; network policies say who reaches it
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        await uvicorn.Server(config).serve()


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Return the process's exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        url, workspace, port = environment["REGISTRY_URL"], environment["WORKSPACE"], int(environment["PORT"])
    except (KeyError, ValueError) as error:
        print(f"workspaces: REGISTRY_URL, WORKSPACE or PORT: {error}", file=sys.stderr)
        return 2
    asyncio.run(serve(url, workspace, port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
