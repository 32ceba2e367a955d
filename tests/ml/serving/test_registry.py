"""Reading a real tracking server, and what happens when it is none."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from ml.serving.registry import RegisteredVersion, Registry, RegistryError, directory_digest
from tests.ml.serving.registered import register, set_alias
from tests.support.tracking_server import TrackingServer
from tests.support.web_server import QuietHandler, served

FILES = {
    "saved_model.pb": b"graph",
    "variables/variables.data": b"\0" * 3_000_000,
    "assets/a name with spaces.txt": b"",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("files")
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_version_is_found_and_downloaded_exactly_when_an_alias_names_it(
    tracking_server: TrackingServer, folder: Path, tmp_path: Path
) -> None:
    version = register(tracking_server.url, "downloads", folder)
    set_alias(tracking_server.url, "downloads", "champion", version)
    registry = Registry(tracking_server.url)
    found = registry.version_by_alias("downloads", "champion")
    assert found is not None
    assert (found.version, found.digest) == (version, directory_digest(folder))
    size = registry.download(found, "saved_model", tmp_path / "copy")
    assert size == sum(len(content) for content in FILES.values())
    assert {
        path.relative_to(tmp_path / "copy").as_posix(): path.read_bytes()
        for path in (tmp_path / "copy").rglob("*")
        if path.is_file()
    } == FILES


def test_nothing_is_found_when_model_or_alias_do_not_exist(tracking_server: TrackingServer, folder: Path) -> None:
    registry = Registry(tracking_server.url)
    assert registry.version_by_alias("no_such_model", "champion") is None
    register(tracking_server.url, "without_alias", folder)
    assert registry.version_by_alias("without_alias", "champion") is None


def test_versions_of_the_same_number_differ_when_they_were_registered_apart() -> None:
    one = RegisteredVersion("m", 1, 1_000, "ab" * 32)
    assert one.identity != RegisteredVersion("m", 1, 2_000, "ab" * 32).identity
    assert one.identity != RegisteredVersion("m", 1, 1_000, "cd" * 32).identity


def test_download_is_refused_when_the_files_are_not_those_registered(
    tracking_server: TrackingServer, folder: Path, tmp_path: Path
) -> None:
    version = register(tracking_server.url, "tampered", folder, digest="0" * 64)
    set_alias(tracking_server.url, "tampered", "champion", version)
    registry = Registry(tracking_server.url)
    found = registry.version_by_alias("tampered", "champion")
    assert found is not None
    with pytest.raises(RegistryError, match="the files are not those that were registered"):
        registry.download(found, "saved_model", tmp_path / "copy")


def test_download_is_refused_when_the_version_has_no_such_files(
    tracking_server: TrackingServer, folder: Path, tmp_path: Path
) -> None:
    version = register(tracking_server.url, "elsewhere", folder)
    found = RegisteredVersion("elsewhere", version, 0, "")
    with pytest.raises(RegistryError, match="has no files below 'other'"):
        Registry(tracking_server.url).download(found, "other", tmp_path / "copy")
    with pytest.raises(RegistryError, match="answered 404"):
        Registry(tracking_server.url).download(RegisteredVersion("elsewhere", 99, 0, ""), "other", tmp_path / "copy")


def test_error_names_the_address_when_nobody_listens() -> None:
    with pytest.raises(RegistryError, match=r"http://127\.0\.0\.1:9/"):
        Registry("http://127.0.0.1:9").version_by_alias("m", "champion")


class _Odd(QuietHandler):
    """Answers what no tracking server would."""

    answer = b""
    status = 200

    def do_GET(self) -> None:
        self.send_response(type(self).status)
        self.send_header("Content-Length", str(len(type(self).answer)))
        self.end_headers()
        self.wfile.write(type(self).answer)


@pytest.fixture
def odd_server() -> Generator[str]:
    with served(_Odd) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (200, b"<html>login</html>", "answered 200 without JSON"),
        (200, b"[]", "with JSON that is no object"),
        (200, b"{}", "unexpected answer for alias"),
        (200, b'{"model_version": {"version": "one", "creation_timestamp": 1}}', "unexpected answer for alias"),
        (500, b'{"error_code": "INTERNAL_ERROR"}', "answered 500"),
        (503, b"upstream connect error", "answered 503"),
        (404, b'{"error_code": "ENDPOINT_NOT_FOUND"}', "answered 404"),
    ],
)
def test_answer_is_refused_when_it_is_not_a_tracking_servers(
    odd_server: str, status: int, answer: bytes, message: str
) -> None:
    _Odd.status, _Odd.answer = status, answer
    with pytest.raises(RegistryError, match=message):
        Registry(odd_server).version_by_alias("m", "champion")


@pytest.mark.parametrize("uri", ["s3://bucket/model", "file:///etc", "", "mlflow-artifacts:/"])
def test_download_is_refused_when_artifacts_are_not_served_by_the_server(
    odd_server: str, uri: str, tmp_path: Path
) -> None:
    _Odd.status, _Odd.answer = 200, f'{{"artifact_uri": "{uri}"}}'.encode()
    with pytest.raises(RegistryError, match="only artifacts served by the tracking server are supported"):
        Registry(odd_server).download(RegisteredVersion("m", 1, 0, ""), "saved_model", tmp_path / "copy")
