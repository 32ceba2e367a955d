"""What a slot's sync tells others: `/readyz` for Kubernetes, `/status` for people and the controller, `/metrics`."""

from __future__ import annotations

import dataclasses
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from ml.serving.sync_core import Phase

_PHASES: Final[tuple[Phase, ...]] = ("starting", "empty", "fetching", "loading", "serving", "failed")
_PREFIX: Final = "mlplatform_sync"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlotStatus:
    """A slot as it was when sync last looked.

    Attributes:
        model: the model.
        alias: the registry alias that the slot follows.
        phase: see `ml.serving.sync_core.Verdict`.
        ready: whether clients may be sent here.
        wanted_version: what the alias points to, None if to nothing or not yet known.
        serving_version: what answers clients, None if nothing does.
        error: why the wanted version is not served, empty unless something went wrong.
        registry_reachable: whether the registry answered.
        fetches: downloads since the start.
        fetch_failures: how many of them failed.
        checked_at: when sync last looked, in seconds since 1970.
    """

    model: str
    alias: str
    phase: Phase = "starting"
    ready: bool = False
    wanted_version: int | None = None
    serving_version: int | None = None
    error: str = ""
    registry_reachable: bool = False
    fetches: int = 0
    fetch_failures: int = 0
    checked_at: float = 0.0

    def serves(self, version: int) -> bool:
        """Return whether exactly this version is wanted and answers clients."""
        return self.phase == "serving" and self.wanted_version == version == self.serving_version


class StatusBoard:
    """The latest status, written by the sync loop and read by the HTTP server's threads."""

    def __init__(self, status: SlotStatus) -> None:
        self._lock = threading.Lock()
        self._status = status

    def publish(self, status: SlotStatus) -> None:
        """Replace the status."""
        with self._lock:
            self._status = status

    def read(self) -> SlotStatus:
        """Return the status."""
        with self._lock:
            return self._status


def answer(status: SlotStatus, target: str) -> tuple[int, str, str]:
    """Return HTTP status, content type and body for a request's path and query."""
    parts = urlsplit(target)
    if parts.path == "/readyz":
        return _readiness(status, parse_qs(parts.query))
    if parts.path == "/status":
        return 200, "application/json", json.dumps(dataclasses.asdict(status), indent=1) + "\n"
    if parts.path == "/metrics":
        return 200, "text/plain; version=0.0.4", metrics_page(status)
    return 404, "text/plain", "allowed are /readyz, /status and /metrics\n"


def metrics_page(status: SlotStatus) -> str:
    """Return the status as Prometheus series."""
    labels = f'model="{status.model}",alias="{status.alias}"'
    gauges = {
        "ready": int(status.ready),
        "wanted_version": status.wanted_version or 0,
        "serving_version": status.serving_version or 0,
        "registry_reachable": int(status.registry_reachable),
        "last_check_timestamp_seconds": status.checked_at,
    }
    lines: list[str] = []
    for name, value in gauges.items():
        lines += [f"# TYPE {_PREFIX}_{name} gauge", f"{_PREFIX}_{name}{{{labels}}} {value}"]
    lines.append(f"# TYPE {_PREFIX}_phase gauge")
    lines += [f'{_PREFIX}_phase{{{labels},phase="{phase}"}} {int(phase == status.phase)}' for phase in _PHASES]
    lines.append(f"# TYPE {_PREFIX}_fetches_total counter")
    succeeded = status.fetches - status.fetch_failures
    lines.append(f'{_PREFIX}_fetches_total{{{labels},result="success"}} {succeeded}')
    lines.append(f'{_PREFIX}_fetches_total{{{labels},result="failure"}} {status.fetch_failures}')
    return "\n".join(lines) + "\n"


def serve_status(board: StatusBoard, port: int) -> ThreadingHTTPServer:
    """Return a running HTTP server on all addresses of a port.

    Raises:
        OSError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        """Answers from the board."""

        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            """Answer a request."""
            code, content_type, text = answer(board.read(), self.path)
            body = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's name
            """Log nothing: probes come every few seconds."""

    server = ThreadingHTTPServer(("0.0.0.0", port), Handler)  # noqa: S104 probes come from outside the pod
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="status", daemon=True).start()
    return server


def _readiness(status: SlotStatus, query: dict[str, list[str]]) -> tuple[int, str, str]:
    asked = query.get("version", [""])[0]
    if asked and not asked.isdecimal():
        return 400, "text/plain", f"version={asked!r}: allowed is a number\n"
    ready = status.serves(int(asked)) if asked else status.ready
    detail = f"{status.phase}, wanted {status.wanted_version}, serving {status.serving_version}"
    return (200 if ready else 503), "text/plain", f"{'ready' if ready else 'not ready'}: {detail}\n"
