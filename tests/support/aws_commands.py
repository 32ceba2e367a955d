"""Commands of AWS's own tool in the documentation, held against AWS's description of its interface (botocore)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Final

import botocore.session
from botocore import xform_name
from botocore.model import OperationModel

from tests.support.stacks import ROOT

_OF_EVERY_COMMAND: Final = frozenset({"query", "output"})


def shell_blocks(page: str, heading: str) -> list[str]:
    """Return the blocks of shell commands below a heading of a page of docs/, one command a line."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    return [re.sub(r"\\\n\s*", " ", block) for block in found]


def calls_of_aws(commands: str) -> Iterator[list[str]]:
    """Yield the words of every call, without the `aws` before them."""
    for found in re.findall(r"\baws ([^\n;]*)", commands):
        words = shlex.split(found.replace("$(", "").removesuffix(")"), posix=True)
        yield [word.rstrip(")") for word in words]


def unknown_options(call: list[str]) -> list[str]:
    """Return the options of a call that its operation does not have.

    Raises:
        KeyError: there is no such operation, or nothing such to wait for.
    """
    service, operation, *words = call
    model = _waited_for(service, words[0]) if operation == "wait" else _operation(service, operation)
    assert model.input_shape is not None
    known = {xform_name(name, "-") for name in model.input_shape.members} | _OF_EVERY_COMMAND
    options = [word.removeprefix("--") for word in words if word.startswith("--")]
    return [option for option in options if option.removeprefix("no-") not in known]


def _operation(service: str, command: str) -> OperationModel:
    model = botocore.session.get_session().get_service_model(service)
    return model.operation_model({xform_name(name, "-"): name for name in model.operation_names}[command])


def _waited_for(service: str, command: str) -> OperationModel:
    session = botocore.session.get_session()
    waiters = session.get_waiter_model(service)
    waiter = waiters.get_waiter({xform_name(name, "-"): name for name in waiters.waiter_names}[command])
    return session.get_service_model(service).operation_model(waiter.operation)
