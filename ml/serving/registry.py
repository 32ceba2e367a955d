"""The part of MLflow's REST API that version sync needs: which version an alias names, and that version's files.

Plain HTTP instead of MLflow's client: the sync container beside every model server stays small, and every call has a
time limit. Artifacts must be served by the tracking server itself, so no storage credentials are needed here.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

import httpx

DIGEST_TAG: Final = "saved_model.sha256"
"""Tag of a model version that holds `directory_digest` of its SavedModel."""

_API: Final = "/api/2.0/mlflow"
_ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"
_PROXIED: Final = "mlflow-artifacts"
_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
_NO_SUCH_ALIAS: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_OK: Final = 200
_CHUNK_BYTES: Final = 1 << 20


class RegistryError(RuntimeError):
    """The registry does not answer, or not as expected."""


@dataclasses.dataclass(frozen=True)
class RegisteredVersion:
    """A version of a model in the registry.

    Attributes:
        model: name of the model.
        version: number of the version.
        created_ms: when it was registered, in milliseconds since 1970.
        digest: `directory_digest` of its SavedModel, empty if it was registered without.
    """

    model: str
    version: int
    created_ms: int
    digest: str

    @property
    def identity(self) -> str:
        """Return what tells this version from one of the same number in another registry."""
        return f"{self.created_ms}-{self.digest[:16]}"


class Registry:
    """Reads a tracking server."""

    def __init__(self, address: str, transport: httpx.BaseTransport | None = None) -> None:
        self._address = address.rstrip("/")
        self._client = httpx.Client(base_url=address, timeout=_TIMEOUT, transport=transport)

    def close(self) -> None:
        """Close open connections."""
        self._client.close()

    def version_by_alias(self, model: str, alias: str) -> RegisteredVersion | None:
        """Return the version that an alias names, None if the model or alias does not exist.

        Raises:
            RegistryError: the server does not answer, or not as expected.
        """
        response = self._get(f"{_API}/registered-models/alias", {"name": model, "alias": alias})
        if response.status_code in (400, 404) and _json(response).get("error_code") in _NO_SUCH_ALIAS:
            return None
        found = _json(_successful(response)).get("model_version", {})
        try:
            tags = {str(tag["key"]): str(tag["value"]) for tag in found.get("tags", [])}
            return RegisteredVersion(
                model, int(found["version"]), int(found["creation_timestamp"]), tags.get(DIGEST_TAG, "")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RegistryError(f"unexpected answer for alias {alias!r} of {model!r}: {error!r}") from error

    def download(self, version: RegisteredVersion, artifact_path: str, destination: Path) -> int:
        """Write the files below a version's artifact path to a folder and return their total size in bytes.

        Raises:
            RegistryError: the server does not answer, there are no such files, or they are not what was registered.
            OSError: the disk does not take them.
        """
        root = self._artifact_root(version)
        base = f"{root}/{artifact_path}"
        size_bytes = 0
        for path in self._files_below(base):
            target = destination / PurePosixPath(path).relative_to(base)
            target.parent.mkdir(parents=True, exist_ok=True)
            size_bytes += self._download_file(path, target)
        if not destination.is_dir():
            raise RegistryError(f"version {version.version} of {version.model!r} has no files below {artifact_path!r}")
        if version.digest and directory_digest(destination) != version.digest:
            raise RegistryError(
                f"version {version.version} of {version.model!r}: the files are not those that were registered "
                f"(SHA-256 {directory_digest(destination)}, registered {version.digest})"
            )
        return size_bytes

    def _artifact_root(self, version: RegisteredVersion) -> str:
        query = {"name": version.model, "version": str(version.version)}
        answer = _json(_successful(self._get(f"{_API}/model-versions/get-download-uri", query)))
        uri = str(answer.get("artifact_uri", ""))
        parts = urlsplit(uri)
        if parts.scheme != _PROXIED or not parts.path.strip("/"):
            raise RegistryError(f"artifact address {uri!r}: only artifacts served by the tracking server are supported")
        return parts.path.strip("/")

    def _files_below(self, path: str) -> Iterator[str]:
        answer = _json(_successful(self._get(_ARTIFACTS, {"path": path})))
        for entry in answer.get("files", []):
            child = f"{path}/{_child_name(entry)}"
            if entry.get("is_dir"):
                yield from self._files_below(child)
            else:
                yield child

    def _download_file(self, path: str, target: Path) -> int:
        try:
            with self._client.stream("GET", f"{_ARTIFACTS}/{quote(path)}") as response:
                if response.status_code != _OK:
                    response.read()
                    _successful(response)
                with target.open("wb") as file:
                    for chunk in response.iter_bytes(_CHUNK_BYTES):
                        file.write(chunk)
        except httpx.HTTPError as error:
            raise RegistryError(f"download of {path}: {_reason(error)}") from error
        return target.stat().st_size

    def _get(self, path: str, query: dict[str, str]) -> httpx.Response:
        try:
            return self._client.get(path, params=query)
        except httpx.HTTPError as error:
            raise RegistryError(f"{self._address}{path}: {_reason(error)}") from error


def directory_digest(directory: Path) -> str:
    """Return the SHA-256 over names and contents of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(directory).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def _child_name(entry: Any) -> str:
    """Return the last part of a listed path; nothing in a listing may lead out of the folder that was asked for."""
    name = PurePosixPath(str(entry["path"])).name
    if name in ("", ".", ".."):
        raise RegistryError(f"unexpected entry {entry!r} in an artifact listing")
    return name


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        answer: object = response.json()
    except ValueError as error:
        raise RegistryError(f"{response.request.url}: answered {response.status_code} without JSON") from error
    if not isinstance(answer, dict):
        raise RegistryError(f"{response.request.url}: answered {response.status_code} with JSON that is no object")
    return cast("dict[str, Any]", answer)


def _successful(response: httpx.Response) -> httpx.Response:
    if response.status_code != _OK:
        raise RegistryError(f"{response.request.url}: answered {response.status_code}: {response.text[:300]}")
    return response


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
