"""The recording monitor, under the name by which tests know it; `mlp policy check` uses it as well."""

from __future__ import annotations

from policies.render.graph import Graph, Recorded, Secret, Unknown, reveal
from policies.render.recording_monitor import PROJECT, InvalidRegistrationError, RecordingMonitor, run

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
