"""The recording monitor, under the name by which tests know it; `mlp policy check` uses it as well."""

from __future__ import annotations

from policies.render.recording_monitor import (
    PROJECT,
    Graph,
    InvalidRegistrationError,
    Recorded,
    RecordingMonitor,
    Secret,
    Unknown,
    reveal,
    run,
)

__all__ = [
    "PROJECT",
    "Graph",
    "InvalidRegistrationError",
    "Recorded",
    "RecordingMonitor",
    "Secret",
    "Unknown",
    "reveal",
    "run",
]
