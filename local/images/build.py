"""Makes every image that is missing, in the order in which they build on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from local import paths
from local.images import debian
from local.images.binaries import Binaries, Tools
from local.images.builder import Builder
from local.images.catalog import Image, discover, programs, read_containerfiles
from local.images.containerfile import DEBIAN, ContainerfileError
from local.images.errors import ImageError
from local.images.folders import Folders, locked
from local.images.store import Store
from local.progress import Progress


def describe(tools: Tools, progress: Progress, names: Iterable[str] | None = None) -> dict[str, Image]:
    """Return logical name -> image for the tree as it is now, parents before children; builds no image.

    Args:
        tools: the toolchain, with the programs that the images copy.
        progress: told what is being done.
        names: the images wanted, with what they are made from; if absent, all whose programs the toolchain has.

    Raises:
        ImageError: a name is unknown, or a container file breaks a rule or copies something that does not exist.
    """
    folders = Folders.in_cache()
    root = paths.repo_root()
    binaries = Binaries(tools, root, folders.programs, progress)
    try:
        if names is None:
            files = {name: file for name, (_, file) in read_containerfiles(root).items()}
            names = [name for name, file in files.items() if all(map(binaries.has, programs(file)))]
        return discover(root, binaries.find, debian.image_reference(), names)
    except (ContainerfileError, FileNotFoundError) as error:
        raise ImageError(str(error)) from None


def ensure(
    tools: Tools,
    progress: Progress,
    names: Iterable[str] | None = None,
    *,
    before_making: Callable[[], None] = lambda: None,
) -> dict[str, str]:
    """Make the images that the cache lacks and return logical name -> reference.

    Can be stopped at any moment: finished images stay, and the next call goes on after them.

    Args:
        tools: the toolchain; programs `buildah`, `skopeo`, `mmdebstrap`, and those that images copy.
        progress: told what is being done.
        names: logical names; if absent, all that containers run and whose programs the toolchain has.
        before_making: called if an image that needs packages has to be made, before anything is; may raise.

    Raises:
        ImageError: an image could not be made, or a name is unknown.
    """
    folders = Folders.in_cache()
    store = Store(folders.store)
    chosen = None if names is None else list(names)
    images = describe(tools, progress, chosen)
    wanted = [name for name, image in images.items() if (image.is_runnable if chosen is None else name in chosen)]
    missing = [name for name in wanted if not store.has(images[name].reference)]
    if missing:
        if any(images[name].parents for name in missing):
            before_making()
        with locked(folders, progress):
            builder = Builder(tools, folders, progress)
            _build_missing(images, wanted, store, builder, progress)
    return {name: images[name].reference for name in wanted}


def _build_missing(
    images: Mapping[str, Image], wanted: list[str], store: Store, builder: Builder, progress: Progress
) -> None:
    missing = [name for name in wanted if not store.has(images[name].reference)]
    if not missing:
        return
    progress(f"images to make: {', '.join(missing)}")
    builder.tidy()
    for name in missing:
        _provide(name, images, builder)
        store.prepare()
        builder.export(images[name], store.layout)
        store.add(images[name].reference)


def _provide(name: str, images: Mapping[str, Image], builder: Builder) -> None:
    """Bring an image into the builder's storage, and first, if it has to be built, what it is made from."""
    if name == DEBIAN:
        if not builder.has(debian.image_reference()):
            builder.build_debian()
    elif not builder.has(images[name].reference):
        for parent in images[name].parents:
            _provide(parent, images, builder)
        builder.build(images[name])
