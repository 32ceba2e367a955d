"""What `process.serving` starts: the API as `python -m ml.api` serves it, but for where the Kubernetes API is.

In a pod its address and account are mounted files, which only root could put there on the machine that measures.
"""

from __future__ import annotations

import asyncio
import logging
import os

import httpx

from bench.api.process import KUBERNETES_URL
from ml.api.__main__ import serve
from ml.api.settings import load_settings
from ml.events.pool import DatabaseSettings


async def _main() -> None:
    cluster = httpx.AsyncClient(base_url=os.environ[KUBERNETES_URL], trust_env=False)
    database = DatabaseSettings.from_environment(os.environ)
    await serve(load_settings(os.environ), database, cluster, host="127.0.0.1")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(_main())
