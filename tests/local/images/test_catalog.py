"""The images of a tree: order, references, and what a changed file changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.images.catalog import discover, read_containerfiles
from local.images.containerfile import ContainerfileError

_DEBIAN = "localhost/mlplatform/debian:0123456789ab"
_SERVICE = """ARG BASE=localhost/mlplatform/base:local
FROM ${BASE}
COPY code /c
CMD ["x"]
"""


def _write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return _write(
        tmp_path,
        **{
            "images/a-service/Containerfile": _SERVICE,
            "images/base/Containerfile": "ARG BASE=docker.io/library/debian:bookworm-slim\nFROM ${BASE}\n",
            "images/program/Containerfile": 'FROM scratch\nCOPY build/bin/program /p\nENTRYPOINT ["/p"]\n',
            "code/main.py": "1",
            "tools/program": "binary",
        },
    )


def _references(root: Path) -> dict[str, str]:
    images = discover(root, lambda name: root / "tools" / name, _DEBIAN)
    return {name: image.reference for name, image in images.items()}


def test_parents_come_first_when_a_tree_is_read(tree: Path) -> None:
    names = list(read_containerfiles(tree))

    assert names.index("base") < names.index("a-service")


def test_only_images_that_contain_it_change_when_a_file_changes(tree: Path) -> None:
    before = _references(tree)
    (tree / "code/main.py").write_text("2")
    after = _references(tree)

    assert {name for name in before if before[name] != after[name]} == {"a-service"}


def test_images_made_from_it_change_too_when_a_base_changes(tree: Path) -> None:
    before = _references(tree)
    _write(tree, **{"images/base/Containerfile": (tree / "images/base/Containerfile").read_text() + "USER 1:1\n"})
    after = _references(tree)

    assert {name for name in before if before[name] != after[name]} == {"base", "a-service"}


def test_programs_come_from_the_toolchain_when_copied_from_build_bin(tree: Path) -> None:
    before = _references(tree)
    (tree / "tools/program").write_text("another binary")
    after = _references(tree)

    assert {name for name in before if before[name] != after[name]} == {"program"}


def test_only_an_image_and_its_bases_are_described_when_one_is_asked_for(tree: Path) -> None:
    images = discover(tree, lambda name: tree / "absent" / name, _DEBIAN, ["a-service"])

    assert list(images) == ["base", "a-service"]
    assert images["a-service"].build_arguments == {"BASE": images["base"].reference}
    assert images["base"].build_arguments == {"BASE": _DEBIAN}


def test_the_error_names_image_and_file_when_something_copied_is_absent(tree: Path) -> None:
    (tree / "code/main.py").unlink()

    with pytest.raises(FileNotFoundError, match=r"image a-service: code: nothing at"):
        _references(tree)


def test_the_error_lists_the_images_when_a_name_is_unknown(tree: Path) -> None:
    with pytest.raises(ContainerfileError, match=r"no such image: nginx \(there are: a-service, base, program\)"):
        discover(tree, lambda name: tree / name, _DEBIAN, ["nginx"])


def test_the_error_names_the_file_when_a_base_does_not_exist(tree: Path) -> None:
    _write(tree, **{"images/b/Containerfile": "ARG BASE=localhost/mlplatform/absent:local\nFROM ${BASE}\n"})

    with pytest.raises(ContainerfileError, match=r"images/b: made from absent, which images/ lacks"):
        read_containerfiles(tree)


def test_the_error_shows_the_circle_when_images_are_made_from_each_other(tree: Path) -> None:
    _write(tree, **{"images/base/Containerfile": "ARG BASE=localhost/mlplatform/a-service:local\nFROM ${BASE}\n"})

    with pytest.raises(ContainerfileError, match=r"made from themselves: .*base"):
        read_containerfiles(tree)
