"""Starts the server with TensorFlow Serving's command line; SIGTERM drains open requests and ends it."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Sequence

from local.modelserver import flags as command_line
from local.modelserver.flags import FlagError, Flags
from local.modelserver.runtime_only import skip_public_api

_LOG = logging.getLogger("modelserver")


def main(arguments: Sequence[str]) -> int:
    """Run the server until a signal ends it; return the exit status."""
    try:
        flags, without_effect = command_line.parse(arguments)
    except FlagError as error:
        sys.stderr.write(f"{error}\n{command_line.usage()}\n")
        return 1
    logging.basicConfig(
        level=logging.INFO, format="%(levelname).1s %(asctime)s %(name)s] %(message)s", stream=sys.stderr
    )
    if flags.version:
        return _print_version()
    if without_effect:
        _LOG.warning("without effect in the stand-in: %s", ", ".join(without_effect))
    stopping = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return _serve(flags, stopping)


def _print_version() -> int:
    skip_public_api()
    from local.modelserver.tensorflow_module import tensorflow_version

    sys.stdout.write(f"TensorFlow ModelServer: stand-in\nTensorFlow Library: {tensorflow_version}\n")
    return 0


def _serve(flags: Flags, stopping: threading.Event) -> int:
    skip_public_api()
    from local.modelserver.server import Server
    from local.modelserver.status import StatusError

    try:
        server = Server(flags)
        server.run(stopping)
    except (StatusError, RuntimeError, OSError) as error:
        _LOG.error("Failed to start server. Error: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
