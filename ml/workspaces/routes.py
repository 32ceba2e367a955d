"""What of the registry's interface a team may use, and which headers reach the registry.

The registry separates workspaces by a header that anybody may write. What is allowed is therefore listed, and what is
not listed is refused: administration of workspaces, web hooks, downloads that the server makes under its own rights.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ml.contracts import WORKSPACE_HEADER

_SUBJECTS: Final = (
    "artifacts",
    "datasets",
    "experiments",
    "logged-models",
    "metrics",
    "model-versions",
    "registered-models",
    "runs",
    "traces",
)
_ALLOWED: Final = re.compile(
    rf"/api/[23]\.0/mlflow/({'|'.join(_SUBJECTS)})(/.*)?"
    r"|/api/2\.0/mlflow-artifacts/artifacts(/.*)?"
    r"|/api/3\.0/mlflow/server-info"
    r"|/health|/version"
)
_OF_ONE_CONNECTION: Final = frozenset(
    {
        "connection",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def is_allowed(path: str) -> bool:
    """Say whether a team may ask for a path, given decoded; one that climbs or hides a step is refused."""
    steps = path.split("/")[1:]
    tidy = "\\" not in path and all(step not in {".", ".."} for step in steps) and "" not in steps[:-1]
    return tidy and _ALLOWED.fullmatch(path) is not None


def passed_on(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers that go to the other side; those of one connection and the workspace's stay behind.

    Names with an underscore stay behind too: a server behind WSGI cannot tell them from names with a hyphen, so one of
    them would be a second way to name a workspace.
    """
    return [
        (name, value)
        for name, value in headers
        if name.lower() not in _OF_ONE_CONNECTION and name.lower() != WORKSPACE_HEADER and "_" not in name
    ]
