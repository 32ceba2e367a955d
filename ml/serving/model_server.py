"""What version sync asks the model server beside it, over its REST API."""

from __future__ import annotations

from typing import Any, Final

import httpx

from ml.contracts import SERVING_INPUT
from ml.serving.sync_core import ServedVersion

WARM_UP_TEXT: Final = "Is this version ready for its first client?"
_STATUS_TIMEOUT_SECONDS: Final = 2.0
_WARM_UP_TIMEOUT_SECONDS: Final = 30.0
_ATTEMPTS: Final = 2
_OK: Final = 200
_NOT_FOUND: Final = 404
_NO_ERROR: Final = ("OK", 0, "")


class ModelServer:
    """Asks one model server about one model."""

    def __init__(self, address: str, model: str, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(base_url=address, transport=transport, timeout=_STATUS_TIMEOUT_SECONDS)
        self._model_path = f"/v1/models/{model}"

    def close(self) -> None:
        """Close open connections."""
        self._client.close()

    def versions(self) -> dict[int, ServedVersion] | None:
        """Return the state of every version that the server knows, None if it does not answer."""
        for _ in range(_ATTEMPTS):
            try:
                response = self._client.get(self._model_path)
                if response.status_code == _NOT_FOUND:
                    return {}
                return _parse(response.raise_for_status().json())
            except (httpx.HTTPError, ValueError, KeyError, TypeError):
                continue
        return None

    def warm_up(self, version: int) -> str | None:
        """Ask a version for a prediction and return what went wrong, None if nothing did."""
        try:
            response = self._client.post(
                f"{self._model_path}/versions/{version}:predict",
                json={"instances": [{SERVING_INPUT: WARM_UP_TEXT}]},
                timeout=_WARM_UP_TIMEOUT_SECONDS,
            )
        except httpx.HTTPError as error:
            return str(error) or type(error).__name__
        if response.status_code == _OK:
            return None
        return f"answered {response.status_code}: {response.text[:300]}"


def _parse(answer: Any) -> dict[int, ServedVersion]:
    versions: dict[int, ServedVersion] = {}
    for entry in answer["model_version_status"]:
        status = entry.get("status", {})
        code = status.get("error_code", "OK")
        error = "" if code in _NO_ERROR else f"{code}: {status.get('error_message', '')}"
        versions[int(entry["version"])] = ServedVersion(str(entry["state"]), error)
    return versions
