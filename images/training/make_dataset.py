#!/usr/bin/env python3
"""Writes the training data set: what Debian says about each of its packages.

Source: the package index of Debian 12 (bookworm), area main, in English. The texts are written by the packages'
maintainers and come under the licences of the packages they describe; all of main is free software by Debian's
guidelines.

One JSON object per line, sorted by package name: package, source, section, description, homepage, priority,
installed_size (KiB). The output depends on the index alone: the same index gives the same bytes.

Runs with the standard library of Python 3.11, in the image and on any Debian machine.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

SUITE = "bookworm"
"""Without updates and security: the release itself changes at point releases only."""

_APT_HELPER = "/usr/lib/apt/apt-helper"


class DatasetError(Exception):
    """The index is not there or lacks something; the message says what and how to get it."""


def paragraphs(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield the paragraphs of a Debian control file; continuation lines stay in the value, with their space."""
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line in ("\n", ""):
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0] in " \t":
            fields[name] += "\n" + line.rstrip("\n")
        else:
            name, _, value = line.rstrip("\n").partition(":")
            fields[name] = value.strip()
    if fields:
        yield fields


def unfold(description: str) -> str:
    """Return a description as its author meant it: no indentation, a lone full stop is an empty line."""
    short, *rest = description.split("\n")
    long = ["" if line.strip() == "." else line.removeprefix(" ").rstrip() for line in rest]
    return "\n".join([short.strip(), *long]).rstrip()


def record(package: dict[str, str], description: str) -> dict[str, str | int]:
    """Return one line of the data set; the order of the keys is part of the format."""
    name = package["Package"]
    return {
        "package": name,
        "source": package.get("Source", name).split(" ")[0],
        "section": package.get("Section", "").rpartition("/")[2],
        "description": unfold(description),
        "homepage": package.get("Homepage", ""),
        "priority": package.get("Priority", ""),
        "installed_size": int(package.get("Installed-Size", "0")),
    }


def records(packages: Iterable[dict[str, str]], translations: Iterable[dict[str, str]]) -> list[dict[str, str | int]]:
    """Join the index with its English descriptions: one record per package name, sorted.

    Raises:
        DatasetError: a package's description is not among the translations.
    """
    texts = {(entry["Package"], entry["Description-md5"]): entry["Description-en"] for entry in translations}
    found: dict[str, dict[str, str | int]] = {}
    for package in packages:
        key = (package["Package"], package.get("Description-md5", ""))
        if key not in texts:
            raise DatasetError(f"package {key[0]}: no description in Translation-en: run apt-get update again")
        found.setdefault(key[0], record(package, texts[key]))
    return [found[name] for name in sorted(found)]


def write(entries: Iterable[dict[str, str | int]], output: Path) -> None:
    """Write the data set in one step: `output` is complete or as it was."""
    unfinished = output.with_name(output.name + ".unfinished")
    with unfinished.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as file:
        for entry in entries:
            file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
    unfinished.replace(output)


def _index(kind: str, options: list[str]) -> Iterator[dict[str, str]]:
    """Yield the paragraphs of one of the suite's index files, which apt may keep compressed."""
    command = ["apt-get", *options, "indextargets", "--format", "$(FILENAME)"]
    selection = [f"Codename: {SUITE}", "Component: main", "Origin: Debian", f"Created-By: {kind}"]
    files = subprocess.run([*command, *selection], check=True, capture_output=True, text=True).stdout.splitlines()
    if not files:
        raise DatasetError(f"no {kind} of {SUITE} main: apt-get update with Acquire::Languages en")
    read = subprocess.run([_APT_HELPER, "cat-file", files[0]], check=True, capture_output=True, text=True)
    return paragraphs(read.stdout.splitlines(keepends=True))


def _build(output: Path, options: list[str]) -> int:
    packages = _index("Packages", options)
    entries = records(packages, _index("Translations", options))
    write(entries, output)
    return len(entries)


def _fetch(options: list[str]) -> None:
    done = subprocess.run(["apt-get", *options, "--quiet", "update"], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise DatasetError(f"apt-get update failed:\n{done.stderr.strip()}")


def main() -> int:
    """Parse the command line, write the file, say how many packages it holds."""
    parser = argparse.ArgumentParser(description="Write the training data set from Debian's package index.")
    parser.add_argument("output", type=Path, help="file to write, for example debian-packages.jsonl.gz")
    parser.add_argument(
        "--fetch",
        action="store_true",
        help="download the index into a temporary folder first; otherwise the machine's own index is read",
    )
    arguments = parser.parse_args()
    options = ["--option", "Acquire::Languages=en"]
    try:
        with tempfile.TemporaryDirectory() as folder:
            if arguments.fetch:
                # apt downloads as a user of its own, who must be able to enter.
                Path(folder).chmod(0o755)
                options += ["--option", f"Dir::State::Lists={folder}"]
                _fetch(options)
            count = _build(arguments.output, options)
    except DatasetError as error:
        print(f"make_dataset.py: {error}", file=sys.stderr)
        return 1
    print(f"{count} packages in {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
