"""Reads from a container file what its image is made of, so that no second list has to agree with it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

REGISTRY = "localhost/mlplatform"
"""Prefix of every image that is built here."""

DEBIAN = "debian"
"""Logical name of the root file system that everything starts from."""

DEBIAN_REFERENCE = "docker.io/library/debian:bookworm-slim"
"""What a container file names as its base where a registry can be reached."""

_LOCAL_DEFAULT = re.compile(rf"{re.escape(REGISTRY)}/([a-z0-9-]+):local")


class ContainerfileError(Exception):
    """A container file says something that the rules of this project do not allow; the message says where."""


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction with its continuation lines joined."""

    line: int
    keyword: str
    """Upper case."""
    value: str


@dataclass(frozen=True, kw_only=True)
class Containerfile:
    """What the rest of the package needs to know about one container file."""

    instructions: tuple[Instruction, ...]
    arguments: dict[str, str] = field(default_factory=dict[str, str])
    """Build arguments that stand before the first FROM, with their defaults."""
    sources: tuple[str, ...] = ()
    """Files and folders copied from the build context, relative to the repository."""

    @property
    def parents(self) -> dict[str, str]:
        """Return build argument -> logical name, for arguments whose default is an image built here."""
        names: dict[str, str] = {}
        for argument, default in self.arguments.items():
            local = _LOCAL_DEFAULT.fullmatch(default)
            if local:
                names[argument] = local[1]
            elif default == DEBIAN_REFERENCE:
                names[argument] = DEBIAN
        return names

    @property
    def final_stage(self) -> tuple[Instruction, ...]:
        """Return the instructions from the last FROM on: what ends up in the image."""
        last = max(index for index, item in enumerate(self.instructions) if item.keyword == "FROM")
        return self.instructions[last:]

    @property
    def is_runnable(self) -> bool:
        """Say whether the image is meant to run; the others are only what images are made from."""
        return any(item.keyword in ("CMD", "ENTRYPOINT") for item in self.final_stage)


def parse(text: str) -> Containerfile:
    """Read a container file.

    Raises:
        ContainerfileError: it has no FROM, or copies from the context by pattern, URL or absolute path.
    """
    instructions = tuple(_instructions(text))
    if not any(item.keyword == "FROM" for item in instructions):
        raise ContainerfileError("no FROM instruction")
    arguments: dict[str, str] = {}
    for item in instructions:
        if item.keyword == "FROM":
            break
        if item.keyword == "ARG":
            name, _, default = item.value.partition("=")
            arguments[name.strip()] = default.strip()
    sources = dict.fromkeys(source for item in instructions for source in _sources(item))
    return Containerfile(instructions=instructions, arguments=arguments, sources=tuple(sources))


def _instructions(text: str) -> Iterator[Instruction]:
    pending: list[str] = []
    started = 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line.startswith("#") or (not line and not pending):
            continue
        if not pending:
            started = number
        pending.append(line.removesuffix("\\").strip())
        if not line.endswith("\\"):
            keyword, _, value = " ".join(pending).partition(" ")
            yield Instruction(line=started, keyword=keyword.upper(), value=value.strip())
            pending = []


def _sources(item: Instruction) -> list[str]:
    if item.keyword not in ("COPY", "ADD"):
        return []
    words = shlex.split(item.value)
    options = [word for word in words if word.startswith("--")]
    if any(option.startswith("--from=") for option in options):
        return []
    sources = [word for word in words if not word.startswith("--")][:-1]
    for source in sources:
        path = PurePosixPath(source)
        if path.is_absolute() or ".." in path.parts or re.search(r"[*?\[]|://", source):
            raise ContainerfileError(
                f"line {item.line}: {item.keyword} {source}: allowed are plain paths below the repository"
            )
    return sources
