"""Every image of the project, found in the tree, with its reference and in the order in which they can be built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from local.images import identity
from local.images.containerfile import DEBIAN, Containerfile, ContainerfileError, parse
from local.images.identity import InputFile

BINARY_FOLDER = "build/bin"
"""Where container files expect compiled programs, relative to the repository."""

RECIPE = "buildah, OCI, layers dated 0, 2"
"""Part of every image's identity: change the number when the way of building changes what comes out."""


def programs(containerfile: Containerfile) -> list[str]:
    """Return the compiled programs that an image copies."""
    prefix = f"{BINARY_FOLDER}/"
    return [source.removeprefix(prefix) for source in containerfile.sources if source.startswith(prefix)]


BinaryFinder = Callable[[str], Path]
"""Takes the name of a compiled program and returns its file."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image as the tree describes it now."""

    name: str
    reference: str
    containerfile: Containerfile
    text: str
    """The container file's text."""
    files: tuple[InputFile, ...]
    build_arguments: Mapping[str, str]
    """Build argument -> reference of the image it stands for."""
    parents: tuple[str, ...]
    """Logical names of the images it is made from."""

    @property
    def is_runnable(self) -> bool:
        """Say whether containers run it; the others are only what images are made from."""
        return self.containerfile.is_runnable


def read_containerfiles(root: Path) -> dict[str, tuple[str, Containerfile]]:
    """Return logical name -> text and meaning of every container file, parents before children.

    Args:
        root: the repository.

    Raises:
        ContainerfileError: one breaks a rule, is made from an image that does not exist, or from itself.
    """
    found: dict[str, tuple[str, Containerfile]] = {}
    for path in sorted((root / "images").glob("*/Containerfile")):
        text = path.read_text(encoding="utf-8")
        try:
            found[path.parent.name] = (text, parse(text))
        except ContainerfileError as error:
            raise ContainerfileError(f"{path.relative_to(root)}: {error}") from None
    graph = {name: set(file.parents.values()) - {DEBIAN} for name, (_, file) in found.items()}
    for name, parents in graph.items():
        if unknown := parents - found.keys():
            raise ContainerfileError(f"images/{name}: made from {', '.join(sorted(unknown))}, which images/ lacks")
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise ContainerfileError(f"images made from themselves: {' -> '.join(error.args[1])}") from None
    return {name: found[name] for name in order}


def discover(
    root: Path, find_binary: BinaryFinder, debian_reference: str, names: Iterable[str] | None = None
) -> dict[str, Image]:
    """Return logical name -> image, parents before children.

    Args:
        root: the repository.
        names: the images wanted, with what they are made from; all if absent.
        find_binary: finds the compiled programs that images copy from `build/bin`.
        debian_reference: what stands for Debian's own base image.

    Raises:
        ContainerfileError: a container file breaks a rule, or a name is unknown.
        FileNotFoundError: something that an image copies does not exist; the message names both.
    """
    references = {DEBIAN: debian_reference}
    images: dict[str, Image] = {}
    files_found = read_containerfiles(root)
    for name in _with_parents(files_found, names):
        text, containerfile = files_found[name]
        files: list[InputFile] = []
        for source in containerfile.sources:
            try:
                files += identity.input_files(source, _origin(root, source, find_binary))
            except FileNotFoundError as error:
                raise FileNotFoundError(f"image {name}: {error}") from None
        build_arguments = {argument: references[parent] for argument, parent in containerfile.parents.items()}
        inputs_hash = identity.inputs_hash(text, files, build_arguments, RECIPE)
        references[name] = identity.reference(name, inputs_hash)
        images[name] = Image(
            name=name,
            reference=references[name],
            containerfile=containerfile,
            text=text,
            files=tuple(files),
            build_arguments=build_arguments,
            parents=tuple(dict.fromkeys(containerfile.parents.values())),
        )
    return images


def _with_parents(found: Mapping[str, tuple[str, Containerfile]], names: Iterable[str] | None) -> list[str]:
    if names is None:
        return list(found)
    wanted: set[str] = set()
    queue = list(names)
    if unknown := sorted(set(queue) - found.keys()):
        raise ContainerfileError(f"no such image: {', '.join(unknown)} (there are: {', '.join(sorted(found))})")
    while queue:
        name = queue.pop()
        if name not in wanted and name != DEBIAN:
            wanted.add(name)
            queue += found[name][1].parents.values()
    return [name for name in found if name in wanted]


def _origin(root: Path, source: str, find_binary: BinaryFinder) -> Path:
    folder, _, program = source.rpartition("/")
    return find_binary(program) if folder == BINARY_FOLDER else root / source
