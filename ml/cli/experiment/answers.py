"""What comes from the API and goes into files, where either is not as it should be: errors that a person can repair."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ml.cli.errors import UserError

_LONGEST_WORDS: Final = 300


@contextmanager
def understood(what: str) -> Generator[None]:
    """Say that an answer has another shape than this program knows; of an API that is newer, above all.

    Raises:
        UserError: the body found a field missing, or of another kind than it needs.
    """
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        words = f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise UserError(f"{what} cannot be read: {words[:_LONGEST_WORDS]}", "update `mlp`") from None


def write_file(file: Path, text: str) -> None:
    """Write a text to a file that a person has named.

    Raises:
        UserError: it cannot be written.
    """
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        words = error.strerror or str(error)
        raise UserError(f"{file} cannot be written: {words}", "name a file in a folder that may be written") from None
