"""Runs the provider as the process that the engine starts and talks to over gRPC."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from local.provider.engine_log import EngineLog
from local.provider.servicer import KubernetesServicer

_MESSAGE_LIMIT_BYTES: Final = 400 * 1024 * 1024
"""The engine's own limit."""
_THREADS: Final = 256
"""More than the engine runs operations in parallel, so that a Cancel is always heard; idle ones are not started."""
_PARENT_CHECK_SECONDS: Final = 2.0


def serve(engine_address: str | None) -> None:
    """Answer the engine until it ends; the port is the only thing ever written to standard output."""
    log = EngineLog()
    if engine_address:
        log.attach(engine_address)
    options = [
        ("grpc.max_receive_message_length", _MESSAGE_LIMIT_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_LIMIT_BYTES),
    ]
    server = grpc.server(ThreadPoolExecutor(max_workers=_THREADS), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(KubernetesServicer(log), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdout = sys.stderr
    if engine_address:
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    server.wait_for_termination()


def _end_with_parent(parent: int) -> None:
    """End this process when the engine that started it is gone, however it ended."""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(1)
