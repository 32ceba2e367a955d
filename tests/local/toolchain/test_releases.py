from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.toolchain.catalog import GoTool, Release
from local.toolchain.errors import ToolchainError
from local.toolchain.releases import Makers, find_checksum
from tests.support.web_server import QuietHandler, served

ONE, TWO = "1a" * 32, "2b" * 32


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


class Maker:
    """A maker's web server on this machine; `files` is what it serves, `asked` what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        maker = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                maker.asked.append(self.path)
                content = maker.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.end_headers()
                self.wfile.write(content or b"")

        self.handler = Handler
        self.url = ""

    def publish(self, path: str, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        self.files |= {path: content, f"{path}.sha256": f"{digest}  {path.rsplit('/', 1)[-1]}\n".encode()}


@pytest.fixture
def maker() -> Iterator[Maker]:
    maker = Maker()
    with served(maker.handler) as server:
        maker.url = f"http://127.0.0.1:{server.server_port}"
        yield maker


@pytest.fixture
def binaries(tmp_path: Path) -> Path:
    folder = tmp_path / "tool" / "bin"
    folder.mkdir(parents=True)
    return folder


def _tool(release: Release) -> GoTool:
    return GoTool(name="thing", version="1", packages={"thing": "x", "helper": "y"}, folder="thing", release=release)


def _archive_tool(maker: Maker) -> GoTool:
    url = f"{maker.url}/thing-{{arch_x64}}.tar.gz"
    members = {"thing": "thing-{arch}/thing", "helper": "thing-{arch}/helper"}
    return _tool(Release(url, f"{url}.sha256", members))


def test_binaries_are_taken_from_the_archive_when_its_checksum_is_right(maker: Maker, binaries: Path) -> None:
    maker.publish("/thing-x64.tar.gz", _archive({"thing-amd64/thing": b"T", "thing-amd64/helper": b"H"}))
    assert Makers("amd64").download(_archive_tool(maker), binaries)
    assert {path.name: path.read_bytes() for path in binaries.iterdir()} == {"thing": b"T", "helper": b"H"}
    assert (binaries / "thing").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in binaries.parent.iterdir()] == ["bin"]


def test_each_binary_is_fetched_when_the_maker_publishes_single_files(maker: Maker, binaries: Path) -> None:
    for name in ("thing", "helper"):
        maker.publish(f"/arm64/{name}", name.encode())
    url = f"{maker.url}/{{arch}}/{{binary}}"
    assert Makers("arm64").download(_tool(Release(url, f"{url}.sha256")), binaries)
    assert (binaries / "helper").read_bytes() == b"helper"


def test_error_names_the_file_when_its_checksum_is_wrong(maker: Maker, binaries: Path) -> None:
    maker.publish("/thing-x64.tar.gz", _archive({"thing-amd64/thing": b"T", "thing-amd64/helper": b"H"}))
    maker.files["/thing-x64.tar.gz"] = _archive({"thing-amd64/thing": b"evil", "thing-amd64/helper": b"H"})
    with pytest.raises(ToolchainError, match=r"thing-x64\.tar\.gz: sha256 is"):
        Makers("amd64").download(_archive_tool(maker), binaries)
    assert list(binaries.iterdir()) == []


def test_error_names_the_member_when_the_archive_lacks_it(maker: Maker, binaries: Path) -> None:
    maker.publish("/thing-x64.tar.gz", _archive({"thing-amd64/thing": b"T"}))
    with pytest.raises(ToolchainError, match="thing-amd64/helper"):
        Makers("amd64").download(_archive_tool(maker), binaries)


def test_maker_is_not_asked_again_when_it_gave_no_answer(maker: Maker, binaries: Path) -> None:
    makers = Makers("amd64")
    assert not makers.download(_archive_tool(maker), binaries)
    asked = len(maker.asked)
    assert asked == 1
    assert not makers.download(_archive_tool(maker), binaries)
    assert len(maker.asked) == asked


def test_nothing_is_asked_when_the_maker_publishes_no_binary(binaries: Path) -> None:
    tool = GoTool(name="thing", version="1", packages={"thing": "x"}, folder="thing")
    assert not Makers("amd64").download(tool, binaries)


@pytest.mark.parametrize("page", ["<html>\nblocked\n</html>\n", "", "e3b0c442\n", f"{ONE}  other.tar.gz\n"])
def test_maker_counts_as_silent_when_something_else_answers_in_its_place(
    maker: Maker, binaries: Path, page: str
) -> None:
    maker.publish("/thing-x64.tar.gz", _archive({"thing-amd64/thing": b"T", "thing-amd64/helper": b"H"}))
    maker.files["/thing-x64.tar.gz.sha256"] = page.encode()
    makers = Makers("amd64")
    assert not makers.download(_archive_tool(maker), binaries)
    assert makers.unreachable
    assert list(binaries.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{ONE.upper()}\n", ONE),
        (f"{ONE}  file.tgz\n", ONE),
        (f"{ONE} *file.tgz\n", ONE),
        (f"{TWO}  other.tgz\n{ONE}  file.tgz\n", ONE),
        (f"{ONE}  other.tgz\n", None),
        ("<html>\n<body>file.tgz</body>\n", None),
        ("blocked file.tgz\n", None),
        (f"{ONE}0\n", None),
        ("", None),
    ],
)
def test_checksum_is_found_in_each_form_that_makers_use(text: str, expected: str | None) -> None:
    assert find_checksum(text, "file.tgz") == expected
