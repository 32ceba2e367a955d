"""Aliases through MLflow's REST API: `ml.controller.ports.Registry` for real."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final, cast

import httpx

from ml.controller.ports import UnavailableError
from ml.controller.traffic import Fence

LOG: Final = logging.getLogger(__name__)
_URL: Final = "/api/2.0/mlflow/registered-models/alias"
_MISSING: Final = "RESOURCE_DOES_NOT_EXIST"
_INVALID: Final = "INVALID_PARAMETER_VALUE"


class MlflowRegistry:
    """The model registry behind a client whose base address is the tracking server's."""

    def __init__(self, client: httpx.AsyncClient, *, fence: Fence) -> None:
        self._client = client
        self._fence = fence

    async def alias(self, model: str, alias: str) -> int | None:
        """Return the version that an alias points to; None if there is no such alias or model.

        Raises:
            UnavailableError: the registry did not answer, or not what was asked.
        """
        status, document = await self._ask("GET", params={"name": model, "alias": alias})
        if status == HTTPStatus.OK:
            try:
                return int(document["model_version"]["version"])
            except (KeyError, TypeError, ValueError) as error:
                raise UnavailableError(f"MLflow: alias {alias} of {model}: {document}") from error
        # MLflow answers a missing alias of an existing model as an invalid parameter.
        code, message = document.get("error_code"), str(document.get("message", ""))
        if code == _MISSING or (code == _INVALID and "alias" in message.lower() and "not found" in message.lower()):
            return None
        raise UnavailableError(f"MLflow: alias {alias} of {model}: HTTP {status} {document}")

    async def set_alias(self, model: str, alias: str, version: int) -> None:
        """Point an alias to a version.

        Raises:
            UnavailableError: it is not known to have happened.
        """
        self._fence()
        body = {"name": model, "alias": alias, "version": str(version)}
        status, document = await self._ask("POST", json=body)
        if status != HTTPStatus.OK:
            raise UnavailableError(f"MLflow: alias {alias} of {model} to {version}: HTTP {status} {document}")
        LOG.info("%s: alias %s points to version %d", model, alias, version)

    async def delete_alias(self, model: str, alias: str) -> None:
        """Remove an alias; it is no error if there is none.

        Raises:
            UnavailableError: it is not known to have happened.
        """
        self._fence()
        status, document = await self._ask("DELETE", json={"name": model, "alias": alias})
        if status != HTTPStatus.OK and document.get("error_code") != _MISSING:
            raise UnavailableError(f"MLflow: removing alias {alias} of {model}: HTTP {status} {document}")
        LOG.info("%s: alias %s is removed", model, alias)

    async def _ask(self, method: str, **request: Any) -> tuple[int, dict[str, Any]]:
        try:
            response = await self._client.request(method, _URL, **request)
            parsed: object = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise UnavailableError(f"MLflow: {type(error).__name__} {error}") from error
        if not isinstance(parsed, dict):
            raise UnavailableError(f"MLflow: HTTP {response.status_code} {response.text[:200]}")
        return response.status_code, cast("dict[str, Any]", parsed)
